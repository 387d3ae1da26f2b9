/* aes-portable.c — AES-256 without tables, eight blocks side by side: bit i of all bytes of all blocks is one 128-bit vector
   ("plane"; byte p of it holds that bit of byte p, one block a bit). Owns the key schedule, which every tier uses, and the
   counter mode of CPUs without AES instructions. FIPS 197; the S-box by inversion in GF(((2^2)^2)^2), whose basis change was
   computed with w^2 = w + 1, y^2 = y + w, z^2 = z + 8 and x -> 122. */
#include "aead.h"
#include "cpu.h"

#include <string.h>

typedef uint8_t plane __attribute__((vector_size(16)));
struct pair { plane low, high; };
struct four { struct pair low, high; };

INLINE struct pair add2(struct pair a, struct pair b) { return (struct pair){a.low ^ b.low, a.high ^ b.high}; }
INLINE struct four add4(struct four a, struct four b) { return (struct four){add2(a.low, b.low), add2(a.high, b.high)}; }

INLINE struct pair multiply2(struct pair a, struct pair b) {
  const plane low = a.low & b.low;
  return (struct pair){low ^ (a.high & b.high), ((a.low ^ a.high) & (b.low ^ b.high)) ^ low};
}
INLINE struct pair times_w(struct pair a) { return (struct pair){a.high, a.low ^ a.high}; }
/* In GF(4) it is the inverse too. */
INLINE struct pair square2(struct pair a) { return (struct pair){a.low ^ a.high, a.high}; }

INLINE struct four multiply4(struct four a, struct four b) {
  const struct pair low = multiply2(a.low, b.low), high = multiply2(a.high, b.high);
  return (struct four){add2(low, times_w(high)), add2(multiply2(add2(a.low, a.high), add2(b.low, b.high)), low)};
}
INLINE struct four square_times_8(struct four a) {
  const plane a0 = a.low.low, a1 = a.low.high, a2 = a.high.low, a3 = a.high.high;
  return (struct four){{a2, a2 ^ a3}, {a1 ^ a2 ^ a3, a0 ^ a3}};
}
INLINE struct four invert4(struct four a) {
  const struct pair sum = add2(a.low, a.high);
  const struct pair norm = square2(add2(multiply2(sum, a.low), times_w(square2(a.high))));
  return (struct four){multiply2(sum, norm), multiply2(a.high, norm)};
}

/* SubBytes. */
INLINE void substitute(plane x[8]) {
  const struct four low = {{x[0] ^ x[2], x[1] ^ x[6] ^ x[7]}, {x[2] ^ x[5], x[1] ^ x[3] ^ x[6] ^ x[7]}};
  const struct four high = {{x[1] ^ x[5] ^ x[7], x[1] ^ x[4] ^ x[5] ^ x[6]}, {x[1] ^ x[2] ^ x[3] ^ x[4] ^ x[5] ^ x[6], x[5] ^ x[7]}};
  const struct four sum = add4(low, high);
  const struct four norm = invert4(add4(multiply4(sum, low), square_times_8(high)));
  const struct four l = multiply4(sum, norm), h = multiply4(high, norm);
  const plane t0 = l.low.low, t1 = l.low.high, t2 = l.high.low, t3 = l.high.high;
  const plane t4 = h.low.low, t5 = h.low.high, t6 = h.high.low, t7 = h.high.high;
  x[0] = ~(t0 ^ t2 ^ t4 ^ t5);
  x[1] = ~(t0 ^ t1 ^ t2);
  x[2] = t0 ^ t1;
  x[3] = t0 ^ t2 ^ t4 ^ t5 ^ t6;
  x[4] = t0 ^ t3 ^ t4 ^ t5;
  x[5] = ~(t2 ^ t3 ^ t4 ^ t5);
  x[6] = ~(t4 ^ t6 ^ t7);
  x[7] = t2 ^ t4 ^ t6;
}

INLINE void shift_rows(plane x[8]) {
  UNROLL for (int i = 0; i < 8; i++)
    x[i] = __builtin_shufflevector(x[i], x[i], 0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11);
}

/* b = 2 (a + next) + next + (a + next) two rows on. */
INLINE void mix_columns(plane x[8]) {
  plane next[8], sum[8];
  UNROLL for (int i = 0; i < 8; i++) {
    next[i] = __builtin_shufflevector(x[i], x[i], 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
    sum[i] = x[i] ^ next[i];
  }
  UNROLL for (int i = 0; i < 8; i++) {
    plane doubled = sum[(i + 7) & 7];
    if (i == 1 || i == 3 || i == 4) doubled ^= sum[7];
    x[i] = doubled ^ next[i] ^ __builtin_shufflevector(sum[i], sum[i], 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  }
}

#define SWAP_BITS(a, b, mask, shift)                      \
  do {                                                    \
    const plane moved = (((a) >> (shift)) ^ (b)) & (mask); \
    (b) ^= moved;                                         \
    (a) ^= moved << (shift);                              \
  } while (0)

/* Eight blocks to eight planes, and back: in each byte position an 8 x 8 matrix of bits is turned over. */
INLINE void turn_over(plane x[8]) {
  const plane ones = (plane){0} + 1, odd = ones * 0x55, two = ones * 0x33, four = ones * 0x0f;
  UNROLL for (int i = 0; i < 8; i += 2) SWAP_BITS(x[i], x[i + 1], odd, 1);
  UNROLL for (int i = 0; i < 8; i++)
    if (!(i & 2)) SWAP_BITS(x[i], x[i + 2], two, 2);
  UNROLL for (int i = 0; i < 4; i++) SWAP_BITS(x[i], x[i + 4], four, 4);
}

static void planes_of_key(const uint8_t round[16], plane out[8]) {
  plane bytes;
  memcpy(&bytes, round, sizeof bytes);
  for (int i = 0; i < 8; i++) out[i] = -((bytes >> i) & 1);
}

static void encrypt_8(plane x[8], plane round[AES_ROUNDS + 1][8]) {
  turn_over(x);
  for (int i = 0; i < 8; i++) x[i] ^= round[0][i];
  for (int r = 1; r <= AES_ROUNDS; r++) {
    substitute(x);
    shift_rows(x);
    if (r < AES_ROUNDS) mix_columns(x);
    for (int i = 0; i < 8; i++) x[i] ^= round[r][i];
  }
  turn_over(x);
}

static void substitute_word(uint8_t word[4]) {
  plane x[8] = {{0}}, bytes = {0};
  memcpy(&bytes, word, 4);
  for (int i = 0; i < 8; i++) x[i] = (bytes >> i) & 1;
  substitute(x);
  bytes = (plane){0};
  for (int i = 0; i < 8; i++) bytes |= (x[i] & 1) << i;
  memcpy(word, &bytes, 4);
  wipe(x, sizeof x);
}

void aes_expand(const uint8_t key[AEAD_KEY_BYTES], struct aes_key *out) {
  uint8_t *words = &out->round[0][0], constant = 1;
  memcpy(words, key, AEAD_KEY_BYTES);
  for (int i = 8; i < 4 * (AES_ROUNDS + 1); i++) {
    uint8_t word[4];
    memcpy(word, words + 4 * (i - 1), 4);
    if (i % 8 == 0) {
      const uint8_t first = word[0];
      memmove(word, word + 1, 3);
      word[3] = first;
      substitute_word(word);
      word[0] ^= constant;
      constant = (uint8_t)(constant << 1);
    } else if (i % 8 == 4) substitute_word(word);
    for (int j = 0; j < 4; j++) words[4 * i + j] = words[4 * (i - 8) + j] ^ word[j];
  }
}

void aes_stream_portable(const struct aes_key *key, const uint8_t nonce[AEAD_NONCE_BYTES], uint32_t counter, const uint8_t *in, uint8_t *out, size_t bytes) {
  plane round[AES_ROUNDS + 1][8], x[8];
  for (int r = 0; r <= AES_ROUNDS; r++) planes_of_key(key->round[r], round[r]);
  while (bytes) {
    uint8_t blocks[128];
    for (int j = 0; j < 8; j++, counter++) {
      const uint32_t big = __builtin_bswap32(counter);
      memcpy(blocks + 16 * j, nonce, AEAD_NONCE_BYTES);
      memcpy(blocks + 16 * j + AEAD_NONCE_BYTES, &big, 4);
    }
    memcpy(x, blocks, sizeof x);
    encrypt_8(x, round);
    memcpy(blocks, x, sizeof x);
    const size_t now = bytes < sizeof blocks ? bytes : sizeof blocks;
    for (size_t i = 0; i < now; i++) blocks[i] ^= in[i];
    memcpy(out, blocks, now);
    in += now;
    out += now;
    bytes -= now;
  }
  wipe(round, sizeof round);
  wipe(x, sizeof x);
}
