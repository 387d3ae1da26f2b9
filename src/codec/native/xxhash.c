/* xxhash.c — XXH64, and XXH3 in 64 and 128 bits, of one stream with seed 0, asked for by S3's XXHASH64, XXHASH3 and XXHASH128
   checksums: portable. Written from the description of the algorithm (xxHash's doc/xxhash_spec.md); values are big-endian as S3 has them. */
#include "digests.h"

#define P32_1 0x9e3779b1u
#define P32_2 0x85ebca77u
#define P32_3 0xc2b2ae3du
#define P1 0x9e3779b185ebca87u
#define P2 0xc2b2ae3d27d4eb4fu
#define P3 0x165667b19e3779f9u
#define P4 0x85ebca77c2b2ae63u
#define P5 0x27d4eb2f165667c5u
#define MIX_1 0x165667919e3779f9u
#define MIX_2 0x9fb21c651e98df25u

INLINE uint64_t rotate_left(uint64_t x, int n) { return (x << n) | (x >> (64 - n)); }

/* ---- XXH64: four words take 32 bytes a step ---- */

INLINE uint64_t xxh64_round(uint64_t word, uint64_t input) { return rotate_left(word + input * P2, 31) * P1; }

INLINE uint64_t xxh64_avalanche(uint64_t h) {
  h = (h ^ (h >> 33)) * P2;
  h = (h ^ (h >> 29)) * P3;
  return h ^ (h >> 32);
}

void xxh64_start(struct xxh64 *s) {
  s->words[0] = P1 + P2, s->words[1] = P2, s->words[2] = 0, s->words[3] = 0 - P1;
}

static void xxh64_stripes(uint64_t words[4], const uint8_t *data, size_t count) {
  for (; count; count--, data += XXH64_STRIPE) {
    for (uint32_t i = 0; i < 4; i++) words[i] = xxh64_round(words[i], load_u64(data + 8 * i));
  }
}

void xxh64_update(struct xxh64 *s, const uint8_t *data, size_t bytes) {
  if (s->partial_bytes) {
    const size_t missing = XXH64_STRIPE - s->partial_bytes, taken = bytes < missing ? bytes : missing;
    memcpy(s->partial + s->partial_bytes, data, taken);
    s->partial_bytes += (uint32_t)taken;
    data += taken, bytes -= taken;
    if (s->partial_bytes < XXH64_STRIPE) return;
    xxh64_stripes(s->words, s->partial, 1);
  }
  xxh64_stripes(s->words, data, bytes / XXH64_STRIPE);
  s->partial_bytes = (uint32_t)(bytes % XXH64_STRIPE);
  memcpy(s->partial, data + bytes - s->partial_bytes, s->partial_bytes);
}

void xxh64_final(const struct xxh64 *s, uint64_t bytes, uint8_t *out8) {
  const uint64_t *w = s->words;
  uint64_t h = P5;
  if (bytes >= XXH64_STRIPE) {
    h = rotate_left(w[0], 1) + rotate_left(w[1], 7) + rotate_left(w[2], 12) + rotate_left(w[3], 18);
    for (uint32_t i = 0; i < 4; i++) h = (h ^ xxh64_round(0, w[i])) * P1 + P4;
  }
  h += bytes;
  const uint8_t *p = s->partial, *end = p + s->partial_bytes;
  for (; end - p >= 8; p += 8) h = rotate_left(h ^ xxh64_round(0, load_u64(p)), 27) * P1 + P4;
  for (; end - p >= 4; p += 4) h = rotate_left(h ^ load_u32(p) * P1, 23) * P2 + P3;
  for (; p < end; p++) h = rotate_left(h ^ *p * P5, 11) * P1;
  store_be64(out8, xxh64_avalanche(h));
}

/* ---- XXH3 ---- */

#define STRIPE 64
#define BLOCK_STRIPES 16 /* the secret moves on by 8 bytes a stripe */
#define SHORT_MAX 240    /* up to here the input is hashed whole, from the buffer */
#define SECRET_LAST 121  /* where the secret of the last stripe begins */

static const uint8_t SECRET[192] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb,
    0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb,
    0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3, 0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8,
    0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8,
    0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb, 0x17,
    0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e, 0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f,
    0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e};

struct pair {
  uint64_t low, high;
};

INLINE struct pair product(uint64_t a, uint64_t b) {
  const unsigned __int128 x = (unsigned __int128)a * b;
  return (struct pair){(uint64_t)x, (uint64_t)(x >> 64)};
}
INLINE uint64_t folded(uint64_t a, uint64_t b) {
  const struct pair x = product(a, b);
  return x.low ^ x.high;
}
INLINE uint64_t avalanche(uint64_t h) {
  h = (h ^ (h >> 37)) * MIX_1;
  return h ^ (h >> 32);
}
/* Two words of the secret, one against the other. */
INLINE uint64_t flip(uint32_t at) { return load_u64(SECRET + at) ^ load_u64(SECRET + at + 8); }
INLINE uint32_t flip32(uint32_t at) { return load_u32(SECRET + at) ^ load_u32(SECRET + at + 4); }
INLINE uint64_t mix16(const uint8_t *data, uint32_t at) {
  return folded(load_u64(data) ^ load_u64(SECRET + at), load_u64(data + 8) ^ load_u64(SECRET + at + 8));
}
/* 1 to 3 bytes and their length in a word. */
INLINE uint32_t word_of(const uint8_t *data, uint32_t n) {
  return (uint32_t)data[0] << 16 | (uint32_t)data[n >> 1] << 24 | data[n - 1] | n << 8;
}

static uint64_t short64(const uint8_t *data, uint32_t n) {
  if (n == 0) return xxh64_avalanche(flip(56));
  if (n < 4) return xxh64_avalanche(word_of(data, n) ^ flip32(0));
  if (n <= 8) {
    uint64_t h = (load_u32(data + n - 4) + ((uint64_t)load_u32(data) << 32)) ^ flip(8);
    h ^= rotate_left(h, 49) ^ rotate_left(h, 24);
    h *= MIX_2;
    h = (h ^ ((h >> 35) + n)) * MIX_2;
    return h ^ (h >> 28);
  }
  if (n <= 16) {
    const uint64_t low = load_u64(data) ^ flip(24), high = load_u64(data + n - 8) ^ flip(40);
    return avalanche(n + __builtin_bswap64(low) + high + folded(low, high));
  }
  uint64_t sum = n * P1;
  if (n <= 128) {
    for (uint32_t i = 0; i <= (n - 1) / 32; i++) sum += mix16(data + 16 * i, 32 * i) + mix16(data + n - 16 * (i + 1), 32 * i + 16);
    return avalanche(sum);
  }
  for (uint32_t i = 0; i < 8; i++) sum += mix16(data + 16 * i, 16 * i);
  sum = avalanche(sum);
  for (uint32_t i = 8; i < n / 16; i++) sum += mix16(data + 16 * i, 16 * (i - 8) + 3);
  return avalanche(sum + mix16(data + n - 16, 119));
}

INLINE struct pair mix32(struct pair sum, const uint8_t *a, const uint8_t *b, uint32_t at) {
  sum.low = (sum.low + mix16(a, at)) ^ (load_u64(b) + load_u64(b + 8));
  sum.high = (sum.high + mix16(b, at + 16)) ^ (load_u64(a) + load_u64(a + 8));
  return sum;
}
INLINE struct pair finished128(struct pair sum, uint64_t n) {
  return (struct pair){avalanche(sum.low + sum.high), 0 - avalanche(sum.low * P1 + sum.high * P4 + n * P2)};
}

static struct pair tiny128(const uint8_t *data, uint32_t n) {
  if (n == 0) return (struct pair){xxh64_avalanche(flip(64)), xxh64_avalanche(flip(80))};
  if (n < 4) {
    const uint32_t low = word_of(data, n), swapped = __builtin_bswap32(low), high = swapped << 13 | swapped >> 19;
    return (struct pair){xxh64_avalanche(low ^ flip32(0)), xxh64_avalanche(high ^ flip32(8))};
  }
  if (n <= 8) {
    const uint64_t keyed = (load_u32(data) + ((uint64_t)load_u32(data + n - 4) << 32)) ^ flip(16);
    struct pair m = product(keyed, P1 + (n << 2));
    m.high += m.low << 1;
    m.low ^= m.high >> 3;
    m.low = (m.low ^ (m.low >> 35)) * MIX_2;
    m.low ^= m.low >> 28;
    m.high = avalanche(m.high);
    return m;
  }
  const uint64_t low = load_u64(data), tail = load_u64(data + n - 8), high = tail ^ flip(48);
  struct pair m = product(low ^ tail ^ flip(32), P1);
  m.low += (uint64_t)(n - 1) << 54;
  m.high += high + (uint64_t)(uint32_t)high * (P32_2 - 1);
  m.low ^= __builtin_bswap64(m.high);
  struct pair h = product(m.low, P2);
  h.high += m.high * P2;
  return (struct pair){avalanche(h.low), avalanche(h.high)};
}

static struct pair short128(const uint8_t *data, uint32_t n) {
  if (n <= 16) return tiny128(data, n);
  struct pair sum = {n * P1, 0};
  if (n <= 128) {
    for (uint32_t i = (n - 1) / 32 + 1; i-- > 0;) sum = mix32(sum, data + 16 * i, data + n - 16 * (i + 1), 32 * i);
    return finished128(sum, n);
  }
  for (uint32_t i = 32; i < 160; i += 32) sum = mix32(sum, data + i - 32, data + i - 16, i - 32);
  sum = (struct pair){avalanche(sum.low), avalanche(sum.high)};
  for (uint32_t i = 160; i <= n; i += 32) sum = mix32(sum, data + i - 32, data + i - 16, 3 + i - 160);
  return finished128(mix32(sum, data + n - 16, data + n - 32, 103), n);
}

void xxh3_start(struct xxh3 *s) {
  static const uint64_t start[8] = {P32_3, P1, P2, P3, P4, P32_2, P5, P32_1};
  memcpy(s->sums, start, sizeof start);
}

static void accumulate(uint64_t sums[8], const uint8_t *data, uint32_t at) {
  for (uint32_t i = 0; i < 8; i++) {
    const uint64_t value = load_u64(data + 8 * i), key = value ^ load_u64(SECRET + at + 8 * i);
    sums[i ^ 1] += value;
    sums[i] += (uint64_t)(uint32_t)key * (key >> 32);
  }
}

/* Stripes that are not the last one. */
static void stripes(struct xxh3 *s, const uint8_t *data, size_t count) {
  for (; count; count--, data += STRIPE) {
    accumulate(s->sums, data, 8 * s->stripes);
    if (++s->stripes < BLOCK_STRIPES) continue;
    s->stripes = 0;
    for (uint32_t i = 0; i < 8; i++) s->sums[i] = (s->sums[i] ^ (s->sums[i] >> 47) ^ load_u64(SECRET + 128 + 8 * i)) * P32_1;
  }
}

/* At least one byte stays in the buffer, whose end holds the stripe before it: the last stripe may begin there. */
void xxh3_update(struct xxh3 *s, const uint8_t *data, size_t bytes) {
  while (bytes) {
    if (s->buffered == XXH3_BUFFER) {
      stripes(s, s->buffer, XXH3_BUFFER / STRIPE);
      s->buffered = 0;
    }
    if (s->buffered == 0 && bytes > XXH3_BUFFER) {
      const size_t count = (bytes - 1) / STRIPE;
      stripes(s, data, count);
      data += count * STRIPE, bytes -= count * STRIPE;
      memcpy(s->buffer + XXH3_BUFFER - STRIPE, data - STRIPE, STRIPE);
    }
    const size_t room = XXH3_BUFFER - s->buffered, taken = bytes < room ? bytes : room;
    memcpy(s->buffer + s->buffered, data, taken);
    s->buffered += (uint32_t)taken;
    data += taken, bytes -= taken;
  }
}

static void finish_stripes(struct xxh3 *s) {
  const uint32_t count = (s->buffered - 1) / STRIPE;
  stripes(s, s->buffer, count);
  uint8_t last[STRIPE];
  const uint32_t own = s->buffered < STRIPE ? s->buffered : STRIPE, before = STRIPE - own;
  memcpy(last, s->buffer + XXH3_BUFFER - before, before);
  memcpy(last + before, s->buffer + s->buffered - own, own);
  accumulate(s->sums, last, SECRET_LAST);
}

static uint64_t merged(const uint64_t sums[8], uint32_t at, uint64_t start) {
  for (uint32_t i = 0; i < 8; i += 2) start += folded(sums[i] ^ load_u64(SECRET + at + 8 * i), sums[i + 1] ^ load_u64(SECRET + at + 8 * i + 8));
  return avalanche(start);
}

void xxh3_final(struct xxh3 s, uint64_t bytes, uint8_t *out8, uint8_t *out16) {
  struct pair both;
  uint64_t one;
  if (bytes <= SHORT_MAX) {
    one = short64(s.buffer, (uint32_t)bytes);
    both = short128(s.buffer, (uint32_t)bytes);
  } else {
    finish_stripes(&s);
    one = merged(s.sums, 11, bytes * P1);
    both = (struct pair){one, merged(s.sums, 117, ~(bytes * P2))};
  }
  store_be64(out8, one);
  store_be64(out16, both.high);
  store_be64(out16 + 8, both.low);
}
