/* reed-solomon-kernels.c — the product "coefficient matrix times shards" for each tier, in the order of enum sherd_tier.
   Each tier says in a few inline functions how it loads, stores and multiplies; reed-solomon-kernel.inc makes the loops from that.
   Two ways to multiply a register of bytes by one constant:
   - nibbles (NEON, AVX2): the product is linear, so look up that of the low and of the high four bits and xor the two;
   - affine (GFNI): multiplication by a constant is an 8x8 bit matrix, and the CPU has an instruction for that.
   Every tier is tested against the portable one: all sizes, all alignments, all k+m <= 16. */
#include "reed-solomon-kernels.h"

#include "cpu.h"

/* ---- Portable: one byte at a time from the product table ------------------------------------------------------------ */

static void group_portable(const struct gf_rows *rows, uint32_t first, uint32_t outputs, const uint8_t *const *source, uint8_t *const *target, size_t from, size_t to) {
  for (uint32_t output = 0; output < outputs; output++) {
    uint8_t *out = target[output];
    for (uint32_t input = 0; input < rows->inputs; input++) {
      const uint8_t *products = gf_product[rows->factor[input * rows->outputs + first + output]];
      const uint8_t *in = source[input];
      if (input == 0)
        for (size_t x = from; x < to; x++) out[x] = products[in[x]];
      else
        for (size_t x = from; x < to; x++) out[x] ^= products[in[x]];
    }
  }
}

#define GROUP_OF(count)                                                                                                    \
  static void group_##count##_portable(const struct gf_rows *rows, uint32_t first, const uint8_t *const *source,           \
                                       uint8_t *const *target, size_t from, size_t to) {                                   \
    group_portable(rows, first, count, source, target, from, to);                                                          \
  }
GROUP_OF(1) GROUP_OF(2) GROUP_OF(3) GROUP_OF(4) GROUP_OF(5) GROUP_OF(6) GROUP_OF(7) GROUP_OF(8)
#undef GROUP_OF

static const struct rs_kernel rs_kernel_portable = {
    1,
    {0, group_1_portable, group_2_portable, group_3_portable, group_4_portable, group_5_portable, group_6_portable, group_7_portable, group_8_portable},
};

/* ---- NEON: nibbles, 16 bytes a register ----------------------------------------------------------------------------- */

#if defined(__aarch64__)
#include <arm_neon.h>

#define TIER(name) JOIN(name, _neon)
#define VECTOR uint8x16_t
#define ACCUMULATORS 8

struct TIER(operand) { VECTOR low, high; };
struct TIER(factor) { VECTOR low, high; };

INLINE VECTOR TIER(zero)(void) { return vdupq_n_u8(0); }
INLINE void TIER(store)(uint8_t *to, VECTOR value) { vst1q_u8(to, value); }
INLINE struct TIER(operand) TIER(load)(const uint8_t *from) {
  const VECTOR bytes = vld1q_u8(from);
  return (struct TIER(operand)){vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8(bytes, 4)};
}
INLINE struct TIER(factor) TIER(load_factor)(const struct gf_rows *rows, uint32_t cell) {
  return (struct TIER(factor)){vld1q_u8(rows->nibbles[cell]), vld1q_u8(rows->nibbles[cell] + 16)};
}
INLINE VECTOR TIER(add_product)(VECTOR sum, struct TIER(operand) x, struct TIER(factor) f) {
  return veorq_u8(sum, veorq_u8(vqtbl1q_u8(f.low, x.low), vqtbl1q_u8(f.high, x.high)));
}

#include "reed-solomon-kernel.inc"
#endif

#if defined(__x86_64__)
#include <immintrin.h>

/* ---- AVX2: nibbles, 32 bytes a register ----------------------------------------------------------------------------- */

TARGET_BEGIN("avx2")
#define TIER(name) JOIN(name, _avx2)
#define VECTOR __m256i
#define ACCUMULATORS 4

struct TIER(operand) { VECTOR low, high; };
struct TIER(factor) { VECTOR low, high; };

INLINE VECTOR TIER(zero)(void) { return _mm256_setzero_si256(); }
INLINE void TIER(store)(uint8_t *to, VECTOR value) { _mm256_storeu_si256((__m256i *)to, value); }
INLINE struct TIER(operand) TIER(load)(const uint8_t *from) {
  const VECTOR bytes = _mm256_loadu_si256((const __m256i *)from), fifteen = _mm256_set1_epi8(15);
  return (struct TIER(operand)){_mm256_and_si256(bytes, fifteen), _mm256_and_si256(_mm256_srli_epi64(bytes, 4), fifteen)};
}
INLINE struct TIER(factor) TIER(load_factor)(const struct gf_rows *rows, uint32_t cell) {
  const __m128i *tables = (const __m128i *)rows->nibbles[cell];
  return (struct TIER(factor)){_mm256_broadcastsi128_si256(_mm_loadu_si128(tables)), _mm256_broadcastsi128_si256(_mm_loadu_si128(tables + 1))};
}
INLINE VECTOR TIER(add_product)(VECTOR sum, struct TIER(operand) x, struct TIER(factor) f) {
  return _mm256_xor_si256(sum, _mm256_xor_si256(_mm256_shuffle_epi8(f.low, x.low), _mm256_shuffle_epi8(f.high, x.high)));
}

#include "reed-solomon-kernel.inc"
TARGET_END

/* ---- AVX2 + GFNI: affine, 32 bytes a register ----------------------------------------------------------------------- */

TARGET_BEGIN("avx2,gfni")
#define TIER(name) JOIN(name, _avx2_gfni)
#define VECTOR __m256i
#define ACCUMULATORS 6

struct TIER(operand) { VECTOR bytes; };
struct TIER(factor) { VECTOR matrix; };

INLINE VECTOR TIER(zero)(void) { return _mm256_setzero_si256(); }
INLINE void TIER(store)(uint8_t *to, VECTOR value) { _mm256_storeu_si256((__m256i *)to, value); }
INLINE struct TIER(operand) TIER(load)(const uint8_t *from) { return (struct TIER(operand)){_mm256_loadu_si256((const __m256i *)from)}; }
INLINE struct TIER(factor) TIER(load_factor)(const struct gf_rows *rows, uint32_t cell) {
  return (struct TIER(factor)){_mm256_set1_epi64x((long long)rows->affine[cell])};
}
INLINE VECTOR TIER(add_product)(VECTOR sum, struct TIER(operand) x, struct TIER(factor) f) {
  return _mm256_xor_si256(sum, _mm256_gf2p8affine_epi64_epi8(x.bytes, f.matrix, 0));
}

#include "reed-solomon-kernel.inc"
TARGET_END

/* ---- AVX-512 + GFNI: affine, 64 bytes a register, two products folded into one xor ----------------------------------- */

TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512dq,gfni")
#define TIER(name) JOIN(name, _avx512_gfni)
#define VECTOR __m512i
#define ACCUMULATORS 16
#define INPUTS_IN_PAIRS 1

struct TIER(operand) { VECTOR bytes; };
struct TIER(factor) { VECTOR matrix; };

INLINE VECTOR TIER(zero)(void) { return _mm512_setzero_si512(); }
INLINE void TIER(store)(uint8_t *to, VECTOR value) { _mm512_storeu_si512(to, value); }
INLINE struct TIER(operand) TIER(load)(const uint8_t *from) { return (struct TIER(operand)){_mm512_loadu_si512(from)}; }
INLINE struct TIER(factor) TIER(load_factor)(const struct gf_rows *rows, uint32_t cell) {
  VECTOR matrix = _mm512_set1_epi64((long long)rows->affine[cell]);
#if defined(__clang__)
  /* clang 14 writes a wrong displacement for vgf2p8affineqb with a broadcast memory operand: keep it in a register. */
  __asm__("" : "+v"(matrix));
#endif
  return (struct TIER(factor)){matrix};
}
INLINE VECTOR TIER(add_product)(VECTOR sum, struct TIER(operand) x, struct TIER(factor) f) {
  return _mm512_xor_si512(sum, _mm512_gf2p8affine_epi64_epi8(x.bytes, f.matrix, 0));
}
INLINE VECTOR TIER(add_products)(VECTOR sum, struct TIER(operand) x, struct TIER(factor) f, struct TIER(operand) y, struct TIER(factor) g) {
  const int xor_of_three = 0x96;
  return _mm512_ternarylogic_epi64(sum, _mm512_gf2p8affine_epi64_epi8(x.bytes, f.matrix, 0), _mm512_gf2p8affine_epi64_epi8(y.bytes, g.matrix, 0), xor_of_three);
}

#include "reed-solomon-kernel.inc"
TARGET_END
#endif

/* ---- Choice --------------------------------------------------------------------------------------------------------- */

const struct rs_kernel *rs_kernel_in_use(void) {
  switch (tier_in_use()) {
#if defined(__aarch64__)
    case TIER_NEON: return &rs_kernel_neon;
#elif defined(__x86_64__)
    case TIER_AVX2: return &rs_kernel_avx2;
    case TIER_AVX2_GFNI: return &rs_kernel_avx2_gfni;
    case TIER_AVX512_GFNI: return &rs_kernel_avx512_gfni;
#endif
    default: return &rs_kernel_portable;
  }
}
