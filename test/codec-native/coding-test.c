/* coding-test.c — Reed-Solomon and HighwayHash of every tier of this CPU: against a byte-wise definition written here,
   against the portable tier, on lengths 0..257 and random ones, with data that ends at a guard page, at odd addresses. */
#include "../../src/codec/native/codec.h"
#include "../../src/codec/native/cpu.h"
#include "../../src/codec/native/galois.h"
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define LENGTHS_FROM_0 258
#define SHARD_BYTES_MAX 9000
#define SLOT_BYTES_MAX (SHERD_HASH_BYTES + SHARD_BYTES_MAX)

static int32_t tiers[8];
static uint32_t tier_count;
static uint64_t plan[4096];
static uint64_t skip_lengths = 1; /* > 1 under emulation */

static void find_tiers(void) {
  for (int32_t tier = 0; tier <= TIER_AVX512_GFNI; tier++)
    if (sherd_init(tier) == tier) tiers[tier_count++] = tier;
}

/* ---- the definition ---- */

static uint8_t multiply(uint8_t a, uint8_t b) {
  uint32_t product = 0;
  for (uint32_t x = a; b; b >>= 1, x = (x << 1) ^ (x & 0x80 ? 0x11d : 0))
    if (b & 1) product ^= x;
  return (uint8_t)product;
}

static uint8_t power(uint8_t base, uint32_t exponent) {
  uint8_t result = 1;
  while (exponent--) result = multiply(result, base);
  return result;
}

static uint8_t reciprocal(uint8_t a) { return power(a, 254); }

/* Parity rows by Lagrange: row r = the polynomial of degree < k through the data at 0..k-1, taken at r. That is what
   "Vandermonde times inverse of its top" says, by another way. */
static uint8_t parity_coefficient(uint32_t k, uint32_t row, uint32_t column) {
  uint8_t above = 1, below = 1;
  for (uint32_t other = 0; other < k; other++) {
    if (other == column) continue;
    above = multiply(above, (uint8_t)(row ^ other));
    below = multiply(below, (uint8_t)(column ^ other));
  }
  return multiply(above, reciprocal(below));
}

/* Hashes by the portable tier, which the self-test holds against published vectors. */
static void encode_by_definition(uint32_t k, uint32_t m, uint8_t *base, size_t stride, size_t bytes) {
  for (uint32_t r = 0; r < m; r++) {
    uint8_t *out = base + (k + r) * stride + SHERD_HASH_BYTES;
    memset(out, 0, bytes);
    for (uint32_t c = 0; c < k; c++) {
      uint8_t times[256];
      const uint8_t factor = parity_coefficient(k, k + r, c), *in = base + c * stride + SHERD_HASH_BYTES;
      for (uint32_t x = 0; x < 256; x++) times[x] = multiply(factor, (uint8_t)x);
      for (size_t i = 0; i < bytes; i++) out[i] ^= times[in[i]];
    }
  }
  sherd_init(TIER_PORTABLE);
  for (uint32_t i = 0; i < k + m; i++) sherd_hash(base + i * stride + SHERD_HASH_BYTES, bytes, base + i * stride);
}

/* ---- encode ---- */

/* Slots packed without a gap, the last one ending at a guard page: every shard but the first is at an odd place. */
static void check_shape(uint32_t k, uint32_t m, size_t bytes, size_t gap) {
  const uint32_t n = k + m;
  const size_t stride = SHERD_HASH_BYTES + bytes + gap, total = stride * (n - 1) + SHERD_HASH_BYTES + bytes;
  uint8_t *expected = malloc(total), *slots = before_guard_page(total);
  noise_fill(expected, total);
  memcpy(slots, expected, total);
  encode_by_definition(k, m, expected, stride, bytes);
  for (uint32_t t = 0; t < tier_count; t++) {
    sherd_init(tiers[t]);
    for (uint32_t slot = 0; slot < n; slot++) {
      memset(slots + slot * stride, 0xa5, SHERD_HASH_BYTES);
      if (slot >= k) memset(slots + slot * stride + SHERD_HASH_BYTES, 0xa5, bytes);
    }
    CHECK(sherd_encode(plan, slots, stride, bytes) == 0);
    CHECK(memcmp(slots, expected, total) == 0);
    CHECK(sherd_verify_slots(slots, stride, bytes, (1u << n) - 1) == 0);
  }
  release_guarded(slots);
  free(expected);
}

#define EACH_SHAPE(k, m)                      \
  for (uint32_t k = 1; k <= SHERD_SHARDS_MAX; k++) \
    for (uint32_t m = 0; m <= k && k + m <= SHERD_SHARDS_MAX; m++)

static void every_shape_and_length(void) {
  EACH_SHAPE(k, m) {
    CHECK(sherd_plan_init(plan, k, m) == 0);
    for (size_t bytes = 0; bytes < LENGTHS_FROM_0; bytes += skip_lengths) check_shape(k, m, bytes, 0);
  }
}

static void random_lengths_and_gaps(void) {
  EACH_SHAPE(k, m) {
    CHECK(sherd_plan_init(plan, k, m) == 0);
    for (uint32_t round = 0; round < 3; round++) check_shape(k, m, LENGTHS_FROM_0 + noise_below(SHARD_BYTES_MAX - LENGTHS_FROM_0), noise_below(70));
  }
}

/* More parity than data is legal in old files' arithmetic; what does not fit 16 shards is refused. */
static void impossible_shapes_are_refused(void) {
  CHECK(sherd_plan_bytes() <= sizeof plan);
  for (uint32_t k = 0; k <= 20; k++)
    for (uint32_t m = 0; m <= 20; m++) CHECK((sherd_plan_init(plan, k, m) == 0) == (k >= 1 && k + m <= SHERD_SHARDS_MAX));
  CHECK(sherd_plan_init(plan, 1, UINT32_MAX) == -1);
  CHECK(sherd_plan_init(plan, UINT32_MAX, 1) == -1);
}

/* ---- rebuild ---- */

static uint8_t whole[SHERD_SHARDS_MAX * SLOT_BYTES_MAX], broken[SHERD_SHARDS_MAX * SLOT_BYTES_MAX];

static uint32_t ones(uint32_t mask) { return (uint32_t)__builtin_popcount(mask); }

/* From `have`, the shards of `want` come back, nothing else is touched; fewer than k are refused and nothing is touched. */
static void check_rebuild(uint32_t k, uint32_t m, size_t stride, size_t bytes, uint32_t have, uint32_t want) {
  const uint32_t n = k + m;
  const size_t total = stride * n;
  memcpy(broken, whole, total);
  for (uint32_t slot = 0; slot < n; slot++)
    if (!(have >> slot & 1)) memset(broken + slot * stride, 0x5a, SHERD_HASH_BYTES + bytes);
  const int32_t answer = sherd_rebuild_slots(plan, broken, stride, bytes, have | want << 16, 1);
  CHECK(answer == (ones(have) >= k ? 0 : -1));
  for (uint32_t slot = 0; slot < n; slot++) {
    const uint8_t *got = broken + slot * stride;
    const bool there = have >> slot & 1, made = answer == 0 && !there && (want >> slot & 1);
    if (there || made) CHECK(memcmp(got, whole + slot * stride, SHERD_HASH_BYTES + bytes) == 0);
    else
      for (size_t i = 0; i < SHERD_HASH_BYTES + bytes; i++) CHECK(got[i] == 0x5a);
  }
}

static void encode_whole(uint32_t k, uint32_t m, size_t stride, size_t bytes) {
  CHECK(sherd_plan_init(plan, k, m) == 0);
  noise_fill(whole, stride * (k + m));
  CHECK(sherd_encode(plan, whole, stride, bytes) == 0);
}

static void every_loss_of_small_shapes(void) {
  for (uint32_t t = 0; t < tier_count; t++) {
    sherd_init(tiers[t]);
    EACH_SHAPE(k, m) {
      if (k + m > 8) continue;
      const size_t bytes = 1 + noise_below(130), stride = SHERD_HASH_BYTES + bytes + noise_below(9);
      encode_whole(k, m, stride, bytes);
      for (uint32_t have = 0; have < 1u << (k + m); have++) check_rebuild(k, m, stride, bytes, have, (1u << (k + m)) - 1);
    }
  }
}

static void random_losses_of_large_shapes(void) {
  for (uint32_t t = 0; t < tier_count; t++) {
    sherd_init(tiers[t]);
    EACH_SHAPE(k, m) {
      const size_t bytes = noise_below(3000), stride = SHERD_HASH_BYTES + bytes + noise_below(70);
      encode_whole(k, m, stride, bytes);
      for (uint32_t round = 0; round < 12; round++) {
        uint32_t have = (1u << (k + m)) - 1;
        for (uint32_t losses = noise_below(m + 2); losses; losses--) have &= ~(1u << noise_below(k + m));
        check_rebuild(k, m, stride, bytes, have, noise_below(1u << 16));
      }
    }
  }
}

/* sherd_rebuild takes a pointer for each shard, anywhere; here each of them ends at a guard page. */
static void shards_apart(void) {
  const uint32_t k = 5, m = 3;
  uint8_t *shards[8];
  for (uint32_t t = 0; t < tier_count; t++) {
    sherd_init(tiers[t]);
    for (uint32_t round = 0; round < 200; round++) {
      const size_t bytes = noise_below(300), stride = SHERD_HASH_BYTES + bytes;
      encode_whole(k, m, stride, bytes);
      uint32_t have = 0xff;
      for (uint32_t losses = 0; losses < m; losses++) have &= ~(1u << noise_below(8));
      for (uint32_t i = 0; i < 8; i++) {
        shards[i] = round % 2 ? before_guard_page(bytes) : after_guard_page(bytes);
        if (have >> i & 1) memcpy(shards[i], whole + i * stride + SHERD_HASH_BYTES, bytes);
      }
      CHECK(sherd_rebuild(plan, shards, bytes, have, 0xff) == 0);
      for (uint32_t i = 0; i < 8; i++) CHECK(memcmp(shards[i], whole + i * stride + SHERD_HASH_BYTES, bytes) == 0);
      release_all_guarded();
    }
  }
}

/* ---- hashes ---- */

static void hashes_of_all_lengths(void) {
  for (size_t bytes = 0; bytes < 1200; bytes += bytes < LENGTHS_FROM_0 ? 1 : 37) {
    uint8_t *ends = before_guard_page(bytes), *begins = after_guard_page(bytes), expected[SHERD_HASH_BYTES], hash[SHERD_HASH_BYTES];
    noise_fill(ends, bytes);
    memcpy(begins, ends, bytes);
    sherd_init(TIER_PORTABLE);
    sherd_hash(ends, bytes, expected);
    for (uint32_t t = 0; t < tier_count; t++) {
      sherd_init(tiers[t]);
      sherd_hash(ends, bytes, hash);
      CHECK(memcmp(hash, expected, sizeof hash) == 0);
      CHECK(sherd_verify(expected, begins, bytes) == 1);
      hash[bytes % SHERD_HASH_BYTES] ^= 1;
      CHECK(sherd_verify(hash, begins, bytes) == 0);
    }
    release_all_guarded();
  }
}

/* Any set of slots, any damage among them: exactly the damaged ones are named. */
static void damage_is_found_where_it_is(void) {
  for (uint32_t t = 0; t < tier_count; t++) {
    sherd_init(tiers[t]);
    for (uint32_t round = 0; round < 400; round++) {
      const size_t bytes = 1 + noise_below(round % 4 ? 200 : 4000), stride = SHERD_HASH_BYTES + bytes + noise_below(40);
      encode_whole(8, 8, stride, bytes);
      const uint32_t mask = noise_below(1u << 16), damaged = noise_below(1u << 16) & noise_below(1u << 16);
      for (uint32_t slot = 0; slot < 16; slot++)
        if (damaged >> slot & 1) whole[slot * stride + noise_below((uint32_t)(SHERD_HASH_BYTES + bytes))] ^= (uint8_t)(1u << noise_below(8));
      CHECK(sherd_verify_slots(whole, stride, bytes, mask) == (mask & damaged));
    }
  }
}

static void messages_of_any_number(void) {
  static uint8_t data[SHERD_SHARDS_MAX][700], hashes[SHERD_SHARDS_MAX][SHERD_HASH_BYTES];
  const uint8_t *data_at[SHERD_SHARDS_MAX], *hash_at[SHERD_SHARDS_MAX];
  for (uint32_t count = 0; count <= SHERD_SHARDS_MAX; count++)
    for (size_t bytes = 0; bytes < 690; bytes += 1 + noise_below(23)) {
      sherd_init(TIER_PORTABLE);
      for (uint32_t i = 0; i < count; i++) {
        data_at[i] = data[i] + noise_below(8);
        hash_at[i] = hashes[i];
        noise_fill(data[i], sizeof data[i]);
        sherd_hash(data_at[i], bytes, hashes[i]);
      }
      for (uint32_t t = 0; t < tier_count; t++) {
        sherd_init(tiers[t]);
        CHECK(sherd_verify_many(hash_at, data_at, bytes, count) == 0);
        if (count == 0) continue;
        const uint32_t bad = noise_below(count);
        hashes[bad][noise_below(SHERD_HASH_BYTES)] ^= 0x10;
        CHECK(sherd_verify_many(hash_at, data_at, bytes, count) == 1u << bad);
        sherd_init(TIER_PORTABLE);
        sherd_hash(data_at[bad], bytes, hashes[bad]);
      }
    }
}

/* ---- the self-test at start ---- */

static void self_test_passes(void) {
  for (uint32_t t = 0; t < tier_count; t++) {
    CHECK(sherd_init(tiers[t]) == tiers[t]);
    CHECK(sherd_self_test() == 0);
  }
}

/* Results planted by the linker's --wrap (see scripts/codec-native.sh): one bit of each is wrong while `planted` says so. */
enum fault { NO_FAULT, WRONG_HASH, WRONG_CODE, WRONG_REBUILD, BLIND_VERIFY, WRONG_DIGEST };
static enum fault planted;

void __real_sherd_hash(const uint8_t *data, uint64_t bytes, uint8_t *out32);
void __wrap_sherd_hash(const uint8_t *data, uint64_t bytes, uint8_t *out32) {
  __real_sherd_hash(data, bytes, out32);
  if (planted == WRONG_HASH) out32[31] ^= 0x80;
}
int32_t __real_sherd_encode(const void *memory, uint8_t *base, uint64_t stride, uint64_t shard_bytes);
int32_t __wrap_sherd_encode(const void *memory, uint8_t *base, uint64_t stride, uint64_t shard_bytes) {
  const int32_t answer = __real_sherd_encode(memory, base, stride, shard_bytes);
  if (planted == WRONG_CODE) base[4 * stride + SHERD_HASH_BYTES + shard_bytes - 1] ^= 1;
  return answer;
}
int32_t __real_sherd_rebuild_slots(const void *memory, uint8_t *base, uint64_t stride, uint64_t shard_bytes, uint32_t have_want, uint32_t hash);
int32_t __wrap_sherd_rebuild_slots(const void *memory, uint8_t *base, uint64_t stride, uint64_t shard_bytes, uint32_t have_want, uint32_t hash) {
  const int32_t answer = __real_sherd_rebuild_slots(memory, base, stride, shard_bytes, have_want, hash);
  if (planted == WRONG_REBUILD) base[SHERD_HASH_BYTES] ^= 1;
  return answer;
}
uint32_t __real_sherd_verify_slots(const uint8_t *base, uint64_t stride, uint64_t shard_bytes, uint32_t mask);
uint32_t __wrap_sherd_verify_slots(const uint8_t *base, uint64_t stride, uint64_t shard_bytes, uint32_t mask) {
  return planted == BLIND_VERIFY ? 0 : __real_sherd_verify_slots(base, stride, shard_bytes, mask);
}
void __real_sherd_digest_final(const void *state, uint8_t *out96);
void __wrap_sherd_digest_final(const void *state, uint8_t *out96) {
  __real_sherd_digest_final(state, out96);
  if (planted == WRONG_DIGEST) out96[83] ^= 1;
}

static void self_test_finds_wrong_results(void) {
  for (uint32_t t = 0; t < tier_count; t++) {
    sherd_init(tiers[t]);
    for (planted = WRONG_HASH; planted <= WRONG_DIGEST; planted++) CHECK(sherd_self_test() != 0);
    planted = NO_FAULT;
    CHECK(sherd_self_test() == 0);
  }
}

/* A wrong product, as a broken table or load would give it, in the tier that multiplies by table. */
static void self_test_finds_a_wrong_product(void) {
  sherd_init(TIER_PORTABLE);
  for (uint32_t x = 0; x < 256; x++) gf_product[0x1b][x] ^= 4;
  CHECK(sherd_self_test() != 0);
  for (uint32_t x = 0; x < 256; x++) gf_product[0x1b][x] ^= 4;
  CHECK(sherd_self_test() == 0);
}

int main(void) {
  if (getenv("SHERD_EMULATED")) skip_lengths = 7;
  find_tiers();
  run_test("the self-test passes on every tier", self_test_passes);
  run_test("the self-test finds a wrong hash, code, rebuild, verification and digest on every tier", self_test_finds_wrong_results);
  run_test("the self-test finds a wrong product", self_test_finds_a_wrong_product);
  run_test("every shape and every length from 0 to 257 is coded as defined", every_shape_and_length);
  run_test("random lengths and gaps are coded as defined", random_lengths_and_gaps);
  run_test("shapes that do not fit are refused", impossible_shapes_are_refused);
  run_test("every loss of small shapes is rebuilt, or refused", every_loss_of_small_shapes);
  run_test("random losses of every shape are rebuilt, or refused", random_losses_of_large_shapes);
  run_test("shards that lie apart are rebuilt to their edges", shards_apart);
  run_test("hashes of all lengths are those of the portable tier", hashes_of_all_lengths);
  run_test("damage is found in exactly the slots where it is", damage_is_found_where_it_is);
  run_test("any number of messages is verified in lanes", messages_of_any_number);
  return finish_tests();
}
