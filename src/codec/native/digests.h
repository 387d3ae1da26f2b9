/* digests.h — what digests.c asks of md5.c, sha1.c, sha256.c, crc.c, sha512.c and xxhash.c. Internal to the library.
   Kernels take whole 64-byte blocks and a chaining state in host words; padding and lengths belong to digests.c. The last two, which
   are asked for rarely and have blocks of other sizes, keep their own state; only the length of the stream is digests.c's. */
#pragma once
#include "cpu.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DIGEST_BLOCK 64

enum digest_flag {
  DIGEST_MD5 = 1,
  DIGEST_SHA256 = 2,
  DIGEST_CRC32 = 4,
  DIGEST_CRC32C = 8,
  DIGEST_CRC64NVME = 16,
  DIGEST_SHA1 = 32,
  DIGEST_SHA512 = 64,
  DIGEST_XXHASH64 = 128,
  DIGEST_XXHASH3 = 256,
  DIGEST_XXHASH128 = 512,
};

/* Instructions beside the tier. Asked of the CPU once; those of wide registers count only in the tiers that have them,
   so that sherd_init(0) means portable code here too. */
enum cpu_feature {
  FEATURE_SHA = 1,
  FEATURE_PCLMUL = 2,
  FEATURE_VPCLMUL_ZMM = 4,
};

/* Finds the features and fills the CRC tables. Runs when the library is loaded; more calls do nothing. */
void sherd_digests_init(void);
/* The features that the tier in use may use: a set of enum cpu_feature. */
uint32_t digest_features(void);

/* md5.c */
#define MD5_LANES_MAX 32
extern const uint32_t MD5_START[4];
void md5_blocks(uint32_t state[4], const uint8_t *data, size_t blocks);
/* `blocks` blocks of each of `count` (0..MD5_LANES_MAX) streams. */
void md5_blocks_many(uint32_t *const *states, const uint8_t *const *data, uint32_t count, size_t blocks);
/* The most streams that one call does at once on the tier in use. */
uint32_t md5_lanes_max(void);

/* sha256.c */
extern const uint32_t SHA256_START[8];
void sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks);
/* `blocks` blocks of each of `count` streams. */
void sha256_blocks_many(uint32_t *const *states, const uint8_t *const *data, uint32_t count, size_t blocks);
/* Both digests of one stream in one pass: with SHA instructions SHA-256 is nearly free beside MD5. */
void md5_sha256_blocks(uint32_t md5[4], uint32_t sha256[8], const uint8_t *data, size_t blocks);

/* sha1.c */
extern const uint32_t SHA1_START[5];
void sha1_blocks(uint32_t state[5], const uint8_t *data, size_t blocks);

/* sha512.c */
#define SHA512_BLOCK 128
struct sha512 {
  uint64_t words[8];
  uint8_t partial[SHA512_BLOCK];
  uint32_t partial_bytes;
};
void sha512_start(struct sha512 *s);
void sha512_update(struct sha512 *s, const uint8_t *data, size_t bytes);
/* `bytes`: of the whole stream, here and below. */
void sha512_final(struct sha512 s, uint64_t bytes, uint8_t *out64);

/* xxhash.c; states start as zeros and then by their start function. */
#define XXH64_STRIPE 32
struct xxh64 {
  uint64_t words[4];
  uint8_t partial[XXH64_STRIPE];
  uint32_t partial_bytes;
};
void xxh64_start(struct xxh64 *s);
void xxh64_update(struct xxh64 *s, const uint8_t *data, size_t bytes);
void xxh64_final(const struct xxh64 *s, uint64_t bytes, uint8_t *out8);
#define XXH3_BUFFER 256
struct xxh3 {
  uint64_t sums[8];
  uint8_t buffer[XXH3_BUFFER];
  uint32_t buffered, stripes; /* stripes of this block */
};
void xxh3_start(struct xxh3 *s);
void xxh3_update(struct xxh3 *s, const uint8_t *data, size_t bytes);
/* The hash of 64 bits and the one of 128. */
void xxh3_final(struct xxh3 s, uint64_t bytes, uint8_t *out8, uint8_t *out16);

/* crc.c — registers are kept inverted, as the algorithms define: start all-ones, the value is ~register. */
struct crc;
extern struct crc CRC32, CRC32C, CRC64NVME;
void crc_tables_init(void);
uint64_t crc_start(const struct crc *crc);
uint64_t crc_update(const struct crc *crc, uint64_t reg, const uint8_t *data, size_t bytes);
/* reg ^ all-ones of the CRC's width */
uint64_t crc_value(const struct crc *crc, uint64_t reg);
/* The CRC of A followed by B, from both CRCs and the length of B. */
uint64_t crc_combine(const struct crc *crc, uint64_t a, uint64_t b, uint64_t bytes_b);

/* Unaligned words; compilers make one load or store of them. */
INLINE uint32_t load_u32(const uint8_t *p) {
  uint32_t x;
  memcpy(&x, p, 4);
  return x;
}
INLINE uint64_t load_u64(const uint8_t *p) {
  uint64_t x;
  memcpy(&x, p, 8);
  return x;
}
INLINE void store_be32(uint8_t *p, uint32_t x) {
  x = __builtin_bswap32(x);
  memcpy(p, &x, 4);
}
INLINE void store_be64(uint8_t *p, uint64_t x) {
  x = __builtin_bswap64(x);
  memcpy(p, &x, 8);
}
