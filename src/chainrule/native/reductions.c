// Sums, means and maxima over an axis of each row, and over the rows of a batch.

// How a row is reduced: x (outer, n, inner) -> y (outer, inner). Numbers: n, inner and a divisor.
typedef struct {
    int64_t rows, n, inner;  // rows: outer ones, of all rows of the batch
    real divisor;
} reduction;

INLINE reduction reduction_of(const worker *w, const instruction *i, int x) {
    const int64_t n = (int64_t)i->number[0], inner = (int64_t)i->number[1];
    return (reduction){own_count(w) * (operand(w, i, x)->width / (n * inner)), n, inner, (real)i->number[2]};
}

// y (B, outer, inner) = the sum of x (B, outer, n, inner) / divisor.
static int sum_axis(worker *w, const instruction *i) {
    const reduction of = reduction_of(w, i, 0);
    const real *restrict x = own_rows(w, i, 0);
    real *restrict y = own_rows(w, i, 1);
    for (int64_t o = 0; o < of.rows; o++, x += of.n * of.inner, y += of.inner) {
        if (of.inner == 1) {
            *y = (real)sum_of(x, of.n) / of.divisor;
            continue;
        }
        for (int64_t j = 0; j < of.inner; j++) y[j] = x[j];
        for (int64_t k = 1; k < of.n; k++)
            for (int64_t j = 0; j < of.inner; j++) y[j] += x[k * of.inner + j];
        if (of.divisor != 1)
            for (int64_t j = 0; j < of.inner; j++) y[j] /= of.divisor;
    }
    return 0;
}

// dx (B, outer, n, inner) = dy (B, outer, inner) / divisor, the same for all n.
static int spread_axis(worker *w, const instruction *i) {
    const reduction of = reduction_of(w, i, 1);
    const real *restrict dy = own_rows(w, i, 0);
    real *restrict dx = own_rows(w, i, 1);
    for (int64_t o = 0; o < of.rows; o++, dx += of.n * of.inner, dy += of.inner) {
        if (of.inner == 1) {
            const real value = *dy / of.divisor;
            for (int64_t k = 0; k < of.n; k++) dx[k] = value;
            continue;
        }
        for (int64_t j = 0; j < of.inner; j++) dx[j] = dy[j] / of.divisor;
        for (int64_t k = 1; k < of.n; k++) memcpy(dx + k * of.inner, dx, (size_t)of.inner * sizeof(real));
    }
    return 0;
}

// The larger number, and NaN where one of them is.
INLINE real larger(real a, real b) { return (a > b) | (a != a) ? a : b; }

// The largest of n numbers, one at least: eight candidates, for the vectoriser.
INLINE real largest_together(const real *x, int64_t n) {
    enum { CANDIDATES = 8 };
    real found[CANDIDATES];
    int64_t j = 0;
    for (int k = 0; k < CANDIDATES; k++) found[k] = x[0];
    for (; j + CANDIDATES <= n; j += CANDIDATES)
        for (int k = 0; k < CANDIDATES; k++) found[k] = larger(found[k], x[j + k]);
    for (; j < n; j++) found[0] = larger(found[0], x[j]);
    for (int k = 1; k < CANDIDATES; k++) found[0] = larger(found[0], found[k]);
    return found[0];
}

// y (B, outer, inner) = the largest of x (B, outer, n, inner).
static int max_axis(worker *w, const instruction *i) {
    const reduction of = reduction_of(w, i, 0);
    const real *restrict x = own_rows(w, i, 0);
    real *restrict y = own_rows(w, i, 1);
    for (int64_t o = 0; o < of.rows; o++, x += of.n * of.inner, y += of.inner) {
        if (of.inner == 1) {
            *y = largest_together(x, of.n);
            continue;
        }
        for (int64_t j = 0; j < of.inner; j++) y[j] = x[j];
        for (int64_t k = 1; k < of.n; k++)
            for (int64_t j = 0; j < of.inner; j++) y[j] = larger(y[j], x[k * of.inner + j]);
    }
    return 0;
}

// dx (n,) = dy where x is y, shared by all that are; else 0. NaN where none is, since y is NaN.
INLINE void share_among_largest(real dy, const real *restrict x, real y, real *restrict dx, int64_t n) {
    int64_t count = 0;
    for (int64_t k = 0; k < n; k++) count += x[k] == y;
    const real each = dy * (1 / (real)count), other = dy * (0 / (real)count);
    for (int64_t k = 0; k < n; k++) dx[k] = x[k] == y ? each : other;
}

// dx (B, outer, n, inner) = dy (B, outer, inner) where x is y, shared by all that are; else 0. NaN where y is.
static int max_axis_gradient(worker *w, const instruction *i) {
    const reduction of = reduction_of(w, i, 3);
    const real *dy = own_rows(w, i, 0), *x = own_rows(w, i, 1), *y = own_rows(w, i, 2);
    real *restrict dx = own_rows(w, i, 3);
    for (int64_t o = 0; o < of.rows; o++, dy += of.inner, y += of.inner, x += of.n * of.inner, dx += of.n * of.inner) {
        if (of.inner == 1) {
            share_among_largest(*dy, x, *y, dx, of.n);
            continue;
        }
        for (int64_t j = 0; j < of.inner; j++) dx[j] = 0;  // how many are the largest, until the last pass
        for (int64_t k = 0; k < of.n; k++)
            for (int64_t j = 0; j < of.inner; j++) dx[j] += x[k * of.inner + j] == y[j];
        for (int64_t k = of.n - 1; k >= 0; k--)
            for (int64_t j = 0; j < of.inner; j++)
                dx[k * of.inner + j] = dy[j] * ((real)(x[k * of.inner + j] == y[j]) / dx[j]);
    }
    return 0;
}

// How an array is broadcast: its number k is read by x[j] where (j / div) % mod = k, for mod numbers in all.
typedef struct {
    int64_t div, mod;
} readers;

INLINE readers readers_of(const instruction *i) {
    return (readers){(int64_t)i->number[0], (int64_t)i->number[1]};
}

// out[k] = the sum of those of n numbers x that read it, for k from low to high.
INLINE void sum_readers(const real *restrict x, int64_t n, readers of, int64_t low, int64_t high, real *restrict out) {
    for (int64_t k = low; k < high; k++) out[k] = 0;
    for (int64_t at = 0; at < n; at += of.div * of.mod)
        if (of.div == 1)
            for (int64_t k = low; k < high; k++) out[k] += x[at + k];
        else
            for (int64_t k = low; k < high; k++) out[k] += (real)sum_of(x + at + k * of.div, of.div);
}

// out (K,), the gradient of a parameter, = the sum of those numbers of x that read it, in all rows of x (B, D), or in x
// that does not grow with the batch. Numbers: div, mod = K, and whether the parts take whole rows of out, as
// accumulate_matrix does.
static int sum_rows(worker *w, const instruction *i) {
    const readers of = readers_of(i);
    const int64_t unit = i->number[2] != 0 ? operand(w, i, 1)->width : 1, units = of.mod / unit;
    const int64_t low = share(units, w->part, w->parts) * unit, high = share(units, w->part + 1, w->parts) * unit;
    real *out = all_rows(w, i, 1);
    sum_readers(all_rows(w, i, 0), all_count(w, i, 0), of, low, high, out);
    if (!all_finite(out + low, high - low)) *w->sum = NAN;
    return 0;
}

// The same sum, or mean, where it is not the gradient of a parameter: some of the K by each part. Numbers: div, mod = K
// and whether it is a mean.
static int sum_batch(worker *w, const instruction *i) {
    const readers of = readers_of(i);
    const int64_t n = all_count(w, i, 0);
    const span own = own_numbers(w, i, 1);
    const int64_t end = own.first + own.count;
    const real count = (real)(n / of.mod);
    real *restrict out = all_rows(w, i, 1);
    sum_readers(all_rows(w, i, 0), n, of, own.first, end, out);
    if (i->number[2] != 0)
        for (int64_t k = own.first; k < end; k++) out[k] /= count;
    return 0;
}

// dx (B, D) = what sum_batch did to x: each number reads its own of dy (K,), divided by their count if it was a mean.
// Numbers: those of sum_batch, and whether it is added to dx.
static int spread_batch(worker *w, const instruction *i) {
    const readers of = readers_of(i);
    const int64_t D = operand(w, i, 1)->width, rows = own_count(w);
    const real divisor = i->number[2] != 0 ? (real)(w->rows * (D / of.mod)) : 1, *restrict dy = all_rows(w, i, 0);
    const int adds = i->number[3] != 0;
    real *restrict dx = own_rows(w, i, 1);
    for (int64_t r = 0; r < (adds ? rows : rows > 0); r++)
        for (int64_t at = r * D; at < (r + 1) * D; at += of.div * of.mod)
            if (of.div == 1 && adds)
                for (int64_t k = 0; k < of.mod; k++) dx[at + k] += dy[k] / divisor;
            else if (of.div == 1)
                for (int64_t k = 0; k < of.mod; k++) dx[at + k] = dy[k] / divisor;
            else
                for (int64_t k = 0; k < of.mod; k++) {
                    const real value = dy[k] / divisor;
                    real *restrict run = dx + at + k * of.div;
                    for (int64_t j = 0; j < of.div; j++) run[j] = adds ? run[j] + value : value;
                }
    for (int64_t r = 1; !adds && r < rows; r++) memcpy(dx + r * D, dx, (size_t)D * sizeof(real));
    return 0;
}
