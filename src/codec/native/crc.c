/* crc.c — CRC-32 (IEEE), CRC-32C and CRC-64/NVME: portable (eight tables), carry-less multiplication in 128 bits, and in 512.
   All three are reflected: bit 0 of a register is the highest power of x, and the first byte of data the highest powers.
   One code serves all widths: a 32-bit register is the low half of a 64-bit one, and the polynomial says the rest. */
#include "digests.h"

struct crc {
  uint64_t polynomial; /* reflected, without the leading term */
  uint32_t width;      /* bits */
  /* Factors that move 128 bits of data ahead by 2048, 512 or 128 bits: first of the low half (higher powers), then of the high. */
  uint64_t ahead_2048[2], ahead_512[2], ahead_128[2];
  uint64_t tables[8][256]; /* tables[n][b]: the register after byte b and n zero bytes */
};

struct crc CRC32 = {.polynomial = 0xedb88320, .width = 32};
struct crc CRC32C = {.polynomial = 0x82f63b78, .width = 32};
struct crc CRC64NVME = {.polynomial = 0x9a6c9329ac4bc9b5, .width = 64};

/* ---- arithmetic modulo the polynomial ---- */

static uint64_t times_x(const struct crc *crc, uint64_t a) { return (a >> 1) ^ (a & 1 ? crc->polynomial : 0); }

/* x^0 of a register of this width */
static uint64_t one(const struct crc *crc) { return UINT64_C(1) << (crc->width - 1); }

static uint64_t times(const struct crc *crc, uint64_t a, uint64_t b) {
  uint64_t product = 0;
  for (uint64_t bit = one(crc); bit; bit >>= 1, b = times_x(crc, b)) {
    if (a & bit) product ^= b;
  }
  return product;
}

/* x^(unit * count), unit = 1 or 8 */
static uint64_t power_of_x(const struct crc *crc, uint32_t unit, uint64_t count) {
  uint64_t factor = one(crc), power = one(crc);
  for (uint32_t i = 0; i < unit; i++) factor = times_x(crc, factor);
  for (; count; count >>= 1, factor = times(crc, factor, factor)) {
    if (count & 1) power = times(crc, power, factor);
  }
  return power;
}

/* The product of two reflected 64-bit values by carry-less multiplication comes out one bit low, hence bits - 1.
   A remainder of 32 bits stands in the high half, where its powers are those of a 64-bit value. */
static void factors_ahead(const struct crc *crc, uint32_t bits, uint64_t factors[2]) {
  factors[0] = power_of_x(crc, 1, bits + 64 - 1) << (64 - crc->width);
  factors[1] = power_of_x(crc, 1, bits - 1) << (64 - crc->width);
}

static void tables_of(struct crc *crc) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint64_t reg = byte;
    for (uint32_t bit = 0; bit < 8; bit++) reg = times_x(crc, reg);
    crc->tables[0][byte] = reg;
  }
  for (uint32_t n = 1; n < 8; n++) {
    for (uint32_t byte = 0; byte < 256; byte++) {
      const uint64_t before = crc->tables[n - 1][byte];
      crc->tables[n][byte] = (before >> 8) ^ crc->tables[0][before & 255];
    }
  }
  factors_ahead(crc, 2048, crc->ahead_2048);
  factors_ahead(crc, 512, crc->ahead_512);
  factors_ahead(crc, 128, crc->ahead_128);
}

void crc_tables_init(void) {
  tables_of(&CRC32);
  tables_of(&CRC32C);
  tables_of(&CRC64NVME);
}

/* ---- portable: eight bytes a step, one table each ---- */

static uint64_t crc_portable(const struct crc *crc, uint64_t reg, const uint8_t *data, size_t bytes) {
  const uint64_t(*const tables)[256] = crc->tables;
  for (; bytes >= 8; bytes -= 8, data += 8) {
    const uint64_t x = load_u64(data) ^ reg;
    reg = tables[7][x & 255] ^ tables[6][(x >> 8) & 255] ^ tables[5][(x >> 16) & 255] ^ tables[4][(x >> 24) & 255] ^
          tables[3][(x >> 32) & 255] ^ tables[2][(x >> 40) & 255] ^ tables[1][(x >> 48) & 255] ^ tables[0][x >> 56];
  }
  for (; bytes; bytes--, data++) reg = (reg >> 8) ^ tables[0][(reg ^ *data) & 255];
  return reg;
}

#if defined(__x86_64__)
#include <immintrin.h>

/* ---- carry-less multiplication, four times 128 bits a step ---- */

TARGET_BEGIN("pclmul,sse4.1")

INLINE __m128i load_128(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }
INLINE __m128i load_factors(const uint64_t factors[2]) { return _mm_loadu_si128((const __m128i *)factors); }

/* x moved ahead by the distance of `factors`, plus the data that is there. */
INLINE __m128i fold_128(__m128i x, __m128i factors, __m128i data) {
  return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, factors, 0x00), _mm_clmulepi64_si128(x, factors, 0x11)), data);
}

/* What is left after folding: 128 bits and fewer than 64 bytes of data, both small work for the tables. */
INLINE uint64_t finish(const struct crc *crc, __m128i folded, const uint8_t *data, size_t bytes) {
  uint8_t rest[16];
  _mm_storeu_si128((__m128i *)rest, folded);
  return crc_portable(crc, crc_portable(crc, 0, rest, sizeof rest), data, bytes);
}

#define PCLMUL_BYTES_MIN 128

static NOT_INLINE uint64_t crc_pclmul(const struct crc *crc, uint64_t reg, const uint8_t *data, size_t bytes) {
  __m128i x[4];
  for (uint32_t i = 0; i < 4; i++) x[i] = load_128(data + 16 * i);
  x[0] = _mm_xor_si128(x[0], _mm_cvtsi64_si128((long long)reg));
  data += 64, bytes -= 64;

  const __m128i step = load_factors(crc->ahead_512);
  for (; bytes >= 64; bytes -= 64, data += 64) {
    UNROLL for (uint32_t i = 0; i < 4; i++) x[i] = fold_128(x[i], step, load_128(data + 16 * i));
  }
  const __m128i next = load_factors(crc->ahead_128);
  for (uint32_t i = 1; i < 4; i++) x[i] = fold_128(x[i - 1], next, x[i]);
  __m128i folded = x[3];
  for (; bytes >= 16; bytes -= 16, data += 16) folded = fold_128(folded, next, load_128(data));
  return finish(crc, folded, data, bytes);
}

TARGET_END

/* ---- the same, four times 512 bits a step ---- */

TARGET_BEGIN("pclmul,vpclmulqdq,avx2,avx512f,avx512vl,avx512bw,avx512dq")

INLINE __m512i fold_512(__m512i x, __m512i factors, __m512i data) {
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(x, factors, 0x00), _mm512_clmulepi64_epi128(x, factors, 0x11), data, 0x96);
}

INLINE __m512i broadcast_factors(const uint64_t factors[2]) { return _mm512_broadcast_i32x4(load_factors(factors)); }

#define VPCLMUL_BYTES_MIN 512

static NOT_INLINE uint64_t crc_vpclmul(const struct crc *crc, uint64_t reg, const uint8_t *data, size_t bytes) {
  __m512i x[4];
  for (uint32_t i = 0; i < 4; i++) x[i] = _mm512_loadu_si512(data + 64 * i);
  x[0] = _mm512_xor_si512(x[0], _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)reg)));
  data += 256, bytes -= 256;

  const __m512i step = broadcast_factors(crc->ahead_2048);
  for (; bytes >= 256; bytes -= 256, data += 256) {
    UNROLL for (uint32_t i = 0; i < 4; i++) x[i] = fold_512(x[i], step, _mm512_loadu_si512(data + 64 * i));
  }
  const __m512i next = broadcast_factors(crc->ahead_512);
  for (uint32_t i = 1; i < 4; i++) x[i] = fold_512(x[i - 1], next, x[i]);
  for (; bytes >= 64; bytes -= 64, data += 64) x[3] = fold_512(x[3], next, _mm512_loadu_si512(data));

  const __m128i quarter = load_factors(crc->ahead_128);
  __m128i folded = _mm512_castsi512_si128(x[3]);
  folded = fold_128(folded, quarter, _mm512_extracti32x4_epi32(x[3], 1));
  folded = fold_128(folded, quarter, _mm512_extracti32x4_epi32(x[3], 2));
  folded = fold_128(folded, quarter, _mm512_extracti32x4_epi32(x[3], 3));
  for (; bytes >= 16; bytes -= 16, data += 16) folded = fold_128(folded, quarter, load_128(data));
  return finish(crc, folded, data, bytes);
}

TARGET_END
#endif

/* ---- the choice ---- */

uint64_t crc_update(const struct crc *crc, uint64_t reg, const uint8_t *data, size_t bytes) {
#if defined(__x86_64__)
  const uint32_t features = digest_features();
  if (bytes >= VPCLMUL_BYTES_MIN && (features & FEATURE_VPCLMUL_ZMM)) return crc_vpclmul(crc, reg, data, bytes);
  if (bytes >= PCLMUL_BYTES_MIN && (features & FEATURE_PCLMUL)) return crc_pclmul(crc, reg, data, bytes);
#endif
  return crc_portable(crc, reg, data, bytes);
}

static uint64_t all_ones(const struct crc *crc) { return UINT64_MAX >> (64 - crc->width); }
uint64_t crc_start(const struct crc *crc) { return all_ones(crc); }
uint64_t crc_value(const struct crc *crc, uint64_t reg) { return reg ^ all_ones(crc); }

/* Appending n bytes multiplies what was there by x^(8n); start and end inversions cancel out. */
uint64_t crc_combine(const struct crc *crc, uint64_t a, uint64_t b, uint64_t bytes_b) {
  return times(crc, a & all_ones(crc), power_of_x(crc, 8, bytes_b)) ^ (b & all_ones(crc));
}
