/* The pool's steps for a commit log: checksums of records before they are written, and images out of it into their places. */
#define _GNU_SOURCE
#include "log-steps.h"
#include "digests.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Header of a log record: u32 length, u32 CRC32C of what follows, u64 sequence, u24 position, then 5 bytes that are there already. */
#define RECORD_HEADER 24

void seal_records(uint8_t *bytes, uint64_t size, uint64_t sequence) {
    uint32_t position = 0, length;
    for (uint64_t at = 0; at + RECORD_HEADER <= size; at += ((uint64_t)length + 7) & ~UINT64_C(7), position++, sequence++) {
        memcpy(&length, bytes + at, 4);
        if (length < RECORD_HEADER || at + length > size) return;
        memcpy(bytes + at + 8, &sequence, 8);
        memcpy(bytes + at + 16, &position, 3);
        uint32_t crc = (uint32_t)crc_value(&CRC32C, crc_update(&CRC32C, crc_start(&CRC32C), bytes + at + 8, length - 8));
        memcpy(bytes + at + 4, &crc, 4);
    }
}

static int write_new(const char *path, int flags, const uint8_t *from, uint64_t bytes) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
    if (fd < 0) return errno;
    int error = write_fully(fd, from, bytes, 0);
    if (close(fd) != 0 && !error) error = errno;
    return error;
}

static int make_parent(const char *path, uint64_t base) {
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) >= sizeof parent) return ENAMETOOLONG;
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = 0;
    return (uint64_t)(slash - path) <= base ? 0 : make_path(parent, base);
}

/* One xl.meta out of the log into its place. A folder that a removal takes away meanwhile is made again. */
int place_file(int source, const char *path, const struct place *to) {
    uint8_t small[16 * 1024], *bytes = to->bytes <= sizeof small ? small : malloc(to->bytes);
    if (!bytes) return ENOMEM;
    const char *tmp = to->tmp;
    int64_t got = 0;
    int error = read_fully(source, bytes, to->bytes, to->offset, &got);
    if (!error && (uint64_t)got != to->bytes) error = EBADMSG;
    if (!error && tmp) error = write_new(tmp, O_EXCL, bytes, to->bytes);
    for (int attempt = 0; !error; attempt++) {
        if (!tmp || attempt > 0) error = make_parent(path, to->base);
        if (error) break;
        error = tmp ? (rename(tmp, path) == 0 ? 0 : errno) : write_new(path, O_TRUNC, bytes, to->bytes);
        if (error != ENOENT || attempt == 3) break;
        error = 0;
    }
    if (error && tmp) unlink(tmp);
    if (bytes != small) free(bytes);
    return error;
}
