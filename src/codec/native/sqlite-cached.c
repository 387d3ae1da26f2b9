/* sqlite-cached.c — an extension of SQLite: the file layer "unix-excl" (files that this process alone has, what its connections share in
   memory), but on demand a read takes only what the kernel has in memory. What it has not is told, for somebody else to fetch: the
   JavaScript thread reads key indexes through it, and a drive must not hold that thread up. Declares what it needs of SQLite's interface
   for extensions and file layers, which only grows at its ends (sqlite.org/loadext.html, sqlite.org/vfs.html). */
#define _GNU_SOURCE
#include "codec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

enum {
    SQLITE_OK = 0,
    SQLITE_ERROR = 1,
    SQLITE_INTERRUPT = 9,
    SQLITE_OK_LOAD_PERMANENTLY = 256,
    SQLITE_IOERR_SHORT_READ = 10 | 2 << 8,
    SQLITE_OPEN_MAIN_DB = 0x100,
    SQLITE_OPEN_WAL = 0x80000,
};

struct file_methods;
struct file {
    const struct file_methods *methods;
};
struct file_methods {
    int version;
    int (*close)(struct file *);
    int (*read)(struct file *, void *, int, int64_t);
    void (*others[14])(void); /* up to version 2 */
    int (*fetch)(struct file *, int64_t, int, void **);
    int (*unfetch)(struct file *, int64_t, void *);
};
struct vfs {
    int version, file_bytes, path_bytes_max;
    struct vfs *next;
    const char *name;
    void *data;
    int (*open)(struct vfs *, const char *, struct file *, int, int *);
    void (*others[15])(void); /* up to version 3 */
};
/* Of which all functions have one size. */
struct routines {
    void (*before[141])(void);
    struct vfs *(*vfs_find)(const char *);
    int (*vfs_register)(struct vfs *, int);
};

/* Behind the file of the layer below. */
struct more {
    int fd;
};

static struct vfs *below;
static struct vfs cached;
static char cached_name[32];
static const struct file_methods *known_methods;
static struct file_methods cached_methods;
/* Used by one thread only. */
static bool is_only_cached;
static struct {
    int fd;
    int64_t offset, bytes;
} missed = {-1, 0, 0};

static struct more *more_of(struct file *file) { return (struct more *)((char *)file + below->file_bytes); }

static bool is_end(int fd, int64_t offset) {
    struct stat status;
    return fstat(fd, &status) == 0 && offset >= status.st_size;
}

static int cached_read(struct file *file, void *into, int bytes, int64_t offset) {
    const struct more *more = more_of(file);
    if (!is_only_cached || more->fd < 0) return known_methods->read(file, into, bytes, offset);
    const struct iovec piece = {into, (size_t)bytes};
    const ssize_t got = preadv2(more->fd, &piece, 1, (off_t)offset, RWF_NOWAIT);
    if (got == bytes) return SQLITE_OK;
    if (got < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) return known_methods->read(file, into, bytes, offset);
    if (got >= 0 && is_end(more->fd, offset + got)) {
        memset((char *)into + got, 0, (size_t)(bytes - got));
        return SQLITE_IOERR_SHORT_READ;
    }
    missed.fd = more->fd;
    missed.offset = offset;
    missed.bytes = bytes;
    return SQLITE_INTERRUPT; /* ends a statement that reads, and leaves its transaction as it is */
}

static int cached_close(struct file *file) {
    struct more *more = more_of(file);
    const int result = known_methods->close(file);
    if (more->fd >= 0) close(more->fd);
    more->fd = -1;
    return result;
}

/* Mapped reads could wait. */
static int no_fetch(struct file *file, int64_t offset, int bytes, void **out) {
    (void)file, (void)offset, (void)bytes;
    *out = NULL;
    return SQLITE_OK;
}

static int cached_open(struct vfs *self, const char *path, struct file *file, int flags, int *opened) {
    (void)self;
    struct more *more = more_of(file);
    *more = (struct more){-1};
    const int result = below->open(below, path, file, flags, opened);
    if (result != SQLITE_OK || path == NULL || (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) == 0 || file->methods->version < 3)
        return result;
    if (known_methods == NULL) {
        known_methods = file->methods;
        cached_methods = *known_methods;
        cached_methods.read = cached_read;
        cached_methods.close = cached_close;
        cached_methods.fetch = no_fetch;
    }
    if (file->methods != known_methods) return result;
    more->fd = open(path, O_RDONLY | O_CLOEXEC);
    file->methods = &cached_methods;
    return result;
}

SHERD_API int sherd_sqlite_cached(void *db, char **error, const void *api) {
    (void)db, (void)error;
    const struct routines *sqlite = api;
    if (below != NULL) return SQLITE_OK_LOAD_PERMANENTLY;
    below = sqlite->vfs_find("unix-excl");
    if (below == NULL || below->version < 3 || below->file_bytes % (int)_Alignof(struct more) != 0) return SQLITE_ERROR;
    cached = *below;
    /* The library may be loaded twice into one process. */
    snprintf(cached_name, sizeof cached_name, "sherd-%llx", (unsigned long long)(uintptr_t)&cached);
    cached.next = NULL;
    cached.name = cached_name;
    cached.file_bytes = below->file_bytes + (int)sizeof(struct more);
    cached.open = cached_open;
    const int result = sqlite->vfs_register(&cached, 0);
    return result == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : result;
}

SHERD_API void sherd_cached_vfs(uint8_t *name32) { memcpy(name32, cached_name, sizeof cached_name); }

SHERD_API void sherd_only_cached(uint32_t is_on) {
    is_only_cached = is_on != 0;
    missed.fd = -1;
}

SHERD_API int32_t sherd_cached_missed(int64_t *offset_bytes) {
    offset_bytes[0] = missed.offset;
    offset_bytes[1] = missed.bytes;
    return missed.fd;
}
