/* digest-test.c — every digest on every tier: against the portable tier (which the self-test and the TypeScript tests hold
   against published values), on all short lengths, in any chunks, of many streams at once, with data at guard pages. */
#include "../../src/codec/native/codec.h"
#include "../../src/codec/native/cpu.h"
#include "../../src/codec/native/digests.h"
#include "check.h"

#include <string.h>

#define OUT_BYTES (2 * 96) /* those of sherd_digest_final, then those of sherd_digest_final_more */
#define STATE_BYTES 1024
#define ALL_FLAGS 1023u
#define STREAMS_MAX 40
#define LONG_BYTES 20000

/* As JavaScript has it: memory of its own, aligned for uint64. */
typedef struct {
  uint64_t words[STATE_BYTES / 8];
} state_memory;

static int32_t tiers[8];
static uint32_t tier_count;
static uint8_t text[LONG_BYTES];

static void find_tiers(void) {
  for (int32_t tier = 0; tier <= TIER_AVX512_GFNI; tier++)
    if (sherd_init(tier) == tier) tiers[tier_count++] = tier;
}

static void final_of(const state_memory *state, uint8_t out[OUT_BYTES]) {
  sherd_digest_final(state, out);
  sherd_digest_final_more(state, out + 96);
}

static void digest_of(const uint8_t *data, size_t bytes, uint32_t flags, uint8_t out[OUT_BYTES]) {
  state_memory state;
  sherd_digest_init(&state, flags);
  sherd_digest_update(&state, data, bytes);
  final_of(&state, out);
}

static void portable_digest_of(const uint8_t *data, size_t bytes, uint32_t flags, uint8_t out[OUT_BYTES]) {
  const int32_t tier = sherd_tier();
  sherd_init(TIER_PORTABLE);
  digest_of(data, bytes, flags, out);
  sherd_init(tier);
}

static void lengths_at_guard_pages(void) {
  for (size_t bytes = 0; bytes < 2600; bytes += bytes < 700 ? 1 : 61) {
    uint8_t *ends = before_guard_page(bytes), *begins = after_guard_page(bytes), expected[OUT_BYTES], out[OUT_BYTES];
    noise_fill(ends, bytes);
    memcpy(begins, ends, bytes);
    portable_digest_of(ends, bytes, ALL_FLAGS, expected);
    for (uint32_t t = 0; t < tier_count; t++) {
      sherd_init(tiers[t]);
      digest_of(ends, bytes, ALL_FLAGS, out);
      CHECK(memcmp(out, expected, sizeof out) == 0);
      digest_of(begins, bytes, ALL_FLAGS, out);
      CHECK(memcmp(out, expected, sizeof out) == 0);
    }
    release_all_guarded();
  }
}

/* Digests that were not asked for are zeros; those that were do not depend on which others were. */
static void every_set_of_digests(void) {
  static const struct { uint32_t flag, at, bytes; } place[] = {
      {DIGEST_SHA256, 0, 32}, {DIGEST_MD5, 32, 16}, {DIGEST_SHA1, 48, 20}, {DIGEST_CRC32, 68, 4}, {DIGEST_CRC32C, 72, 4}, {DIGEST_CRC64NVME, 76, 8},
      {DIGEST_SHA512, 96, 64}, {DIGEST_XXHASH64, 160, 8}, {DIGEST_XXHASH3, 168, 8}, {DIGEST_XXHASH128, 176, 16},
  };
  uint8_t all[OUT_BYTES], expected[OUT_BYTES], out[OUT_BYTES];
  portable_digest_of(text, 777, ALL_FLAGS, all);
  for (uint32_t t = 0; t < tier_count; t++) {
    sherd_init(tiers[t]);
    for (uint32_t flags = 0; flags <= ALL_FLAGS; flags++) {
      memset(expected, 0, sizeof expected);
      for (uint32_t i = 0; i < sizeof place / sizeof place[0]; i++)
        if (flags & place[i].flag) memcpy(expected + place[i].at, all + place[i].at, place[i].bytes);
      digest_of(text, 777, flags, out);
      CHECK(memcmp(out, expected, sizeof out) == 0);
    }
  }
}

static void any_chunks(void) {
  uint8_t expected[OUT_BYTES], out[OUT_BYTES];
  state_memory state;
  for (uint32_t t = 0; t < tier_count; t++) {
    sherd_init(tiers[t]);
    for (uint32_t round = 0; round < 40; round++) {
      const size_t total = noise_below(LONG_BYTES);
      const uint32_t flags = 1 + noise_below(ALL_FLAGS);
      sherd_digest_init(&state, flags);
      for (size_t at = 0; at < total;) {
        size_t bytes = noise_below(round % 2 ? 200 : 6000);
        if (bytes > total - at) bytes = total - at;
        sherd_digest_update(&state, text + at, bytes);
        at += bytes;
      }
      portable_digest_of(text, total, flags, expected);
      final_of(&state, out);
      CHECK(memcmp(out, expected, sizeof out) == 0);
      final_of(&state, out); /* asking does not end the stream */
      CHECK(memcmp(out, expected, sizeof out) == 0);
    }
  }
}

/* Batches of jobs, some of them of the same stream: each stream's digests are as if it were alone. */
static void check_many_streams(uint32_t streams, uint32_t rounds) {
  static state_memory together[STREAMS_MAX], alone[STREAMS_MAX];
  uint64_t jobs[3 * 100];
  for (uint32_t i = 0; i < streams; i++) {
    sherd_digest_init(&together[i], i % 3 == 0 ? ALL_FLAGS : i % 3 == 1 ? DIGEST_MD5 : DIGEST_MD5 | DIGEST_SHA256);
    alone[i] = together[i];
  }
  for (uint32_t round = 0; round < rounds; round++) {
    const uint32_t count = 1 + noise_below(100);
    for (uint32_t j = 0; j < count; j++) {
      const uint32_t stream = noise_below(streams), bytes = noise_below(j % 5 ? 400 : 3000), at = noise_below(LONG_BYTES - bytes);
      jobs[3 * j] = (uint64_t)(uintptr_t)&together[stream];
      jobs[3 * j + 1] = (uint64_t)(uintptr_t)(text + at);
      jobs[3 * j + 2] = bytes;
      sherd_digest_update(&alone[stream], text + at, bytes);
    }
    sherd_digest_many(jobs, count);
  }
  for (uint32_t i = 0; i < streams; i++) {
    uint8_t expected[OUT_BYTES], out[OUT_BYTES];
    final_of(&alone[i], expected);
    final_of(&together[i], out);
    CHECK(memcmp(out, expected, sizeof out) == 0);
  }
}

static void many_streams(void) {
  for (uint32_t t = 0; t < tier_count; t++) {
    sherd_init(tiers[t]);
    for (uint32_t streams = 1; streams <= STREAMS_MAX; streams++) check_many_streams(streams, 4);
  }
  sherd_digest_many(NULL, 0);
}

/* Lanes without a stream of their own must not read past the others: each chunk ends at a guard page. */
static void lanes_stay_inside_their_streams(void) {
  static state_memory states[33];
  uint64_t jobs[3 * 33];
  for (uint32_t t = 0; t < tier_count; t++) {
    sherd_init(tiers[t]);
    for (uint32_t streams = 1; streams <= 33; streams++) {
      for (uint32_t i = 0; i < streams; i++) {
        const uint32_t bytes = 1 + noise_below(500);
        uint8_t *data = before_guard_page(bytes);
        noise_fill(data, bytes);
        sherd_digest_init(&states[i], DIGEST_MD5);
        jobs[3 * i] = (uint64_t)(uintptr_t)&states[i];
        jobs[3 * i + 1] = (uint64_t)(uintptr_t)data;
        jobs[3 * i + 2] = bytes;
      }
      sherd_digest_many(jobs, streams);
      for (uint32_t i = 0; i < streams; i++) {
        uint8_t expected[OUT_BYTES], out[OUT_BYTES];
        portable_digest_of((const uint8_t *)(uintptr_t)jobs[3 * i + 1], jobs[3 * i + 2], DIGEST_MD5, expected);
        final_of(&states[i], out);
        CHECK(memcmp(out, expected, sizeof out) == 0);
      }
      release_all_guarded();
    }
  }
}

static uint64_t big_endian(const uint8_t *bytes, uint32_t count) {
  uint64_t value = 0;
  for (uint32_t i = 0; i < count; i++) value = value << 8 | bytes[i];
  return value;
}

static void crcs_are_combined(void) {
  static const struct { uint32_t flag, at, bytes; } crcs[] = {{DIGEST_CRC32, 68, 4}, {DIGEST_CRC32C, 72, 4}, {DIGEST_CRC64NVME, 76, 8}};
  for (uint32_t round = 0; round < 200; round++) {
    const size_t a = noise_below(3) ? noise_below(9000) : 0, b = noise_below(3) ? noise_below(9000) : 0;
    uint8_t first[OUT_BYTES], second[OUT_BYTES], both[OUT_BYTES];
    portable_digest_of(text, a, ALL_FLAGS, first);
    portable_digest_of(text + a, b, ALL_FLAGS, second);
    portable_digest_of(text, a + b, ALL_FLAGS, both);
    for (uint32_t i = 0; i < 3; i++) {
      const uint64_t combined = sherd_crc_combine(crcs[i].flag, big_endian(first + crcs[i].at, crcs[i].bytes), big_endian(second + crcs[i].at, crcs[i].bytes), b);
      CHECK(combined == big_endian(both + crcs[i].at, crcs[i].bytes));
    }
  }
  CHECK(sherd_crc_combine(0, 1, 2, 3) == 0);
}

int main(void) {
  find_tiers();
  noise_restart(7);
  noise_fill(text, sizeof text);
  CHECK(sherd_digest_bytes() <= STATE_BYTES);
  run_test("digests of all lengths at guard pages are those of the portable tier", lengths_at_guard_pages);
  run_test("each set of digests gives its own and zeros", every_set_of_digests);
  run_test("chunks do not change a digest, and asking does not end it", any_chunks);
  run_test("1 to 40 streams in batches digest as if alone", many_streams);
  run_test("lanes stay inside their streams", lanes_stay_inside_their_streams);
  run_test("CRCs of pieces are combined", crcs_are_combined);
  return finish_tests();
}
