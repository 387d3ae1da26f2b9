/* galois.c — owns the field's product table, matrix inversion and the prepared forms of coefficients. */
#include "galois.h"

#include <string.h>

#define FIELD_POLYNOMIAL_LOW 0x1d /* 0x11D without x^8 */
#define MATRIX_ORDER_MAX 16

uint8_t gf_product[256][256];

static uint8_t double_of(uint8_t a) { return (uint8_t)((a << 1) ^ ((a & 0x80) ? FIELD_POLYNOMIAL_LOW : 0)); }

/* Runs when the library is loaded, so that no call can come too early and no lock is needed.
   Row a from rows a/2 and a-1: a*b = 2*(a/2*b), plus b if a is odd. */
__attribute__((constructor)) static void fill_product_table(void) {
  for (int a = 1; a < 256; a++)
    for (int b = 1; b < 256; b++) gf_product[a][b] = (uint8_t)(double_of(gf_product[a >> 1][b]) ^ ((a & 1) ? b : 0));
}

static uint8_t reciprocal_of(uint8_t a) {
  for (int b = 1; b < 256; b++)
    if (gf_product[a][b] == 1) return (uint8_t)b;
  return 0;
}

/* Result bit i is the parity of (matrix byte 7-i AND x): byte 7-i holds bit i of factor*1, factor*2, factor*4, … */
uint64_t gf_affine(uint8_t factor) {
  uint64_t matrix = 0;
  for (int in = 0; in < 8; in++) {
    const uint8_t product = gf_multiply(factor, (uint8_t)(1u << in));
    for (int out = 0; out < 8; out++) matrix |= (uint64_t)((product >> out) & 1) << (8 * (7 - out) + in);
  }
  return matrix;
}

void gf_rows_prepare(struct gf_rows *rows) {
  const uint32_t cells = rows->inputs * rows->outputs;
  for (uint32_t cell = 0; cell < cells; cell++) {
    const uint8_t *products = gf_product[rows->factor[cell]];
    rows->affine[cell] = gf_affine(rows->factor[cell]);
    for (int nibble = 0; nibble < 16; nibble++) {
      rows->nibbles[cell][nibble] = products[nibble];
      rows->nibbles[cell][16 + nibble] = products[nibble << 4];
    }
  }
}

static void swap_rows(uint8_t *a, uint8_t *b, uint32_t bytes) {
  uint8_t held[2 * MATRIX_ORDER_MAX];
  memcpy(held, a, bytes);
  memcpy(a, b, bytes);
  memcpy(b, held, bytes);
}

/* Gauss-Jordan on [matrix | identity]. */
int gf_invert(uint8_t *matrix, uint32_t n) {
  uint8_t work[MATRIX_ORDER_MAX][2 * MATRIX_ORDER_MAX] = {{0}};
  for (uint32_t row = 0; row < n; row++) {
    memcpy(work[row], matrix + row * n, n);
    work[row][n + row] = 1;
  }
  for (uint32_t column = 0; column < n; column++) {
    uint32_t pivot = column;
    while (pivot < n && work[pivot][column] == 0) pivot++;
    if (pivot == n) return -1;
    if (pivot != column) swap_rows(work[pivot], work[column], 2 * n);
    const uint8_t scale = reciprocal_of(work[column][column]);
    for (uint32_t i = 0; i < 2 * n; i++) work[column][i] = gf_multiply(scale, work[column][i]);
    for (uint32_t row = 0; row < n; row++) {
      const uint8_t factor = work[row][column];
      if (row == column || factor == 0) continue;
      for (uint32_t i = 0; i < 2 * n; i++) work[row][i] ^= gf_multiply(factor, work[column][i]);
    }
  }
  for (uint32_t row = 0; row < n; row++) memcpy(matrix + row * n, work[row] + n, n);
  return 0;
}
