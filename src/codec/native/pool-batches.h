/* pool-batches.h — light tasks that a worker of pool.c took together. Internal.
   A place of a batch belongs to whoever empties it: the worker, or the monitor when one of the tasks hangs, for the others
   may be those of healthy drives. */
#pragma once
#include "pool.h"
#include <stdatomic.h>
#include <stdbool.h>

#define BATCH_MAX 4

struct batch {
    _Atomic(struct task *) waiting[BATCH_MAX], ended[BATCH_MAX];
    struct batch *next;
    bool seen;
};

struct taken {
    struct task *waiting[BATCH_MAX], *ended[BATCH_MAX];
    uint32_t waiting_count, ended_count;
};

/* Into and out of the list of all batches; the pool's lock is held. */
void batch_join(struct batch **all, struct batch *batch, struct task *const *tasks, uint32_t count);
void batch_leave(struct batch **all, struct batch *batch);

/* Runs what nobody took over; returns how many ended here, in `tasks`. */
uint32_t batch_run(struct batch *batch, struct task **tasks, void (*run)(struct task *));

/* Takes over from a batch that was there at the last call already; the pool's lock is held. */
void batch_take_over(struct batch *batch, struct taken *taken);
