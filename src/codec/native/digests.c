/* digests.c — owns the streaming state of a set of digests: lengths, the partial block, padding, and which job runs in
   which lane. The algorithms are in md5.c, sha1.c, sha256.c and crc.c and see whole blocks only. */
#include "digests.h"
#include "codec.h"

#include <stdatomic.h>

#define BLOCK_DIGESTS (DIGEST_MD5 | DIGEST_SHA1 | DIGEST_SHA256)
#define XXH3_DIGESTS (DIGEST_XXHASH3 | DIGEST_XXHASH128)
#define CRC_DIGESTS (DIGEST_CRC32 | DIGEST_CRC32C | DIGEST_CRC64NVME)

/* Plain data: JavaScript owns the memory, may copy it, and frees it by forgetting it. */
struct digest_state {
  uint32_t flags;
  uint32_t partial_bytes; /* < DIGEST_BLOCK */
  uint64_t bytes;
  uint64_t crc32, crc32c, crc64nvme;
  uint32_t md5[4], sha1[5], sha256[8];
  uint8_t partial[DIGEST_BLOCK];
  struct sha512 sha512;
  struct xxh64 xxh64;
  struct xxh3 xxh3;
};

/* ---- features ---- */

#if defined(__x86_64__)
#include <cpuid.h>

static uint32_t features_of_cpu(void) {
  uint32_t eax, ebx, ecx, edx, features = 0;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return 0;
  if (ecx & bit_PCLMUL) features |= FEATURE_PCLMUL;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return features;
  if (ebx & bit_SHA) features |= FEATURE_SHA;
  if (ecx & bit_VPCLMULQDQ) features |= FEATURE_VPCLMUL_ZMM;
  return features;
}
#else
static uint32_t features_of_cpu(void) { return 0; }
#endif

static uint32_t cpu_features;

/* Before any other thread can exist in the library: the loader runs it, so it needs no lock. */
__attribute__((constructor)) void sherd_digests_init(void) {
  static atomic_flag done = ATOMIC_FLAG_INIT;
  if (atomic_flag_test_and_set(&done)) return;
  cpu_features = features_of_cpu();
  crc_tables_init();
}

uint32_t digest_features(void) {
  const enum sherd_tier tier = tier_in_use();
  if (tier >= TIER_AVX512_GFNI) return cpu_features;
  if (tier >= TIER_AVX2) return cpu_features & (FEATURE_SHA | FEATURE_PCLMUL);
  return 0;
}

/* ---- one stream ---- */

uint64_t sherd_digest_bytes(void) { return sizeof(struct digest_state); }

void sherd_digest_init(void *state, uint32_t flags) {
  struct digest_state *s = state;
  memset(s, 0, sizeof *s);
  s->flags = flags;
  s->crc32 = crc_start(&CRC32);
  s->crc32c = crc_start(&CRC32C);
  s->crc64nvme = crc_start(&CRC64NVME);
  memcpy(s->md5, MD5_START, sizeof s->md5);
  memcpy(s->sha1, SHA1_START, sizeof s->sha1);
  memcpy(s->sha256, SHA256_START, sizeof s->sha256);
  sha512_start(&s->sha512);
  xxh64_start(&s->xxh64);
  xxh3_start(&s->xxh3);
}

/* Whole blocks into the block digests of `wanted`. */
static void digest_blocks(struct digest_state *s, uint32_t wanted, const uint8_t *data, size_t blocks) {
  if (!blocks) return;
  if (wanted & DIGEST_SHA1) sha1_blocks(s->sha1, data, blocks);
  switch (wanted & (DIGEST_MD5 | DIGEST_SHA256)) {
    case DIGEST_MD5: md5_blocks(s->md5, data, blocks); break;
    case DIGEST_SHA256: sha256_blocks(s->sha256, data, blocks); break;
    case DIGEST_MD5 | DIGEST_SHA256: md5_sha256_blocks(s->md5, s->sha256, data, blocks); break;
    default: break;
  }
}

struct blocks {
  const uint8_t *data;
  size_t count;
};

/* Takes `data` into the state, but for the whole blocks that it returns: those the caller must give to each block digest.
   The partial block before them is digested here, the partial block after them is kept. */
static struct blocks take(struct digest_state *s, const uint8_t *data, size_t bytes) {
  if (!bytes) return (struct blocks){data, 0};
  s->bytes += bytes;
  if (s->flags & DIGEST_CRC32) s->crc32 = crc_update(&CRC32, s->crc32, data, bytes);
  if (s->flags & DIGEST_CRC32C) s->crc32c = crc_update(&CRC32C, s->crc32c, data, bytes);
  if (s->flags & DIGEST_CRC64NVME) s->crc64nvme = crc_update(&CRC64NVME, s->crc64nvme, data, bytes);
  if (s->flags & DIGEST_SHA512) sha512_update(&s->sha512, data, bytes);
  if (s->flags & DIGEST_XXHASH64) xxh64_update(&s->xxh64, data, bytes);
  if (s->flags & XXH3_DIGESTS) xxh3_update(&s->xxh3, data, bytes);
  if (!(s->flags & BLOCK_DIGESTS)) return (struct blocks){data, 0};

  if (s->partial_bytes) {
    const size_t missing = DIGEST_BLOCK - s->partial_bytes, taken = bytes < missing ? bytes : missing;
    memcpy(s->partial + s->partial_bytes, data, taken);
    s->partial_bytes += (uint32_t)taken;
    data += taken, bytes -= taken;
    if (s->partial_bytes < DIGEST_BLOCK) return (struct blocks){data, 0};
    digest_blocks(s, s->flags, s->partial, 1);
  }
  const struct blocks whole = {data, bytes / DIGEST_BLOCK};
  s->partial_bytes = (uint32_t)(bytes % DIGEST_BLOCK);
  memcpy(s->partial, data + whole.count * DIGEST_BLOCK, s->partial_bytes);
  return whole;
}

void sherd_digest_update(void *state, const uint8_t *data, uint64_t bytes) {
  struct digest_state *s = state;
  const struct blocks whole = take(s, data, bytes);
  digest_blocks(s, s->flags, whole.data, whole.count);
}

/* All of them end alike: a one bit, zeros, and the length in bits, which MD5 writes little-endian and the SHAs big-endian. */
static void finish_blocks(struct digest_state *s) {
  uint8_t last[2 * DIGEST_BLOCK] = {0};
  memcpy(last, s->partial, s->partial_bytes);
  last[s->partial_bytes] = 0x80;
  const size_t blocks = s->partial_bytes < DIGEST_BLOCK - 8 ? 1 : 2;
  uint8_t *length = last + blocks * DIGEST_BLOCK - 8;
  const uint64_t bits = s->bytes * 8;
  if (s->flags & DIGEST_MD5) {
    memcpy(length, &bits, 8);
    digest_blocks(s, DIGEST_MD5, last, blocks);
  }
  store_be64(length, bits);
  digest_blocks(s, s->flags & (DIGEST_SHA1 | DIGEST_SHA256), last, blocks);
}

#define OUT_BYTES 96
#define OUT_SHA256 0
#define OUT_MD5 32
#define OUT_SHA1 48
#define OUT_CRC32 68
#define OUT_CRC32C 72
#define OUT_CRC64NVME 76

void sherd_digest_final(const void *state, uint8_t *out96) {
  struct digest_state s;
  memcpy(&s, state, sizeof s);
  memset(out96, 0, OUT_BYTES);
  finish_blocks(&s);
  if (s.flags & DIGEST_SHA256) {
    for (uint32_t i = 0; i < 8; i++) store_be32(out96 + OUT_SHA256 + 4 * i, s.sha256[i]);
  }
  if (s.flags & DIGEST_MD5) memcpy(out96 + OUT_MD5, s.md5, sizeof s.md5);
  if (s.flags & DIGEST_SHA1) {
    for (uint32_t i = 0; i < 5; i++) store_be32(out96 + OUT_SHA1 + 4 * i, s.sha1[i]);
  }
  if (s.flags & DIGEST_CRC32) store_be32(out96 + OUT_CRC32, (uint32_t)crc_value(&CRC32, s.crc32));
  if (s.flags & DIGEST_CRC32C) store_be32(out96 + OUT_CRC32C, (uint32_t)crc_value(&CRC32C, s.crc32c));
  if (s.flags & DIGEST_CRC64NVME) store_be64(out96 + OUT_CRC64NVME, crc_value(&CRC64NVME, s.crc64nvme));
}

#define OUT_SHA512 0
#define OUT_XXHASH64 64
#define OUT_XXHASH3 72
#define OUT_XXHASH128 80

void sherd_digest_final_more(const void *state, uint8_t *out96) {
  const struct digest_state *s = state;
  uint8_t xxh3_64[8], xxh3_128[16];
  memset(out96, 0, OUT_BYTES);
  if (s->flags & DIGEST_SHA512) sha512_final(s->sha512, s->bytes, out96 + OUT_SHA512);
  if (s->flags & DIGEST_XXHASH64) xxh64_final(&s->xxh64, s->bytes, out96 + OUT_XXHASH64);
  if (!(s->flags & XXH3_DIGESTS)) return;
  xxh3_final(s->xxh3, s->bytes, xxh3_64, xxh3_128);
  if (s->flags & DIGEST_XXHASH3) memcpy(out96 + OUT_XXHASH3, xxh3_64, sizeof xxh3_64);
  if (s->flags & DIGEST_XXHASH128) memcpy(out96 + OUT_XXHASH128, xxh3_128, sizeof xxh3_128);
}

/* ---- many streams ---- */

struct job {
  struct digest_state *state;
  const uint8_t *data;
  uint64_t bytes;
};

/* Jobs looked at together. A lane is one stream's chain of jobs; when it has no more, the next chain takes its place. */
#define WINDOW 64
#define NONE WINDOW

struct window {
  struct job jobs[WINDOW];
  uint32_t next[WINDOW]; /* the next job of the same state, or NONE */
  uint32_t heads[WINDOW], head_count, heads_started;
};

struct lane {
  uint32_t job;
  struct digest_state *state;
  struct blocks left;
};

static void fill_window(struct window *w, const uint64_t *jobs, uint32_t count) {
  uint32_t tails[WINDOW]; /* the last job of each chain, in the order of heads */
  w->head_count = w->heads_started = 0;
  for (uint32_t i = 0; i < count; i++) {
    w->jobs[i] = (struct job){(struct digest_state *)(uintptr_t)jobs[3 * i], (const uint8_t *)(uintptr_t)jobs[3 * i + 1], jobs[3 * i + 2]};
    w->next[i] = NONE;
    uint32_t chain = 0;
    while (chain < w->head_count && w->jobs[tails[chain]].state != w->jobs[i].state) chain++;
    if (chain == w->head_count) w->heads[w->head_count++] = i;
    else w->next[tails[chain]] = i;
    tails[chain] = i;
  }
}

/* The digests that lanes do; SHA-1 is rare enough to be done alone. */
#define LANE_DIGESTS (DIGEST_MD5 | DIGEST_SHA256)

/* Goes along the chain from `job` to the first job that leaves blocks for a lane; all else is done on the way. */
static int advance(const struct window *w, struct lane *lane, uint32_t job) {
  for (; job != NONE; job = w->next[job]) {
    struct digest_state *s = w->jobs[job].state;
    const struct blocks whole = take(s, w->jobs[job].data, w->jobs[job].bytes);
    digest_blocks(s, s->flags & ~(uint32_t)LANE_DIGESTS, whole.data, whole.count);
    if (whole.count && (s->flags & LANE_DIGESTS)) {
      *lane = (struct lane){job, s, whole};
      return 1;
    }
  }
  return 0;
}

static uint32_t start_lanes(struct window *w, struct lane *lanes, uint32_t active, uint32_t most) {
  while (active < most && w->heads_started < w->head_count) {
    if (advance(w, &lanes[active], w->heads[w->heads_started++])) active++;
  }
  return active;
}

/* Up to this many streams, MD5 and SHA-256 of each interleaved are faster than one after the other, in lanes. */
#define INTERLEAVED_STREAMS_MAX 2
/* The bytes of a pass are read twice, the second time from the cache. */
#define PASS_BLOCKS_MAX 256

static void digest_lanes(const struct lane *lanes, uint32_t active, size_t blocks) {
  uint32_t *md5[MD5_LANES_MAX], *sha256[MD5_LANES_MAX];
  const uint8_t *md5_data[MD5_LANES_MAX], *sha256_data[MD5_LANES_MAX];
  uint32_t md5_count = 0, sha256_count = 0;
  for (uint32_t i = 0; i < active; i++) {
    struct digest_state *s = lanes[i].state;
    if (active <= INTERLEAVED_STREAMS_MAX && (s->flags & LANE_DIGESTS) == LANE_DIGESTS) {
      md5_sha256_blocks(s->md5, s->sha256, lanes[i].left.data, blocks);
      continue;
    }
    if (s->flags & DIGEST_MD5) md5[md5_count] = s->md5, md5_data[md5_count++] = lanes[i].left.data;
    if (s->flags & DIGEST_SHA256) sha256[sha256_count] = s->sha256, sha256_data[sha256_count++] = lanes[i].left.data;
  }
  md5_blocks_many(md5, md5_data, md5_count, blocks);
  sha256_blocks_many(sha256, sha256_data, sha256_count, blocks);
}

/* One pass of all lanes, at most as long as the shortest. */
static void run_lanes(struct lane *lanes, uint32_t active) {
  size_t blocks = PASS_BLOCKS_MAX;
  for (uint32_t i = 0; i < active; i++) {
    if (lanes[i].left.count < blocks) blocks = lanes[i].left.count;
  }
  digest_lanes(lanes, active, blocks);
  for (uint32_t i = 0; i < active; i++) {
    lanes[i].left.data += blocks * DIGEST_BLOCK;
    lanes[i].left.count -= blocks;
  }
}

static void digest_window(struct window *w) {
  struct lane lanes[MD5_LANES_MAX];
  const uint32_t most = md5_lanes_max();
  uint32_t active = 0;
  while ((active = start_lanes(w, lanes, active, most)) > 0) {
    run_lanes(lanes, active);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < active; i++) {
      struct lane lane = lanes[i];
      if (lane.left.count || advance(w, &lane, w->next[lane.job])) lanes[kept++] = lane;
    }
    active = kept;
  }
}

void sherd_digest_many(const uint64_t *jobs, uint32_t count) {
  while (count) {
    const uint32_t now = count < WINDOW ? count : WINDOW;
    struct window w;
    fill_window(&w, jobs, now);
    digest_window(&w);
    jobs += 3 * (size_t)now, count -= now;
  }
}

uint64_t sherd_crc_combine(uint32_t width_flag, uint64_t crc_a, uint64_t crc_b, uint64_t bytes_b) {
  switch (width_flag) {
    case DIGEST_CRC32: return crc_combine(&CRC32, crc_a, crc_b, bytes_b);
    case DIGEST_CRC32C: return crc_combine(&CRC32C, crc_a, crc_b, bytes_b);
    case DIGEST_CRC64NVME: return crc_combine(&CRC64NVME, crc_a, crc_b, bytes_b);
    default: return 0;
  }
}
