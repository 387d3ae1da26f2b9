/* chacha20-poly1305.c — RFC 8439: what MinIO encrypts with on CPUs without AES instructions. ChaCha20 in the compiler's vectors, as
   many blocks as the tier's registers hold; Poly1305 in 44-bit limbs. */
#include "aead.h"
#include "cpu.h"

#include <string.h>

#define CHACHA_NAME stream_portable
#define CHACHA_WIDTH 4
#include "chacha20-lanes.inc"

#if defined(__x86_64__)
TARGET_BEGIN("avx2")
#define CHACHA_NAME stream_avx2
#define CHACHA_WIDTH 8
#include "chacha20-lanes.inc"
TARGET_END
TARGET_BEGIN("avx2,avx512f,avx512vl,avx512bw,avx512dq")
#define CHACHA_NAME stream_avx512
#define CHACHA_WIDTH 16
#include "chacha20-lanes.inc"
TARGET_END
#endif

static void stream(const uint8_t *key, const uint8_t *nonce, uint32_t counter, const uint8_t *in, uint8_t *out, size_t bytes) {
  uint32_t input[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  memcpy(input + 4, key, AEAD_KEY_BYTES);
  input[12] = counter;
  memcpy(input + 13, nonce, AEAD_NONCE_BYTES);
  switch (tier_in_use()) {
#if defined(__x86_64__)
    case TIER_AVX2:
    case TIER_AVX2_GFNI: stream_avx2(input, in, out, bytes); break;
    case TIER_AVX512_GFNI: stream_avx512(input, in, out, bytes); break;
#endif
    default: stream_portable(input, in, out, bytes);
  }
  wipe(input, sizeof input);
}

/* ---- Poly1305: a number below 2^130 in limbs of 44, 44 and 42 bits -------------------------------------------------------- */

#define LIMB UINT64_C(0xfffffffffff)
#define TOP_LIMB UINT64_C(0x3ffffffffff)
typedef unsigned __int128 wide;

struct poly {
  uint64_t r[3], times_20[3], h[3];
};

static uint64_t word_at(const uint8_t *from) {
  uint64_t word;
  memcpy(&word, from, 8);
  return word;
}

static void poly_begin(struct poly *p, const uint8_t key[16]) {
  const uint64_t low = word_at(key) & UINT64_C(0x0ffffffc0fffffff), high = word_at(key + 8) & UINT64_C(0x0ffffffc0ffffffc);
  p->r[0] = low & LIMB;
  p->r[1] = (low >> 44 | high << 20) & LIMB;
  p->r[2] = high >> 24;
  for (int i = 0; i < 3; i++) {
    p->times_20[i] = p->r[i] * 20; /* 5 for 2^130, 4 because the top limb is two bits shorter */
    p->h[i] = 0;
  }
}

/* h = (h + block) r; all blocks have 16 bytes and a one above them (the last one of a field is padded with zeros). */
static void poly_add(struct poly *p, const uint8_t *data, size_t bytes) {
  uint64_t h0 = p->h[0], h1 = p->h[1], h2 = p->h[2];
  const uint64_t r0 = p->r[0], r1 = p->r[1], r2 = p->r[2], s1 = p->times_20[1], s2 = p->times_20[2];
  while (bytes) {
    uint8_t last[16] = {0};
    const size_t now = bytes < 16 ? bytes : 16;
    if (now < 16) {
      memcpy(last, data, now);
      data = last;
    }
    const uint64_t low = word_at(data), high = word_at(data + 8);
    h0 += low & LIMB;
    h1 += (low >> 44 | high << 20) & LIMB;
    h2 += high >> 24 | UINT64_C(1) << 40;
    const wide d0 = (wide)h0 * r0 + (wide)h1 * s2 + (wide)h2 * s1;
    const wide d1 = (wide)h0 * r1 + (wide)h1 * r0 + (wide)h2 * s2 + (uint64_t)(d0 >> 44);
    const wide d2 = (wide)h0 * r2 + (wide)h1 * r1 + (wide)h2 * r0 + (uint64_t)(d1 >> 44);
    h0 = ((uint64_t)d0 & LIMB) + (uint64_t)(d2 >> 42) * 5;
    h1 = ((uint64_t)d1 & LIMB) + (h0 >> 44);
    h0 &= LIMB;
    h2 = (uint64_t)d2 & TOP_LIMB;
    data += now;
    bytes -= now;
  }
  p->h[0] = h0;
  p->h[1] = h1;
  p->h[2] = h2;
}

static void poly_end(struct poly *p, const uint8_t addend[16], uint8_t *tag) {
  uint64_t h0 = p->h[0], h1 = p->h[1], h2 = p->h[2];
  for (int i = 0; i < 2; i++) {
    h2 += h1 >> 44, h1 &= LIMB;
    h0 += (h2 >> 42) * 5, h2 &= TOP_LIMB;
    h1 += h0 >> 44, h0 &= LIMB;
  }
  h2 += h1 >> 44, h1 &= LIMB;
  /* minus 2^130 - 5, if that is not negative */
  uint64_t g0 = h0 + 5, g1 = h1 + (g0 >> 44), g2 = h2 + (g1 >> 44) - (UINT64_C(1) << 42);
  const uint64_t keep = -(g2 >> 63);
  h0 = (h0 & keep) | (g0 & LIMB & ~keep);
  h1 = (h1 & keep) | (g1 & LIMB & ~keep);
  h2 = (h2 & keep) | (g2 & ~keep);
  const wide sum = ((wide)(h1 >> 20 | h2 << 24) << 64 | (h0 | h1 << 44)) + ((wide)word_at(addend + 8) << 64 | word_at(addend));
  const uint64_t out[2] = {(uint64_t)sum, (uint64_t)(sum >> 64)};
  memcpy(tag, out, AEAD_TAG_BYTES);
  wipe(p, sizeof *p);
}

static void tag_of(const uint8_t *key, const uint8_t *nonce, struct aad aad, const uint8_t *sealed, size_t bytes, uint8_t *tag) {
  uint8_t once[AEAD_KEY_BYTES] = {0};
  const uint64_t lengths[2] = {aad.bytes, bytes};
  struct poly p;
  stream(key, nonce, 0, once, once, sizeof once);
  poly_begin(&p, once);
  poly_add(&p, aad.data, aad.bytes);
  poly_add(&p, sealed, bytes);
  poly_add(&p, (const uint8_t *)lengths, sizeof lengths);
  poly_end(&p, once + 16, tag);
  wipe(once, sizeof once);
}

void chacha_seal(const uint8_t *key, const uint8_t *nonce, struct aad aad, const uint8_t *in, size_t bytes, uint8_t *out, uint8_t *tag) {
  stream(key, nonce, 1, in, out, bytes);
  tag_of(key, nonce, aad, out, bytes, tag);
}

int chacha_open(const uint8_t *key, const uint8_t *nonce, struct aad aad, const uint8_t *in, size_t bytes, uint8_t *out, const uint8_t *tag) {
  uint8_t expected[AEAD_TAG_BYTES];
  tag_of(key, nonce, aad, in, bytes, expected);
  if (!same_tag(expected, tag)) return 0;
  stream(key, nonce, 1, in, out, bytes);
  return 1;
}
