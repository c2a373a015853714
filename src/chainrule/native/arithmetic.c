// Copies, sums where gradients meet, and arithmetic between two arrays that broadcast.

// out (B, D) = a, or of what does not grow with the batch.
static int copy(worker *w, const instruction *i) {
    const span own = own_numbers(w, i, 1);
    memcpy(all_rows(w, i, 1) + own.first, all_rows(w, i, 0) + own.first, (size_t)own.count * sizeof(real));
    return 0;
}

// out (B, D) += a, or of what does not grow with the batch.
static int accumulate(worker *w, const instruction *i) {
    const span own = own_numbers(w, i, 1);
    const real *restrict a = all_rows(w, i, 0) + own.first;
    real *restrict out = all_rows(w, i, 1) + own.first;
    for (int64_t j = 0; j < own.count; j++) out[j] += a[j];
    return 0;
}

// dW (K, N) += a, the gradient by another path: the rows that this part computed.
static int accumulate_matrix(worker *w, const instruction *i) {
    const array *dW = operand(w, i, 1);
    const int64_t low = share(dW->length, w->part, w->parts);
    const int64_t n = (share(dW->length, w->part + 1, w->parts) - low) * dW->width;
    const real *restrict a = all_rows(w, i, 0) + low * dW->width;
    real *restrict out = all_rows(w, i, 1) + low * dW->width;
    for (int64_t j = 0; j < n; j++) out[j] += a[j];
    if (!all_finite(out, n)) *w->sum = NAN;
    return 0;
}

// db (N,) += a: the numbers that this part computed.
static int accumulate_vector(worker *w, const instruction *i) {
    const int64_t N = operand(w, i, 1)->width, low = share(N, w->part, w->parts);
    const int64_t n = share(N, w->part + 1, w->parts) - low;
    const real *restrict a = all_rows(w, i, 0) + low;
    real *restrict db = all_rows(w, i, 1) + low;
    for (int64_t j = 0; j < n; j++) db[j] += a[j];
    if (!all_finite(db, n)) *w->sum = NAN;
    return 0;
}

// Arithmetic between two arrays ------------------------------------------------------------------------------------

// How an operand is broadcast within a row: element j of the result reads number (j / div) % mod of it. `row` is 0
// for what does not grow with the batch. Within a run, that is the same number, or one after another.
typedef struct {
    const real *data;
    int64_t row, div, mod;
} broadcast;

INLINE int64_t run_of(broadcast a) { return a.div > 1 || a.mod == 1 ? a.div : a.mod; }
INLINE int64_t step_of(broadcast a) { return a.div == 1 && a.mod > 1; }
INLINE int has_all(broadcast a, int64_t D) { return a.row == D && a.div == 1 && a.mod == D; }

INLINE broadcast broadcast_operand(const worker *w, const instruction *i, int k, int number, int64_t D) {
    const array *a = operand(w, i, k);
    const int is_whole = a->length > 0;
    broadcast found = {a->address, is_whole ? 0 : a->width, (int64_t)i->number[number], (int64_t)i->number[number + 1]};
    found.data += w->low * found.row;
    if (found.mod == 1) found.div = D;  // one number for all
    return found;
}

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// The gradient upstream, the two operands, and the result; of the result itself, only the operands are looked at.
typedef real scalar_of_two(real dy, real a, real b, real y);

INLINE real add_value(real dy, real a, real b, real y) { return (void)dy, (void)y, a + b; }
INLINE real subtract_value(real dy, real a, real b, real y) { return (void)dy, (void)y, a - b; }
INLINE real multiply_value(real dy, real a, real b, real y) { return (void)dy, (void)y, a * b; }
INLINE real divide_value(real dy, real a, real b, real y) { return (void)dy, (void)y, a / b; }
INLINE real power_value(real dy, real a, real b, real y) { return (void)dy, (void)y, real_pow(a, b); }
INLINE real divisor_slope(real dy, real a, real b, real y) { return (void)a, -(dy / b) * y; }
INLINE real base_slope(real dy, real a, real b, real y) {
    return (void)y, dy * b * real_pow(a, b == 0 ? 1 : b - 1);  // the 1: 0 * 0 ^ -1 would be NaN
}
INLINE real exponent_slope(real dy, real a, real b, real y) {
    return dy * (a == 0 && b >= 0 ? 0 : y * real_log(a));
}

// One run: a_step and b_step are 1, or 0 where a number is the same for all. dy and y may be out, where they are unused.
INLINE void combine_run(scalar_of_two *value, const real *dy, const real *restrict a, int64_t a_step,
                        const real *restrict b, int64_t b_step, const real *y, real *out, int64_t n) {
    const real first = *a, second = *b;
    if (a_step && b_step)
        for (int64_t j = 0; j < n; j++) out[j] = value(dy[j], a[j], b[j], y[j]);
    else if (a_step)
        for (int64_t j = 0; j < n; j++) out[j] = value(dy[j], a[j], second, y[j]);
    else if (b_step)
        for (int64_t j = 0; j < n; j++) out[j] = value(dy[j], first, b[j], y[j]);
    else
        for (int64_t j = 0; j < n; j++) out[j] = value(dy[j], first, second, y[j]);
}

// out (B, D) = value(dy, a, b, y), run by run.
INLINE int combine(worker *w, scalar_of_two *value, const real *dy, broadcast a, broadcast b, const real *y, real *out,
                   int64_t D) {
    const int64_t rows = own_count(w);
    const int all_of_a = has_all(a, D), all_of_b = has_all(b, D);
    if (!rows || !D) return 0;
    if ((all_of_a || (!a.row && a.mod == 1)) && (all_of_b || (!b.row && b.mod == 1))) {  // one run for all rows
        combine_run(value, dy, a.data, all_of_a, b.data, all_of_b, y, out, rows * D);
        return 0;
    }
    const int64_t run = common_divisor(run_of(a), run_of(b)), a_step = step_of(a), b_step = step_of(b);
    for (int64_t r = 0; r < rows; r++, a.data += a.row, b.data += b.row)
        for (int64_t j = 0; j < D; j += run) {
            const int64_t n = D - j < run ? D - j : run, at = r * D + j;
            combine_run(value, dy + at, a.data + j / a.div % a.mod, a_step, b.data + j / b.div % b.mod, b_step, y + at,
                        out + at, n);
        }
    return 0;
}

// out (D,) = value(dy, a, b, y), where nothing grows with the batch: this part's share, which may begin within a run.
INLINE int combine_whole(scalar_of_two *value, span own, const real *dy, broadcast a, broadcast b, const real *y,
                         real *out) {
    const int64_t run = common_divisor(run_of(a), run_of(b)), a_step = step_of(a), b_step = step_of(b);
    const int64_t end = own.first + own.count;
    for (int64_t j = own.first, n; j < end; j += n) {
        n = run - j % run;
        if (n > end - j) n = end - j;
        const real *from_a = a.data + j / a.div % a.mod, *from_b = b.data + j / b.div % b.mod;
        combine_run(value, dy + j, from_a, a_step, from_b, b_step, y + j, out + j, n);
    }
    return 0;
}

// out (B, D) = value(a, b), or (D,) where nothing grows with the batch. Numbers: div and mod of a, and those of b.
INLINE int combine_values(worker *w, const instruction *i, scalar_of_two *value) {
    const array *of_out = operand(w, i, 2);
    const int64_t D = of_out->width * (of_out->length > 0 ? of_out->length : 1);
    const broadcast a = broadcast_operand(w, i, 0, 0, D), b = broadcast_operand(w, i, 1, 2, D);
    real *out = all_rows(w, i, 2);
    if (of_out->length > 0) return combine_whole(value, own_numbers(w, i, 2), out, a, b, out, out);
    out = own_rows(w, i, 2);
    return combine(w, value, out, a, b, out, out, D);
}

// out (B, D) = slope(dy, a, b, y), for dy (B, D) and y (B, D), or (D,) as above. Numbers as above.
INLINE int combine_slopes(worker *w, const instruction *i, scalar_of_two *slope) {
    const array *of_out = operand(w, i, 4);
    const int64_t D = of_out->width * (of_out->length > 0 ? of_out->length : 1);
    const broadcast a = broadcast_operand(w, i, 1, 0, D), b = broadcast_operand(w, i, 2, 2, D);
    if (of_out->length > 0)
        return combine_whole(slope, own_numbers(w, i, 4), all_rows(w, i, 0), a, b, all_rows(w, i, 3),
                             all_rows(w, i, 4));
    return combine(w, slope, own_rows(w, i, 0), a, b, own_rows(w, i, 3), own_rows(w, i, 4), D);
}

static int add(worker *w, const instruction *i) { return combine_values(w, i, add_value); }
static int subtract(worker *w, const instruction *i) { return combine_values(w, i, subtract_value); }
static int multiply(worker *w, const instruction *i) { return combine_values(w, i, multiply_value); }
static int divide(worker *w, const instruction *i) { return combine_values(w, i, divide_value); }
static int power(worker *w, const instruction *i) { return combine_values(w, i, power_value); }
static int divisor_gradient(worker *w, const instruction *i) { return combine_slopes(w, i, divisor_slope); }
static int base_gradient(worker *w, const instruction *i) { return combine_slopes(w, i, base_slope); }
static int exponent_gradient(worker *w, const instruction *i) { return combine_slopes(w, i, exponent_slope); }
