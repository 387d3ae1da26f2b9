/* reed-solomon-kernels.h — what reed-solomon.c needs of the kernels. Internal. */
#pragma once
#include "galois.h"

#include <stddef.h>

/* Sums that one pass over the inputs can produce. More than 8 outputs take further passes. */
#define GROUP_MAX 8
#define VECTOR_BYTES_MAX 64

/* target[i][x] = sum over inputs j of factor(j, first + i) * source[j][x], for i < the group's size and from <= x < to.
   to - from is a multiple of the kernel's vector. No alignment is needed; targets must not overlap sources. */
typedef void group_function(const struct gf_rows *rows, uint32_t first, const uint8_t *const *source, uint8_t *const *target, size_t from, size_t to);

struct rs_kernel {
  size_t vector_bytes;
  group_function *group[GROUP_MAX + 1]; /* by the number of outputs; [0] is unused */
};

/* The kernel of the tier in use. */
const struct rs_kernel *rs_kernel_in_use(void);
