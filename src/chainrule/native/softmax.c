// Softmax and its logarithm between layers, along one axis: a row is made of lines of n times `inner` numbers, and
// those along the axis lie `inner` apart. Numbers of an instruction: n, inner.
//
// Exponentials are of differences to the largest number. A line without a finite number becomes NaN.

typedef void of_line(const real *x, const real *y, real *to, int64_t n, int64_t step);

INLINE int along_axis(worker *w, const instruction *i, int x, int y, int to, of_line *run) {
    const int64_t n = (int64_t)i->number[0], inner = (int64_t)i->number[1], line = n * inner;
    const int64_t lines = own_count(w) * (operand(w, i, x)->width / line);
    const real *a = own_rows(w, i, x), *b = own_rows(w, i, y);
    real *out = own_rows(w, i, to);
    for (int64_t r = 0; r < lines; r++, a += line, b += line, out += line) {
        if (inner == 1) run(a, b, out, n, 1);  // said, so that these loops are made for numbers that lie together
        else
            for (int64_t j = 0; j < inner; j++) run(a + j, b + j, out + j, n, inner);
    }
    return 0;
}

INLINE real largest_of(const real *x, int64_t n, int64_t step) {
    real largest = x[0];
    for (int64_t k = 1; k < n; k++) largest = x[k * step] > largest ? x[k * step] : largest;
    return largest;
}

INLINE real sum_along(const real *x, int64_t n, int64_t step) {
    if (step == 1) return (real)sum_of(x, n);
    real sum = 0;
    for (int64_t k = 0; k < n; k++) sum += x[k * step];
    return sum;
}

// y = exp(x - m) / sum of exp(x - m), m the largest.
INLINE void softmax_line(const real *x, const real *unused, real *restrict y, int64_t n, int64_t step) {
    const real largest = largest_of(x, n, step);
    (void)unused;
    for (int64_t k = 0; k < n; k++) y[k * step] = fading(largest - x[k * step]);
    const real scale = 1 / sum_along(y, n, step);
    for (int64_t k = 0; k < n; k++) {
        const real p = y[k * step] * scale;
        y[k * step] = p < REAL_TINY ? 0 : p;
    }
}

// dx = y (dy - sum of dy y).
INLINE void softmax_slope(const real *dy, const real *y, real *restrict dx, int64_t n, int64_t step) {
    real sum = 0;
    if (step == 1) sum = (real)sum_of_products(dy, y, n);
    else
        for (int64_t k = 0; k < n; k++) sum += dy[k * step] * y[k * step];
    for (int64_t k = 0; k < n; k++) dx[k * step] = y[k * step] * (dy[k * step] - sum);
}

// y = x - m - log(sum of exp(x - m)), m the largest.
INLINE void log_softmax_line(const real *x, const real *unused, real *restrict y, int64_t n, int64_t step) {
    const real largest = largest_of(x, n, step);
    (void)unused;
    for (int64_t k = 0; k < n; k++) y[k * step] = fading(largest - x[k * step]);
    const real log_sum = real_log(sum_along(y, n, step));
    for (int64_t k = 0; k < n; k++) y[k * step] = (x[k * step] - largest) - log_sum;
}

// dx = dy - exp(y) (sum of dy).
INLINE void log_softmax_slope(const real *dy, const real *y, real *restrict dx, int64_t n, int64_t step) {
    const real sum = sum_along(dy, n, step);
    for (int64_t k = 0; k < n; k++) dx[k * step] = dy[k * step] - fading(-y[k * step]) * sum;
}

// y (B, D) of x (B, D), and dx (B, D) of dy, y (B, D).
static int softmax(worker *w, const instruction *i) { return along_axis(w, i, 0, 0, 1, softmax_line); }
static int softmax_gradient(worker *w, const instruction *i) { return along_axis(w, i, 0, 1, 2, softmax_slope); }
static int log_softmax(worker *w, const instruction *i) { return along_axis(w, i, 0, 0, 1, log_softmax_line); }
static int log_softmax_gradient(worker *w, const instruction *i) {
    return along_axis(w, i, 0, 1, 2, log_softmax_slope);
}
