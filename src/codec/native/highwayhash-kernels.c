/* highwayhash-kernels.c — HighwayHash's rounds for each tier, in the order of enum sherd_tier.
   One message is a chain of dependent multiplications and leaves the CPU idle most of the time; several messages side by side
   ("lanes") fill it. Lanes are as many as the tier's registers hold: four 256-bit vectors each.
   Each tier says how it handles one 256-bit vector; highwayhash-lanes.inc makes the loops from that. */
#include "highwayhash-kernels.h"

#include "cpu.h"

#include <string.h>

/* For each 16 bytes: which byte goes where in the algorithm's "zipper merge". */
#define ZIPPER 3, 12, 2, 5, 14, 1, 15, 0, 11, 4, 10, 13, 9, 6, 8, 7

/* ---- Portable: the compiler's generic vectors, which it lowers to whatever there is ----------------------------------- */

typedef uint64_t words_of_4 __attribute__((vector_size(32)));
typedef uint8_t bytes_of_32 __attribute__((vector_size(32)));

#define TIER(name) JOIN(name, _portable)
#define TIER_LANES 1
#define VECTOR words_of_4

INLINE VECTOR TIER(load)(const void *from) {
  VECTOR value;
  memcpy(&value, from, sizeof value);
  return value;
}
INLINE void TIER(store)(void *to, VECTOR value) { memcpy(to, &value, sizeof value); }
INLINE VECTOR TIER(add)(VECTOR a, VECTOR b) { return a + b; }
INLINE VECTOR TIER(xor)(VECTOR a, VECTOR b) { return a ^ b; }
INLINE VECTOR TIER(multiply_low_by_high)(VECTOR a, VECTOR b) { return (a & 0xffffffff) * (b >> 32); }
INLINE VECTOR TIER(zipper)(VECTOR a) {
  const bytes_of_32 bytes = (bytes_of_32)a;
  return (VECTOR)__builtin_shufflevector(bytes, bytes, ZIPPER, 19, 28, 18, 21, 30, 17, 31, 16, 27, 20, 26, 29, 25, 22, 24, 23);
}
INLINE VECTOR TIER(permute)(VECTOR a) {
  const VECTOR swapped = a >> 32 | a << 32;
  return __builtin_shufflevector(swapped, swapped, 2, 3, 0, 1);
}

#include "highwayhash-lanes.inc"

/* ---- NEON: a vector is two registers ---------------------------------------------------------------------------------- */

#if defined(__aarch64__)
#include <arm_neon.h>

struct neon_pair { uint64x2_t low, high; };

#define TIER(name) JOIN(name, _neon)
#define TIER_LANES 2
#define VECTOR struct neon_pair

INLINE VECTOR TIER(load)(const void *from) {
  const uint8_t *bytes = from;
  return (VECTOR){vreinterpretq_u64_u8(vld1q_u8(bytes)), vreinterpretq_u64_u8(vld1q_u8(bytes + 16))};
}
INLINE void TIER(store)(void *to, VECTOR a) {
  uint8_t *bytes = to;
  vst1q_u8(bytes, vreinterpretq_u8_u64(a.low));
  vst1q_u8(bytes + 16, vreinterpretq_u8_u64(a.high));
}
INLINE VECTOR TIER(add)(VECTOR a, VECTOR b) { return (VECTOR){vaddq_u64(a.low, b.low), vaddq_u64(a.high, b.high)}; }
INLINE VECTOR TIER(xor)(VECTOR a, VECTOR b) { return (VECTOR){veorq_u64(a.low, b.low), veorq_u64(a.high, b.high)}; }
INLINE uint64x2_t multiply_half(uint64x2_t a, uint64x2_t b) { return vmull_u32(vmovn_u64(a), vshrn_n_u64(b, 32)); }
INLINE VECTOR TIER(multiply_low_by_high)(VECTOR a, VECTOR b) { return (VECTOR){multiply_half(a.low, b.low), multiply_half(a.high, b.high)}; }
INLINE uint64x2_t zip_half(uint64x2_t a) {
  static const uint8_t order[16] = {ZIPPER};
  return vreinterpretq_u64_u8(vqtbl1q_u8(vreinterpretq_u8_u64(a), vld1q_u8(order)));
}
INLINE VECTOR TIER(zipper)(VECTOR a) { return (VECTOR){zip_half(a.low), zip_half(a.high)}; }
INLINE uint64x2_t swap_word_halves(uint64x2_t a) { return vreinterpretq_u64_u32(vrev64q_u32(vreinterpretq_u32_u64(a))); }
INLINE VECTOR TIER(permute)(VECTOR a) { return (VECTOR){swap_word_halves(a.high), swap_word_halves(a.low)}; }

#include "highwayhash-lanes.inc"
#endif

#if defined(__x86_64__)
#include <immintrin.h>

/* ---- AVX2: 16 registers, four lanes ----------------------------------------------------------------------------------- */

TARGET_BEGIN("avx2")
#define TIER(name) JOIN(name, _avx2)
#define TIER_LANES 4
#include "highwayhash-avx2.inc"
#include "highwayhash-lanes.inc"
TARGET_END

/* ---- AVX-512VL: the same vectors and instructions but 32 registers, six lanes. 512-bit vectors measured slower. -------- */

TARGET_BEGIN("avx2,avx512f,avx512vl,avx512bw,avx512dq")
#define TIER(name) JOIN(name, _avx512)
#define TIER_LANES 6
#include "highwayhash-avx2.inc"
#include "highwayhash-lanes.inc"
TARGET_END
#endif

/* ---- Choice ----------------------------------------------------------------------------------------------------------- */

const struct hash_kernel *hash_kernel_in_use(void) {
  switch (tier_in_use()) {
#if defined(__aarch64__)
    case TIER_NEON: return &hash_kernel_neon;
#elif defined(__x86_64__)
    case TIER_AVX2:
    case TIER_AVX2_GFNI: return &hash_kernel_avx2;
    case TIER_AVX512_GFNI: return &hash_kernel_avx512;
#endif
    default: return &hash_kernel_portable;
  }
}
