/* pool-steps.c — what a task of the pool does: its steps one after the other, in files, on memory, with registers for descriptors. */
#define _GNU_SOURCE
#include "pool-steps.h"
#include "codec.h"
#include "log-steps.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *path_of(uint64_t a) { return (const char *)(uintptr_t)a; }
static void *memory_of(uint64_t a) { return (void *)(uintptr_t)a; }

static int plain(int result) { return result == 0 ? 0 : errno; }

int read_fully(int fd, uint8_t *into, uint64_t bytes, uint64_t offset, int64_t *got) {
    uint64_t n = 0;
    while (n < bytes) {
        ssize_t r = pread(fd, into + n, bytes - n, (off_t)(offset + n));
        if (r < 0) {
            if (errno == EINTR) continue;
            return errno;
        }
        if (r == 0) break;
        n += (uint64_t)r;
    }
    *got = (int64_t)n;
    return 0;
}

int write_fully(int fd, const uint8_t *from, uint64_t bytes, uint64_t offset) {
    for (uint64_t n = 0; n < bytes;) {
        ssize_t r = pwrite(fd, from + n, bytes - n, (off_t)(offset + n));
        if (r < 0) {
            if (errno == EINTR) continue;
            return errno;
        }
        n += (uint64_t)r;
    }
    return 0;
}

static int read_frame(int fd, const struct step *s) {
    struct iovec parts[2] = {{memory_of(s->a[0]), SHERD_HASH_BYTES}, {memory_of(s->a[1]), s->a[2]}};
    uint64_t total = SHERD_HASH_BYTES + s->a[2], n = 0;
    ssize_t r;
    do r = preadv(fd, parts, 2, (off_t)s->a[3]);
    while (r < 0 && errno == EINTR);
    if (r < 0) return errno;
    n = (uint64_t)r;
    while (n < total) { /* a short read in the middle of the shard: rare, finish it plainly */
        int64_t got = 0;
        uint8_t *into = n < SHERD_HASH_BYTES ? (uint8_t *)memory_of(s->a[0]) + n : (uint8_t *)memory_of(s->a[1]) + (n - SHERD_HASH_BYTES);
        uint64_t want = n < SHERD_HASH_BYTES ? SHERD_HASH_BYTES - n : total - n;
        int e = read_fully(fd, into, want, s->a[3] + n, &got);
        if (e) return e;
        if (got == 0) return EBADMSG;
        n += (uint64_t)got;
    }
    return sherd_verify(memory_of(s->a[0]), memory_of(s->a[1]), s->a[2]) ? 0 : EBADMSG;
}

int make_path(const char *path, uint64_t base) {
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part) return ENAMETOOLONG;
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return 0; /* the usual case: one level is missing */
    if (errno != ENOENT) return errno;
    memcpy(part, path, n + 1);
    for (size_t i = base + 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != 0) continue;
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST) return errno;
        if (i < n) part[i] = '/';
    }
    return 0;
}

static int remove_up(const char *path, uint64_t keep) {
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part) return ENAMETOOLONG;
    memcpy(part, path, n + 1);
    while (n > keep) {
        if (rmdir(part) != 0) return errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST || errno == EBUSY ? 0 : errno;
        while (n > keep && part[n - 1] != '/') n--;
        while (n > keep && part[n - 1] == '/') n--;
        part[n] = 0;
    }
    return 0;
}

static int remove_tree_at(int parent, const char *name) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return errno;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return errno;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return ENOMEM;
    }
    int error = 0;
    for (struct dirent *e; !error && (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) error = remove_tree_at(fd, e->d_name);
    closedir(dir);
    if (error) return error;
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
}

static int read_directory(struct step *s) {
    DIR *dir = opendir(path_of(s->a[0]));
    if (!dir) return errno;
    uint8_t *out = memory_of(s->a[1]);
    uint64_t used = 0, room = s->a[2];
    int error = 0;
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(dir);
        if (!e) {
            error = errno;
            break;
        }
        const char *name = e->d_name;
        if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0))) continue;
        uint8_t type = e->d_type == DT_REG ? 1 : e->d_type == DT_DIR ? 2 : 3;
        if (e->d_type == DT_UNKNOWN) {
            struct stat st;
            if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0) type = S_ISREG(st.st_mode) ? 1 : S_ISDIR(st.st_mode) ? 2 : 3;
        }
        size_t n = strlen(name);
        if (used + 3 + n <= room) {
            out[used] = type;
            out[used + 1] = (uint8_t)n;
            out[used + 2] = (uint8_t)(n >> 8);
            memcpy(out + used + 3, name, n);
        }
        used += 3 + n;
    }
    closedir(dir);
    s->result = (int64_t)used;
    return error ? error : used > room ? E2BIG : 0;
}

static int read_file(struct step *s) {
    int fd = open(path_of(s->a[0]), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    int64_t got = 0;
    int error = read_fully(fd, memory_of(s->a[1]), s->a[2], 0, &got);
    s->result = got;
    if (!error && (uint64_t)got == s->a[2]) { /* full to the brim: is there more? */
        struct stat st;
        if (fstat(fd, &st) != 0) error = errno;
        else if ((uint64_t)st.st_size > s->a[2]) {
            s->result = st.st_size;
            error = E2BIG;
        }
    }
    close(fd);
    return error;
}

static int write_file(const struct step *s) {
    int fd = open(path_of(s->a[0]), O_WRONLY | O_CREAT | O_CLOEXEC | (s->a[3] & 1 ? O_EXCL : O_TRUNC), 0666);
    if (fd < 0) return errno;
    int error = write_fully(fd, memory_of(s->a[1]), s->a[2], 0);
    if (!error && (s->a[3] & 2) && fdatasync(fd) != 0) error = errno;
    if (close(fd) != 0 && !error) error = errno;
    return error;
}

static int through_cache(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_DIRECT) != 0 ? errno : 0;
}

/* Past the page cache if the file system and the memory allow it, else through it. */
static int write_direct(int fd, const uint8_t *from, uint64_t bytes, uint64_t offset) {
    int error = write_fully(fd, from, bytes, offset);
    if (error != EINVAL) return error;
    error = through_cache(fd);
    return error ? error : write_fully(fd, from, bytes, offset);
}

/* O_DIRECT wants whole pages from aligned memory, and frames are 32 bytes more than that. So a frame comes with room before
   it for the end of what came before: whole pages are written from where they lie, the rest waits in the tail. */
static int append(int fd, const struct step *s) {
    uint8_t *region = memory_of(s->a[0]), *tail = memory_of(s->a[3]);
    const uint64_t lead = s->a[1], total = lead + s->a[2], whole = total / APPEND_PAGE * APPEND_PAGE;
    memcpy(region, tail, lead);
    int error = whole ? write_direct(fd, region, whole, s->a[4]) : 0;
    if (!error) memcpy(tail, region + whole, total - whole);
    return error;
}

static int flush(int fd, const struct step *s) {
    if (s->a[1] == 0) return 0;
    int error = through_cache(fd);
    return error ? error : write_fully(fd, memory_of(s->a[0]), s->a[1], s->a[2]);
}

static int stat_path(struct step *s) {
    struct stat st;
    if (stat(path_of(s->a[0]), &st) != 0) return errno;
    s->result = st.st_size;
    uint64_t *out = memory_of(s->a[1]);
    if (out) {
        out[0] = st.st_mode;
        out[1] = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
        out[2] = st.st_dev;
        out[3] = st.st_ino;
    }
    return 0;
}

static int stat_filesystem(const struct step *s) {
    struct statvfs v;
    struct stat st;
    if (statvfs(path_of(s->a[0]), &v) != 0 || stat(path_of(s->a[0]), &st) != 0) return errno;
    uint64_t *out = memory_of(s->a[1]);
    out[0] = (uint64_t)v.f_blocks * v.f_frsize;
    out[1] = (uint64_t)v.f_bfree * v.f_frsize;
    out[2] = (uint64_t)v.f_bavail * v.f_frsize;
    out[3] = v.f_files;
    out[4] = v.f_ffree;
    out[5] = st.st_dev;
    return 0;
}

static int sync_filesystem(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    int error = syncfs(fd) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static void close_register(struct task *t, uint32_t r) {
    if (t->own_fd >> r & 1) close(t->fd[r]);
    t->own_fd &= ~(1u << r);
    t->fd[r] = -1;
}

static int run_step(struct task *t, struct step *s) {
    uint32_t r = STEP_REG(s->flags);
    const uint64_t *a = s->a;
    switch (s->op) {
    case STEP_OPEN:
        close_register(t, r);
        t->fd[r] = open(path_of(a[0]), (int)a[1] | O_CLOEXEC, (mode_t)a[2]);
        if (t->fd[r] < 0 && errno == EINVAL && ((int)a[1] & O_DIRECT)) /* a file system that cannot: through the cache then */
            t->fd[r] = open(path_of(a[0]), ((int)a[1] & ~(O_DIRECT | O_EXCL)) | O_CLOEXEC, (mode_t)a[2]);
        if (t->fd[r] < 0) return errno;
        t->own_fd |= 1u << r;
        return 0;
    case STEP_CLOSE: close_register(t, r); return 0;
    case STEP_PREAD: return read_fully(t->fd[r], memory_of(a[0]), a[1], a[2], &s->result);
    case STEP_PWRITE: return write_fully(t->fd[r], memory_of(a[0]), a[1], a[2]);
    case STEP_FDATASYNC: return plain(fdatasync(t->fd[r]));
    case STEP_FSYNC: return plain(fsync(t->fd[r]));
    case STEP_FSTAT: {
        struct stat st;
        if (fstat(t->fd[r], &st) != 0) return errno;
        s->result = st.st_size;
        return 0;
    }
    case STEP_STAT: return stat_path(s);
    case STEP_MKDIR: return plain(mkdir(path_of(a[0]), 0777));
    case STEP_MKDIR_PATH: return make_path(path_of(a[0]), a[1]);
    case STEP_RENAME: return plain(rename(path_of(a[0]), path_of(a[1])));
    case STEP_LINK: return plain(link(path_of(a[0]), path_of(a[1])));
    case STEP_UNLINK: return plain(unlink(path_of(a[0])));
    case STEP_RMDIR: return plain(rmdir(path_of(a[0])));
    case STEP_RMDIR_UP: return remove_up(path_of(a[0]), a[1]);
    case STEP_REMOVE_TREE: return remove_tree_at(AT_FDCWD, path_of(a[0]));
    case STEP_READDIR: return read_directory(s);
    case STEP_UNRELATED_CHILDREN: return mark_children_unrelated(path_of(a[0]));
    case STEP_SYNCFS: return sync_filesystem(path_of(a[0]));
    case STEP_READ_FILE: return read_file(s);
    case STEP_WRITE_FILE: return write_file(s);
    case STEP_READ_FRAME: return read_frame(t->fd[r], s);
    case STEP_VERIFY_FRAME: return sherd_verify(memory_of(a[0]), memory_of(a[1]), a[2]) ? 0 : EBADMSG;
    case STEP_ENCODE: return sherd_encode(memory_of(a[0]), memory_of(a[1]), a[2], a[3]) == 0 ? 0 : EINVAL;
    case STEP_REBUILD: return sherd_rebuild(memory_of(a[0]), memory_of(a[1]), a[2], (uint32_t)a[3], (uint32_t)a[4]) == 0 ? 0 : EINVAL;
    case STEP_REBUILD_SLOTS: return sherd_rebuild_slots(memory_of(a[0]), memory_of(a[1]), a[2], a[3], (uint32_t)a[4], 1) == 0 ? 0 : EINVAL;
    case STEP_KEEP:
        s->result = t->fd[r];
        s->a[0] = t->own_fd >> r & 1; /* a borrowed one is not ours to close if the task fails */
        t->own_fd &= ~(1u << r);
        return 0;
    case STEP_USE:
        close_register(t, r);
        t->fd[r] = (int)a[0];
        if (s->flags & STEP_OWN) t->own_fd |= 1u << r;
        return 0;
    case STEP_STATVFS: return stat_filesystem(s);
    case STEP_APPEND: return append(t->fd[r], s);
    case STEP_FLUSH: return flush(t->fd[r], s);
    case STEP_SEAL: seal_records(memory_of(a[0]), a[1], a[2] | a[3] << 32); return 0;
    case STEP_PLACE: return place_file(t->fd[r], path_of(a[0]), &(struct place){.offset = a[1], .bytes = a[2], .base = a[3], .tmp = path_of(a[4])});
    case STEP_DARE_SEAL: return sherd_dare_seal(memory_of(a[0]), memory_of(a[1]), a[2], memory_of(a[3]), (uint32_t)a[4], (uint32_t)a[5]) == 0 ? 0 : EINVAL;
    case STEP_DARE_OPEN: return sherd_dare_open(memory_of(a[0]), memory_of(a[1]), a[2], memory_of(a[3]), (uint32_t)a[4], (uint32_t)a[5]) == 0 ? 0 : EBADMSG;
    case STEP_S2_DECODE: s->result = sherd_s2_decode(memory_of(a[0]), a[1], memory_of(a[2]), a[3], (uint32_t)a[4]); return s->result < 0 ? EBADMSG : 0;
    case STEP_S2_CHECK: return sherd_s2_check(memory_of(a[0]), a[1], (uint32_t)a[2]) ? 0 : EBADMSG;
    case STEP_S2_CHUNK: s->result = sherd_s2_chunk(memory_of(a[0]), a[1], memory_of(a[2])); return 0;
    case STEP_TRUNCATE: return plain(ftruncate(t->fd[r], (off_t)a[0]));
    default: return ENOSYS;
    }
}

static bool ignored(uint32_t flags, int error) {
    if (flags & STEP_IGNORE_ANY) return true;
    if (error == ENOENT) return flags & STEP_IGNORE_ENOENT;
    if (error == EEXIST && (flags & STEP_IGNORE_EEXIST)) return true;
    return (error == ENOTEMPTY || error == EEXIST) && (flags & STEP_IGNORE_ENOTEMPTY);
}

void run_task(struct task *t) {
    t->error = 0;
    t->failed_step = -1;
    t->own_fd = 0;
    for (uint32_t i = 0; i < TASK_REGISTERS; i++) t->fd[i] = -1;
    for (uint32_t i = 0; i < t->steps; i++) {
        int error = run_step(t, &t->step[i]);
        if (error && !ignored(t->step[i].flags, error)) {
            t->error = error;
            t->failed_step = (int32_t)i;
            break;
        }
        if (error) t->step[i].result = -error;
    }
    for (uint32_t i = 0; i < TASK_REGISTERS; i++) close_register(t, i);
    if (t->error) /* a kept descriptor of a task that failed later belongs to nobody */
        for (uint32_t i = 0; i < t->steps && (int32_t)i < t->failed_step; i++)
            if (t->step[i].op == STEP_KEEP && t->step[i].a[0]) close((int)t->step[i].result);
}

bool task_syncs(const struct task *t) {
    for (uint32_t i = 0; i < t->steps; i++) {
        const struct step *s = &t->step[i];
        if (s->op == STEP_FDATASYNC || s->op == STEP_FSYNC || s->op == STEP_SYNCFS) return true;
        if (s->op == STEP_WRITE_FILE && s->a[3] & 2) return true;
    }
    return false;
}
