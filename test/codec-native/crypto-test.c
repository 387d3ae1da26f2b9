/* crypto-test.c — AES-256-GCM, ChaCha20-Poly1305, DARE and S2 on every tier: against the portable tier (which the TypeScript tests
   hold against published values and the runtime's), at all short lengths, at guard pages, in place, and damaged. */
#include "../../src/codec/native/aead.h"
#include "../../src/codec/native/codec.h"
#include "../../src/codec/native/cpu.h"
#include "check.h"

#include <string.h>

#define PACKAGE 65536u
#define SEALED (PACKAGE + 32)
#define OUT_MAX (4 * SEALED)

static int32_t tiers[8];
static uint32_t tier_count;
static uint8_t text[3 * PACKAGE + 100], expected[OUT_MAX], out[OUT_MAX];

static void find_tiers(void) {
  for (int32_t tier = 0; tier <= TIER_AVX512_GFNI; tier++)
    if (sherd_init(tier) == tier) tiers[tier_count++] = tier;
}

/* As JavaScript lays it out. */
static void stream_of(uint64_t memory[7], uint32_t cipher) {
  uint8_t *bytes = (uint8_t *)memory;
  memset(memory, 0, SHERD_STREAM_BYTES);
  memcpy(bytes, &cipher, 4);
  for (int i = 8; i < 52; i++) bytes[i] = (uint8_t)(i * 29);
}

static void messages_at_guard_pages(void) {
  for (uint32_t cipher = 0; cipher < 2; cipher++)
    for (size_t bytes = 0; bytes < 2100; bytes += bytes < 300 ? 1 : 41) {
      uint64_t stream[7];
      stream_of(stream, cipher);
      const size_t beside = bytes % 37;
      uint8_t *plain = before_guard_page(bytes), *sealed = before_guard_page(bytes + 16), *opened = before_guard_page(bytes);
      noise_fill(plain, bytes);
      sherd_init(TIER_PORTABLE);
      sherd_aead_seal(stream, text, beside, plain, bytes, expected);
      for (uint32_t t = 0; t < tier_count; t++) {
        sherd_init(tiers[t]);
        sherd_aead_seal(stream, text, beside, plain, bytes, sealed);
        CHECK(memcmp(sealed, expected, bytes + 16) == 0);
        CHECK(sherd_aead_open(stream, text, beside, sealed, bytes + 16, opened) == 1);
        CHECK(memcmp(opened, plain, bytes) == 0);
        sealed[noise_below((uint32_t)bytes + 16)] ^= (uint8_t)(1 + noise_below(255));
        CHECK(sherd_aead_open(stream, text, beside, sealed, bytes + 16, opened) == 0);
      }
      release_all_guarded();
    }
}

static void packages_in_place(void) {
  static const size_t sizes[] = {1, 100, PACKAGE - 1, PACKAGE, PACKAGE + 1, 2 * PACKAGE, 3 * PACKAGE + 77};
  for (uint32_t cipher = 0; cipher < 2; cipher++)
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
      const size_t bytes = sizes[i], sealed = bytes + (bytes + PACKAGE - 1) / PACKAGE * 32;
      uint64_t stream[7];
      stream_of(stream, cipher);
      sherd_init(TIER_PORTABLE);
      sherd_dare_seal(stream, text, bytes, expected, 0, 1);
      for (uint32_t t = 0; t < tier_count; t++) {
        sherd_init(tiers[t]);
        sherd_dare_seal(stream, text, bytes, out, 0, 1);
        CHECK(memcmp(out, expected, sealed) == 0);
        uint64_t reader[7];
        stream_of(reader, 0);
        CHECK(sherd_dare_open(reader, out, sealed, out, 0, 1) == 0);
        CHECK(memcmp(out, text, bytes) == 0);
        memcpy(out, expected, sealed);
        out[noise_below((uint32_t)sealed)] ^= 4;
        stream_of(reader, 0);
        CHECK(sherd_dare_open(reader, out, sealed, out, 0, 1) == -1);
      }
    }
}

/* From its third package on, and a stream that does not say that it ends. */
static void parts_of_a_stream(void) {
  uint64_t stream[7], reader[7];
  const size_t bytes = 3 * PACKAGE;
  stream_of(stream, 0);
  sherd_dare_seal(stream, text, bytes, expected, 0, 1);
  stream_of(reader, 0);
  CHECK(sherd_dare_open(reader, expected + 2 * SEALED, SEALED, out, 2, 1) == 0);
  CHECK(memcmp(out, text + 2 * PACKAGE, PACKAGE) == 0);
  stream_of(reader, 0);
  CHECK(sherd_dare_open(reader, expected + 2 * SEALED, SEALED, out, 1, 1) == -1);
  stream_of(reader, 0);
  CHECK(sherd_dare_open(reader, expected, 2 * SEALED, out, 0, 1) == -1);
  stream_of(reader, 0);
  CHECK(sherd_dare_open(reader, expected, 2 * SEALED, out, 0, 0) == 0);
  for (size_t cut = 1; cut < 40; cut++) {
    uint8_t *ends = before_guard_page(cut);
    memcpy(ends, expected, cut);
    stream_of(reader, 0);
    CHECK(sherd_dare_open(reader, ends, cut, out, 0, 1) == -1);
    release_all_guarded();
  }
}

static uint32_t crc_of_chunk(const uint8_t *chunk) {
  uint32_t crc;
  memcpy(&crc, chunk + 4, 4);
  return crc;
}

/* Text that repeats in many distances, noise, and mixtures; room and input end at guard pages. */
static void blocks_of_s2(void) {
  for (uint32_t kind = 0; kind < 4; kind++)
    for (size_t bytes = 1; bytes < 150000; bytes += bytes < 200 ? 1 : bytes / 3) {
      uint8_t *plain = before_guard_page(bytes), *chunk = before_guard_page(sherd_s2_room(bytes)), *decoded = before_guard_page(bytes);
      for (size_t i = 0; i < bytes; i++) plain[i] = kind == 0 ? (uint8_t)i / 64 : kind == 1 ? (uint8_t)("abcabcdabcde"[i % 12]) : 0;
      if (kind >= 2) noise_fill(plain, bytes);
      if (kind == 3)
        for (size_t i = bytes / 2; i + 400 < bytes; i += 500) memmove(plain + i, plain + noise_below((uint32_t)(bytes / 3 + 1)), 300);
      const int64_t size = sherd_s2_chunk(plain, bytes, chunk);
      CHECK(size > 8 && (uint64_t)size <= sherd_s2_room(bytes));
      if (chunk[0] == 1) {
        CHECK((uint64_t)size == bytes + 8 && memcmp(chunk + 8, plain, bytes) == 0);
        CHECK(sherd_s2_check(chunk + 8, bytes, crc_of_chunk(chunk)) == 1);
      } else {
        uint8_t *body = before_guard_page((size_t)size - 8);
        memcpy(body, chunk + 8, (size_t)size - 8);
        CHECK(sherd_s2_decode(body, (uint64_t)size - 8, decoded, bytes, crc_of_chunk(chunk)) == (int64_t)bytes);
        CHECK(memcmp(decoded, plain, bytes) == 0);
        CHECK(sherd_s2_decode(body, (uint64_t)size - 8, decoded, bytes - 1, crc_of_chunk(chunk)) == -1);
      }
      release_all_guarded();
    }
}

/* Whatever comes in stays inside its buffers. */
static void damaged_blocks_of_s2(void) {
  static uint8_t chunk[70000];
  for (size_t i = 0; i < 40000; i++) text[i] = (uint8_t)(i % 251 < 200 ? i % 13 : i >> 4);
  const size_t size = (size_t)sherd_s2_chunk(text, 40000, chunk) - 8;
  CHECK(chunk[0] == 0);
  const uint32_t crc = crc_of_chunk(chunk);
  uint8_t *body = before_guard_page(size), *decoded = before_guard_page(40000);
  for (uint32_t round = 0; round < 20000; round++) {
    memcpy(body, chunk + 8, size);
    for (uint32_t n = 1 + noise_below(6); n; n--) body[noise_below(round & 1 ? 64 : (uint32_t)size)] = (uint8_t)noise_below(256);
    const int64_t got = sherd_s2_decode(body, size, decoded, 40000, crc);
    CHECK(got == -1 || (got == 40000 && memcmp(decoded, text, 40000) == 0));
  }
  for (size_t bytes = 0; bytes < 12; bytes++) {
    uint8_t *few = before_guard_page(bytes);
    for (uint32_t round = 0; round < 3000; round++) {
      noise_fill(few, bytes);
      sherd_s2_decode(few, bytes, decoded, 40000, crc);
    }
  }
}

int main(void) {
  find_tiers();
  noise_fill(text, sizeof text);
  run_test("messages of every length, at guard pages", messages_at_guard_pages);
  run_test("packages, opened in place", packages_in_place);
  run_test("parts of a stream", parts_of_a_stream);
  run_test("blocks of S2 come back", blocks_of_s2);
  run_test("damaged blocks of S2 are refused", damaged_blocks_of_s2);
  return finish_tests();
}
