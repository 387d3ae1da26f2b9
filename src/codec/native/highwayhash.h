/* highwayhash.h — HighwayHash-256 of several messages at once, in pieces. Internal; reed-solomon.c hashes while it encodes. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define HASH_PACKET_BYTES 32

/* One message's state: four vectors of four 64-bit words. */
struct hash_state {
  uint64_t v0[4], v1[4], mul0[4], mul1[4];
};

/* Fresh states, keyed with MinIO's bitrot key. */
void hash_start(struct hash_state *states, uint32_t count);

/* Adds bytes [from, to) of each message; to - from is a multiple of 32. */
void hash_absorb(struct hash_state *states, const uint8_t *const *messages, uint32_t count, size_t from, size_t to);

/* Adds the last bytes [from, to), any number of them, and writes the hashes (32 bytes each). */
void hash_finish(struct hash_state *states, const uint8_t *const *messages, uint32_t count, size_t from, size_t to, uint8_t *const *hashes);
