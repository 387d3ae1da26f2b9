/* aead.h — the pieces of AES-256-GCM and ChaCha20-Poly1305, internal to the library. Everything here takes the same time whatever
   keys and data are: no table is read at a secret index and no branch asks for a secret bit. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define AEAD_KEY_BYTES 32
#define AEAD_NONCE_BYTES 12
#define AEAD_TAG_BYTES 16
#define AES_ROUNDS 14
#define GHASH_POWERS 16

/* Round keys, as FIPS 197 numbers their bytes. */
struct aes_key {
  _Alignas(64) uint8_t round[AES_ROUNDS + 1][16];
};

/* Powers 1 to GHASH_POWERS of the hash key in POLYVAL's form (RFC 8452, appendix A), low word first. */
struct ghash_key {
  _Alignas(64) uint64_t power[GHASH_POWERS][2];
};

struct gcm_kernel {
  /* XORs bytes with the key stream that starts at `counter`; in place, or to memory that begins before `in`. */
  void (*stream)(const struct aes_key *key, const uint8_t nonce[AEAD_NONCE_BYTES], uint32_t counter, const uint8_t *in, uint8_t *out, size_t bytes);
  void (*hash)(const struct ghash_key *key, uint64_t state[2], const uint8_t *data, size_t blocks);
};
/* By tier and by what else the CPU has. */
const struct gcm_kernel *gcm_kernel_in_use(void);

/* aes-portable.c */
void aes_expand(const uint8_t key[AEAD_KEY_BYTES], struct aes_key *out);
void aes_stream_portable(const struct aes_key *key, const uint8_t nonce[AEAD_NONCE_BYTES], uint32_t counter, const uint8_t *in, uint8_t *out, size_t bytes);
/* ghash.c */
void ghash_expand(const uint8_t h[16], struct ghash_key *out);
void ghash_portable(const struct ghash_key *key, uint64_t state[2], const uint8_t *data, size_t blocks);

struct gcm_key {
  struct aes_key aes;
  struct ghash_key hash;
};
void gcm_expand(const uint8_t key[AEAD_KEY_BYTES], struct gcm_key *out);

/* What is authenticated beside the ciphertext. */
struct aad {
  const uint8_t *data;
  size_t bytes;
};
void gcm_seal(const struct gcm_key *key, const uint8_t *nonce, struct aad aad, const uint8_t *in, size_t bytes, uint8_t *out, uint8_t *tag);
/* 1 if authentic; only then `out` is written. `out` may be `in` or begin before it. */
int gcm_open(const struct gcm_key *key, const uint8_t *nonce, struct aad aad, const uint8_t *in, size_t bytes, uint8_t *out, const uint8_t *tag);

void chacha_seal(const uint8_t *key, const uint8_t *nonce, struct aad aad, const uint8_t *in, size_t bytes, uint8_t *out, uint8_t *tag);
int chacha_open(const uint8_t *key, const uint8_t *nonce, struct aad aad, const uint8_t *in, size_t bytes, uint8_t *out, const uint8_t *tag);

/* 1 if the 16 bytes are the same. */
int same_tag(const uint8_t *a, const uint8_t *b);
/* Zeros that the compiler does not leave out. */
void wipe(void *memory, size_t bytes);
