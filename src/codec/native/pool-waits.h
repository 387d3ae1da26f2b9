/* pool-waits.h — do workers compute, or do they wait for drives? The kernel tells for each thread how long it ran and how long it waited for
   a processor; the rest it slept. Internal to pool.c; one thread uses it. */
#pragma once
#include <stdint.h>
#include <sys/types.h>

#define WORKERS_MAX 256

/* Of threads that were in two looks: how many, how many of them slept all the time between, how long the others were awake together, and how
   long it was. */
struct waits {
    uint32_t known, sleepers;
    uint64_t awake_ns, passed_ns;
};

/* Of these threads since the last call, as far as they were in that one too; nothing is known where the kernel does not tell. */
struct waits waits_of(const pid_t *threads, uint32_t count);
