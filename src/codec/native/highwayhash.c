/* highwayhash.c — owns HighwayHash-256 with MinIO's bitrot key: padding, finish, verification, grouping of messages into lanes.
   The rounds themselves are in highwayhash-kernels.c. Source: on-disk format, bitrot protection. */
#include "highwayhash.h"

#include "codec.h"
#include "highwayhash-kernels.h"

#include <string.h>

#define FINAL_ROUNDS 10

/* The algorithm's initial multipliers. */
static const uint64_t INITIAL_MUL0[4] = {0xdbe6d5d5fe4cce2f, 0xa4093822299f31d0, 0x13198a2e03707344, 0x243f6a8885a308d3};
static const uint64_t INITIAL_MUL1[4] = {0x3bd39e10cb0ef593, 0xc0acf169b5f18a8c, 0xbe5466cf34e90c6c, 0x452821e638d01377};

/* 4be734fa8e238acd263e83e6bb968552040f935da39f441497e09d1322de36a0 as little-endian words: the key that MinIO uses for bitrot. */
static const uint64_t BITROT_KEY[4] = {0xcd8a238efa34e74b, 0x528596bbe6833e26, 0x14449fa35d930f04, 0xa036de22139de097};

static uint64_t swap_halves(uint64_t word) { return word >> 32 | word << 32; }

void hash_start(struct hash_state *states, uint32_t count) {
  struct hash_state fresh;
  for (int i = 0; i < 4; i++) {
    fresh.v0[i] = INITIAL_MUL0[i] ^ BITROT_KEY[i];
    fresh.v1[i] = INITIAL_MUL1[i] ^ swap_halves(BITROT_KEY[i]);
    fresh.mul0[i] = INITIAL_MUL0[i];
    fresh.mul1[i] = INITIAL_MUL1[i];
  }
  for (uint32_t i = 0; i < count; i++) states[i] = fresh;
}

/* Splits the messages into as few groups as the kernel's lanes allow, and these as evenly as possible: 8 by 6 lanes are 4 + 4. */
struct lane_groups {
  uint32_t groups, smaller, larger_groups;
};

static struct lane_groups groups_of(const struct hash_kernel *kernel, uint32_t count) {
  const uint32_t groups = (count + kernel->lanes_max - 1) / kernel->lanes_max;
  return (struct lane_groups){groups, count / groups, count % groups};
}

void hash_absorb(struct hash_state *states, const uint8_t *const *messages, uint32_t count, size_t from, size_t to) {
  if (from == to || count == 0) return;
  const struct hash_kernel *kernel = hash_kernel_in_use();
  const struct lane_groups split = groups_of(kernel, count);
  for (uint32_t group = 0, first = 0; group < split.groups; group++) {
    const uint32_t lanes = split.smaller + (group < split.larger_groups);
    kernel->absorb[lanes](states + first, messages + first, from, to);
    first += lanes;
  }
}

static void final_rounds(struct hash_state *states, uint32_t count) {
  const struct hash_kernel *kernel = hash_kernel_in_use();
  const struct lane_groups split = groups_of(kernel, count);
  for (uint32_t group = 0, first = 0; group < split.groups; group++) {
    const uint32_t lanes = split.smaller + (group < split.larger_groups);
    kernel->permute_rounds[lanes](states + first, FINAL_ROUNDS);
    first += lanes;
  }
}

/* Mixes the number of remaining bytes (1..31) into the state. */
static void mix_length(struct hash_state *state, uint32_t bytes) {
  for (int i = 0; i < 4; i++) {
    state->v0[i] += ((uint64_t)bytes << 32) + bytes;
    const uint32_t low = (uint32_t)state->v1[i], high = (uint32_t)(state->v1[i] >> 32);
    state->v1[i] = (uint64_t)(high << bytes | high >> (32 - bytes)) << 32 | (low << bytes | low >> (32 - bytes));
  }
}

/* The padded last packet of 1..31 bytes: whole words first, then the odd bytes where the algorithm wants them. */
static void pad_packet(uint8_t packet[HASH_PACKET_BYTES], const uint8_t *rest, uint32_t bytes) {
  const uint32_t odd = bytes & 3, whole = bytes - odd;
  memset(packet, 0, HASH_PACKET_BYTES);
  memcpy(packet, rest, whole);
  if (bytes & 16) {
    memcpy(packet + 28, rest + bytes - 4, 4);
  } else if (odd) {
    packet[16] = rest[whole];
    packet[17] = rest[whole + (odd >> 1)];
    packet[18] = rest[bytes - 1];
  }
}

/* Reduces the 256 bits (a3 a2) to 128 modulo x^128 + x^2 + x. */
static void reduce(uint64_t out[2], uint64_t a3, uint64_t a2, uint64_t a1, uint64_t a0) {
  a3 &= 0x3fffffffffffffff;
  out[1] = a1 ^ (a3 << 1 | a2 >> 63) ^ (a3 << 2 | a2 >> 62);
  out[0] = a0 ^ (a2 << 1) ^ (a2 << 2);
}

static void write_hash(const struct hash_state *s, uint8_t *hash) {
  uint64_t words[4];
  for (int half = 0; half < 4; half += 2)
    reduce(words + half, s->v1[half + 1] + s->mul1[half + 1], s->v1[half] + s->mul1[half], s->v0[half + 1] + s->mul0[half + 1], s->v0[half] + s->mul0[half]);
  memcpy(hash, words, sizeof words);
}

void hash_finish(struct hash_state *states, const uint8_t *const *messages, uint32_t count, size_t from, size_t to, uint8_t *const *hashes) {
  if (count == 0) return;
  const size_t packets_end = to - (to - from) % HASH_PACKET_BYTES;
  const uint32_t rest = (uint32_t)(to - packets_end);
  hash_absorb(states, messages, count, from, packets_end);
  if (rest) {
    uint8_t packets[SHERD_SHARDS_MAX][HASH_PACKET_BYTES];
    const uint8_t *padded[SHERD_SHARDS_MAX];
    for (uint32_t i = 0; i < count; i++) {
      mix_length(states + i, rest);
      pad_packet(packets[i], messages[i] + packets_end, rest);
      padded[i] = packets[i];
    }
    hash_absorb(states, padded, count, 0, HASH_PACKET_BYTES);
  }
  final_rounds(states, count);
  for (uint32_t i = 0; i < count; i++) write_hash(states + i, hashes[i]);
}

/* ---- The library's interface ---------------------------------------------------------------------------------------- */

void sherd_hash(const uint8_t *data, uint64_t bytes, uint8_t *out32) {
  struct hash_state state;
  hash_start(&state, 1);
  hash_finish(&state, &data, 1, 0, bytes, &out32);
}

uint32_t sherd_verify_many(const uint8_t *const *hashes, const uint8_t *const *data, uint64_t bytes, uint32_t count) {
  if (count == 0 || count > SHERD_SHARDS_MAX) return 0;
  struct hash_state states[SHERD_SHARDS_MAX];
  uint8_t computed[SHERD_SHARDS_MAX][SHERD_HASH_BYTES], *out[SHERD_SHARDS_MAX];
  for (uint32_t i = 0; i < count; i++) out[i] = computed[i];
  hash_start(states, count);
  hash_finish(states, data, count, 0, bytes, out);
  uint32_t bad = 0;
  for (uint32_t i = 0; i < count; i++)
    if (memcmp(computed[i], hashes[i], SHERD_HASH_BYTES) != 0) bad |= 1u << i;
  return bad;
}

int32_t sherd_verify(const uint8_t *hash32, const uint8_t *data, uint64_t bytes) { return sherd_verify_many(&hash32, &data, bytes, 1) == 0; }

uint32_t sherd_verify_slots(const uint8_t *base, uint64_t stride, uint64_t shard_bytes, uint32_t mask) {
  const uint8_t *hashes[SHERD_SHARDS_MAX], *data[SHERD_SHARDS_MAX];
  uint32_t slot_of[SHERD_SHARDS_MAX], count = 0;
  for (uint32_t slot = 0; slot < SHERD_SHARDS_MAX; slot++) {
    if (!(mask >> slot & 1)) continue;
    hashes[count] = base + slot * stride;
    data[count] = hashes[count] + SHERD_HASH_BYTES;
    slot_of[count++] = slot;
  }
  const uint32_t bad = sherd_verify_many(hashes, data, shard_bytes, count);
  uint32_t bad_slots = 0;
  for (uint32_t i = 0; i < count; i++)
    if (bad >> i & 1) bad_slots |= 1u << slot_of[i];
  return bad_slots;
}
