/* cached-file.c — reads small files without waiting: the caller is the JavaScript thread, which a drive must not hold up, and
   waking a worker costs ten times what the read costs. */
#define _GNU_SOURCE
#include "codec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
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

SHERD_API int64_t sherd_read_cached(const char *path, uint8_t *into, uint64_t room) {
    if (atomic_load_explicit(&cached_open_is_unknown, memory_order_relaxed)) return -EAGAIN;
    const struct {
        uint64_t flags, mode, resolve;
    } how = {O_RDONLY | O_CLOEXEC, 0, OPEN_CACHED};
    const int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR) return -errno;
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

