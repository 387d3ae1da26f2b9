/* The thread pool that keeps coding, hashing and blocking system calls off the JavaScript thread.

   Workers take tasks (pool.h) from one queue, at first as many at once as there are processors to compute on. A monitor lets more of them
   do so (up to threads_max) when those that are at it sleep in system calls while tasks wait, or when none ends: many drives want many
   calls at once, and one that hangs must not freeze the others. Tasks that sync wait for a drive and do little else: they are in a queue of
   their own, and as many run as there are. Digest tasks have one too, from which one worker at a time takes up to 32, so that MD5 of concurrent
   streams runs in SIMD lanes. Finished tasks collect in a list; the first one in an empty list wakes JavaScript, which drains many at once. */
#define _GNU_SOURCE
#include "pool.h"
#include "codec.h"
#include "log-steps.h"
#include "pool-batches.h"
#include "pool-list.h"
#include "pool-waits.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DIGEST_TASKS 32
#define DIGEST_JOBS_MAX (DIGEST_TASKS * SHERD_SHARDS_MAX)
#define MONITOR_MS 20
#define IDLE_EXIT_S 20

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, ended;
    struct list ready, syncs, digests, done;
    uint32_t threads, threads_base, threads_max, starting, idle, digest_runners, digest_runners_max;
    uint32_t runners, runners_max; /* workers at tasks that are no syncs */
    pid_t runner[WORKERS_MAX];     /* their threads, in no order */
    uint64_t completed, submitted, progress; /* progress: without syncs */
    bool stopping, started, monitored;
    void (*wake)(void);
    struct batch *batches;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

/* ---- steps ------------------------------------------------------------------------------------------------------- */

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

static void run_task(struct task *t) {
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

/* ---- workers ----------------------------------------------------------------------------------------------------- */

static void finish(struct task **tasks, uint32_t count) { /* lock held on return: no */
    if (!count) return;
    pthread_mutex_lock(&pool.lock);
    bool first = pool.done.head == NULL;
    for (uint32_t i = 0; i < count; i++) list_push(&pool.done, tasks[i]);
    pool.completed += count;
    void (*wake)(void) = first && !pool.stopping ? pool.wake : NULL;
    pthread_mutex_unlock(&pool.lock);
    if (wake) wake();
}

/* Is an earlier task of the same stream not yet through? */
static bool must_wait(struct task **tasks, uint32_t i, const uint64_t *done) {
    for (uint32_t j = 0; j < i; j++)
        if (tasks[j]->step[0].a[0] == tasks[i]->step[0].a[0] && done[j] < tasks[j]->step[0].a[2]) return true;
    return false;
}

/* A digest's bytes may lie in pieces a stride apart (data shards in their slots). The jobs go round the tasks piece by piece,
   so that a window of sherd_digest_many holds as many streams as there are; those of one stream stay in order. */
static uint32_t digest_jobs(struct task **tasks, uint32_t count, uint64_t *jobs) {
    uint64_t done[DIGEST_TASKS] = {0};
    uint32_t made = 0;
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < count && made < DIGEST_JOBS_MAX; i++) {
            const uint64_t *a = tasks[i]->step[0].a, size = a[3] ? a[3] : a[2];
            if (done[i] >= a[2] || must_wait(tasks, i, done)) continue;
            jobs[made * 3] = a[0];
            jobs[made * 3 + 1] = a[1] + done[i] / size * a[4];
            jobs[made * 3 + 2] = a[2] - done[i] < size ? a[2] - done[i] : size;
            done[i] += size;
            made++;
            more = true;
        }
    }
    return made;
}

static void run_digests(struct task **tasks, uint32_t count) {
    uint64_t jobs[DIGEST_JOBS_MAX * 3];
    for (uint32_t i = 0; i < count; i++) {
        tasks[i]->error = 0;
        tasks[i]->failed_step = -1;
    }
    sherd_digest_many(jobs, digest_jobs(tasks, count, jobs));
}

/* What waits behind a stuck task goes back, what ended before it is done. Says if JavaScript is to be woken. */
static bool rescue_batches(void) { /* lock held */
    const bool was_empty = pool.done.head == NULL;
    for (struct batch *batch = pool.batches; batch; batch = batch->next) {
        struct taken taken;
        batch_take_over(batch, &taken);
        for (uint32_t i = 0; i < taken.waiting_count; i++) list_push(&pool.ready, taken.waiting[i]), pthread_cond_signal(&pool.work);
        for (uint32_t i = 0; i < taken.ended_count; i++) list_push(&pool.done, taken.ended[i]);
        pool.completed += taken.ended_count;
    }
    return was_empty && pool.done.head;
}

static void begin_running(pid_t thread) { pool.runner[pool.runners++] = thread; } /* lock held */

static void end_running(pid_t thread) { /* lock held */
    uint32_t i = 0;
    while (pool.runner[i] != thread) i++;
    pool.runner[i] = pool.runner[--pool.runners];
    pool.progress++;
}

static void *worker(void *unused) {
    (void)unused;
    const pid_t thread = (pid_t)syscall(SYS_gettid);
    pthread_mutex_lock(&pool.lock);
    pool.starting--;
    struct batch together;
    while (!pool.stopping) {
        struct task *batch[DIGEST_TASKS];
        const bool may_run = pool.runners < pool.runners_max;
        if (pool.syncs.head) {
            batch[0] = list_pop(&pool.syncs);
            pthread_mutex_unlock(&pool.lock);
            run_task(batch[0]);
            finish(batch, 1);
            pthread_mutex_lock(&pool.lock);
        } else if (may_run && pool.digests.head && pool.digest_runners < pool.digest_runners_max) {
            uint32_t n = 0;
            while (n < DIGEST_TASKS && pool.digests.head) batch[n++] = list_pop(&pool.digests);
            pool.digest_runners++;
            begin_running(thread);
            pthread_mutex_unlock(&pool.lock);
            run_digests(batch, n);
            finish(batch, n);
            pthread_mutex_lock(&pool.lock);
            pool.digest_runners--;
            end_running(thread);
        } else if (may_run && pool.ready.head) {
            uint32_t n = 0;
            do batch[n++] = list_pop(&pool.ready); /* a few light ones together: fewer hand-overs */
            while (n < BATCH_MAX && pool.ready.head && (pool.ready.head->flags & TASK_LIGHT) && (batch[n - 1]->flags & TASK_LIGHT));
            bool shared = n > 1;
            if (shared) batch_join(&pool.batches, &together, batch, n);
            begin_running(thread);
            pthread_mutex_unlock(&pool.lock);
            if (shared) n = batch_run(&together, batch, run_task);
            else run_task(batch[0]);
            finish(batch, n);
            pthread_mutex_lock(&pool.lock);
            if (shared) batch_leave(&pool.batches, &together);
            end_running(thread);
        } else {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_sec += IDLE_EXIT_S;
            pool.idle++;
            int timeout = pthread_cond_timedwait(&pool.work, &pool.lock, &until);
            pool.idle--;
            if (timeout && pool.threads > pool.threads_base && !pool.ready.head && !pool.syncs.head && !pool.digests.head) break;
        }
    }
    pool.threads--;
    pthread_cond_broadcast(&pool.ended);
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

static bool start_worker(void) { /* lock held */
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 512 * 1024);
    bool good = pthread_create(&thread, &attributes, worker, NULL) == 0;
    pthread_attr_destroy(&attributes);
    if (good) pool.threads++, pool.starting++;
    return good;
}

/* Tasks that a worker might take now. */
static uint32_t takeable(void) { /* lock held */
    const uint32_t waiting = pool.ready.count + (pool.digests.head && pool.digest_runners < pool.digest_runners_max ? 1 : 0);
    const uint32_t room = pool.runners < pool.runners_max ? pool.runners_max - pool.runners : 0;
    return pool.syncs.count + (waiting < room ? waiting : room);
}

/* As many workers as could have something to do. */
static void start_workers(void) { /* lock held */
    if (pool.stopping) return;
    for (uint32_t wanted = takeable(), n = pool.idle + pool.starting; n < wanted && pool.threads < pool.threads_max; n++)
        if (!start_worker()) return;
}

/* One more worker may run tasks. */
static void add_runner(void) { /* lock held */
    if (pool.runners_max == pool.threads_max) return;
    pool.runners_max++;
    start_workers();
    pthread_cond_signal(&pool.work);
}

/* Whether more workers should be at it, or fewer; `waits`: of those that are, since the last look. */
static void adapt(bool waiting, bool is_stuck, enum waits waits) { /* lock held */
    if (waiting && pool.runners == pool.runners_max && (is_stuck || waits == WAITS_SLEEPING)) add_runner();
    else if (pool.runners_max == pool.threads_base) return;
    else if (waiting ? waits == WAITS_COMPUTING : pool.runners + pool.threads_base < pool.runners_max) pool.runners_max--;
}

/* Adds workers when tasks wait and those that are there sleep or end nothing; frees those that wait behind a stuck one. */
static void *monitor(void *unused) {
    (void)unused;
    uint64_t seen = 0;
    pid_t threads[WORKERS_MAX];
    pthread_mutex_lock(&pool.lock);
    while (!pool.stopping) {
        bool wake = rescue_batches();
        const bool waiting = pool.ready.head || (pool.digests.head && pool.digest_runners == 0);
        const uint32_t count = waiting ? pool.runners : 0;
        memcpy(threads, pool.runner, count * sizeof *threads);
        pthread_mutex_unlock(&pool.lock);
        const enum waits waits = waits_of(threads, count);
        pthread_mutex_lock(&pool.lock);
        adapt(waiting, pool.progress == seen, waits);
        start_workers();
        seen = pool.progress;
        bool busy = pool.idle < pool.threads;
        pthread_mutex_unlock(&pool.lock);
        if (wake) pool.wake();
        struct timespec nap = {0, (busy ? MONITOR_MS : 5 * MONITOR_MS) * 1000000L};
        nanosleep(&nap, NULL);
        pthread_mutex_lock(&pool.lock);
    }
    pool.monitored = false;
    pthread_cond_broadcast(&pool.ended);
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

SHERD_API int32_t sherd_pool_start(uint32_t threads, uint32_t threads_max, void (*wake)(void)) {
    pthread_mutex_lock(&pool.lock);
    if (pool.started) {
        pthread_mutex_unlock(&pool.lock);
        return -1;
    }
    pool.started = true;
    pool.stopping = false;
    pool.ready = pool.syncs = pool.digests = pool.done = (struct list){0};
    pool.submitted = pool.completed = 0;
    pool.threads_base = threads ? threads : 1;
    pool.threads_max = threads_max < pool.threads_base ? pool.threads_base : threads_max;
    if (pool.threads_base > WORKERS_MAX) pool.threads_base = WORKERS_MAX;
    if (pool.threads_max > WORKERS_MAX) pool.threads_max = WORKERS_MAX;
    pool.runners = 0;
    pool.runners_max = pool.threads_base;
    pool.digest_runners_max = 1; /* a stream's digests must stay in order */
    pool.wake = wake;
    bool good = true;
    for (uint32_t i = 0; i < pool.threads_base; i++) good = start_worker() && good;
    pthread_t thread;
    pool.monitored = pthread_create(&thread, NULL, monitor, NULL) == 0;
    if (pool.monitored) pthread_detach(thread);
    good = pool.monitored && good;
    pthread_mutex_unlock(&pool.lock);
    return good ? 0 : -2;
}

/* Does it wait for what it wrote to be on the drive? */
static bool syncs(const struct task *t) {
    for (uint32_t i = 0; i < t->steps; i++) {
        const struct step *s = &t->step[i];
        if (s->op == STEP_FDATASYNC || s->op == STEP_FSYNC || s->op == STEP_SYNCFS) return true;
        if (s->op == STEP_WRITE_FILE && s->a[3] & 2) return true;
    }
    return false;
}

SHERD_API void sherd_pool_submit(const uint64_t *tasks, uint32_t count) {
    uint32_t light = 0, heavy = 0;
    pthread_mutex_lock(&pool.lock);
    for (uint32_t i = 0; i < count; i++) {
        struct task *t = memory_of(tasks[i]);
        bool digest = t->steps == 1 && t->step[0].op == STEP_DIGEST;
        list_push(digest ? &pool.digests : syncs(t) ? &pool.syncs : &pool.ready, t);
        if (t->flags & TASK_LIGHT) light++;
        else heavy++;
    }
    pool.submitted += count;
    uint32_t wanted = heavy + (light + 3) / 4;
    for (uint32_t i = 0; i < wanted && i < pool.idle; i++) pthread_cond_signal(&pool.work);
    if (pool.syncs.count > pool.idle) start_workers();
    pthread_mutex_unlock(&pool.lock);
}

SHERD_API uint32_t sherd_pool_drain(uint64_t *ids, uint32_t max) {
    uint32_t n = 0;
    pthread_mutex_lock(&pool.lock);
    while (n < max && pool.done.head) ids[n++] = list_pop(&pool.done)->id;
    pthread_mutex_unlock(&pool.lock);
    return n;
}

SHERD_API void sherd_pool_stats(uint64_t *out) {
    pthread_mutex_lock(&pool.lock);
    out[0] = pool.threads;
    out[1] = pool.idle;
    out[2] = pool.ready.count + pool.syncs.count;
    out[3] = pool.digests.count;
    out[4] = pool.submitted;
    out[5] = pool.completed;
    out[6] = pool.threads_max;
    out[7] = pool.done.count;
    pthread_mutex_unlock(&pool.lock);
}

/* Workers end after the task that they are in, and no wake-up comes any more; tasks that wait are never begun. */
SHERD_API uint32_t sherd_pool_stop(uint32_t wait_ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
    pthread_mutex_lock(&pool.lock);
    pool.stopping = true;
    pthread_cond_broadcast(&pool.work);
    bool late = false;
    while ((pool.threads || pool.monitored) && !late) late = pthread_cond_timedwait(&pool.ended, &pool.lock, &until) != 0;
    uint32_t left = pool.threads + pool.monitored;
    if (!left) pool.started = false;
    pthread_mutex_unlock(&pool.lock);
    return left;
}
