/* sha256.c — SHA-256 (FIPS 180-4): portable, and with the SHA instructions of x86-64, there also of two streams at once, and
   together with MD5 of the same stream: MD5 keeps the integer units waiting for each other, and SHA-256 runs in the gaps. */
#include "digests.h"
#include "md5-steps.h"

const uint32_t SHA256_START[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint32_t CONSTANTS[64] __attribute__((aligned(64))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* ---- portable ---- */

INLINE uint32_t rotate_right(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

static void sha256_portable(uint32_t state[8], const uint8_t *data, size_t blocks) {
  for (; blocks; blocks--, data += DIGEST_BLOCK) {
    uint32_t w[64];
    for (uint32_t i = 0; i < 16; i++) w[i] = __builtin_bswap32(load_u32(data + 4 * i));
    for (uint32_t i = 16; i < 64; i++) {
      const uint32_t early = rotate_right(w[i - 15], 7) ^ rotate_right(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const uint32_t late = rotate_right(w[i - 2], 17) ^ rotate_right(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + early + w[i - 7] + late;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (uint32_t i = 0; i < 64; i++) {
      const uint32_t sum_e = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
      const uint32_t sum_a = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
      const uint32_t first = h + sum_e + ((e & f) ^ (~e & g)) + CONSTANTS[i] + w[i];
      const uint32_t second = sum_a + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + first;
      d = c, c = b, b = a, a = first + second;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
  }
}

#if defined(__x86_64__)
#include <immintrin.h>

/* ---- SHA instructions ---- */

TARGET_BEGIN("sha,sse4.1,ssse3")

/* The instructions keep the eight words as (a b e f) and (c d g h), highest first. */
struct sha_registers {
  __m128i abef, cdgh;
};

INLINE struct sha_registers load_state(const uint32_t state[8]) {
  const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
  const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
  return (struct sha_registers){_mm_alignr_epi8(badc, hgfe, 8), _mm_blend_epi16(hgfe, badc, 0xf0)};
}

INLINE void store_state(uint32_t state[8], struct sha_registers r) {
  const __m128i feba = _mm_shuffle_epi32(r.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(r.cdgh, 0xb1);
  _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* The four message words of a group of four rounds; w holds those of the last four groups, group g in w[g % 4]. */
INLINE __m128i schedule(__m128i w[4], const uint8_t *data, const uint32_t group) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
  __m128i *now = &w[group % 4];
  if (group < 4) {
    *now = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * group)), big_endian);
  } else {
    const __m128i minus3 = w[(group + 1) % 4], minus2 = w[(group + 2) % 4], minus1 = w[(group + 3) % 4];
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(*now, minus3), _mm_alignr_epi8(minus1, minus2, 4));
    *now = _mm_sha256msg2_epu32(sum, minus1);
  }
  return _mm_add_epi32(*now, _mm_load_si128((const __m128i *)(CONSTANTS + 4 * group)));
}

INLINE void two_rounds_first(struct sha_registers *r, __m128i words) { r->cdgh = _mm_sha256rnds2_epu32(r->cdgh, r->abef, words); }
INLINE void two_rounds_second(struct sha_registers *r, __m128i words) {
  r->abef = _mm_sha256rnds2_epu32(r->abef, r->cdgh, _mm_shuffle_epi32(words, 0x0e));
}

#define SHA_GROUP(group)                                                \
  UNROLL for (uint32_t s = 0; s < streams; s++) {                       \
    const __m128i words = schedule(w[s], data[s] + at, group);          \
    two_rounds_first(&r[s], words);                                     \
    two_rounds_second(&r[s], words);                                    \
  }

/* `streams` is a constant after inlining: 1, or 2, which share the time that each round waits for the one before. */
INLINE void sha256_streams(uint32_t *const *states, const uint8_t *const *data, size_t blocks, const uint32_t streams) {
  struct sha_registers r[2], before[2];
  __m128i w[2][4];
  UNROLL for (uint32_t s = 0; s < streams; s++) r[s] = load_state(states[s]);
  for (size_t at = 0; at < blocks * DIGEST_BLOCK; at += DIGEST_BLOCK) {
    UNROLL for (uint32_t s = 0; s < streams; s++) before[s] = r[s];
    SHA_GROUP(0) SHA_GROUP(1) SHA_GROUP(2) SHA_GROUP(3)
    SHA_GROUP(4) SHA_GROUP(5) SHA_GROUP(6) SHA_GROUP(7)
    SHA_GROUP(8) SHA_GROUP(9) SHA_GROUP(10) SHA_GROUP(11)
    SHA_GROUP(12) SHA_GROUP(13) SHA_GROUP(14) SHA_GROUP(15)
    UNROLL for (uint32_t s = 0; s < streams; s++) {
      r[s].abef = _mm_add_epi32(r[s].abef, before[s].abef);
      r[s].cdgh = _mm_add_epi32(r[s].cdgh, before[s].cdgh);
    }
  }
  UNROLL for (uint32_t s = 0; s < streams; s++) store_state(states[s], r[s]);
}

static NOT_INLINE void sha256_instructions(uint32_t state[8], const uint8_t *data, size_t blocks) {
  sha256_streams(&state, &data, blocks, 1);
}

static NOT_INLINE void sha256_instructions_pair(uint32_t *const *states, const uint8_t *const *data, size_t blocks) {
  sha256_streams(states, data, blocks, 2);
}

/* ---- SHA instructions beside scalar MD5: four rounds of one to four steps of the other ---- */

/* Keeps the compiler from moving one algorithm's instructions away from the other's. */
#define IN_STEP __asm__("" : "+x"(r.abef), "+x"(r.cdgh), "+r"(a), "+r"(b), "+r"(c), "+r"(d));
#define SHA_FIRST(group)               \
  IN_STEP words = schedule(w, data, group); \
  two_rounds_first(&r, words);
#define SHA_SECOND(group) IN_STEP two_rounds_second(&r, words);
#define SHA_BETWEEN(group, half) SHA_##half(group)
#define MD5_STEP(f, a, b, c, d, word, rotate, constant) MD5_SCALAR_STEP(f, a, b, c, d, data, word, rotate, constant)

static NOT_INLINE void md5_sha256_instructions(uint32_t md5[4], uint32_t sha256[8], const uint8_t *data, size_t blocks) {
  struct sha_registers r = load_state(sha256);
  uint32_t a = md5[0], b = md5[1], c = md5[2], d = md5[3];
  for (; blocks; blocks--, data += DIGEST_BLOCK) {
    const struct sha_registers before = r;
    const uint32_t a0 = a, b0 = b, c0 = c, d0 = d;
    __m128i w[4], words;
    MD5_STEPS(MD5_STEP, SHA_BETWEEN)
    a += a0, b += b0, c += c0, d += d0;
    r.abef = _mm_add_epi32(r.abef, before.abef);
    r.cdgh = _mm_add_epi32(r.cdgh, before.cdgh);
  }
  md5[0] = a, md5[1] = b, md5[2] = c, md5[3] = d;
  store_state(sha256, r);
}

TARGET_END
#endif

/* ---- the choice ---- */

void sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks) {
#if defined(__x86_64__)
  if (digest_features() & FEATURE_SHA) {
    sha256_instructions(state, data, blocks);
    return;
  }
#endif
  sha256_portable(state, data, blocks);
}

void sha256_blocks_many(uint32_t *const *states, const uint8_t *const *data, uint32_t count, size_t blocks) {
#if defined(__x86_64__)
  if (digest_features() & FEATURE_SHA) {
    for (; count > 1; states += 2, data += 2, count -= 2) sha256_instructions_pair(states, data, blocks);
  }
#endif
  for (; count; states++, data++, count--) sha256_blocks(states[0], data[0], blocks);
}

void md5_sha256_blocks(uint32_t md5[4], uint32_t sha256[8], const uint8_t *data, size_t blocks) {
#if defined(__x86_64__)
  if (digest_features() & FEATURE_SHA) {
    md5_sha256_instructions(md5, sha256, data, blocks);
    return;
  }
#endif
  md5_blocks(md5, data, blocks);
  sha256_portable(sha256, data, blocks);
}
