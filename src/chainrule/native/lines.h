// Sums of n numbers that lie together, WIDE at a time, in vectors: the same ones in every variant, whose sums thus have
// the same bits. Behind the last WIDE, one after another.
#ifndef CHAINRULE_LINES_H
#define CHAINRULE_LINES_H

#include "products.h"

enum { VECTORS = 64 / VECTOR_BYTES, WIDE = VECTORS * LANES };

INLINE double total(const vector *sums) {
    double sum = 0;
    for (int v = 0; v < VECTORS; v++)
        for (int k = 0; k < LANES; k++) sum += sums[v][k];
    return sum;
}

INLINE vector vector_at(const real *x) { return *(const vector *)x; }

INLINE double sum_of(const real *x, int64_t n) {
    vector sums[VECTORS] = {{0}};
    int64_t j = 0;
    for (; j + WIDE <= n; j += WIDE)
        for (int v = 0; v < VECTORS; v++) sums[v] += vector_at(x + j + v * LANES);
    double sum = total(sums);
    for (; j < n; j++) sum += x[j];
    return sum;
}

// of a b
INLINE double sum_of_products(const real *a, const real *b, int64_t n) {
    vector sums[VECTORS] = {{0}};
    int64_t j = 0;
    for (; j + WIDE <= n; j += WIDE)
        for (int v = 0; v < VECTORS; v++) sums[v] += vector_at(a + j + v * LANES) * vector_at(b + j + v * LANES);
    double sum = total(sums);
    for (; j < n; j++) sum += a[j] * b[j];
    return sum;
}

// of (x - mean)^2
INLINE double sum_of_squares(const real *x, real mean, int64_t n) {
    vector sums[VECTORS] = {{0}};
    int64_t j = 0;
    for (; j + WIDE <= n; j += WIDE)
        for (int v = 0; v < VECTORS; v++) {
            const vector d = vector_at(x + j + v * LANES) - mean;
            sums[v] += d * d;
        }
    double sum = total(sums);
    for (; j < n; j++) sum += (x[j] - mean) * (x[j] - mean);
    return sum;
}

// of dy (x - mean) inverse
INLINE double sum_of_slopes(const real *dy, const real *x, real mean, real inverse, int64_t n) {
    vector sums[VECTORS] = {{0}};
    int64_t j = 0;
    for (; j + WIDE <= n; j += WIDE)
        for (int v = 0; v < VECTORS; v++)
            sums[v] += vector_at(dy + j + v * LANES) * ((vector_at(x + j + v * LANES) - mean) * inverse);
    double sum = total(sums);
    for (; j < n; j++) sum += dy[j] * ((x[j] - mean) * inverse);
    return sum;
}

#endif
