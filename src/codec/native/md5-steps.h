/* The 64 steps of MD5's compression function (RFC 1321 §3.4) as a table, and the scalar form of one step.
   Shared by the kernels of md5.c (one stream, two streams, SIMD lanes) and by MD5 + SHA-256 of one stream in sha256.c. */
#pragma once
#include "digests.h"

/* STEP(round function, a, b, c, d, message word, rotate, constant): a = b + rotl(a + f(b, c, d) + word + constant).
   BETWEEN(group, half) stands before every second step: the place where another algorithm's instructions go. */
#define MD5_STEPS(STEP, BETWEEN) \
  BETWEEN( 0, FIRST)  STEP(F, a, b, c, d,  0,  7, 0xd76aa478) STEP(F, d, a, b, c,  1, 12, 0xe8c7b756) \
  BETWEEN( 0, SECOND) STEP(F, c, d, a, b,  2, 17, 0x242070db) STEP(F, b, c, d, a,  3, 22, 0xc1bdceee) \
  BETWEEN( 1, FIRST)  STEP(F, a, b, c, d,  4,  7, 0xf57c0faf) STEP(F, d, a, b, c,  5, 12, 0x4787c62a) \
  BETWEEN( 1, SECOND) STEP(F, c, d, a, b,  6, 17, 0xa8304613) STEP(F, b, c, d, a,  7, 22, 0xfd469501) \
  BETWEEN( 2, FIRST)  STEP(F, a, b, c, d,  8,  7, 0x698098d8) STEP(F, d, a, b, c,  9, 12, 0x8b44f7af) \
  BETWEEN( 2, SECOND) STEP(F, c, d, a, b, 10, 17, 0xffff5bb1) STEP(F, b, c, d, a, 11, 22, 0x895cd7be) \
  BETWEEN( 3, FIRST)  STEP(F, a, b, c, d, 12,  7, 0x6b901122) STEP(F, d, a, b, c, 13, 12, 0xfd987193) \
  BETWEEN( 3, SECOND) STEP(F, c, d, a, b, 14, 17, 0xa679438e) STEP(F, b, c, d, a, 15, 22, 0x49b40821) \
  BETWEEN( 4, FIRST)  STEP(G, a, b, c, d,  1,  5, 0xf61e2562) STEP(G, d, a, b, c,  6,  9, 0xc040b340) \
  BETWEEN( 4, SECOND) STEP(G, c, d, a, b, 11, 14, 0x265e5a51) STEP(G, b, c, d, a,  0, 20, 0xe9b6c7aa) \
  BETWEEN( 5, FIRST)  STEP(G, a, b, c, d,  5,  5, 0xd62f105d) STEP(G, d, a, b, c, 10,  9, 0x02441453) \
  BETWEEN( 5, SECOND) STEP(G, c, d, a, b, 15, 14, 0xd8a1e681) STEP(G, b, c, d, a,  4, 20, 0xe7d3fbc8) \
  BETWEEN( 6, FIRST)  STEP(G, a, b, c, d,  9,  5, 0x21e1cde6) STEP(G, d, a, b, c, 14,  9, 0xc33707d6) \
  BETWEEN( 6, SECOND) STEP(G, c, d, a, b,  3, 14, 0xf4d50d87) STEP(G, b, c, d, a,  8, 20, 0x455a14ed) \
  BETWEEN( 7, FIRST)  STEP(G, a, b, c, d, 13,  5, 0xa9e3e905) STEP(G, d, a, b, c,  2,  9, 0xfcefa3f8) \
  BETWEEN( 7, SECOND) STEP(G, c, d, a, b,  7, 14, 0x676f02d9) STEP(G, b, c, d, a, 12, 20, 0x8d2a4c8a) \
  BETWEEN( 8, FIRST)  STEP(H, a, b, c, d,  5,  4, 0xfffa3942) STEP(H, d, a, b, c,  8, 11, 0x8771f681) \
  BETWEEN( 8, SECOND) STEP(H, c, d, a, b, 11, 16, 0x6d9d6122) STEP(H, b, c, d, a, 14, 23, 0xfde5380c) \
  BETWEEN( 9, FIRST)  STEP(H, a, b, c, d,  1,  4, 0xa4beea44) STEP(H, d, a, b, c,  4, 11, 0x4bdecfa9) \
  BETWEEN( 9, SECOND) STEP(H, c, d, a, b,  7, 16, 0xf6bb4b60) STEP(H, b, c, d, a, 10, 23, 0xbebfbc70) \
  BETWEEN(10, FIRST)  STEP(H, a, b, c, d, 13,  4, 0x289b7ec6) STEP(H, d, a, b, c,  0, 11, 0xeaa127fa) \
  BETWEEN(10, SECOND) STEP(H, c, d, a, b,  3, 16, 0xd4ef3085) STEP(H, b, c, d, a,  6, 23, 0x04881d05) \
  BETWEEN(11, FIRST)  STEP(H, a, b, c, d,  9,  4, 0xd9d4d039) STEP(H, d, a, b, c, 12, 11, 0xe6db99e5) \
  BETWEEN(11, SECOND) STEP(H, c, d, a, b, 15, 16, 0x1fa27cf8) STEP(H, b, c, d, a,  2, 23, 0xc4ac5665) \
  BETWEEN(12, FIRST)  STEP(I, a, b, c, d,  0,  6, 0xf4292244) STEP(I, d, a, b, c,  7, 10, 0x432aff97) \
  BETWEEN(12, SECOND) STEP(I, c, d, a, b, 14, 15, 0xab9423a7) STEP(I, b, c, d, a,  5, 21, 0xfc93a039) \
  BETWEEN(13, FIRST)  STEP(I, a, b, c, d, 12,  6, 0x655b59c3) STEP(I, d, a, b, c,  3, 10, 0x8f0ccc92) \
  BETWEEN(13, SECOND) STEP(I, c, d, a, b, 10, 15, 0xffeff47d) STEP(I, b, c, d, a,  1, 21, 0x85845dd1) \
  BETWEEN(14, FIRST)  STEP(I, a, b, c, d,  8,  6, 0x6fa87e4f) STEP(I, d, a, b, c, 15, 10, 0xfe2ce6e0) \
  BETWEEN(14, SECOND) STEP(I, c, d, a, b,  6, 15, 0xa3014314) STEP(I, b, c, d, a, 13, 21, 0x4e0811a1) \
  BETWEEN(15, FIRST)  STEP(I, a, b, c, d,  4,  6, 0xf7537e82) STEP(I, d, a, b, c, 11, 10, 0xbd3af235) \
  BETWEEN(15, SECOND) STEP(I, c, d, a, b,  2, 15, 0x2ad7d2bb) STEP(I, b, c, d, a,  9, 21, 0xeb86d391)

#define MD5_NOTHING_BETWEEN(group, half)

INLINE uint32_t md5_rotate(uint32_t x, int n) { return (x << n) | (x >> (32 - n)); }

/* One stream is bound by the chain of dependent additions, so each form adds the words that do not depend on the
   previous step first. The barrier keeps the compiler from re-associating the sum back into one long chain. */
#define MD5_KEEP_ORDER(x) __asm__("" : "+r"(x))

#define MD5_SCALAR_F(a, b, c, d) \
  MD5_KEEP_ORDER(a);             \
  a += ((c ^ d) & b) ^ d;
/* (b & d) | (c & ~d): the halves have no common bit, so that they may be added one by one; only b is late. */
#define MD5_SCALAR_G(a, b, c, d) \
  a += ~d & c;                   \
  MD5_KEEP_ORDER(a);             \
  a += d & b;
#define MD5_SCALAR_H(a, b, c, d) \
  MD5_KEEP_ORDER(a);             \
  {                              \
    uint32_t early = c ^ d;      \
    MD5_KEEP_ORDER(early);       \
    a += early ^ b;              \
  }
#define MD5_SCALAR_I(a, b, c, d) \
  MD5_KEEP_ORDER(a);             \
  a += (~d | b) ^ c;

#define MD5_SCALAR_STEP(f, a, b, c, d, block, word, rotate, constant) \
  a += constant + load_u32(block + 4 * word);                         \
  MD5_SCALAR_##f(a, b, c, d)                                          \
  a = md5_rotate(a, rotate) + b;
