/* aes-gcm.c — AES-256-GCM of whole messages (NIST SP 800-38D, 96-bit nonces) on the kernels of gcm-kernels.c. */
#include "aead.h"

#include <string.h>

void wipe(void *memory, size_t bytes) {
  memset(memory, 0, bytes);
  __asm__ volatile("" : : "r"(memory) : "memory");
}

int same_tag(const uint8_t *a, const uint8_t *b) {
  uint8_t differences = 0;
  for (int i = 0; i < AEAD_TAG_BYTES; i++) differences |= a[i] ^ b[i];
  return differences == 0;
}

void gcm_expand(const uint8_t key[AEAD_KEY_BYTES], struct gcm_key *out) {
  uint8_t h[128] = {0};
  aes_expand(key, &out->aes);
  gcm_kernel_in_use()->stream(&out->aes, h, 0, h, h, 16); /* the block of zeros */
  ghash_expand(h, &out->hash);
  wipe(h, sizeof h);
}

static void absorb(const struct gcm_kernel *kernel, const struct ghash_key *key, uint64_t state[2], const uint8_t *data, size_t bytes) {
  const size_t whole = bytes / 16;
  kernel->hash(key, state, data, whole);
  if (bytes % 16) {
    uint8_t last[16] = {0};
    memcpy(last, data + 16 * whole, bytes % 16);
    kernel->hash(key, state, last, 1);
  }
}

static void tag_of(const struct gcm_key *key, const uint8_t *nonce, struct aad aad, const uint8_t *sealed, size_t bytes, uint8_t *tag) {
  const struct gcm_kernel *kernel = gcm_kernel_in_use();
  uint64_t state[2] = {0}, lengths[2] = {__builtin_bswap64((uint64_t)aad.bytes * 8), __builtin_bswap64((uint64_t)bytes * 8)};
  absorb(kernel, &key->hash, state, aad.data, aad.bytes);
  absorb(kernel, &key->hash, state, sealed, bytes);
  kernel->hash(&key->hash, state, (const uint8_t *)lengths, 1);
  const uint64_t big[2] = {__builtin_bswap64(state[1]), __builtin_bswap64(state[0])};
  kernel->stream(&key->aes, nonce, 1, (const uint8_t *)big, tag, AEAD_TAG_BYTES);
}

void gcm_seal(const struct gcm_key *key, const uint8_t *nonce, struct aad aad, const uint8_t *in, size_t bytes, uint8_t *out, uint8_t *tag) {
  gcm_kernel_in_use()->stream(&key->aes, nonce, 2, in, out, bytes);
  tag_of(key, nonce, aad, out, bytes, tag);
}

int gcm_open(const struct gcm_key *key, const uint8_t *nonce, struct aad aad, const uint8_t *in, size_t bytes, uint8_t *out, const uint8_t *tag) {
  uint8_t expected[AEAD_TAG_BYTES];
  tag_of(key, nonce, aad, in, bytes, expected);
  if (!same_tag(expected, tag)) return 0;
  gcm_kernel_in_use()->stream(&key->aes, nonce, 2, in, out, bytes);
  return 1;
}
