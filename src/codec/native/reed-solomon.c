/* reed-solomon.c — owns MinIO's Reed-Solomon code: the matrix, the plan, encoding and rebuilding, with the hashes on the way.
   Shards of one block are S bytes each; slot i of a block is [32 B hash][S bytes] at base + i * stride.
   Work goes in strips so that what the code wrote is still in the L1 cache when the hash reads it.
   Source: on-disk format, erasure coding. */
#include "codec.h"
#include "galois.h"
#include "highwayhash.h"
#include "reed-solomon-kernels.h"

#include <string.h>

#ifndef STRIP_BYTES
#define STRIP_BYTES 2048 /* of each shard; a multiple of every vector and of the hash's packet */
#endif

struct rs_plan {
  uint32_t k, m;
  struct gf_rows parity; /* m outputs from k inputs */
};

/* ---- Matrix and plan -------------------------------------------------------------------------------------------------- */

uint64_t sherd_plan_bytes(void) { return sizeof(struct rs_plan); }

/* Row r of the Vandermonde matrix: r^0, r^1, …, with 0^0 = 1. */
static void vandermonde_row(uint8_t *row, uint32_t k, uint8_t r) {
  uint8_t power = 1;
  for (uint32_t c = 0; c < k; c++) {
    row[c] = power;
    power = gf_multiply(power, r);
  }
}

/* Parity rows = (Vandermonde rows k..k+m-1) * (Vandermonde rows 0..k-1)^-1, which makes the data rows the identity. */
int32_t sherd_plan_init(void *memory, uint32_t k, uint32_t m) {
  if (k == 0 || k > SHERD_SHARDS_MAX || m > SHERD_SHARDS_MAX - k) return -1;
  struct rs_plan *plan = memory;
  memset(plan, 0, sizeof *plan);
  plan->k = k;
  plan->m = m;
  plan->parity.inputs = k;
  plan->parity.outputs = m;

  uint8_t top[SHERD_SHARDS_MAX * SHERD_SHARDS_MAX], row[SHERD_SHARDS_MAX];
  for (uint32_t r = 0; r < k; r++) vandermonde_row(top + r * k, k, (uint8_t)r);
  if (gf_invert(top, k) != 0) return -1;
  for (uint32_t output = 0; output < m; output++) {
    vandermonde_row(row, k, (uint8_t)(k + output));
    for (uint32_t input = 0; input < k; input++) {
      uint8_t sum = 0;
      for (uint32_t i = 0; i < k; i++) sum ^= gf_multiply(row[i], top[i * k + input]);
      plan->parity.factor[input * m + output] = sum;
    }
  }
  gf_rows_prepare(&plan->parity);
  return 0;
}

static uint8_t parity_factor(const struct rs_plan *plan, uint32_t output, uint32_t input) { return plan->parity.factor[input * plan->m + output]; }

/* ---- Applying rows to shards ------------------------------------------------------------------------------------------ */

/* The last bytes, fewer than a vector: through padded copies, so that nothing is read or written past a shard's end. */
static void apply_tail(const struct rs_kernel *kernel, const struct gf_rows *rows, const uint8_t *const *source, uint8_t *const *target, size_t from, size_t to) {
  uint8_t padded[SHERD_SHARDS_MAX][VECTOR_BYTES_MAX], sums[GROUP_MAX][VECTOR_BYTES_MAX];
  const uint8_t *in[SHERD_SHARDS_MAX];
  uint8_t *out[GROUP_MAX];
  const size_t bytes = to - from;
  for (uint32_t i = 0; i < rows->inputs; i++) {
    memset(padded[i], 0, kernel->vector_bytes);
    memcpy(padded[i], source[i] + from, bytes);
    in[i] = padded[i];
  }
  for (uint32_t i = 0; i < GROUP_MAX; i++) out[i] = sums[i];
  for (uint32_t first = 0; first < rows->outputs; first += GROUP_MAX) {
    const uint32_t count = rows->outputs - first < GROUP_MAX ? rows->outputs - first : GROUP_MAX;
    kernel->group[count](rows, first, in, out, 0, kernel->vector_bytes);
    for (uint32_t i = 0; i < count; i++) memcpy(target[first + i] + from, sums[i], bytes);
  }
}

static void apply_rows(const struct rs_kernel *kernel, const struct gf_rows *rows, const uint8_t *const *source, uint8_t *const *target, size_t from, size_t to) {
  const size_t vectors_end = to - (to - from) % kernel->vector_bytes;
  for (uint32_t first = 0; first < rows->outputs && from < vectors_end; first += GROUP_MAX) {
    const uint32_t count = rows->outputs - first < GROUP_MAX ? rows->outputs - first : GROUP_MAX;
    kernel->group[count](rows, first, source, target + first, from, vectors_end);
  }
  if (vectors_end < to) apply_tail(kernel, rows, source, target, vectors_end, to);
}

/* ---- Encode ----------------------------------------------------------------------------------------------------------- */

/* Fills targets from sources and hashes `hashed` shards, a strip at a time. */
struct coding_job {
  const struct gf_rows *rows;
  const uint8_t *const *source;
  uint8_t *const *target;
  const uint8_t *const *hashed;
  uint8_t *const *hashes;
  uint32_t hashed_count;
};

static void run_in_strips(const struct coding_job *job, size_t shard_bytes) {
  const struct rs_kernel *kernel = rs_kernel_in_use();
  struct hash_state states[SHERD_SHARDS_MAX];
  hash_start(states, job->hashed_count);
  size_t from = 0;
  for (; shard_bytes - from > STRIP_BYTES; from += STRIP_BYTES) {
    apply_rows(kernel, job->rows, job->source, job->target, from, from + STRIP_BYTES);
    hash_absorb(states, job->hashed, job->hashed_count, from, from + STRIP_BYTES);
  }
  apply_rows(kernel, job->rows, job->source, job->target, from, shard_bytes);
  hash_finish(states, job->hashed, job->hashed_count, from, shard_bytes, job->hashes);
}

int32_t sherd_encode(const void *memory, uint8_t *base, uint64_t stride, uint64_t shard_bytes) {
  const struct rs_plan *plan = memory;
  const uint32_t shards = plan->k + plan->m;
  uint8_t *hashes[SHERD_SHARDS_MAX], *data[SHERD_SHARDS_MAX];
  for (uint32_t slot = 0; slot < shards; slot++) {
    hashes[slot] = base + slot * stride;
    data[slot] = hashes[slot] + SHERD_HASH_BYTES;
  }
  const uint8_t *const *read = (const uint8_t *const *)data;
  const struct coding_job job = {&plan->parity, read, data + plan->k, read, hashes, shards};
  run_in_strips(&job, shard_bytes);
  return 0;
}

/* ---- Rebuild ---------------------------------------------------------------------------------------------------------- */

/* Which shards the rebuild reads (the first k that are there, data before parity) and which it makes. */
struct rebuild_choice {
  uint32_t inputs[SHERD_SHARDS_MAX], outputs[SHERD_SHARDS_MAX], output_count;
  uint32_t missing[SHERD_SHARDS_MAX], missing_count; /* data shards not among the inputs; as many as there are parity inputs */
};

/* Returns 0, or -1 if fewer than k shards are there. A wanted shard that is there stays as it is. */
static int choose_shards(struct rebuild_choice *choice, const struct rs_plan *plan, uint32_t have, uint32_t want) {
  uint32_t found = 0;
  choice->output_count = choice->missing_count = 0;
  for (uint32_t shard = 0; shard < plan->k + plan->m; shard++) {
    const int there = have >> shard & 1;
    if (there && found < plan->k) choice->inputs[found++] = shard;
    if (!there && shard < plan->k) choice->missing[choice->missing_count++] = shard;
    if (!there && (want >> shard & 1)) choice->outputs[choice->output_count++] = shard;
  }
  return found == plan->k ? 0 : -1;
}

/* recovery[r][i] = factor of input i in missing data shard r.
   Of the k equations only those of the parity inputs are not trivial: with A = their factors of the missing shards,
   missing = A^-1 * (parity inputs - their other factors * data inputs). A is at most 8 x 8, so this needs no cache. */
static int recovery_rows(uint8_t recovery[][SHERD_SHARDS_MAX], const struct rs_plan *plan, const struct rebuild_choice *choice) {
  const uint32_t lost = choice->missing_count, data_inputs = plan->k - lost;
  const uint32_t *parity_inputs = choice->inputs + data_inputs;
  uint8_t inverse[SHERD_SHARDS_MAX * SHERD_SHARDS_MAX];
  for (uint32_t r = 0; r < lost; r++)
    for (uint32_t c = 0; c < lost; c++) inverse[r * lost + c] = parity_factor(plan, parity_inputs[r] - plan->k, choice->missing[c]);
  if (gf_invert(inverse, lost) != 0) return -1;
  for (uint32_t r = 0; r < lost; r++) {
    for (uint32_t i = 0; i < data_inputs; i++) {
      uint8_t sum = 0;
      for (uint32_t p = 0; p < lost; p++) sum ^= gf_multiply(inverse[r * lost + p], parity_factor(plan, parity_inputs[p] - plan->k, choice->inputs[i]));
      recovery[r][i] = sum;
    }
    for (uint32_t p = 0; p < lost; p++) recovery[r][data_inputs + p] = inverse[r * lost + p];
  }
  return 0;
}

/* The rows that make the chosen outputs from the chosen inputs. */
static int rebuild_rows(struct gf_rows *rows, const struct rs_plan *plan, const struct rebuild_choice *choice) {
  uint8_t recovery[SHERD_SHARDS_MAX][SHERD_SHARDS_MAX];
  if (recovery_rows(recovery, plan, choice) != 0) return -1;
  const uint32_t data_inputs = plan->k - choice->missing_count;
  rows->inputs = plan->k;
  rows->outputs = choice->output_count;
  for (uint32_t output = 0, lost = 0; output < choice->output_count; output++) {
    const uint32_t shard = choice->outputs[output];
    while (shard < plan->k && choice->missing[lost] != shard) lost++;
    for (uint32_t i = 0; i < plan->k; i++) {
      uint8_t factor;
      if (shard < plan->k) {
        factor = recovery[lost][i];
      } else {
        factor = i < data_inputs ? parity_factor(plan, shard - plan->k, choice->inputs[i]) : 0;
        for (uint32_t r = 0; r < choice->missing_count; r++) factor ^= gf_multiply(parity_factor(plan, shard - plan->k, choice->missing[r]), recovery[r][i]);
      }
      rows->factor[i * rows->outputs + output] = factor;
    }
  }
  gf_rows_prepare(rows);
  return 0;
}

/* hashes = 0: rebuilt shards are not hashed; else one place per shard of the block. */
static int32_t rebuild(const struct rs_plan *plan, uint8_t *const *shards, uint8_t *const *hashes, size_t shard_bytes, uint32_t have, uint32_t want) {
  struct rebuild_choice choice;
  struct gf_rows rows;
  if (choose_shards(&choice, plan, have, want) != 0) return -1;
  if (choice.output_count == 0) return 0;
  if (rebuild_rows(&rows, plan, &choice) != 0) return -1;
  const uint8_t *source[SHERD_SHARDS_MAX];
  uint8_t *target[SHERD_SHARDS_MAX], *hash[SHERD_SHARDS_MAX];
  for (uint32_t i = 0; i < plan->k; i++) source[i] = shards[choice.inputs[i]];
  for (uint32_t i = 0; i < choice.output_count; i++) {
    target[i] = shards[choice.outputs[i]];
    if (hashes) hash[i] = hashes[choice.outputs[i]];
  }
  const struct coding_job job = {&rows, source, target, (const uint8_t *const *)target, hash, hashes ? choice.output_count : 0};
  run_in_strips(&job, shard_bytes);
  return 0;
}

int32_t sherd_rebuild(const void *plan, uint8_t *const *shards, uint64_t shard_bytes, uint32_t have, uint32_t want) { return rebuild(plan, shards, 0, shard_bytes, have, want); }

int32_t sherd_rebuild_slots(const void *memory, uint8_t *base, uint64_t stride, uint64_t shard_bytes, uint32_t have_want, uint32_t hash) {
  const struct rs_plan *plan = memory;
  uint8_t *hashes[SHERD_SHARDS_MAX], *data[SHERD_SHARDS_MAX];
  for (uint32_t slot = 0; slot < plan->k + plan->m; slot++) {
    hashes[slot] = base + slot * stride;
    data[slot] = hashes[slot] + SHERD_HASH_BYTES;
  }
  return rebuild(plan, data, hash ? hashes : 0, shard_bytes, have_want & 0xffff, have_want >> 16);
}
