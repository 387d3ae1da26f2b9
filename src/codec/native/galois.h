/* galois.h — arithmetic of GF(2^8) with polynomial x^8+x^4+x^3+x^2+1 (0x11D), and small matrices over it. Internal. */
#pragma once
#include <stdint.h>

/* Largest k*m with k+m <= 16: 8 x 8. */
#define GF_ROWS_CELLS_MAX 64

/* gf_product[a][b] = a*b. 64 KiB, filled when the library is loaded; a kernel touches only the rows of its coefficients. */
extern uint8_t gf_product[256][256];

static inline uint8_t gf_multiply(uint8_t a, uint8_t b) { return gf_product[a][b]; }

/* The 8x8 bit matrix of x -> factor*x, in the form that vgf2p8affineqb takes. */
uint64_t gf_affine(uint8_t factor);

/* Inverts the n x n matrix in place, n <= 16, rows packed. Returns 0, or -1 if it is singular. */
int gf_invert(uint8_t *matrix, uint32_t n);

/* `outputs` sums over `inputs` shards: the coefficients, and each of them in the two forms that kernels multiply with.
   Cell of (input, output) = input * outputs + output, so that a kernel reads forwards.
   Both forms are always filled: a plan stays valid when the tier changes. */
struct gf_rows {
  uint32_t inputs;
  uint32_t outputs;
  uint8_t factor[GF_ROWS_CELLS_MAX];
  uint64_t affine[GF_ROWS_CELLS_MAX];
  uint8_t nibbles[GF_ROWS_CELLS_MAX][32]; /* products of the factor with 0..15, then with 0,16..240 */
};

/* Fills affine and nibbles from factor. */
void gf_rows_prepare(struct gf_rows *rows);
