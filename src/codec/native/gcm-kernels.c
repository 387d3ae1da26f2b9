/* gcm-kernels.c — AES counter mode and GHASH with the instructions that CPUs have for them, in the order of enum sherd_tier, and
   the choice. AES and carry-less multiplication are asked for apart from the tier: there are CPUs with one and without the other. */
#include "aead.h"
#include "cpu.h"

#include <stdatomic.h>
#include <string.h>

static const struct gcm_kernel portable = {aes_stream_portable, ghash_portable};

/* The last piece of a stream, shorter than a kernel's step: through a buffer of that step. */
#define STREAM_TAIL(name, step)                                                             \
  if (bytes) {                                                                              \
    _Alignas(64) uint8_t piece[step] = {0};                                                 \
    memcpy(piece, in, bytes);                                                               \
    name(key, nonce, counter, piece, piece, step);                                          \
    memcpy(out, piece, bytes);                                                              \
    wipe(piece, sizeof piece);                                                              \
  }

#if defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>

#define HWCAP_HAS_AES (1u << 3)
#define HWCAP_HAS_PMULL (1u << 4)

TARGET_BEGIN("+crypto")

INLINE uint8x16_t encrypt_neon(uint8x16_t block, const uint8x16_t *round) {
  for (int r = 0; r < AES_ROUNDS - 1; r++) block = vaesmcq_u8(vaeseq_u8(block, round[r]));
  return veorq_u8(vaeseq_u8(block, round[AES_ROUNDS - 1]), round[AES_ROUNDS]);
}

static void stream_neon(const struct aes_key *key, const uint8_t nonce[AEAD_NONCE_BYTES], uint32_t counter, const uint8_t *in, uint8_t *out, size_t bytes) {
  uint8x16_t round[AES_ROUNDS + 1];
  uint8_t first[16] = {0};
  memcpy(first, nonce, AEAD_NONCE_BYTES);
  const uint32x4_t base = vreinterpretq_u32_u8(vld1q_u8(first));
  for (int r = 0; r <= AES_ROUNDS; r++) round[r] = vld1q_u8(key->round[r]);
  for (; bytes >= 64; bytes -= 64, in += 64, out += 64) {
    uint8x16_t x[4];
    for (int i = 0; i < 4; i++, counter++) {
      const uint8x16_t block = vreinterpretq_u8_u32(vsetq_lane_u32(__builtin_bswap32(counter), base, 3));
      x[i] = veorq_u8(encrypt_neon(block, round), vld1q_u8(in + 16 * i));
    }
    for (int i = 0; i < 4; i++) vst1q_u8(out + 16 * i, x[i]);
  }
  STREAM_TAIL(stream_neon, 64)
}

typedef uint64x2_t vec;
INLINE vec clmul_neon(vec a, int i, vec b, int j) {
  return vreinterpretq_u64_p128(vmull_p64((poly64_t)(i ? vgetq_lane_u64(a, 1) : vgetq_lane_u64(a, 0)), (poly64_t)(j ? vgetq_lane_u64(b, 1) : vgetq_lane_u64(b, 0))));
}
INLINE vec block_neon(const uint8_t *data) {
  const uint8x16_t turned = vrev64q_u8(vld1q_u8(data));
  return vreinterpretq_u64_u8(vextq_u8(turned, turned, 8));
}
#define GHASH_NAME hash_neon
#define GHASH_VEC vec
#define GHASH_LOAD(words) vld1q_u64(words)
#define GHASH_STORE(words, v) vst1q_u64(words, v)
#define GHASH_BLOCK block_neon
#define GHASH_XOR veorq_u64
#define GHASH_MULTIPLY(a, i, b, j) clmul_neon(a, i, b, j)
#define GHASH_SWAP(a) vextq_u64(a, a, 1)
#define GHASH_UP(a) vextq_u64(vdupq_n_u64(0), a, 1)   /* the low word to the high place */
#define GHASH_DOWN(a) vextq_u64(a, vdupq_n_u64(0), 1) /* the high word to the low place */
#define GHASH_REDUCTION vdupq_n_u64(UINT64_C(0xc200000000000000))
#include "ghash-clmul.inc"
TARGET_END

static const struct gcm_kernel neon = {stream_neon, hash_neon};

static const struct gcm_kernel *choose(enum sherd_tier tier) {
  const unsigned long has = getauxval(AT_HWCAP), needed = HWCAP_HAS_AES | HWCAP_HAS_PMULL;
  return tier == TIER_NEON && (has & needed) == needed ? &neon : &portable;
}

#elif defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

TARGET_BEGIN("aes,pclmul,ssse3,sse4.1")

static void stream_aesni(const struct aes_key *key, const uint8_t nonce[AEAD_NONCE_BYTES], uint32_t counter, const uint8_t *in, uint8_t *out, size_t bytes) {
  uint8_t first[16] = {0};
  memcpy(first, nonce, AEAD_NONCE_BYTES);
  const __m128i base = _mm_loadu_si128((const __m128i *)first);
  const __m128i *round = (const __m128i *)key->round;
  for (; bytes >= 128; bytes -= 128, in += 128, out += 128) {
    __m128i x[8];
    UNROLL for (int i = 0; i < 8; i++)
      x[i] = _mm_xor_si128(_mm_insert_epi32(base, (int)__builtin_bswap32(counter + (uint32_t)i), 3), round[0]);
    for (int r = 1; r < AES_ROUNDS; r++) {
      UNROLL for (int i = 0; i < 8; i++) x[i] = _mm_aesenc_si128(x[i], round[r]);
    }
    UNROLL for (int i = 0; i < 8; i++)
      x[i] = _mm_xor_si128(_mm_aesenclast_si128(x[i], round[AES_ROUNDS]), _mm_loadu_si128((const __m128i *)in + i));
    UNROLL for (int i = 0; i < 8; i++) _mm_storeu_si128((__m128i *)out + i, x[i]);
    counter += 8;
  }
  STREAM_TAIL(stream_aesni, 128)
}

INLINE __m128i block_x86(const uint8_t *data) {
  return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)data), _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}
#define GHASH_NAME hash_pclmul
#define GHASH_VEC __m128i
#define GHASH_LOAD(words) _mm_loadu_si128((const __m128i *)(words))
#define GHASH_STORE(words, v) _mm_storeu_si128((__m128i *)(words), v)
#define GHASH_BLOCK block_x86
#define GHASH_XOR _mm_xor_si128
#define GHASH_MULTIPLY(a, i, b, j) _mm_clmulepi64_si128(a, b, (i) | (j) << 4)
#define GHASH_SWAP(a) _mm_shuffle_epi32(a, 0x4e)
#define GHASH_UP(a) _mm_slli_si128(a, 8)
#define GHASH_DOWN(a) _mm_srli_si128(a, 8)
#define GHASH_REDUCTION _mm_set1_epi64x((long long)UINT64_C(0xc200000000000000))
#include "ghash-clmul.inc"
TARGET_END

static const struct gcm_kernel aesni = {stream_aesni, hash_pclmul};

#define WIDE "avx2,avx512f,avx512vl,avx512bw,avx512dq,aes,pclmul,vaes,vpclmulqdq"
TARGET_BEGIN(WIDE)

/* Four blocks a vector, eight vectors at a time. */
static void stream_vaes(const struct aes_key *key, const uint8_t nonce[AEAD_NONCE_BYTES], uint32_t counter, const uint8_t *in, uint8_t *out, size_t bytes) {
  uint8_t first[16] = {0};
  memcpy(first, nonce, AEAD_NONCE_BYTES);
  const __m512i base = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)first));
  const __m512i big = _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  __m512i round[AES_ROUNDS + 1];
  UNROLL for (int r = 0; r <= AES_ROUNDS; r++) round[r] = _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)key->round[r]));
  __m512i numbers = _mm512_add_epi32(_mm512_set1_epi32((int)counter), _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0));
  for (; bytes >= 512; bytes -= 512, in += 512, out += 512, counter += 32) {
    __m512i x[8];
    UNROLL for (int i = 0; i < 8; i++) {
      x[i] = _mm512_ternarylogic_epi64(base, _mm512_shuffle_epi8(numbers, big), round[0], 0x96);
      numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(4));
    }
    UNROLL for (int r = 1; r < AES_ROUNDS; r++) {
      UNROLL for (int i = 0; i < 8; i++) x[i] = _mm512_aesenc_epi128(x[i], round[r]);
    }
    UNROLL for (int i = 0; i < 8; i++)
      x[i] = _mm512_xor_si512(_mm512_aesenclast_epi128(x[i], round[AES_ROUNDS]), _mm512_loadu_si512(in + 64 * i));
    UNROLL for (int i = 0; i < 8; i++) _mm512_storeu_si512(out + 64 * i, x[i]);
  }
  if (bytes) stream_aesni(key, nonce, counter, in, out, bytes);
}

/* Sixteen blocks with one reduction. */
static void hash_vpclmul(const struct ghash_key *key, uint64_t state[2], const uint8_t *data, size_t blocks) {
  const __m512i turn = _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  __m512i power[4];
  for (int i = 0; i < 4; i++) { /* the highest power meets the first block */
    const __m512i up = _mm512_loadu_si512(key->power[12 - 4 * i]);
    power[i] = _mm512_shuffle_i64x2(up, up, 0x1b);
  }
  __m128i sum = _mm_loadu_si128((const __m128i *)state);
  const __m128i reduction = _mm_set1_epi64x((long long)UINT64_C(0xc200000000000000));
  for (; blocks >= 16; blocks -= 16, data += 256) {
    __m512i low = _mm512_setzero_si512(), high = low, middle = low;
    UNROLL for (int i = 0; i < 4; i++) {
      __m512i x = _mm512_shuffle_epi8(_mm512_loadu_si512(data + 64 * i), turn);
      if (i == 0) x = _mm512_xor_si512(x, _mm512_zextsi128_si512(sum));
      low = _mm512_xor_si512(low, _mm512_clmulepi64_epi128(x, power[i], 0x00));
      high = _mm512_xor_si512(high, _mm512_clmulepi64_epi128(x, power[i], 0x11));
      middle = _mm512_ternarylogic_epi64(middle, _mm512_clmulepi64_epi128(x, power[i], 0x01), _mm512_clmulepi64_epi128(x, power[i], 0x10), 0x96);
    }
    low = _mm512_xor_si512(low, _mm512_bslli_epi128(middle, 8));
    high = _mm512_xor_si512(high, _mm512_bsrli_epi128(middle, 8));
    const __m256i low2 = _mm256_xor_si256(_mm512_castsi512_si256(low), _mm512_extracti64x4_epi64(low, 1));
    const __m256i high2 = _mm256_xor_si256(_mm512_castsi512_si256(high), _mm512_extracti64x4_epi64(high, 1));
    __m128i l = _mm_xor_si128(_mm256_castsi256_si128(low2), _mm256_extracti128_si256(low2, 1));
    const __m128i h = _mm_xor_si128(_mm256_castsi256_si128(high2), _mm256_extracti128_si256(high2, 1));
    UNROLL for (int i = 0; i < 2; i++) l = _mm_xor_si128(_mm_shuffle_epi32(l, 0x4e), _mm_clmulepi64_si128(l, reduction, 0x00));
    sum = _mm_xor_si128(l, h);
  }
  _mm_storeu_si128((__m128i *)state, sum);
  hash_pclmul(key, state, data, blocks);
}
TARGET_END

static const struct gcm_kernel vaes = {stream_vaes, hash_vpclmul};

/* cpuid leaf 1 and leaf 7, ecx */
#define HAS_AES (1u << 25)
#define HAS_PCLMUL (1u << 1)
#define HAS_VAES (1u << 9)
#define HAS_VPCLMUL (1u << 10)

static const struct gcm_kernel *choose(enum sherd_tier tier) {
  uint32_t eax, ebx, ecx, edx;
  if (tier < TIER_AVX2 || !__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return &portable;
  if ((ecx & (HAS_AES | HAS_PCLMUL)) != (HAS_AES | HAS_PCLMUL)) return &portable;
  if (tier < TIER_AVX512_GFNI || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return &aesni;
  return (ecx & (HAS_VAES | HAS_VPCLMUL)) == (HAS_VAES | HAS_VPCLMUL) ? &vaes : &aesni;
}

#else

static const struct gcm_kernel *choose(enum sherd_tier tier) {
  (void)tier;
  return &portable;
}

#endif

/* By tier, each asked of the CPU once: cpuid traps in virtual machines. */
static const struct gcm_kernel *_Atomic chosen[TIER_AVX512_GFNI + 1];

const struct gcm_kernel *gcm_kernel_in_use(void) {
  const enum sherd_tier tier = tier_in_use();
  const struct gcm_kernel *kernel = atomic_load_explicit(&chosen[tier], memory_order_relaxed);
  if (kernel) return kernel;
  kernel = choose(tier);
  atomic_store_explicit(&chosen[tier], kernel, memory_order_relaxed);
  return kernel;
}
