/* pool-waits.c — how long threads slept between two looks, by /proc/self/task/N/schedstat. */
#define _GNU_SOURCE
#include "pool-waits.h"
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static struct look {
    uint64_t at;
    uint32_t count;
    struct {
        pid_t thread;
        uint64_t awake;
    } seen[WORKERS_MAX];
} last;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Nanoseconds that a thread ran or was ready to run; 0 = the kernel does not tell. */
static uint64_t awake_ns(pid_t thread) {
    char text[96];
    snprintf(text, sizeof text, "/proc/self/task/%d/schedstat", (int)thread);
    const int fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    const ssize_t bytes = read(fd, text, sizeof text - 1);
    close(fd);
    if (bytes <= 0) return 0;
    text[bytes] = 0;
    unsigned long long ran = 0, ready = 0;
    return sscanf(text, "%llu %llu", &ran, &ready) == 2 ? ran + ready : 0;
}

struct waits waits_of(const pid_t *threads, uint32_t count) {
    struct look look = {.at = now_ns(), .count = count < WORKERS_MAX ? count : WORKERS_MAX};
    struct waits waits = {.passed_ns = look.at - last.at};
    for (uint32_t i = 0; i < look.count; i++) {
        look.seen[i].thread = threads[i];
        look.seen[i].awake = awake_ns(threads[i]);
        for (uint32_t j = 0; j < last.count; j++) {
            if (last.seen[j].thread != threads[i] || !last.seen[j].awake || !look.seen[i].awake) continue;
            const uint64_t awake = look.seen[i].awake - last.seen[j].awake;
            waits.known++;
            waits.awake_ns += awake;
            if (!awake) waits.sleepers++;
        }
    }
    last = look;
    return waits;
}
