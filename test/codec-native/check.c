/* check.c — counting, guard pages and noise; see check.h. */
#define _GNU_SOURCE
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define REASONS_SHOWN 3
#define GUARDED_MAX 256

static uint32_t passed, failed, skipped, failures_here;

void fail_here(const char *file, int line, const char *what) {
  if (failures_here++ < REASONS_SHOWN) printf("  %s:%d: not so: %s\n", file, line, what);
}

void run_test(const char *name, void (*test)(void)) {
  failures_here = 0;
  noise_restart(1);
  test();
  release_all_guarded();
  if (failures_here) failed++;
  else passed++;
  printf("%s %s\n", failures_here ? "FAIL" : "ok  ", name);
  fflush(stdout);
}

void skip_test(const char *name, const char *reason) {
  skipped++;
  printf("skip %s: %s\n", name, reason);
}

int finish_tests(void) {
  printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
  return failed > 0;
}

/* ---- guard pages: [unreadable][pages][unreadable] ---- */

struct guarded {
  uint8_t *map;
  size_t map_bytes;
  uint8_t *given;
};
static struct guarded guarded[GUARDED_MAX];

static uint8_t *between_guards(size_t bytes, bool at_end) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), inside = (bytes + page - 1) / page * page;
  for (uint32_t i = 0; i < GUARDED_MAX; i++) {
    struct guarded *g = &guarded[i];
    if (g->map) continue;
    g->map_bytes = inside + 2 * page;
    void *map = mmap(NULL, g->map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || (inside && mprotect((uint8_t *)map + page, inside, PROT_READ | PROT_WRITE) != 0)) abort();
    g->map = map;
    g->given = g->map + page + (at_end ? inside - bytes : 0);
    return g->given;
  }
  abort();
}

uint8_t *before_guard_page(size_t bytes) { return between_guards(bytes, true); }
uint8_t *after_guard_page(size_t bytes) { return between_guards(bytes, false); }

void release_guarded(void *memory) {
  for (uint32_t i = 0; i < GUARDED_MAX; i++) {
    if (!guarded[i].map || guarded[i].given != memory) continue;
    munmap(guarded[i].map, guarded[i].map_bytes);
    guarded[i].map = NULL;
    return;
  }
  abort();
}

void release_all_guarded(void) {
  for (uint32_t i = 0; i < GUARDED_MAX; i++)
    if (guarded[i].map) release_guarded(guarded[i].given);
}

/* ---- noise: xorshift64* ---- */

static uint64_t noise_state;

void noise_restart(uint64_t seed) { noise_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1; }

static uint64_t noise(void) {
  noise_state ^= noise_state >> 12;
  noise_state ^= noise_state << 25;
  noise_state ^= noise_state >> 27;
  return noise_state * UINT64_C(0x2545f4914f6cdd1d);
}

uint32_t noise_below(uint32_t limit) { return (uint32_t)((noise() >> 32) * limit >> 32); }

void noise_fill(uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(noise() >> 56);
}
