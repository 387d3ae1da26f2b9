/* ghash.c — GHASH as POLYVAL (RFC 8452, appendix A): bytes of blocks reversed, the key multiplied by x once, then products
   a b x^-128. Owns the powers of the key and the form for CPUs without carry-less multiplication, by ordinary ones on every
   fourth bit, so that carries fall where they are masked off. */
#include "aead.h"
#include "cpu.h"

#include <string.h>

#define FOURTH UINT64_C(0x1111111111111111)
#define REDUCTION UINT64_C(0xc200000000000000)

/* Low 64 bits of the carry-less product. */
INLINE uint64_t multiply_low(uint64_t a, uint64_t b) {
  uint64_t x[4], y[4], product = 0;
  UNROLL for (int i = 0; i < 4; i++) {
    x[i] = a & FOURTH << i;
    y[i] = b & FOURTH << i;
  }
  UNROLL for (int k = 0; k < 4; k++) {
    uint64_t sum = 0;
    UNROLL for (int i = 0; i < 4; i++) sum ^= x[i] * y[(k - i) & 3];
    product |= sum & FOURTH << k;
  }
  return product;
}

INLINE uint64_t reverse_bits(uint64_t a) {
  a = (a >> 1 & UINT64_C(0x5555555555555555)) | (a & UINT64_C(0x5555555555555555)) << 1;
  a = (a >> 2 & UINT64_C(0x3333333333333333)) | (a & UINT64_C(0x3333333333333333)) << 2;
  a = (a >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (a & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
  return __builtin_bswap64(a);
}

struct product { uint64_t low, high; };

INLINE struct product multiply(uint64_t a, uint64_t b) {
  return (struct product){multiply_low(a, b), reverse_bits(multiply_low(reverse_bits(a), reverse_bits(b))) >> 1};
}

/* a <- a b x^-128, by Montgomery's way. */
static void dot(uint64_t a[2], const uint64_t b[2]) {
  const struct product low = multiply(a[0], b[0]), high = multiply(a[1], b[1]), both = multiply(a[0] ^ a[1], b[0] ^ b[1]);
  const struct product middle = {both.low ^ low.low ^ high.low, both.high ^ low.high ^ high.high};
  uint64_t x0 = low.low, x1 = low.high ^ middle.low, x2 = high.low ^ middle.high, x3 = high.high;
  for (int i = 0; i < 2; i++) {
    const struct product folded = multiply(x0, REDUCTION);
    const uint64_t next = x1 ^ folded.low;
    x1 = x0 ^ folded.high;
    x0 = next;
  }
  a[0] = x0 ^ x2;
  a[1] = x1 ^ x3;
}

void ghash_expand(const uint8_t h[16], struct ghash_key *out) {
  uint64_t high, low;
  memcpy(&high, h, 8);
  memcpy(&low, h + 8, 8);
  high = __builtin_bswap64(high);
  low = __builtin_bswap64(low);
  const uint64_t carry = -(high >> 63);
  out->power[0][1] = (high << 1 | low >> 63) ^ (carry & REDUCTION);
  out->power[0][0] = low << 1 ^ (carry & 1);
  for (int i = 1; i < GHASH_POWERS; i++) {
    memcpy(out->power[i], out->power[i - 1], 16);
    dot(out->power[i], out->power[0]);
  }
}

void ghash_portable(const struct ghash_key *key, uint64_t state[2], const uint8_t *data, size_t blocks) {
  for (; blocks; blocks--, data += 16) {
    uint64_t high, low;
    memcpy(&high, data, 8);
    memcpy(&low, data + 8, 8);
    state[0] ^= __builtin_bswap64(low);
    state[1] ^= __builtin_bswap64(high);
    dot(state, key->power[0]);
  }
}
