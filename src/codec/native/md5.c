/* md5.c — MD5 (RFC 1321): of one stream, of two interleaved, and of many in SIMD lanes.
   One stream cannot be faster than its chain of dependent additions (about 0.8 GB/s); only more streams use the rest of
   the core. Kernels in order: scalar, portable vectors (also NEON), AVX2, AVX-512. */
#include "digests.h"
#include "md5-steps.h"

const uint32_t MD5_START[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};

/* ---- scalar ---- */

#define SCALAR_STEP(f, a, b, c, d, word, rotate, constant) MD5_SCALAR_STEP(f, a, b, c, d, data, word, rotate, constant)

void md5_blocks(uint32_t state[4], const uint8_t *data, size_t blocks) {
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  for (; blocks; blocks--, data += DIGEST_BLOCK) {
    const uint32_t a0 = a, b0 = b, c0 = c, d0 = d;
    MD5_STEPS(SCALAR_STEP, MD5_NOTHING_BETWEEN)
    a += a0, b += b0, c += c0, d += d0;
  }
  state[0] = a, state[1] = b, state[2] = c, state[3] = d;
}

/* The names of the second stream's registers: x_ of those of the first. */
#define PAIR_STEP(f, a, b, c, d, word, rotate, constant)                                   \
  MD5_SCALAR_STEP(f, a, b, c, d, data[0], word, rotate, constant)                          \
  MD5_SCALAR_STEP(f, x_##a, x_##b, x_##c, x_##d, data[1], word, rotate, constant)

static NOT_INLINE void md5_pair(uint32_t *const *states, const uint8_t *const *streams, size_t blocks) {
  const uint8_t *data[2] = {streams[0], streams[1]};
  uint32_t a = states[0][0], b = states[0][1], c = states[0][2], d = states[0][3];
  uint32_t x_a = states[1][0], x_b = states[1][1], x_c = states[1][2], x_d = states[1][3];
  for (; blocks; blocks--, data[0] += DIGEST_BLOCK, data[1] += DIGEST_BLOCK) {
    const uint32_t a0 = a, b0 = b, c0 = c, d0 = d, x_a0 = x_a, x_b0 = x_b, x_c0 = x_c, x_d0 = x_d;
    MD5_STEPS(PAIR_STEP, MD5_NOTHING_BETWEEN)
    a += a0, b += b0, c += c0, d += d0;
    x_a += x_a0, x_b += x_b0, x_c += x_c0, x_d += x_d0;
  }
  states[0][0] = a, states[0][1] = b, states[0][2] = c, states[0][3] = d;
  states[1][0] = x_a, states[1][1] = x_b, states[1][2] = x_c, states[1][3] = x_d;
}

/* The constants of the 64 steps in order, for vectors to be filled from. */
#define CONSTANT_OF_STEP(f, a, b, c, d, word, rotate, constant) constant,
static const uint32_t MD5_CONSTANTS[64] = {MD5_STEPS(CONSTANT_OF_STEP, MD5_NOTHING_BETWEEN)};

/* ---- lanes, portable vectors: SSE on x86-64, NEON on arm64 ---- */

typedef uint32_t vector4 __attribute__((vector_size(16)));

INLINE void transpose_portable(const uint8_t *const *data, vector4 *words) {
  for (uint32_t i = 0; i < 16; i++)
    words[i] = (vector4){load_u32(data[0] + 4 * i), load_u32(data[1] + 4 * i), load_u32(data[2] + 4 * i), load_u32(data[3] + 4 * i)};
}

#define ROUND_F(b, c, d) (((c ^ d) & b) ^ d)
#define ROUND_G(b, c, d) (((b ^ c) & d) ^ c)
#define ROUND_H(b, c, d) (b ^ c ^ d)
#define ROUND_I(b, c, d) ((~d | b) ^ c)

#define LANES_WIDTH 4
#define LANES_VECTOR vector4
#define LANES_ROUND(f, b, c, d) ROUND_##f(b, c, d)
#define LANES_TRANSPOSE transpose_portable
#define LANES_NAME md5_portable_4
#define LANES_SETS 1
#include "md5-lanes.inc"
#undef LANES_WIDTH
#undef LANES_VECTOR
#undef LANES_ROUND
#undef LANES_TRANSPOSE

#if defined(__x86_64__)
#include <immintrin.h>

/* ---- lanes, AVX2 ---- */

typedef uint32_t vector8 __attribute__((vector_size(32)));

/* 8 words of 8 streams, twice. Unpacking works within 128-bit halves; the last step exchanges halves. */
#define TRANSPOSE_8(data, words)                                                            \
  UNROLL for (uint32_t half = 0; half < 2; half++) {                                        \
    __m256i row[8], pair[8], quad[8];                                                       \
    UNROLL for (uint32_t i = 0; i < 8; i++)                                                 \
      row[i] = _mm256_loadu_si256((const __m256i *)(data[i] + 32 * half));                  \
    UNROLL for (uint32_t i = 0; i < 8; i += 2) {                                            \
      pair[i] = _mm256_unpacklo_epi32(row[i], row[i + 1]);                                  \
      pair[i + 1] = _mm256_unpackhi_epi32(row[i], row[i + 1]);                              \
    }                                                                                       \
    UNROLL for (uint32_t i = 0; i < 8; i += 4) {                                            \
      quad[i] = _mm256_unpacklo_epi64(pair[i], pair[i + 2]);                                \
      quad[i + 1] = _mm256_unpackhi_epi64(pair[i], pair[i + 2]);                            \
      quad[i + 2] = _mm256_unpacklo_epi64(pair[i + 1], pair[i + 3]);                        \
      quad[i + 3] = _mm256_unpackhi_epi64(pair[i + 1], pair[i + 3]);                        \
    }                                                                                       \
    UNROLL for (uint32_t i = 0; i < 4; i++) {                                               \
      words[8 * half + i] = (vector8)_mm256_permute2x128_si256(quad[i], quad[4 + i], 0x20); \
      words[8 * half + 4 + i] = (vector8)_mm256_permute2x128_si256(quad[i], quad[4 + i], 0x31); \
    }                                                                                       \
  }

TARGET_BEGIN("avx2")

INLINE void transpose_avx2(const uint8_t *const *data, vector8 *words) { TRANSPOSE_8(data, words) }

#define LANES_WIDTH 8
#define LANES_VECTOR vector8
#define LANES_ROUND(f, b, c, d) ROUND_##f(b, c, d)
#define LANES_TRANSPOSE transpose_avx2
#define LANES_NAME md5_avx2_8
#define LANES_SETS 1
#include "md5-lanes.inc"
#define LANES_NAME md5_avx2_16
#define LANES_SETS 2
#include "md5-lanes.inc"
#undef LANES_WIDTH
#undef LANES_VECTOR
#undef LANES_ROUND
#undef LANES_TRANSPOSE

TARGET_END

/* ---- lanes, AVX-512VL: any round function in one instruction, a rotate, and 32 registers; up to 16 streams narrow vectors
   are at least as fast as those of 512 bits, which some CPUs do in two halves ---- */

TARGET_BEGIN("avx2,avx512f,avx512vl,avx512bw,avx512dq")

/* Truth tables of the round functions, as vpternlog takes them. */
#define TERNARY_F 0xca
#define TERNARY_G 0xe4
#define TERNARY_H 0x96
#define TERNARY_I 0x39

INLINE void transpose_avx512_4(const uint8_t *const *data, vector4 *words) {
  UNROLL for (uint32_t quarter = 0; quarter < 4; quarter++) {
    __m128i row[4];
    UNROLL for (uint32_t i = 0; i < 4; i++) row[i] = _mm_loadu_si128((const __m128i *)(data[i] + 16 * quarter));
    const __m128i low01 = _mm_unpacklo_epi32(row[0], row[1]), high01 = _mm_unpackhi_epi32(row[0], row[1]);
    const __m128i low23 = _mm_unpacklo_epi32(row[2], row[3]), high23 = _mm_unpackhi_epi32(row[2], row[3]);
    words[4 * quarter] = (vector4)_mm_unpacklo_epi64(low01, low23);
    words[4 * quarter + 1] = (vector4)_mm_unpackhi_epi64(low01, low23);
    words[4 * quarter + 2] = (vector4)_mm_unpacklo_epi64(high01, high23);
    words[4 * quarter + 3] = (vector4)_mm_unpackhi_epi64(high01, high23);
  }
}

INLINE void transpose_avx512_8(const uint8_t *const *data, vector8 *words) { TRANSPOSE_8(data, words) }

#define LANES_WIDTH 4
#define LANES_VECTOR vector4
#define LANES_ROUND(f, b, c, d) (vector4) _mm_ternarylogic_epi32((__m128i)b, (__m128i)c, (__m128i)d, TERNARY_##f)
#define LANES_TRANSPOSE transpose_avx512_4
#define LANES_NAME md5_avx512_4
#define LANES_SETS 1
#include "md5-lanes.inc"
#undef LANES_WIDTH
#undef LANES_VECTOR
#undef LANES_ROUND
#undef LANES_TRANSPOSE

#define LANES_WIDTH 8
#define LANES_VECTOR vector8
#define LANES_ROUND(f, b, c, d) (vector8) _mm256_ternarylogic_epi32((__m256i)b, (__m256i)c, (__m256i)d, TERNARY_##f)
#define LANES_TRANSPOSE transpose_avx512_8
#define LANES_NAME md5_avx512_8
#define LANES_SETS 1
#include "md5-lanes.inc"
#define LANES_NAME md5_avx512_16
#define LANES_SETS 2
#include "md5-lanes.inc"
#undef LANES_WIDTH
#undef LANES_VECTOR
#undef LANES_ROUND
#undef LANES_TRANSPOSE

/* Four narrow sets would run out of registers: there two 512-bit ones are a tenth faster. */
typedef uint32_t vector16 __attribute__((vector_size(64)));

INLINE void transpose_avx512_16(const uint8_t *const *data, vector16 *words) {
  __m512i quad[4][4]; /* [group of four streams][i]: in its 128-bit quarter q, word 4q + i of those streams */
  UNROLL for (uint32_t group = 0; group < 4; group++) {
    __m512i row[4];
    UNROLL for (uint32_t i = 0; i < 4; i++) row[i] = _mm512_loadu_si512(data[4 * group + i]);
    const __m512i low01 = _mm512_unpacklo_epi32(row[0], row[1]), high01 = _mm512_unpackhi_epi32(row[0], row[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(row[2], row[3]), high23 = _mm512_unpackhi_epi32(row[2], row[3]);
    quad[group][0] = _mm512_unpacklo_epi64(low01, low23);
    quad[group][1] = _mm512_unpackhi_epi64(low01, low23);
    quad[group][2] = _mm512_unpacklo_epi64(high01, high23);
    quad[group][3] = _mm512_unpackhi_epi64(high01, high23);
  }
  UNROLL for (uint32_t i = 0; i < 4; i++) {
    const __m512i even01 = _mm512_shuffle_i32x4(quad[0][i], quad[1][i], 0x88), odd01 = _mm512_shuffle_i32x4(quad[0][i], quad[1][i], 0xdd);
    const __m512i even23 = _mm512_shuffle_i32x4(quad[2][i], quad[3][i], 0x88), odd23 = _mm512_shuffle_i32x4(quad[2][i], quad[3][i], 0xdd);
    words[i] = (vector16)_mm512_shuffle_i32x4(even01, even23, 0x88);
    words[4 + i] = (vector16)_mm512_shuffle_i32x4(odd01, odd23, 0x88);
    words[8 + i] = (vector16)_mm512_shuffle_i32x4(even01, even23, 0xdd);
    words[12 + i] = (vector16)_mm512_shuffle_i32x4(odd01, odd23, 0xdd);
  }
}

#define LANES_WIDTH 16
#define LANES_VECTOR vector16
#define LANES_ROUND(f, b, c, d) (vector16) _mm512_ternarylogic_epi32((__m512i)b, (__m512i)c, (__m512i)d, TERNARY_##f)
#define LANES_TRANSPOSE transpose_avx512_16
#define LANES_NAME md5_avx512_32
#define LANES_SETS 2
#include "md5-lanes.inc"
#undef LANES_WIDTH
#undef LANES_VECTOR
#undef LANES_ROUND
#undef LANES_TRANSPOSE

TARGET_END
#endif

/* ---- the choice ---- */

struct lanes_kernel {
  uint32_t lanes;
  void (*run)(uint32_t *const *states, const uint8_t *const *data, size_t blocks);
};

/* Smallest first, each table ended by the widest of its tier. From three streams on lanes beat the pair. */
#if defined(__x86_64__)
static const struct lanes_kernel KERNELS_AVX512[] = {{2, md5_pair}, {4, md5_avx512_4}, {8, md5_avx512_8}, {16, md5_avx512_16}, {32, md5_avx512_32}, {0, NULL}};
static const struct lanes_kernel KERNELS_AVX2[] = {{2, md5_pair}, {8, md5_avx2_8}, {16, md5_avx2_16}, {0, NULL}};
#endif
static const struct lanes_kernel KERNELS_PORTABLE[] = {{2, md5_pair}, {4, md5_portable_4}, {0, NULL}};

static const struct lanes_kernel *kernels_of_tier(void) {
#if defined(__x86_64__)
  if (tier_in_use() >= TIER_AVX512_GFNI) return KERNELS_AVX512;
  if (tier_in_use() >= TIER_AVX2) return KERNELS_AVX2;
#endif
  return KERNELS_PORTABLE;
}

/* The smallest kernel that takes `count` streams, else the widest. */
static const struct lanes_kernel *kernel_for(uint32_t count) {
  const struct lanes_kernel *kernel = kernels_of_tier();
  while (kernel->lanes < count && kernel[1].lanes) kernel++;
  return kernel;
}

uint32_t md5_lanes_max(void) { return kernel_for(MD5_LANES_MAX)->lanes; }

void md5_blocks_many(uint32_t *const *states, const uint8_t *const *data, uint32_t count, size_t blocks) {
  while (count > 1) {
    const struct lanes_kernel *kernel = kernel_for(count);
    const uint32_t now = count < kernel->lanes ? count : kernel->lanes;
    uint32_t *lane_states[MD5_LANES_MAX], unused[4] = {0};
    const uint8_t *lane_data[MD5_LANES_MAX];
    for (uint32_t i = 0; i < kernel->lanes; i++) {
      lane_states[i] = i < now ? states[i] : unused;
      lane_data[i] = i < now ? data[i] : data[0]; /* lanes without a stream hash the first one again, for nobody */
    }
    kernel->run(lane_states, lane_data, blocks);
    states += now, data += now, count -= now;
  }
  if (count == 1) md5_blocks(states[0], data[0], blocks);
}
