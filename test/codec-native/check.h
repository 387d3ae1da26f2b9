/* check.h — the few words that the codec's C tests are written in: checks that are counted, buffers between guard pages,
   repeatable noise. The last line of a program is "N passed, N failed, N skipped". */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counts one named test as failed, if it did not fail already, and prints the first reasons. */
void fail_here(const char *file, int line, const char *what);
#define CHECK(condition) ((condition) ? (void)0 : fail_here(__FILE__, __LINE__, #condition))

/* Runs a test and prints its name and outcome. */
void run_test(const char *name, void (*test)(void));
void skip_test(const char *name, const char *reason);
/* Prints the sum; the program's exit status. */
int finish_tests(void);

/* `bytes` bytes that end where an unreadable page begins (or begin where one ends): an access past the edge is a crash. */
uint8_t *before_guard_page(size_t bytes);
uint8_t *after_guard_page(size_t bytes);
void release_guarded(void *memory);
/* Gives all of the above back. */
void release_all_guarded(void);

/* A repeatable sequence. */
void noise_restart(uint64_t seed);
uint32_t noise_below(uint32_t limit);
void noise_fill(uint8_t *bytes, size_t count);
