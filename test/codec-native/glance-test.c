/* glance-test.c — the look at xl.meta files with each of them between guard pages: whole, cut, and damaged in every way, with a checksum that
   fits so that what is behind it is reached. */
#include "../../src/codec/native/codec.h"
#include "../../src/codec/native/digests.h"
#include "check.h"

#include <string.h>

#define FILE_BYTES_MAX 512
#define OUT_WORDS (6 + 3 * 16)
#define DAMAGED 200000

static size_t put(uint8_t *file, size_t at, const void *bytes, size_t count) {
  memcpy(file + at, bytes, count);
  return at + count;
}

/* Writes the checksum that belongs to the payload. */
static void seal(uint8_t *file, size_t payload_at, size_t payload_bytes) {
  struct xxh64 state = {0};
  uint8_t hash[8];
  xxh64_start(&state);
  xxh64_update(&state, file + payload_at, payload_bytes);
  xxh64_final(&state, payload_bytes, hash);
  memcpy(file + payload_at + payload_bytes + 1, hash + 4, 4);
}

struct made {
  uint8_t file[FILE_BYTES_MAX];
  size_t bytes, payload_at, payload_bytes;
};

/* One version whose body has nothing but a shard's number, and inline data. */
static struct made file_of(uint8_t index) {
  struct made made = {.payload_at = 13};
  size_t at = put(made.file, 0, "XL2 \1\0\3\0\xc6\0\0\0\0", 13);
  at = put(made.file, at, "\3\3\1\xc4\5\x97head\xc4\12\x81\xa7""EcIndex", 21);
  at = put(made.file, at, &index, 1);
  made.payload_bytes = at - made.payload_at;
  made.file[12] = (uint8_t)made.payload_bytes;
  at = put(made.file, at, "\xce\0\0\0\0", 5);
  seal(made.file, made.payload_at, made.payload_bytes);
  at = put(made.file, at, "\1\x81\xa4null\xc4\6shards", 15);
  made.bytes = at;
  return made;
}

/* Of one file, with nothing readable behind it (or before it). */
static int32_t look(const uint8_t *file, size_t bytes, uint8_t *(*memory)(size_t), uint32_t out[OUT_WORDS]) {
  uint8_t *guarded = memory(bytes);
  const uint32_t size = (uint32_t)bytes;
  memcpy(guarded, file, bytes);
  const int32_t found = sherd_glance(guarded, FILE_BYTES_MAX, &size, 1, out);
  release_guarded(guarded);
  return found;
}

static void whole_files(void) {
  uint8_t slots[2 * FILE_BYTES_MAX] = {0};
  uint32_t sizes[2], out[OUT_WORDS] = {0};
  for (uint32_t i = 0; i < 2; i++) {
    const struct made made = file_of((uint8_t)(i + 2));
    memcpy(slots + i * FILE_BYTES_MAX, made.file, made.bytes);
    sizes[i] = (uint32_t)made.bytes;
  }
  CHECK(sherd_glance(slots, FILE_BYTES_MAX, sizes, 2, out) == 1);
  CHECK(memcmp(slots + out[0], "\x97head", 5) == 0 && out[1] == 5);
  CHECK(out[3] == 10 && memcmp(slots + out[4], "null", 4) == 0 && out[5] == 4);
  CHECK(out[8] == 2 && out[11] == 3);
  CHECK(out[9] > FILE_BYTES_MAX && memcmp(slots + out[9], "shards", 6) == 0 && out[10] == 6);
  sizes[1] = FILE_BYTES_MAX + 1;
  CHECK(sherd_glance(slots, FILE_BYTES_MAX, sizes, 2, out) == 0);
  CHECK(sherd_glance(slots, FILE_BYTES_MAX, sizes, 0, out) == 0);
}

static void cut_files(void) {
  const struct made made = file_of(1);
  const size_t without_data = made.payload_at + made.payload_bytes + 5;
  uint32_t out[OUT_WORDS];
  for (size_t bytes = 0; bytes <= made.bytes; bytes++) {
    const bool expected = bytes == made.bytes || bytes == without_data;
    CHECK(look(made.file, bytes, before_guard_page, out) == expected);
    CHECK(look(made.file, bytes, after_guard_page, out) == expected);
  }
}

static void damaged_files(void) {
  uint32_t taken = 0;
  for (uint32_t i = 0; i < DAMAGED; i++) {
    struct made made = file_of(1);
    uint32_t out[OUT_WORDS];
    for (uint32_t times = 1 + noise_below(3); times; times--) made.file[noise_below((uint32_t)made.bytes)] = (uint8_t)noise_below(256);
    if (noise_below(4)) seal(made.file, made.payload_at, made.payload_bytes);
    if (!look(made.file, made.bytes, before_guard_page, out)) continue;
    taken++;
    for (uint32_t word = 0; word < 8; word += 2) CHECK((uint64_t)out[word] + out[word + 1] <= made.bytes);
  }
  CHECK(taken > 0);
}

int main(void) {
  noise_restart(1);
  run_test("whole files", whole_files);
  run_test("cut files", cut_files);
  run_test("damaged files", damaged_files);
  return finish_tests();
}
