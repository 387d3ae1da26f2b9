/* sha1.c — SHA-1 (FIPS 180-4) of one stream, asked for by S3's SHA1 checksum: portable, and with x86-64's SHA instructions. */
#include "digests.h"

const uint32_t SHA1_START[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};

/* ---- portable ---- */

INLINE uint32_t rotate_left(uint32_t x, int n) { return (x << n) | (x >> (32 - n)); }

static void sha1_portable(uint32_t state[5], const uint8_t *data, size_t blocks) {
  for (; blocks; blocks--, data += DIGEST_BLOCK) {
    uint32_t w[80];
    for (uint32_t i = 0; i < 16; i++) w[i] = __builtin_bswap32(load_u32(data + 4 * i));
    for (uint32_t i = 16; i < 80; i++) w[i] = rotate_left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);

    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
#define ROUNDS(from, to, f, constant)                                        \
  for (uint32_t i = from; i < to; i++) {                                     \
    const uint32_t next = rotate_left(a, 5) + (f) + e + constant + w[i];     \
    e = d, d = c, c = rotate_left(b, 30), b = a, a = next;                   \
  }
    ROUNDS(0, 20, (b & c) | (~b & d), 0x5a827999)
    ROUNDS(20, 40, b ^ c ^ d, 0x6ed9eba1)
    ROUNDS(40, 60, (b & c) | (b & d) | (c & d), 0x8f1bbcdc)
    ROUNDS(60, 80, b ^ c ^ d, 0xca62c1d6)
#undef ROUNDS
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
  }
}

#if defined(__x86_64__)
#include <immintrin.h>

/* ---- SHA instructions ---- */

TARGET_BEGIN("sha,sse4.1,ssse3")

/* The four message words of a group of four rounds; w holds those of the last four groups, group g in w[g % 4]. */
INLINE __m128i schedule(__m128i w[4], const uint8_t *data, const uint32_t group) {
  const __m128i big_endian = _mm_set_epi64x(0x0001020304050607ll, 0x08090a0b0c0d0e0fll);
  __m128i *now = &w[group % 4];
  if (group < 4) {
    *now = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * group)), big_endian);
  } else {
    const __m128i minus3 = w[(group + 1) % 4], minus2 = w[(group + 2) % 4], minus1 = w[(group + 3) % 4];
    *now = _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(*now, minus3), minus2), minus1);
  }
  return *now;
}

/* Four rounds. e is not carried: the instruction takes it from a of four rounds before (`earlier`). */
#define SHA_GROUP(group)                                                         \
  {                                                                              \
    const __m128i words = schedule(w, data, group);                              \
    const __m128i e = group ? _mm_sha1nexte_epu32(earlier, words) : _mm_add_epi32(e0, words); \
    earlier = abcd;                                                              \
    abcd = _mm_sha1rnds4_epu32(abcd, e, group / 5);                              \
  }

static NOT_INLINE void sha1_instructions(uint32_t state[5], const uint8_t *data, size_t blocks) {
  __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0x1b);
  __m128i e0 = _mm_set_epi32((int)state[4], 0, 0, 0);
  for (; blocks; blocks--, data += DIGEST_BLOCK) {
    const __m128i before = abcd;
    __m128i w[4], earlier = abcd;
    SHA_GROUP(0) SHA_GROUP(1) SHA_GROUP(2) SHA_GROUP(3) SHA_GROUP(4)
    SHA_GROUP(5) SHA_GROUP(6) SHA_GROUP(7) SHA_GROUP(8) SHA_GROUP(9)
    SHA_GROUP(10) SHA_GROUP(11) SHA_GROUP(12) SHA_GROUP(13) SHA_GROUP(14)
    SHA_GROUP(15) SHA_GROUP(16) SHA_GROUP(17) SHA_GROUP(18) SHA_GROUP(19)
    e0 = _mm_sha1nexte_epu32(earlier, e0);
    abcd = _mm_add_epi32(abcd, before);
  }
  _mm_storeu_si128((__m128i *)state, _mm_shuffle_epi32(abcd, 0x1b));
  state[4] = (uint32_t)_mm_extract_epi32(e0, 3);
}

TARGET_END
#endif

/* ---- the choice ---- */

void sha1_blocks(uint32_t state[5], const uint8_t *data, size_t blocks) {
#if defined(__x86_64__)
  if (digest_features() & FEATURE_SHA) {
    sha1_instructions(state, data, blocks);
    return;
  }
#endif
  sha1_portable(state, data, blocks);
}
