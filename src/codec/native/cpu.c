/* cpu.c — owns the choice of the instruction tier: asked of the CPU once, kept in one atomic word.
   Own table instead of ifunc: under musl a library with ifunc loads and then crashes at the first call. */
#include "cpu.h"
#include "codec.h"

#include <stdatomic.h>

#define NOT_CHOSEN (-1)

static _Atomic int32_t chosen_tier = NOT_CHOSEN;

#if defined(__x86_64__)
#include <cpuid.h>

/* XCR0: which registers the operating system saves. */
#define XCR0_YMM 0x06u
#define XCR0_ZMM 0xe6u

/* cpuid leaf 1, ecx */
#define OSXSAVE (1u << 27)
/* cpuid leaf 7, ebx and ecx */
#define AVX2 (1u << 5)
#define AVX512_F_DQ_BW_VL ((1u << 16) | (1u << 17) | (1u << 30) | (1u << 31))
#define BMI2 (1u << 8)
#define GFNI (1u << 8)

static uint32_t saved_registers(void) {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static enum sherd_tier best_tier(void) {
  uint32_t eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & OSXSAVE)) return TIER_PORTABLE;
  const uint32_t saved = saved_registers();
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return TIER_PORTABLE;
  if ((saved & XCR0_YMM) != XCR0_YMM || !(ebx & AVX2)) return TIER_PORTABLE;
  if (!(ecx & GFNI)) return TIER_AVX2;
  const uint32_t needed = AVX512_F_DQ_BW_VL | BMI2;
  if ((saved & XCR0_ZMM) != XCR0_ZMM || (ebx & needed) != needed) return TIER_AVX2_GFNI;
  return TIER_AVX512_GFNI;
}

#elif defined(__aarch64__)

static enum sherd_tier best_tier(void) { return TIER_NEON; }

#else

static enum sherd_tier best_tier(void) { return TIER_PORTABLE; }

#endif

/* The best tier that exists on this architecture and is not above `limit`. */
static enum sherd_tier tier_at_most(enum sherd_tier best, int32_t limit) {
  if (limit < 0 || limit >= (int32_t)best) return best;
  if (best > TIER_NEON && limit == TIER_NEON) return TIER_PORTABLE;
  return (enum sherd_tier)limit;
}

int32_t sherd_init(int32_t tier) {
  const int32_t use = (int32_t)tier_at_most(best_tier(), tier);
  atomic_store_explicit(&chosen_tier, use, memory_order_relaxed);
  return use;
}

enum sherd_tier tier_in_use(void) {
  const int32_t tier = atomic_load_explicit(&chosen_tier, memory_order_relaxed);
  return (enum sherd_tier)(tier == NOT_CHOSEN ? sherd_init(NOT_CHOSEN) : tier);
}

int32_t sherd_tier(void) { return (int32_t)tier_in_use(); }
