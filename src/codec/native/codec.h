/* The native codec's C interface: everything that JavaScript may call, one prototype each.
   Rules: caller-owned memory, no allocation but in the pool, every function re-entrant and thread safe after sherd_init.
   A slot of a block is [32 B HighwayHash-256][S shard bytes], written to a drive as it is; slot i = base + i * stride. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define SHERD_SHARDS_MAX 16
#define SHERD_HASH_BYTES 32
#define SHERD_API __attribute__((visibility("default")))

/* Tiers, best last: 0 portable, 1 NEON, 2 AVX2, 3 AVX2+GFNI, 4 AVX-512+GFNI. */

/* cpu.c — chooses the tier once (tier < 0: best of this CPU; else at most that). Returns the tier in use. */
SHERD_API int32_t sherd_init(int32_t tier);
SHERD_API int32_t sherd_tier(void);
/* Runs the built-in vectors on the tier in use. 0 = good, else the number of the first wrong vector. */
SHERD_API int32_t sherd_self_test(void);

/* reed-solomon.c — GF(2^8)/0x11D, MinIO's matrix (on-disk-format.md §3). plan = caller's memory of sherd_plan_bytes(). */
SHERD_API uint64_t sherd_plan_bytes(void);
SHERD_API int32_t sherd_plan_init(void *plan, uint32_t k, uint32_t m);
/* Parity of slots k..k+m-1 from slots 0..k-1, and the hash of all k+m slots, in one call. */
SHERD_API int32_t sherd_encode(const void *plan, uint8_t *base, uint64_t stride, uint64_t shard_bytes);
/* shards[i] = S bytes each; `have` and `want` are bit masks; fills the wanted from k of the had. -1: fewer than k. */
SHERD_API int32_t sherd_rebuild(const void *plan, uint8_t *const *shards, uint64_t shard_bytes, uint32_t have, uint32_t want);
/* The same on slots (data at base + i*stride + 32), and the hash of each rebuilt slot too if `hash` != 0. */
SHERD_API int32_t sherd_rebuild_slots(const void *plan, uint8_t *base, uint64_t stride, uint64_t shard_bytes, uint32_t have_want /* have | want << 16 */, uint32_t hash);

/* highwayhash.c — HighwayHash-256 with MinIO's bitrot key. */
SHERD_API void sherd_hash(const uint8_t *data, uint64_t bytes, uint8_t *out32);
/* 1 if hash32 is the hash of data. */
SHERD_API int32_t sherd_verify(const uint8_t *hash32, const uint8_t *data, uint64_t bytes);
/* Slots of `mask`, hashed in parallel lanes; returns the mask of those whose hash is wrong. */
SHERD_API uint32_t sherd_verify_slots(const uint8_t *base, uint64_t stride, uint64_t shard_bytes, uint32_t mask);
/* `count` (<= 16) messages of the same length in lanes; hashes[i] points to the 32 expected bytes. Returns the bad mask. */
SHERD_API uint32_t sherd_verify_many(const uint8_t *const *hashes, const uint8_t *const *data, uint64_t bytes, uint32_t count);

/* digests.c — streaming digests. state = caller's memory of sherd_digest_bytes() bytes, 8-aligned; plain data, may be copied and forgotten.
   flags: 1 MD5, 2 SHA-256, 4 CRC32, 8 CRC32C, 16 CRC64NVME, 32 SHA-1, 64 SHA-512, 128 XXH64, 256 XXH3 of 64 bits, 512 XXH3 of 128 bits; any set
   of them at once. */
SHERD_API uint64_t sherd_digest_bytes(void);
SHERD_API void sherd_digest_init(void *state, uint32_t flags);
SHERD_API void sherd_digest_update(void *state, const uint8_t *data, uint64_t bytes);
/* Does not change the state. Writes 96 bytes: sha256 @0, md5 @32, sha1 @48, crc32 @68 (4, big-endian), crc32c @72 (4, big-endian),
   crc64nvme @76 (8, big-endian); the digests without a flag, and the rest, are zeros. */
SHERD_API void sherd_digest_final(const void *state, uint8_t *out96);
/* The same for the digests of the flags 64 and above: sha512 @0, xxh64 @64, xxh3 @72 (8), xxh3 of 128 bits @80 (16), all big-endian. */
SHERD_API void sherd_digest_final_more(const void *state, uint8_t *out96);
/* One update for each of `count` states, MD5 of many in SIMD lanes. jobs = array of {uint64 state, uint64 data, uint64 bytes}. A state may appear several times; those are done in order. */
SHERD_API void sherd_digest_many(const uint64_t *jobs, uint32_t count);
/* CRC of A||B from crc(A), crc(B), length of B. width_flag = 4, 8 or 16 as above. */
SHERD_API uint64_t sherd_crc_combine(uint32_t width_flag, uint64_t crc_a, uint64_t crc_b, uint64_t bytes_b);

/* dare.c — authenticated encryption. `stream` = caller's memory of SHERD_STREAM_BYTES: cipher, known, key[32], nonce[12], version.
   Nothing of a key depends on the time that these take. */
#define SHERD_STREAM_BYTES 56
#define SHERD_AES_256_GCM 0
#define SHERD_CHACHA20_POLY1305 1
/* out = `bytes` bytes and 16 of tag. */
SHERD_API int32_t sherd_aead_seal(const void *stream, const uint8_t *aad, uint64_t aad_bytes, const uint8_t *in, uint64_t bytes, uint8_t *out);
/* 1 if authentic; only then out (bytes - 16) is written. */
SHERD_API int32_t sherd_aead_open(const void *stream, const uint8_t *aad, uint64_t aad_bytes, const uint8_t *in, uint64_t bytes, uint8_t *out);
/* Whole packages of a stream from number `first`: 64 KiB of plaintext each but the last; out = in + 32 bytes a package. */
SHERD_API int32_t sherd_dare_seal(const void *stream, const uint8_t *in, uint64_t bytes, uint8_t *out, uint32_t first, uint32_t is_last);
/* The reverse; out may be in. 0, or -1 and no plaintext of the package that is wrong. The first package seen fixes what the
   others must be like. */
SHERD_API int32_t sherd_dare_open(void *stream, const uint8_t *in, uint64_t bytes, uint8_t *out, uint32_t first, uint32_t is_last);

/* s2.c — S2 blocks of at most 4 MiB. `crc` = CRC-32C of the plain bytes, masked as Snappy's framing has it. */
/* The plain size, or -1: damaged, longer than `room`, or another CRC. */
SHERD_API int64_t sherd_s2_decode(const uint8_t *in, uint64_t bytes, uint8_t *out, uint64_t room, uint32_t crc);
SHERD_API int32_t sherd_s2_check(const uint8_t *data, uint64_t bytes, uint32_t crc);
/* Room that a chunk of `bytes` plain bytes may need. */
SHERD_API uint64_t sherd_s2_room(uint64_t bytes);
/* A whole chunk with its header: compressed, or as it is where that gains nothing. Its size. */
SHERD_API int64_t sherd_s2_chunk(const uint8_t *in, uint64_t bytes, uint8_t *out);

/* pool.c — the thread pool: tasks are programs of system-call and codec steps (see pool.h). */
SHERD_API int32_t sherd_pool_start(uint32_t threads, uint32_t threads_max, void (*wake)(void));
SHERD_API void sherd_pool_submit(const uint64_t *tasks, uint32_t count);
SHERD_API uint32_t sherd_pool_drain(uint64_t *ids, uint32_t max);
SHERD_API void sherd_pool_stats(uint64_t *out8);
/* Waits up to wait_ms for the threads to end; returns how many are left. 0: memory of tasks may go, and the pool may start again. */
SHERD_API uint32_t sherd_pool_stop(uint32_t wait_ms);

/* cached-file.c — what the kernel has in memory, on the calling thread, without waiting for a drive: the bytes, or -errno; -EAGAIN: it may
   wait, give it to the pool. A whole file: "not there" is believed only while the drive is, whose root is the first
   root_bytes of the path. A piece of an open file: all of it or -EAGAIN. */
SHERD_API int64_t sherd_read_cached(const char *path, uint8_t *into, uint64_t room, uint64_t root_bytes);
SHERD_API int64_t sherd_pread_cached(int32_t fd, uint8_t *into, uint64_t bytes, uint64_t offset);

/* sqlite-cached.c — loaded by SQLite too, as an extension with this entry point, which adds a file layer; its name ends with a zero, and
   is empty before. One thread uses it, and says between which calls of SQLite a read takes only what the kernel has in memory. A statement
   that needs more ends as interrupted: then the descriptor, and where what was missed begins and how long it is; -1 = nothing was. */
SHERD_API int sherd_sqlite_cached(void *db, char **error, const void *api);
SHERD_API void sherd_cached_vfs(uint8_t *name32);
SHERD_API void sherd_only_cached(uint32_t is_on);
SHERD_API int32_t sherd_cached_missed(int64_t *offset_bytes);

/* glance.c — `count` files of one key, file i of bytes[i] at slots + i * stride: 1 if each is an xl.meta with one version and they are the same but for
   the shard's number; 0: read them otherwise. out, offsets from `slots` and bytes: [0] header, [2] body and [4] key of the inline data in the
   first, and for each file [6 + 3 i] its inline data, [8 + 3 i] the shard's number (0 where the files do not differ in it). */
SHERD_API int32_t sherd_glance(const uint8_t *slots, uint64_t stride, const uint32_t *bytes, uint32_t count, uint32_t *out);
