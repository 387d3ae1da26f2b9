/* cpu.h — the instruction tiers and the two macros that compile code for one of them. Internal to the library. */
#pragma once
#include <stdint.h>

/* Best last. NEON is the best of arm64 and does not occur on x86-64; 2 to 4 occur on x86-64 only. */
enum sherd_tier {
  TIER_PORTABLE = 0,
  TIER_NEON = 1,
  TIER_AVX2 = 2,
  TIER_AVX2_GFNI = 3,
  TIER_AVX512_GFNI = 4,
};

/* The tier in use. One relaxed atomic load: cheap enough for every call, and never cpuid, which traps in virtual machines. */
enum sherd_tier tier_in_use(void);

/* Functions between TARGET_BEGIN("avx2") and TARGET_END may use these instructions; the rest of the library may not. */
#define TARGET_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define TARGET_BEGIN(features) TARGET_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define TARGET_END _Pragma("clang attribute pop")
#else
#define TARGET_BEGIN(features) _Pragma("GCC push_options") TARGET_PRAGMA(GCC target(features))
#define TARGET_END _Pragma("GCC pop_options")
#endif

/* Loops over registers must be unrolled completely, or the "registers" become an array in memory. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define INLINE static inline __attribute__((always_inline))
#define NOT_INLINE __attribute__((noinline))

#define JOIN_(left, right) left##right
#define JOIN(left, right) JOIN_(left, right)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the codec reads words from bytes: little-endian only");
