/* cached-file.c — reads small files and pieces of open ones without waiting: the caller is the JavaScript thread, which a drive
   must not hold up, and waking a worker costs ten times what the read costs. */
#define _GNU_SOURCE
#include "codec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Linux 5.12; Debian's headers may be older than its kernel. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif
#define OPEN_CACHED 0x20 /* RESOLVE_CACHED */

static atomic_bool cached_open_is_unknown;

static int open_cached(const char *path, uint64_t flags) {
    const struct {
        uint64_t flags, mode, resolve;
    } how = {flags | O_CLOEXEC, 0, OPEN_CACHED};
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

/* A drive that is away has none of its files: that says nothing of them. */
static bool is_present(const char *path, uint64_t root_bytes) {
    static const char system[] = "/.minio.sys";
    char present[PATH_MAX];
    if (root_bytes + sizeof system > sizeof present) return false;
    memcpy(present, path, root_bytes);
    memcpy(present + root_bytes, system, sizeof system);
    const int fd = open_cached(present, O_PATH);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

SHERD_API int64_t sherd_read_cached(const char *path, uint8_t *into, uint64_t room, uint64_t root_bytes) {
    if (atomic_load_explicit(&cached_open_is_unknown, memory_order_relaxed)) return -EAGAIN;
    const int fd = open_cached(path, O_RDONLY);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR) {
            const int absent = errno;
            return is_present(path, root_bytes) ? -absent : -EAGAIN;
        }
        if (errno != EAGAIN) atomic_store_explicit(&cached_open_is_unknown, errno == ENOSYS || errno == EINVAL, memory_order_relaxed);
        return -EAGAIN;
    }
    int64_t size = 0;
    for (;;) { /* until a read at the end of the file says that it is the end */
        const struct iovec rest = {into + size, room - (uint64_t)size};
        const ssize_t got = rest.iov_len ? preadv2(fd, &rest, 1, (off_t)size, RWF_NOWAIT) : -1;
        if (got == 0) break;
        if (got < 0) {
            size = -EAGAIN;
            break;
        }
        size += got;
    }
    close(fd);
    return size;
}

SHERD_API int64_t sherd_pread_cached(int32_t fd, uint8_t *into, uint64_t bytes, uint64_t offset) {
    const struct iovec piece = {into, bytes};
    const ssize_t got = preadv2(fd, &piece, 1, (off_t)offset, RWF_NOWAIT);
    return got == (ssize_t)bytes ? got : -EAGAIN;
}
