// Losses: the mean over the batch, and in the same pass the gradient, for an upstream gradient of 1. A part adds up
// its rows and divides by the whole batch, so that the results of the parts add up to the mean.
//
// A sample may hold T rows of K logits, as a sequence does: it has T labels then. A weighted mean is divided by the
// total of the weights, which a turn of its own has found before.

// z (B, T K) logits, t (B, T) labels -> the mean of -log softmax(z)[t]; dz (B, T K) = (softmax(z) - onehot(t)) / (B T).
static int softmax_cross_entropy(worker *w, const instruction *i) {
    const int64_t T = operand(w, i, 1)->width, K = operand(w, i, 0)->width / T, rows = own_count(w) * T;
    const int64_t *t = (int64_t *)operand(w, i, 1)->address + w->low * T;
    const real *restrict z = own_rows(w, i, 0), part_of_mean = 1 / (real)(w->rows * T);
    real *restrict dz = own_rows(w, i, 2);
    double total = 0;
    for (int64_t r = 0; r < rows; r++, z += K, dz += K, t++) {
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
    *w->sum = total / (double)(w->rows * T);
    return 0;
}

// What a row of logits is held against: a label, or a distribution t (K,) where `label` is -1; and how much it counts.
typedef struct {
    const real *t, *of_class;  // of_class (K,): weights, NULL for 1
    int64_t label;
    real share, keep, rest;    // keep = 1 - e, rest = e / K, for the label smoothing e
} aim;

// w_k = share c_k ((1 - e) t_k + e / K)
INLINE real weight_of(const aim *a, int64_t k) {
    const real t = a->label >= 0 ? k == a->label : a->t[k];
    return a->share * (a->of_class ? a->of_class[k] : 1) * (a->keep * t + a->rest);
}

// z (K,) -> -sum of w_k log p_k, p = softmax(z); dz (K,) = p sum(w) - w. Where w_k is 0, so is the term.
INLINE double row_cross_entropy(const real *restrict z, real *restrict dz, int64_t K, const aim *a) {
    real largest = z[0], sum = 0, weights = 0;
    double value = 0;
    for (int64_t k = 1; k < K; k++) largest = z[k] > largest ? z[k] : largest;
    for (int64_t k = 0; k < K; k++) dz[k] = fading(largest - z[k]);
    for (int64_t k = 0; k < K; k++) sum += dz[k];
    const real log_sum = real_log(sum);
    for (int64_t k = 0; k < K; k++) {
        const real own = weight_of(a, k);
        weights += own;
        value += own != 0 ? own * (log_sum - (z[k] - largest)) : 0;
    }
    for (int64_t k = 0; k < K; k++) dz[k] = normal_or_0(dz[k] / sum * weights - weight_of(a, k));
    return value;
}

enum { SMOOTHING, CLASSES };                             // numbers: e, and K
enum { SAMPLE_WEIGHTS = 3, OWN_WEIGHTS = 4, TOTAL = 5 };  // operands, each of which may be missing

INLINE const real *optional(const worker *w, const instruction *i, int k) {
    return i->operand[k] < 0 ? NULL : operand(w, i, k)->address;
}

// The same with sample weights s (B,), class weights c (K,), label smoothing, or distributions t (B, T K) instead of
// labels: -sum of w log softmax(z), with w_k = s c_k ((1 - e) t_k + e / K) / total.
INLINE int weighted_cross_entropy(worker *w, const instruction *i, const int of_labels) {
    const int64_t D = operand(w, i, 0)->width, K = (int64_t)i->number[CLASSES];
    const real *restrict z = own_rows(w, i, 0), *s = optional(w, i, SAMPLE_WEIGHTS), *total = optional(w, i, TOTAL);
    const real *t = of_labels ? NULL : own_rows(w, i, 1), e = (real)i->number[SMOOTHING];
    const int64_t *labels = of_labels ? (int64_t *)operand(w, i, 1)->address + w->low * (D / K) : NULL;
    real *restrict dz = own_rows(w, i, 2);
    const real all = total ? *total : (real)(w->rows * (D / K));
    double sum = 0;
    for (int64_t r = w->low; r < w->high; r++)
        for (int64_t j = 0; j < D; j += K, z += K, dz += K) {
            const aim a = {of_labels ? NULL : t, optional(w, i, OWN_WEIGHTS), of_labels ? *labels : -1,
                           (s ? s[r] : 1) / all, 1 - e, e / (real)K};
            sum += row_cross_entropy(z, dz, K, &a);
            if (of_labels) labels++;
            else t += K;
        }
    *w->sum = sum;
    return 0;
}
static int weighted_softmax_cross_entropy(worker *w, const instruction *i) { return weighted_cross_entropy(w, i, 1); }
static int softmax_cross_entropy_of_distributions(worker *w, const instruction *i) {
    return weighted_cross_entropy(w, i, 0);
}

// Write a total of weights down, by part 0. There is nothing to average where it is 0, `zeros` saying that all
// sample weights are.
INLINE int found_total(worker *w, const instruction *i, double sum, int zeros) {
    real *total = operand(w, i, 0)->address;
    *total = isfinite((real)sum) ? (real)sum : NAN;  // an infinite one would make the loss 0
    if (*total == 0) fail(w->call, NOTHING_TO_AVERAGE, i->operand[0], zeros, 0);
    return 0;
}

INLINE int all_zero(const real *s, int64_t n) {
    int zeros = s != NULL;
    for (int64_t r = 0; s && r < n; r++) zeros &= s[r] == 0;
    return zeros;
}

// total = the sum of s_i c_t over the labels t (B, T), for sample weights s (B,) and class weights c (K,).
static int total_of_labels(worker *w, const instruction *i) {
    if (w->part) return 0;
    const int64_t T = operand(w, i, 1)->width, *t = operand(w, i, 1)->address;
    const real *s = optional(w, i, 2), *c = optional(w, i, 3);
    double sum = 0;
    for (int64_t r = 0; r < w->rows; r++)
        for (int64_t j = 0; j < T; j++, t++) sum += (double)((s ? s[r] : 1) * (c ? c[*t] : 1));
    return found_total(w, i, sum, all_zero(s, w->rows));
}

// total = the sum of s_i c_k t_ik over the distributions t (B, T K).
static int total_of_distributions(worker *w, const instruction *i) {
    if (w->part) return 0;
    const int64_t D = operand(w, i, 1)->width, K = (int64_t)i->number[CLASSES];
    const real *t = operand(w, i, 1)->address, *s = optional(w, i, 2), *c = optional(w, i, 3);
    double sum = 0;
    for (int64_t r = 0; r < w->rows; r++)
        for (int64_t j = 0; j < D; j += K, t += K)
            for (int64_t k = 0; k < K; k++) sum += (double)((s ? s[r] : 1) * (c ? c[k] : 1) * t[k]);
    return found_total(w, i, sum, all_zero(s, w->rows));
}

// total = the sum of the sample weights s (B,).
static int total_of_weights(worker *w, const instruction *i) {
    if (w->part) return 0;
    const real *s = operand(w, i, 1)->address;
    double sum = 0;
    for (int64_t r = 0; r < w->rows; r++) sum += s[r];
    return found_total(w, i, sum, 1);
}

typedef real error(real x, real t, real p);

// Over how many of the D outputs of a sample a mean is taken: 1 where they are summed.
enum { OWN_NUMBER, SUMMED };  // numbers
INLINE real averaged(const instruction *i, int64_t D) { return i->number[SUMMED] != 0 ? 1 : (real)D; }

// x, t (B, D) -> the mean of value(x, t) over all elements; dx (B, D) = gradient(x, t) / (B D). p is the loss's number.
// Where a sample's outputs are summed, D is 1 in these.
INLINE int mean_of(worker *w, const instruction *i, error *value, error *gradient) {
    const int64_t D = operand(w, i, 0)->width, n = own_count(w) * D;
    const real *restrict x = own_rows(w, i, 0), *restrict t = own_rows(w, i, 1);
    const real part_of_mean = 1 / ((real)w->rows * averaged(i, D)), p = (real)i->number[OWN_NUMBER];
    real *restrict dx = own_rows(w, i, 2);
    double total = 0;
    for (int64_t j = 0; j < n; j++) {
        total += value(x[j], t[j], p);
        dx[j] = part_of_mean * gradient(x[j], t[j], p);
    }
    *w->sum = total / ((double)w->rows * averaged(i, D));
    return 0;
}

// The same with sample weights s (B,), each counted for every element of its sample; p may be one of each column.
INLINE int weighted_mean_of(worker *w, const instruction *i, error *value, error *gradient, const int of_columns) {
    const int64_t D = operand(w, i, 0)->width;
    const real *restrict x = own_rows(w, i, 0), *restrict t = own_rows(w, i, 1);
    const real *s = optional(w, i, SAMPLE_WEIGHTS), *total = optional(w, i, TOTAL);
    const real *restrict ps = of_columns ? all_rows(w, i, OWN_WEIGHTS) : NULL, one = (real)i->number[OWN_NUMBER];
    const real all = (total ? *total : (real)w->rows) * averaged(i, D);
    real *restrict dx = own_rows(w, i, 2);
    double sum = 0;
    for (int64_t r = w->low; r < w->high; r++, x += D, t += D, dx += D) {
        const real share_of_mean = (s ? s[r] : 1) / all;
        for (int64_t j = 0; j < D; j++) {
            const real p = of_columns ? ps[j] : one;
            sum += share_of_mean * value(x[j], t[j], p);
            dx[j] = share_of_mean * gradient(x[j], t[j], p);
        }
    }
    *w->sum = sum;
    return 0;
}

#define MEAN_OF(name, value, gradient) \
    static int name(worker *w, const instruction *i) { return mean_of(w, i, value, gradient); }
#define WEIGHTED_MEAN_OF(name, value, gradient, of_columns) \
    static int weighted_##name(worker *w, const instruction *i) { \
        return weighted_mean_of(w, i, value, gradient, of_columns); \
    }

// r^2, r = x - t
INLINE real squared_error(real x, real t, real p) { return (void)p, (x - t) * (x - t); }
INLINE real squared_error_slope(real x, real t, real p) { return (void)p, (x - t) + (x - t); }
MEAN_OF(mean_squared_error, squared_error, squared_error_slope)
WEIGHTED_MEAN_OF(mean_squared_error, squared_error, squared_error_slope, 0)

// r^2 / 2
INLINE real half_squared(real x, real t, real p) { return (void)p, (x - t) * (x - t) / 2; }
INLINE real half_squared_slope(real x, real t, real p) { return (void)p, x - t; }
MEAN_OF(half_squared_error, half_squared, half_squared_slope)
WEIGHTED_MEAN_OF(half_squared_error, half_squared, half_squared_slope, 0)

// |r|
INLINE real absolute_error(real x, real t, real p) { return (void)p, real_abs(x - t); }
INLINE real absolute_error_slope(real x, real t, real p) {
    const real r = x - t;
    return (void)p, r > 0 ? 1 : r < 0 ? -1 : r;
}
MEAN_OF(mean_absolute_error, absolute_error, absolute_error_slope)
WEIGHTED_MEAN_OF(mean_absolute_error, absolute_error, absolute_error_slope, 0)

// n (r - n / 2), where n is r cut off at -p and p: r^2 / 2 where |r| <= p, else p (|r| - p / 2)
INLINE real huber_slope(real x, real t, real p) {
    const real r = x - t;
    return r > p ? p : r < -p ? -p : r;
}
INLINE real huber_error(real x, real t, real p) {
    const real n = huber_slope(x, t, p);
    return n * ((x - t) - n / 2);
}
MEAN_OF(huber, huber_error, huber_slope)
WEIGHTED_MEAN_OF(huber, huber_error, huber_slope, 0)

// max((p - 1) r, p r) of r = t - x; the slope is NaN where x or t is
INLINE real quantile_slope(real x, real t, real p) { return x > t ? 1 - p : x < t ? -p : x - t; }
INLINE real quantile_error(real x, real t, real p) { return quantile_slope(x, t, p) * (x - t); }
MEAN_OF(quantile, quantile_error, quantile_slope)
WEIGHTED_MEAN_OF(quantile, quantile_error, quantile_slope, 0)

// exp(x) - t + t (log t - x)
INLINE real poisson_slope(real x, real t, real p) { return (void)p, real_exp(x) - t; }
INLINE real poisson_deviance(real x, real t, real p) {
    return poisson_slope(x, t, p) + (t > 0 ? t * (real_log(t) - x) : 0);
}
MEAN_OF(half_poisson_deviance, poisson_deviance, poisson_slope)
WEIGHTED_MEAN_OF(half_poisson_deviance, poisson_deviance, poisson_slope, 0)

// -t log s(x) - (1 - t) log s(-x), s the logistic function: max(x, 0) - x t + log(1 + exp(-|x|))
INLINE real binary_cross_entropy(real x, real t, real p) { return (void)p, softplus_value(x, 0) - x * t; }
INLINE real binary_cross_entropy_slope(real x, real t, real p) { return (void)p, logistic(x) - t; }
MEAN_OF(sigmoid_cross_entropy, binary_cross_entropy, binary_cross_entropy_slope)

// -p t log s(x) - (1 - t) log s(-x)
INLINE real weighed_entropy(real x, real t, real p) {
    return (1 - t) * softplus_value(x, 0) + p * t * softplus_value(-x, 0);
}
INLINE real weighed_entropy_slope(real x, real t, real p) { return (1 - t) * logistic(x) - p * t * logistic(-x); }
WEIGHTED_MEAN_OF(sigmoid_cross_entropy, weighed_entropy, weighed_entropy_slope, 1)

INLINE int64_t position_of_largest(const real *z, int64_t K) {
    int64_t largest = 0;
    for (int64_t k = 1; k < K; k++) largest = z[k] > z[largest] ? k : largest;
    return largest;
}

// How often the largest logit of z (B, T K) is that of the label t (B, T); never in a sample that is not all finite.
static int count_right_classes(worker *w, const instruction *i) {
    const int64_t T = operand(w, i, 1)->width, K = operand(w, i, 0)->width / T, *t = operand(w, i, 1)->address;
    const real *z = all_rows(w, i, 0);
    int64_t right = 0;
    for (int64_t r = 0; r < w->rows; r++, z += T * K, t += T) {
        int64_t here = 0;
        for (int64_t j = 0; j < T; j++) here += position_of_largest(z + j * K, K) == t[j];
        right += all_finite(z, T * K) ? here : 0;
    }
    w->call->right[w->step] = right;
    return 0;
}

// The same, for the likeliest class of the distributions t (B, T K).
static int count_likeliest_classes(worker *w, const instruction *i) {
    const int64_t D = operand(w, i, 0)->width, K = (int64_t)i->number[CLASSES];
    const real *z = all_rows(w, i, 0), *t = all_rows(w, i, 1);
    int64_t right = 0;
    for (int64_t r = 0; r < w->rows; r++, z += D, t += D) {
        int64_t here = 0;
        for (int64_t j = 0; j < D; j += K) here += position_of_largest(z + j, K) == position_of_largest(t + j, K);
        right += all_finite(z, D) ? here : 0;
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
