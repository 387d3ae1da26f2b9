/* s2.c — blocks of S2, the superset of Snappy that MinIO compresses with, and the chunks that carry them with a CRC-32C. Decodes what
   any encoder makes; encodes greedily, as Snappy's definition has it. Frames are put together in src/codec/s2.ts. */
#include "codec.h"
#include "digests.h"

#include <string.h>

#define HASH_BITS 15
#define LITERALS_MIN_LEFT 16 /* the end of a block is literals: matches are looked for in words */
#define MAX_TAG_COPY 64

static uint32_t masked_crc(const uint8_t *data, size_t bytes) {
  const uint32_t crc = (uint32_t)crc_value(&CRC32C, crc_update(&CRC32C, crc_start(&CRC32C), data, bytes));
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* Copies within the output; they may overlap, and then repeat what was just written. */
static void copy_back(uint8_t *to, size_t offset, size_t length) {
  const uint8_t *from = to - offset;
  if (offset >= length) memcpy(to, from, length);
  else
    for (size_t i = 0; i < length; i++) to[i] = from[i];
}

static uint32_t little(const uint8_t *p, uint32_t bytes) {
  uint32_t value = 0;
  for (uint32_t i = 0; i < bytes; i++) value |= (uint32_t)p[i] << (8 * i);
  return value;
}

/* The elements after a block's length. 1: they fill `out` exactly. */
static int decode_elements(const uint8_t *in, size_t bytes, uint8_t *out, size_t room) {
  size_t at = 0, done = 0, offset = 0;
  while (at < bytes) {
    const uint8_t tag = in[at++];
    size_t length = tag >> 2;
    if ((tag & 3) == 0) {
      if (length >= 60) {
        const uint32_t extra = (uint32_t)length - 59;
        if (bytes - at < extra) return 0;
        length = little(in + at, extra);
        at += extra;
      }
      if (length >= bytes - at || length >= room - done) return 0;
      memcpy(out + done, in + at, ++length);
      at += length;
      done += length;
      continue;
    }
    if ((tag & 3) == 1) {
      if (at == bytes) return 0;
      const size_t near = (size_t)(tag & 0xe0) << 3 | in[at++];
      length &= 7;
      if (near) offset = near;
      else if (length >= 5) { /* the offset before, and a length of its own */
        static const uint32_t more[3] = {4, 1 << 8, 1 << 16};
        const uint32_t extra = (uint32_t)length - 4;
        if (bytes - at < extra) return 0;
        length = little(in + at, extra) + more[extra - 1];
        at += extra;
      }
      length += 4;
    } else {
      const uint32_t width = (tag & 3) == 2 ? 2 : 4;
      if (bytes - at < width) return 0;
      offset = little(in + at, width);
      at += width;
      length++;
    }
    if (offset == 0 || offset > done || length > room - done) return 0;
    copy_back(out + done, offset, length);
    done += length;
  }
  return done == room;
}

SHERD_API int64_t sherd_s2_decode(const uint8_t *in, uint64_t bytes, uint8_t *out, uint64_t room, uint32_t crc) {
  uint64_t length = 0;
  size_t at = 0;
  for (uint32_t shift = 0;; shift += 7) {
    if (at == bytes || shift > 28) return -1;
    length |= (uint64_t)(in[at] & 0x7f) << shift;
    if (!(in[at++] & 0x80)) break;
  }
  if (length > room || !decode_elements(in + at, bytes - at, out, length)) return -1;
  return masked_crc(out, length) == crc ? (int64_t)length : -1;
}

SHERD_API int32_t sherd_s2_check(const uint8_t *data, uint64_t bytes, uint32_t crc) { return masked_crc(data, bytes) == crc; }

static uint8_t *put_literals(uint8_t *out, const uint8_t *from, size_t count) {
  if (!count) return out;
  const size_t n = count - 1;
  if (n < 60) *out++ = (uint8_t)(n << 2);
  else {
    const uint32_t width = n < 1u << 8 ? 1 : n < 1u << 16 ? 2 : 3;
    *out++ = (uint8_t)((59 + width) << 2);
    for (uint32_t i = 0; i < width; i++) *out++ = (uint8_t)(n >> (8 * i));
  }
  memcpy(out, from, count);
  return out + count;
}

static uint8_t *put_copy(uint8_t *out, size_t offset, size_t length) {
  const uint32_t width = offset < 1u << 16 ? 2 : 4;
  while (length) {
    if (length <= 11 && length >= 4 && offset < 2048) {
      *out++ = (uint8_t)(1 | (length - 4) << 2 | (offset >> 8) << 5);
      *out++ = (uint8_t)offset;
      return out;
    }
    const size_t now = length < MAX_TAG_COPY ? length : MAX_TAG_COPY;
    *out++ = (uint8_t)((width == 2 ? 2 : 3) | (now - 1) << 2);
    for (uint32_t i = 0; i < width; i++) *out++ = (uint8_t)(offset >> (8 * i));
    length -= now;
  }
  return out;
}

static uint32_t slot_of(uint64_t word) { return (uint32_t)((word << 16) * UINT64_C(227718039650203) >> (64 - HASH_BITS)); }

/* The block with its length before it; `out` has room for sherd_s2_room. */
static size_t encode(const uint8_t *in, size_t bytes, uint8_t *out) {
  uint32_t table[1 << HASH_BITS];
  uint8_t *const start = out;
  size_t at = 1, kept = 0;
  for (size_t n = bytes; ; n >>= 7) {
    *out++ = (uint8_t)((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
    if (n <= 0x7f) break;
  }
  memset(table, 0, sizeof table);
  while (bytes > LITERALS_MIN_LEFT && at < bytes - LITERALS_MIN_LEFT) {
    const uint64_t word = load_u64(in + at);
    const uint32_t slot = slot_of(word);
    const size_t candidate = table[slot];
    table[slot] = (uint32_t)at;
    if (candidate >= at || load_u32(in + candidate) != (uint32_t)word) {
      at += 1 + ((at - kept) >> 6); /* what does not match is passed over faster and faster */
      continue;
    }
    out = put_literals(out, in + kept, at - kept);
    size_t length = 4;
    while (at + length + 8 <= bytes) {
      const uint64_t differs = load_u64(in + at + length) ^ load_u64(in + candidate + length);
      if (differs) {
        length += (size_t)__builtin_ctzll(differs) >> 3;
        break;
      }
      length += 8;
    }
    out = put_copy(out, at - candidate, length);
    at += length;
    kept = at;
    if (at < bytes - LITERALS_MIN_LEFT) table[slot_of(load_u64(in + at - 2))] = (uint32_t)at - 2;
  }
  return (size_t)(put_literals(out, in + kept, bytes - kept) - start);
}

SHERD_API uint64_t sherd_s2_room(uint64_t bytes) { return 8 + 4 + bytes + bytes / 6 + 64; }

SHERD_API int64_t sherd_s2_chunk(const uint8_t *in, uint64_t bytes, uint8_t *out) {
  const uint32_t crc = masked_crc(in, bytes);
  size_t body = encode(in, bytes, out + 8);
  const int stored = body + bytes / 32 >= bytes; /* gains next to nothing */
  if (stored) memcpy(out + 8, in, body = bytes);
  const uint32_t length = (uint32_t)body + 4;
  out[0] = (uint8_t)stored;
  for (int i = 0; i < 3; i++) out[1 + i] = (uint8_t)(length >> (8 * i));
  memcpy(out + 4, &crc, 4);
  return (int64_t)(body + 8);
}
