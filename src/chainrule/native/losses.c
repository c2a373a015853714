// Losses: the mean over the batch, and in the same pass the gradient, for an upstream gradient of 1. A part adds up
// its rows and divides by the whole batch, so that the results of the parts add up to the mean.

// z (B, K) logits, t (B,) labels -> the mean of -log softmax(z)[t]; dz (B, K) = (softmax(z) - onehot(t)) / B.
static int softmax_cross_entropy(worker *w, const instruction *i) {
    const int64_t K = operand(w, i, 0)->width, *t = (int64_t *)operand(w, i, 1)->address + w->low;
    const real *restrict z = own_rows(w, i, 0), part_of_mean = 1 / (real)w->rows;
    real *restrict dz = own_rows(w, i, 2);
    double total = 0;
    for (int64_t r = w->low; r < w->high; r++, z += K, dz += K, t++) {
        real largest = z[0], sum = 0;
        for (int64_t k = 1; k < K; k++) largest = z[k] > largest ? z[k] : largest;
        for (int64_t k = 0; k < K; k++) dz[k] = fading(largest - z[k]);
        for (int64_t k = 0; k < K; k++) sum += dz[k];
        total += real_log(sum) - (z[*t] - largest);
        const real scale = part_of_mean / sum;
        for (int64_t k = 0; k < K; k++) {
            const real p = dz[k] * scale;
            dz[k] = p < REAL_TINY ? 0 : p;
        }
        dz[*t] -= part_of_mean;
    }
    *w->sum = total / (double)w->rows;
    return 0;
}

typedef real error(real x, real t);

// x, t (B, D) -> the mean of value(x, t) over all elements; dx (B, D) = gradient(x, t) / (B D).
INLINE int mean_of(worker *w, const instruction *i, error *value, error *gradient) {
    const int64_t D = operand(w, i, 0)->width, n = own_count(w) * D;
    const real *restrict x = own_rows(w, i, 0), *restrict t = own_rows(w, i, 1);
    const real part_of_mean = 1 / (real)(w->rows * D);
    real *restrict dx = own_rows(w, i, 2);
    double total = 0;
    for (int64_t j = 0; j < n; j++) {
        total += value(x[j], t[j]);
        dx[j] = part_of_mean * gradient(x[j], t[j]);
    }
    *w->sum = total / (double)(w->rows * D);
    return 0;
}

// (x - t)^2
INLINE real squared_error(real x, real t) { return (x - t) * (x - t); }
INLINE real squared_error_gradient(real x, real t) { return (x - t) + (x - t); }
static int mean_squared_error(worker *w, const instruction *i) {
    return mean_of(w, i, squared_error, squared_error_gradient);
}

// |x - t|
INLINE real absolute_error(real x, real t) { return real_abs(x - t); }
INLINE real absolute_error_gradient(real x, real t) {
    const real r = x - t;
    return r > 0 ? 1 : r < 0 ? -1 : r;
}
static int mean_absolute_error(worker *w, const instruction *i) {
    return mean_of(w, i, absolute_error, absolute_error_gradient);
}

// -t log s(x) - (1 - t) log s(-x), s the logistic function: max(x, 0) - x t + log(1 + exp(-|x|))
INLINE real binary_cross_entropy(real x, real t) { return softplus_value(x, 0) - x * t; }
INLINE real binary_cross_entropy_gradient(real x, real t) { return logistic(x) - t; }
static int sigmoid_cross_entropy(worker *w, const instruction *i) {
    return mean_of(w, i, binary_cross_entropy, binary_cross_entropy_gradient);
}

// In how many rows of z (B, K), all finite, the largest logit is that of the label t (B,).
static int count_right_classes(worker *w, const instruction *i) {
    const int64_t K = operand(w, i, 0)->width, *t = operand(w, i, 1)->address;
    const real *z = all_rows(w, i, 0);
    int64_t right = 0;
    for (int64_t r = 0; r < w->rows; r++, z += K) {
        int64_t largest = 0;
        for (int64_t k = 1; k < K; k++) largest = z[k] > z[largest] ? k : largest;
        right += largest == t[r] && all_finite(z, K);
    }
    w->call->right[w->step] = right;
    return 0;
}

// How many of x (B, D) are on their label's side, t (B, D) being 0 or 1; none in a row that is not all finite.
static int count_right_labels(worker *w, const instruction *i) {
    const int64_t D = operand(w, i, 0)->width;
    const real *x = all_rows(w, i, 0), *t = all_rows(w, i, 1);
    int64_t right = 0;
    for (int64_t r = 0; r < w->rows; r++, x += D, t += D) {
        int64_t here = 0;
        for (int64_t j = 0; j < D; j++) here += (x[j] > 0) == (t[j] > (real)0.5);
        right += all_finite(x, D) ? here : 0;
    }
    w->call->right[w->step] = right;
    return 0;
}
