/* pool-batches.c — owns who of worker and monitor has a task of a batch. See pool-batches.h. */
#include "pool-batches.h"
#include <stddef.h>

void batch_join(struct batch **all, struct batch *batch, struct task *const *tasks, uint32_t count) {
    for (uint32_t i = 0; i < BATCH_MAX; i++) {
        atomic_store_explicit(&batch->waiting[i], i < count ? tasks[i] : NULL, memory_order_relaxed); /* the lock orders them */
        atomic_store_explicit(&batch->ended[i], NULL, memory_order_relaxed);
    }
    batch->seen = false;
    batch->next = *all;
    *all = batch;
}

void batch_leave(struct batch **all, struct batch *batch) {
    while (*all != batch) all = &(*all)->next;
    *all = batch->next;
}

static uint32_t empty(_Atomic(struct task *) *places, struct task **tasks) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < BATCH_MAX; i++) {
        if (!atomic_load_explicit(&places[i], memory_order_relaxed)) continue; /* spares an exchange */
        struct task *t = atomic_exchange(&places[i], NULL);
        if (t) tasks[count++] = t;
    }
    return count;
}

uint32_t batch_run(struct batch *batch, struct task **tasks, void (*run)(struct task *)) {
    for (uint32_t i = 0; i < BATCH_MAX; i++) {
        struct task *t = atomic_exchange(&batch->waiting[i], NULL);
        if (!t) continue;
        run(t);
        atomic_store_explicit(&batch->ended[i], t, memory_order_release);
    }
    return empty(batch->ended, tasks);
}

void batch_take_over(struct batch *batch, struct taken *taken) {
    taken->waiting_count = batch->seen ? empty(batch->waiting, taken->waiting) : 0;
    taken->ended_count = batch->seen ? empty(batch->ended, taken->ended) : 0;
    batch->seen = true;
}
