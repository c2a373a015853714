// Updates: an optimizer's rule in one pass over the flat vectors, of which each part takes a share. w are the
// parameters, g the gradient, r the learning rate of this step, t = 1, 2, ... its number.
//
// What fades away, step by step, is 0 once it is below the smallest normal number. A sum of squares stays where the
// epsilon beside its root is as small as that.

INLINE int64_t own_share(const worker *w, const instruction *i, int64_t *low) {
    const int64_t size = operand(w, i, 0)->width;
    *low = share(size, w->part, w->parts);
    return share(size, w->part + 1, w->parts) - *low;
}

INLINE real normal_or_0(real v) { return real_abs(v) < REAL_TINY ? 0 : v; }

INLINE real least_square(real epsilon) { return epsilon * epsilon > REAL_TINY ? REAL_TINY : 0; }

// Before any update: end the call when a loss or a gradient is not finite, or a row or label was out of range.
static int stop_unless_finite(worker *w, const instruction *i) {
    call *c = w->call;
    (void)i;
    double loss = 0;
    for (int64_t part = 0; part < c->parts; part++) loss += c->sums[LINE * part];
    const int64_t failed = atomic_load(&c->failed);
    if (failed) return (int)failed;
    if (w->part == 0) c->losses[w->step] = loss;
    return isfinite(loss) ? 0 : NOT_FINITE;
}

// Weight decay, where there is one: as part of the gradient, g += decay * w, or, with the last number set, beside it,
// w -= r * decay * w.
enum { DECOUPLED = 3 };
INLINE void decay_weights(const worker *w, const instruction *i, int64_t low, int64_t n) {
    if (i->operand[2] < 0) return;
    real *restrict x = all_rows(w, i, 0) + low, *restrict g = all_rows(w, i, 1) + low;
    const real *restrict decay = all_rows(w, i, 2) + low, r = (real)w->call->rates[w->step];
    if (i->number[DECOUPLED] != 0)
        for (int64_t j = 0; j < n; j++) x[j] = normal_or_0(x[j] - x[j] * decay[j] * r);
    else
        for (int64_t j = 0; j < n; j++) {
            x[j] = normal_or_0(x[j]);
            g[j] += decay[j] * x[j];
        }
}

// w -= r g
static int sgd(worker *w, const instruction *i) {
    int64_t low;
    const int64_t n = own_share(w, i, &low);
    decay_weights(w, i, low, n);
    real *restrict x = all_rows(w, i, 0) + low;
    const real *restrict g = all_rows(w, i, 1) + low, r = (real)w->call->rates[w->step];
    for (int64_t j = 0; j < n; j++) x[j] -= r * g[j];
    return 0;
}

// v = m v - r g,  w += v
static int momentum(worker *w, const instruction *i) {
    int64_t low;
    const int64_t n = own_share(w, i, &low);
    decay_weights(w, i, low, n);
    real *restrict x = all_rows(w, i, 0) + low, *restrict velocity = all_rows(w, i, 3) + low;
    const real *restrict g = all_rows(w, i, 1) + low, r = (real)w->call->rates[w->step], m = (real)i->number[0];
    for (int64_t j = 0; j < n; j++) {
        const real v = normal_or_0(m * velocity[j] - r * g[j]);
        velocity[j] = v;
        x[j] += v;
    }
    return 0;
}

// v = m v - r g,  w += m v - r g
static int nesterov(worker *w, const instruction *i) {
    int64_t low;
    const int64_t n = own_share(w, i, &low);
    decay_weights(w, i, low, n);
    real *restrict x = all_rows(w, i, 0) + low, *restrict velocity = all_rows(w, i, 3) + low;
    const real *restrict g = all_rows(w, i, 1) + low, r = (real)w->call->rates[w->step], m = (real)i->number[0];
    for (int64_t j = 0; j < n; j++) {
        const real v = normal_or_0(m * velocity[j] - r * g[j]);
        velocity[j] = v;
        x[j] += m * v - r * g[j];
    }
    return 0;
}

// s += g^2,  w -= r g / (sqrt(s) + epsilon)
static int adagrad(worker *w, const instruction *i) {
    int64_t low;
    const int64_t n = own_share(w, i, &low);
    decay_weights(w, i, low, n);
    real *restrict x = all_rows(w, i, 0) + low, *restrict squares = all_rows(w, i, 3) + low;
    const real *restrict g = all_rows(w, i, 1) + low, r = (real)w->call->rates[w->step], e = (real)i->number[0];
    const real least = least_square(e);
    for (int64_t j = 0; j < n; j++) {
        const real s = squares[j] + g[j] * g[j];
        squares[j] = s < least ? 0 : s;
        x[j] -= r * g[j] / (real_sqrt(squares[j]) + e);
    }
    return 0;
}

// s = a s + (1 - a) g^2,  w -= r g / (sqrt(s) + epsilon)
static int rmsprop(worker *w, const instruction *i) {
    int64_t low;
    const int64_t n = own_share(w, i, &low);
    decay_weights(w, i, low, n);
    real *restrict x = all_rows(w, i, 0) + low, *restrict squares = all_rows(w, i, 3) + low;
    const real *restrict g = all_rows(w, i, 1) + low, r = (real)w->call->rates[w->step];
    const real a = (real)i->number[0], rest = (real)(1 - i->number[0]), e = (real)i->number[1];
    const real least = least_square(e);
    for (int64_t j = 0; j < n; j++) {
        const real s = a * squares[j] + rest * g[j] * g[j];
        squares[j] = s < least ? 0 : s;
        x[j] -= r * g[j] / (real_sqrt(squares[j]) + e);
    }
    return 0;
}

// m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  w -= r (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)
static int adam(worker *w, const instruction *i) {
    int64_t low;
    const int64_t n = own_share(w, i, &low);
    decay_weights(w, i, low, n);
    const double beta1 = i->number[0], beta2 = i->number[1], t = (double)(w->call->done + w->step + 1);
    real *restrict x = all_rows(w, i, 0) + low, *restrict first = all_rows(w, i, 3) + low;
    real *restrict second = all_rows(w, i, 4) + low;
    const real *restrict g = all_rows(w, i, 1) + low, e = (real)i->number[2], least = least_square(e);
    const real b1 = (real)beta1, rest1 = (real)(1 - beta1), b2 = (real)beta2, rest2 = (real)(1 - beta2);
    const real r = (real)(w->call->rates[w->step] / (1 - pow(beta1, t))), unbias = (real)(1 / sqrt(1 - pow(beta2, t)));
    for (int64_t j = 0; j < n; j++) {
        const real m = normal_or_0(b1 * first[j] + rest1 * g[j]), v = b2 * second[j] + rest2 * g[j] * g[j];
        first[j] = m;
        second[j] = v < least ? 0 : v;
        x[j] -= r * m / (real_sqrt(second[j]) * unbias + e);
    }
    return 0;
}
