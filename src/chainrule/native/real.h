// The number type that kernels are written over: float or double, as REAL_BITS says.
#ifndef CHAINRULE_REAL_H
#define CHAINRULE_REAL_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "machine.h"

#if REAL_BITS == 32
typedef float real;
#define REAL_KIND F32
#define REAL_TINY FLT_MIN  // the smallest normal number; below it are denormals, with which processors are slow
#define REAL_LARGEST FLT_MAX
#define FAR 87             // exp(-FAR) is still normal; behind it, a kernel takes 0 for the exponential
#define real_exp expf
#define real_expm1 expm1f
#define real_log logf
#define real_log1p log1pf
#define real_tanh tanhf
#define real_erfc erfcf
#define real_sqrt sqrtf
#define real_abs fabsf
#define real_pow powf
#else
typedef double real;
#define REAL_KIND F64
#define REAL_TINY DBL_MIN
#define REAL_LARGEST DBL_MAX
#define FAR 708
#define real_exp exp
#define real_expm1 expm1
#define real_log log
#define real_log1p log1p
#define real_tanh tanh
#define real_erfc erfc
#define real_sqrt sqrt
#define real_abs fabs
#define real_pow pow
#endif

#define INLINE static inline __attribute__((always_inline))

INLINE const array *operand(const worker *w, const instruction *i, int k) { return w->arrays + i->operand[k]; }

// The first row of this part, of an array with a row for each sample.
INLINE real *own_rows(const worker *w, const instruction *i, int k) {
    const array *a = operand(w, i, k);
    return (real *)a->address + w->low * a->width;
}

INLINE real *all_rows(const worker *w, const instruction *i, int k) { return operand(w, i, k)->address; }

INLINE int64_t own_count(const worker *w) { return w->high - w->low; }

// How many numbers an array has: in the rows of this batch, or where it does not grow with the batch.
INLINE int64_t all_count(const worker *w, const instruction *i, int k) {
    const array *a = operand(w, i, k);
    return a->width * (a->length > 0 ? a->length : w->rows);
}

// The numbers of an array that are this part's: in its rows, or its share of what does not grow with the batch.
typedef struct {
    int64_t first, count;
} span;

INLINE span own_numbers(const worker *w, const instruction *i, int k) {
    const array *a = operand(w, i, k);
    if (a->length <= 0) return (span){w->low * a->width, own_count(w) * a->width};
    const int64_t n = a->width * a->length, first = share(n, w->part, w->parts);
    return (span){first, share(n, w->part + 1, w->parts) - first};
}

// How many rows as long as the vector at operand `b` this part has, where a row of `y` holds one of them or several.
INLINE int64_t rows_of_vector(const worker *w, const instruction *i, int y, int b) {
    const int64_t N = operand(w, i, b)->width;
    return N ? own_count(w) * (operand(w, i, y)->width / N) : 0;
}

INLINE int all_finite(const real *x, int64_t n) {
    int bad = 0;
    for (int64_t j = 0; j < n; j++) bad |= !(real_abs(x[j]) <= REAL_LARGEST);
    return !bad;
}

INLINE real normal_or_0(real v) { return real_abs(v) < REAL_TINY ? 0 : v; }

// exp(-a) for a >= 0, and 0 where that would be denormal.
INLINE real fading(real a) { return a > FAR ? 0 : real_exp(-a); }

#endif
