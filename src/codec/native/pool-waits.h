/* pool-waits.h — do workers compute, or do they wait for drives? The kernel tells for each thread how long it ran and how long it waited for
   a processor; the rest it slept. Internal to pool.c; one thread uses it. */
#pragma once
#include <stdint.h>
#include <sys/types.h>

#define WORKERS_MAX 256

enum waits { WAITS_UNKNOWN, WAITS_COMPUTING, WAITS_MIXED, WAITS_SLEEPING };

/* Of these threads since the last call, as far as they were in that one too. A thread that has nothing to do counts as sleeping. */
enum waits waits_of(const pid_t *threads, uint32_t count);
