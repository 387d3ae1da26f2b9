/* dare.c — messages (sherd_aead_*) and MinIO's encrypted streams, DARE 2.0 and for reading 1.0 (on-disk-format.md §5.13): packages of
   up to 64 KiB, each with 16 bytes of header before and 16 of tag behind it. A package is authentic at its place only: its
   number is in its nonce, and the last one says that it is the last. */
#include "aead.h"
#include "codec.h"

#include <string.h>

#define PAYLOAD_MAX 65536u
#define HEADER_BYTES 16u
#define OVERHEAD (HEADER_BYTES + AEAD_TAG_BYTES)
#define VERSION_1 0x10
#define VERSION_2 0x20
#define FINAL 0x80

/* As JavaScript lays it out (src/codec/dare.ts). */
struct stream {
  uint32_t cipher, known; /* known: the nonce, version and cipher are those of the stream's first package seen */
  uint8_t key[AEAD_KEY_BYTES];
  uint8_t nonce[AEAD_NONCE_BYTES];
  uint32_t version;
};
_Static_assert(sizeof(struct stream) == SHERD_STREAM_BYTES, "JavaScript reserves so much");

SHERD_API int32_t sherd_aead_seal(const void *stream, const uint8_t *aad, uint64_t aad_bytes, const uint8_t *in, uint64_t bytes, uint8_t *out) {
  const struct stream *s = stream;
  const struct aad beside = {aad, aad_bytes};
  if (s->cipher == SHERD_CHACHA20_POLY1305) {
    chacha_seal(s->key, s->nonce, beside, in, bytes, out, out + bytes);
    return 0;
  }
  struct gcm_key key;
  gcm_expand(s->key, &key);
  gcm_seal(&key, s->nonce, beside, in, bytes, out, out + bytes);
  wipe(&key, sizeof key);
  return 0;
}

SHERD_API int32_t sherd_aead_open(const void *stream, const uint8_t *aad, uint64_t aad_bytes, const uint8_t *in, uint64_t bytes, uint8_t *out) {
  const struct stream *s = stream;
  const struct aad beside = {aad, aad_bytes};
  if (bytes < AEAD_TAG_BYTES) return 0;
  bytes -= AEAD_TAG_BYTES;
  if (s->cipher == SHERD_CHACHA20_POLY1305) return chacha_open(s->key, s->nonce, beside, in, bytes, out, in + bytes);
  struct gcm_key key;
  gcm_expand(s->key, &key);
  const int good = gcm_open(&key, s->nonce, beside, in, bytes, out, in + bytes);
  wipe(&key, sizeof key);
  return good;
}

/* The last four bytes of the nonce, changed by the package's number. */
static void number_nonce(const uint8_t *nonce, uint32_t number, uint8_t out[AEAD_NONCE_BYTES]) {
  uint32_t last;
  memcpy(&last, nonce + 8, 4);
  last ^= number;
  memmove(out, nonce, 8);
  memcpy(out + 8, &last, 4);
}

SHERD_API int32_t sherd_dare_seal(const void *stream, const uint8_t *in, uint64_t bytes, uint8_t *out, uint32_t first, uint32_t is_last) {
  const struct stream *s = stream;
  struct gcm_key key;
  if (s->cipher == SHERD_AES_256_GCM) gcm_expand(s->key, &key);
  for (uint32_t number = first; bytes; number++) {
    const uint32_t now = bytes < PAYLOAD_MAX ? (uint32_t)bytes : PAYLOAD_MAX;
    uint8_t nonce[AEAD_NONCE_BYTES];
    bytes -= now;
    out[0] = VERSION_2;
    out[1] = (uint8_t)s->cipher;
    out[2] = (uint8_t)(now - 1);
    out[3] = (uint8_t)((now - 1) >> 8);
    memcpy(out + 4, s->nonce, AEAD_NONCE_BYTES);
    out[4] = (uint8_t)((out[4] & ~FINAL) | (is_last && !bytes ? FINAL : 0));
    number_nonce(out + 4, number, nonce);
    const struct aad header = {out, 4};
    uint8_t *sealed = out + HEADER_BYTES;
    if (s->cipher == SHERD_AES_256_GCM) gcm_seal(&key, nonce, header, in, now, sealed, sealed + now);
    else chacha_seal(s->key, nonce, header, in, now, sealed, sealed + now);
    in += now;
    out = sealed + now + AEAD_TAG_BYTES;
  }
  wipe(&key, sizeof key);
  return 0;
}

/* Is the header of package `number` one that the stream may have there? */
static int header_fits(struct stream *s, const uint8_t *header, uint32_t number, uint32_t payload, int final) {
  uint8_t nonce[AEAD_NONCE_BYTES];
  memcpy(nonce, header + 4, AEAD_NONCE_BYTES);
  if (header[0] == VERSION_2) {
    if ((nonce[0] & FINAL) != (final ? FINAL : 0)) return 0;
    nonce[0] = (uint8_t)(nonce[0] & ~FINAL);
  } else if (header[0] != VERSION_1 || memcmp(nonce, &number, 4) != 0) return 0;
  if (header[1] > SHERD_CHACHA20_POLY1305 || (uint32_t)(header[2] | header[3] << 8) + 1 != payload) return 0;
  if (!s->known) {
    s->known = 1;
    s->version = header[0];
    s->cipher = header[1];
    memcpy(s->nonce, nonce, AEAD_NONCE_BYTES);
  }
  if (s->version != header[0] || s->cipher != header[1]) return 0;
  return header[0] == VERSION_1 || memcmp(s->nonce, nonce, AEAD_NONCE_BYTES) == 0;
}

SHERD_API int32_t sherd_dare_open(void *stream, const uint8_t *in, uint64_t bytes, uint8_t *out, uint32_t first, uint32_t is_last) {
  struct stream *s = stream;
  struct gcm_key key;
  int expanded = 0, bad = 0;
  for (uint32_t number = first; bytes && !bad; number++) {
    const uint32_t whole = bytes < PAYLOAD_MAX + OVERHEAD ? (uint32_t)bytes : PAYLOAD_MAX + OVERHEAD;
    const uint32_t payload = whole - OVERHEAD; /* wraps where there is not a whole package: then it does not fit */
    bytes -= whole;
    uint8_t header[HEADER_BYTES] = {0}, nonce[AEAD_NONCE_BYTES];
    bad = 1;
    if (whole <= OVERHEAD) break;
    memcpy(header, in, HEADER_BYTES);
    if (!header_fits(s, header, number, payload, is_last && !bytes)) break;
    if (header[0] == VERSION_1) memcpy(nonce, header + 4, AEAD_NONCE_BYTES);
    else number_nonce(header + 4, number, nonce);
    const struct aad beside = {header, 4};
    const uint8_t *sealed = in + HEADER_BYTES;
    if (s->cipher == SHERD_CHACHA20_POLY1305) bad = !chacha_open(s->key, nonce, beside, sealed, payload, out, sealed + payload);
    else {
      if (!expanded) gcm_expand(s->key, &key);
      expanded = 1;
      bad = !gcm_open(&key, nonce, beside, sealed, payload, out, sealed + payload);
    }
    in += whole;
    out += payload;
  }
  if (expanded) wipe(&key, sizeof key);
  return bad ? -1 : 0;
}
