/* highwayhash-kernels.h — what highwayhash.c needs of the kernels. Internal. */
#pragma once
#include "highwayhash.h"

#define LANES_MAX 6

/* Adds bytes [from, to) of each lane's message. to - from is a multiple of 32. */
typedef void absorb_function(struct hash_state *states, const uint8_t *const *messages, size_t from, size_t to);
/* The finish: `rounds` updates of each lane with its own permuted v0. */
typedef void permute_function(struct hash_state *states, uint32_t rounds);

/* Functions by the number of lanes, 1..lanes_max; [0] is unused. */
struct hash_kernel {
  uint32_t lanes_max;
  absorb_function *absorb[LANES_MAX + 1];
  permute_function *permute_rounds[LANES_MAX + 1];
};

/* The kernel of the tier in use. */
const struct hash_kernel *hash_kernel_in_use(void);
