/* Steps for a commit log (log-steps.c), and what they share with the pool's other file steps (pool-steps.c). Errors are errnos. */
#pragma once
#include <stdint.h>

struct place {
    uint64_t offset, bytes; /* of the source */
    uint64_t base;          /* bytes of the path that exist */
    const char *tmp;        /* written here first; NULL = in place */
};

/* Log records in a row: sequences from `sequence`, positions, CRC32C (src/storage/log-record.ts). */
void seal_records(uint8_t *bytes, uint64_t size, uint64_t sequence);
int place_file(int source, const char *path, const struct place *to);

int read_fully(int fd, uint8_t *into, uint64_t bytes, uint64_t offset, int64_t *got);
int write_fully(int fd, const uint8_t *from, uint64_t bytes, uint64_t offset);
int make_path(const char *path, uint64_t base);

/* unrelated-children.c; ENOTSUP where the file system has no such hint. */
int mark_children_unrelated(const char *path);
