/* The thread pool's task format, shared with src/codec/pool.ts (keep both in step).

   A task is a small program: a header and up to TASK_STEPS_MAX steps, run in order by one worker until one fails.
   It lives in JavaScript's memory, which must stay put until the task's id comes out of sherd_pool_drain.
   Descriptors opened by a task are closed when it ends unless STEP_KEEP took them out. */
#pragma once
#include <stdint.h>

#define TASK_REGISTERS 4

/* STEP_APPEND writes whole pages, for files opened with O_DIRECT. */
#define APPEND_PAGE 4096

enum step_op {
    STEP_OPEN = 1,      /* reg <- open(path, a1 flags, a2 mode) */
    STEP_CLOSE = 2,     /* close(reg) */
    STEP_PREAD = 3,     /* result <- bytes read into a0, at most a1, from offset a2 */
    STEP_PWRITE = 4,    /* all of a0[a1] at offset a2 */
    STEP_FDATASYNC = 5,
    STEP_FSYNC = 6,
    STEP_FSTAT = 7,     /* result <- size of reg */
    STEP_STAT = 8,      /* result <- size of path a0; a1 (may be 0) <- u64 mode, mtime ns, device, inode */
    STEP_MKDIR = 9,     /* mkdir(path, 0777) */
    STEP_MKDIR_PATH = 10, /* mkdir -p of path below its first a1 bytes, which must exist */
    STEP_RENAME = 11,   /* a0 -> a1 */
    STEP_LINK = 12,     /* a0 -> a1 */
    STEP_UNLINK = 13,
    STEP_RMDIR = 14,
    STEP_RMDIR_UP = 15, /* rmdir path and its parents while empty, never its first a1 bytes */
    STEP_REMOVE_TREE = 16,
    STEP_READDIR = 17,  /* a1[a2] <- entries {u8 type, u16 LE length, name}; type 1 file 2 directory 3 other; result <- bytes, or E2BIG and the need */
    STEP_SYNCFS = 18,   /* syncfs of the filesystem of path */
    STEP_READ_FILE = 19,  /* a1[a2] <- whole file a0; result <- size, or E2BIG and the size */
    STEP_WRITE_FILE = 20, /* create or replace path a0 with a1[a2]; a3: 1 exclusive, 2 fdatasync */
    STEP_READ_FRAME = 21, /* a0[32] <- hash, a1[a2] <- shard, from offset a3 of reg; EBADMSG if the hash is wrong */
    STEP_ENCODE = 22,     /* sherd_encode(a0 plan, a1 base, a2 stride, a3 shard bytes) */
    STEP_DIGEST = 23,     /* sherd_digest_update(a0 state, a1, a2 bytes in pieces of a3 that start a4 apart; a3 = 0: in one),
                             several tasks in lanes; must be a task's only step */
    STEP_REBUILD = 24,    /* sherd_rebuild(a0 plan, a1 pointers, a2 shard bytes, a3 have, a4 want) */
    STEP_KEEP = 25,       /* result <- descriptor of reg, which the task no longer closes */
    STEP_USE = 26,        /* reg <- descriptor a0; closed by the task only with STEP_OWN */
    STEP_STATVFS = 27,    /* a1 <- u64 total, free, available bytes, inodes, free inodes, device */
    STEP_TRUNCATE = 28,   /* ftruncate(reg, a0) */
    STEP_REBUILD_SLOTS = 29, /* sherd_rebuild_slots(a0 plan, a1 base, a2 stride, a3 shard bytes, a4 have|want<<16) with hash */
    STEP_APPEND = 31,        /* a0: a1 bytes of room, then a frame of a2; the room is filled from the tail a3 (a page), whole pages go to a4 of
                                reg, what is left goes to the tail */
    STEP_FLUSH = 32,         /* a1 bytes of the tail a0 to a2 of reg, through the cache */
    STEP_VERIFY_FRAME = 30,  /* as READ_FRAME but of memory: a0 hash, a1 data, a2 bytes */
    STEP_SEAL = 40,  /* the log records in a0[a1] <- sequences from a2 + a3 * 2^32, positions, CRC32C (src/storage/log-record.ts) */
    STEP_DARE_SEAL = 50, /* sherd_dare_seal(a0 stream, a1 in, a2 bytes, a3 out, a4 first, a5 is last) */
    STEP_DARE_OPEN = 51, /* sherd_dare_open of the same; EBADMSG if a package is wrong */
    STEP_S2_DECODE = 52, /* result <- sherd_s2_decode(a0 in, a1 bytes, a2 out, a3 room, a4 crc), or EBADMSG */
    STEP_S2_CHECK = 53,  /* EBADMSG unless a2 is the crc of a0[a1] */
    STEP_S2_CHUNK = 54,  /* result <- sherd_s2_chunk(a0 in, a1 bytes, a2 out) */
    STEP_UNRELATED_CHILDREN = 42, /* hint to the file system: the folders in folder a0 have nothing to do with each other */
    STEP_PLACE = 41, /* path a0 <- a2 bytes at a1 of reg; its folders below the first a3 bytes are made; by rename from a4 if not 0 */
};

/* flags */
#define STEP_REG(flags) ((flags)&3)
#define STEP_IGNORE_ENOENT 0x10
#define STEP_IGNORE_EEXIST 0x20
#define STEP_IGNORE_ENOTEMPTY 0x40
#define STEP_IGNORE_ANY 0x80
#define STEP_OWN 0x100
#define TASK_LIGHT 1 /* expected to end in microseconds (cached metadata) */
#define TASK_SYNCS 2 /* set by the pool: it may sleep in a sync */

struct step {
    uint32_t op, flags;
    int64_t result;
    uint64_t a[6];
};

struct task {
    uint64_t next;       /* the pool's link */
    uint64_t id;
    uint32_t steps, flags;
    int32_t error;       /* errno of the failed step, 0 = none */
    int32_t failed_step; /* -1 = none */
    int32_t fd[TASK_REGISTERS];
    uint32_t own_fd;     /* mask of descriptors to close */
    uint32_t lane;       /* of which drive, 1..255; 0 = of none */
    struct step step[];
};
