// Activations: functions of one number, and what they do to its gradient. `kept` is the layer's input or its output,
// whichever its gradient is computed from; `p` is the layer's own number, the slope or alpha.

INLINE real relu_value(real x, real p) { return (void)p, x <= 0 ? 0 : x; }
INLINE real relu_slope(real dy, real y, real p) { return (void)p, y > 0 ? dy : 0; }

INLINE real leaky_relu_value(real x, real p) { return x > 0 ? x : p * x; }
INLINE real leaky_relu_slope(real dy, real x, real p) { return x > 0 ? dy : p * dy; }

INLINE real elu_value(real x, real p) { return x > 0 ? x : p * real_expm1(x); }
INLINE real elu_slope(real dy, real x, real p) { return x > 0 ? dy : dy * (x < -FAR ? 0 : p * real_exp(x)); }

// x P(x), for the normal distribution P(x) = erfc(-x / sqrt(2)) / 2.
#define SQRT_HALF ((real)0.70710678118654752440)
#define INVERSE_SQRT_2PI ((real)0.39894228040143267794)
INLINE real gelu_value(real x, real p) { return (void)p, x * ((real)0.5 * real_erfc(-x * SQRT_HALF)); }
INLINE real gelu_slope(real dy, real x, real p) {
    (void)p;
    return dy * ((real)0.5 * real_erfc(-x * SQRT_HALF) + x * real_exp((real)-0.5 * x * x) * INVERSE_SQRT_2PI);
}

// x (1 + t) / 2, t = tanh(u), u = sqrt(2 / pi) (x + 0.044715 x^3).
#define GELU_SCALE ((real)0.79788456080286535588)
#define GELU_CUBIC ((real)0.044715)
INLINE real gelu_tanh_value(real x, real p) {
    (void)p;
    return x * (real)0.5 * (1 + real_tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x)));
}
INLINE real gelu_tanh_slope(real dy, real x, real p) {
    (void)p;
    const real t = real_tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x));
    const real du = GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x);
    return dy * ((real)0.5 * (1 + t) + (real)0.5 * x * (1 - t * t) * du);
}

// s(x) = 1 / (1 + exp(-x)); the exponent is never positive.
INLINE real logistic(real x) {
    const real e = fading(real_abs(x));
    return (x >= 0 ? 1 : e) / (1 + e);
}

INLINE real silu_value(real x, real p) { return (void)p, x * logistic(x); }
INLINE real silu_slope(real dy, real x, real p) {
    const real s = logistic(x);
    return (void)p, dy * s * (1 + x * (1 - s));
}

INLINE real softplus_value(real x, real p) {
    const real a = real_abs(x);
    return (void)p, (x > 0 ? x : 0) + (a > FAR ? 0 : real_log1p(real_exp(-a)));
}
INLINE real softplus_slope(real dy, real x, real p) { return (void)p, dy * logistic(x); }

INLINE real sigmoid_value(real x, real p) { return (void)p, logistic(x); }
INLINE real sigmoid_slope(real dy, real y, real p) { return (void)p, dy * y * (1 - y); }

INLINE real tanh_layer_value(real x, real p) { return (void)p, real_tanh(x); }
INLINE real tanh_layer_slope(real dy, real y, real p) { return (void)p, dy * (1 - y * y); }

INLINE real negative_value(real x, real p) { return (void)p, -x; }
INLINE real negative_slope(real dy, real y, real p) { return (void)y, (void)p, -dy; }

INLINE real exp_layer_value(real x, real p) { return (void)p, real_exp(x); }
INLINE real exp_layer_slope(real dy, real y, real p) { return (void)p, dy * y; }

INLINE real log_layer_value(real x, real p) { return (void)p, real_log(x); }
INLINE real log_layer_slope(real dy, real x, real p) { return (void)p, dy / x; }

INLINE real sqrt_layer_value(real x, real p) { return (void)p, real_sqrt(x); }
INLINE real sqrt_layer_slope(real dy, real y, real p) { return (void)p, dy / (2 * y); }

// The loops over a batch ------------------------------------------------------------------------------------------

typedef real scalar(real x, real p);
typedef real scalar_gradient(real dy, real kept, real p);

// y (B, D) = value(x), or of what does not grow with the batch.
INLINE int each(worker *w, const instruction *i, scalar *value) {
    const span own = own_numbers(w, i, 1);
    const real p = (real)i->number[0], *restrict x = all_rows(w, i, 0) + own.first;
    real *restrict y = all_rows(w, i, 1) + own.first;
    for (int64_t j = 0; j < own.count; j++) y[j] = value(x[j], p);
    return 0;
}

// y (B, D) = value(y + b), in place; here and below, a row may hold several rows as long as b.
INLINE int each_biased(worker *w, const instruction *i, scalar *value) {
    const int64_t D = operand(w, i, 1)->width, rows = rows_of_vector(w, i, 0, 1);
    const real p = (real)i->number[0], *restrict b = all_rows(w, i, 1);
    real *restrict y = own_rows(w, i, 0);
    for (int64_t r = 0; r < rows; r++, y += D)
        for (int64_t j = 0; j < D; j++) y[j] = value(y[j] + b[j], p);
    return 0;
}

// x (B, D) += b, y = value(x): for a gradient that is computed from x.
INLINE int each_biased_kept(worker *w, const instruction *i, scalar *value) {
    const int64_t D = operand(w, i, 1)->width, rows = rows_of_vector(w, i, 0, 1);
    const real p = (real)i->number[0], *restrict b = all_rows(w, i, 1);
    real *restrict x = own_rows(w, i, 0), *restrict y = own_rows(w, i, 2);
    for (int64_t r = 0; r < rows; r++, x += D, y += D)
        for (int64_t j = 0; j < D; j++) {
            x[j] += b[j];
            y[j] = value(x[j], p);
        }
    return 0;
}

// dy (B, D) = gradient(dy, kept), in place, or of what does not grow with the batch. Every element is written: stores
// of some take three times as long.
INLINE int each_gradient(worker *w, const instruction *i, scalar_gradient *gradient) {
    const span own = own_numbers(w, i, 0);
    const real p = (real)i->number[0], *restrict kept = all_rows(w, i, 1) + own.first;
    real *restrict dy = all_rows(w, i, 0) + own.first;
    for (int64_t j = 0; j < own.count; j++) dy[j] = gradient(dy[j], kept[j], p);
    return 0;
}

#define ACTIVATION(name) \
    static int name(worker *w, const instruction *i) { return each(w, i, name##_value); } \
    static int bias_##name(worker *w, const instruction *i) { return each_biased(w, i, name##_value); } \
    static int bias_##name##_kept(worker *w, const instruction *i) { return each_biased_kept(w, i, name##_value); } \
    static int name##_gradient(worker *w, const instruction *i) { return each_gradient(w, i, name##_slope); }
ACTIVATION(relu)
ACTIVATION(leaky_relu)
ACTIVATION(elu)
ACTIVATION(gelu)
ACTIVATION(gelu_tanh)
ACTIVATION(silu)
ACTIVATION(softplus)
ACTIVATION(sigmoid)
ACTIVATION(tanh_layer)
ACTIVATION(negative)
ACTIVATION(exp_layer)
ACTIVATION(log_layer)
ACTIVATION(sqrt_layer)
