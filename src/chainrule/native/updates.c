// Updates: an optimizer's rule in one pass over the flat vectors, of which each part takes a share. x are the
// parameters, g the gradient, r the learning rate of this step, t = 1, 2, ... its number.
//
// What fades away, step by step, is 0 once it is below the smallest normal number. A sum of squares stays where the
// epsilon beside its root is as small as that.

enum { PENALTY = 2 };  // where a part keeps its share of the penalty, behind the squares and their unit

// The sum of the weights of the rows of this step.
INLINE double batch_weight(const worker *w) {
    const double *weights = w->call->weights;
    return weights ? weights[w->step] : (double)w->rows;
}

// The share of each part of number[0] / 2 times the sum of decay x^2, for the mean over the rows of the batch.
static int penalty(worker *w, const instruction *i) {
    const int64_t P = operand(w, i, 0)->width, low = share(P, w->part, w->parts), high = share(P, w->part + 1, w->parts);
    const real *restrict x = all_rows(w, i, 0), *restrict decay = all_rows(w, i, 1);
    double sum[8] = {0}, total = 0;
    int64_t j = low;
    for (; j + 8 <= high; j += 8)
        for (int k = 0; k < 8; k++) sum[k] += (double)decay[j + k] * x[j + k] * x[j + k];
    for (; j < high; j++) sum[0] += (double)decay[j] * x[j] * x[j];
    for (int k = 0; k < 8; k++) total += sum[k];
    w->call->squares[LINE * w->part + PENALTY] = i->number[0] / 2 * total / batch_weight(w);
    return 0;
}

// Before any update: end the call when a loss or a gradient is not finite, or a row or label was out of range.
static int stop_unless_finite(worker *w, const instruction *i) {
    call *c = w->call;
    (void)i;
    double loss = 0;
    for (int64_t part = 0; part < c->parts; part++) loss += c->sums[LINE * part] + c->squares[LINE * part + PENALTY];
    const int64_t failed = atomic_load(&c->failed);
    if (failed) return (int)failed;
    if (w->part == 0) c->losses[w->step] = loss;
    return isfinite(loss) ? 0 : NOT_FINITE;
}

// The sum of g^2 over the share of each part, in units of `unit` squared, so that it does not overflow.
INLINE double squares_in(const real *restrict g, int64_t n, double unit) {
    enum { LANES = 8 };  // sums apart, which the vectoriser takes
    double sum[LANES] = {0}, total = 0;
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int k = 0; k < LANES; k++) sum[k] += (double)g[j + k] / unit * ((double)g[j + k] / unit);
    for (; j < n; j++) sum[0] += (double)g[j] / unit * ((double)g[j] / unit);
    for (int k = 0; k < LANES; k++) total += sum[k];
    return total;
}

// Into the slot of each part: the sum of squares of its share of the gradient, and the unit that it is counted in,
// which is 1 unless the squares overflow.
static int gradient_norm(worker *w, const instruction *i) {
    const int64_t P = operand(w, i, 0)->width;
    const int64_t low = share(P, w->part, w->parts), n = share(P, w->part + 1, w->parts) - low;
    const real *g = all_rows(w, i, 0) + low;
    double *slot = w->call->squares + LINE * w->part;
    slot[0] = squares_in(g, n, 1);
    slot[1] = 1;
    if (isfinite(slot[0])) return 0;
    real largest = 0;
    for (int64_t j = 0; j < n; j++) largest = real_abs(g[j]) > largest ? real_abs(g[j]) : largest;
    slot[0] = squares_in(g, n, largest);  // NaN where the gradient is not finite, and then it is not clipped
    slot[1] = largest;
    return 0;
}

// The factor that makes the gradient as long as `most`, where it is longer: most / |g|.
INLINE real clipping(const call *c, double most) {
    double unit = 0, squares = 0;
    for (int64_t part = 0; part < c->parts; part++)
        unit = c->squares[LINE * part + 1] > unit ? c->squares[LINE * part + 1] : unit;
    for (int64_t part = 0; part < c->parts; part++) {
        const double own = c->squares[LINE * part + 1] / unit;
        squares += c->squares[LINE * part] * own * own;
    }
    const double norm = unit * sqrt(squares);
    return most < norm && norm < INFINITY ? (real)(most / norm) : 1;
}

// What a rule reads beside the gradient.
typedef struct {
    real r, m, a, rest_a, b, rest_b, unbias, e, least, share;
} numbers;

// Change x and the running arrays' numbers u and v, by the gradient g.
typedef void rule(real *x, real *u, real *v, real g, const numbers *n);

enum { NO_DECAY, COUPLED, BESIDE };     // of the weights: none, as part of the gradient, or beside it
enum { DECOUPLED = 3, MOST_NORM = 4, MOST_VALUE = 5, PENALIZED = 6 };  // numbers of an instruction, behind those of its rule

// In this order: clip g by its norm, and by its value; g += decay x, or x -= r decay x; and the rule.
// How, is known to the compiler, which makes a loop of each case.
INLINE void update_share(const worker *w, const instruction *i, rule *change, const numbers *n, const int running,
                         const int decays, const int clips) {
    const int64_t P = operand(w, i, 0)->width;
    const int64_t low = share(P, w->part, w->parts), high = share(P, w->part + 1, w->parts);
    const real scale = i->number[MOST_NORM] > 0 ? clipping(w->call, i->number[MOST_NORM]) : 1;
    const real most = i->number[MOST_VALUE] > 0 ? (real)i->number[MOST_VALUE] : (real)INFINITY;
    real *restrict x = all_rows(w, i, 0), none = 0;
    const real *restrict gradient = all_rows(w, i, 1), *restrict decay = decays ? all_rows(w, i, 2) : 0;
    real *restrict u = running > 0 ? all_rows(w, i, 3) : 0, *restrict v = running > 1 ? all_rows(w, i, 4) : 0;
    for (int64_t j = low; j < high; j++) {
        real g = gradient[j];
        if (clips) {
            g *= scale;
            g = g > most ? most : g < -most ? -most : g;
        }
        if (decays == BESIDE) x[j] = normal_or_0(x[j] - x[j] * decay[j] * n->r);
        if (decays == COUPLED) {
            x[j] = normal_or_0(x[j]);
            g += decay[j] * n->share * x[j];
        }
        change(x + j, running > 0 ? u + j : &none, running > 1 ? v + j : &none, g, n);
    }
}

INLINE void update_decaying(const worker *w, const instruction *i, rule *change, const numbers *n, const int running,
                            const int clips) {
    if (i->operand[2] < 0) update_share(w, i, change, n, running, NO_DECAY, clips);
    else if (i->number[DECOUPLED] != 0) update_share(w, i, change, n, running, BESIDE, clips);
    else update_share(w, i, change, n, running, COUPLED, clips);
}

INLINE int update(const worker *w, const instruction *i, rule *change, numbers n, const int running) {
    n.share = i->number[PENALIZED] > 0 ? (real)(1 / batch_weight(w)) : 1;
    if (i->number[MOST_NORM] > 0 || i->number[MOST_VALUE] > 0) update_decaying(w, i, change, &n, running, 1);
    else update_decaying(w, i, change, &n, running, 0);
    return 0;
}

INLINE double rate(const worker *w) { return w->call->rates[w->step]; }

INLINE real least_square(double epsilon) {
    const real e = (real)epsilon;
    return e * e > REAL_TINY ? REAL_TINY : 0;
}

// x -= r g
INLINE void sgd_rule(real *x, real *u, real *v, real g, const numbers *n) {
    (void)u, (void)v;
    *x -= n->r * g;
}
static int sgd(worker *w, const instruction *i) {
    return update(w, i, sgd_rule, (numbers){.r = (real)rate(w)}, 0);
}

// u = m u - r g,  x += u
INLINE void momentum_rule(real *x, real *u, real *v, real g, const numbers *n) {
    (void)v;
    *u = normal_or_0(n->m * *u - n->r * g);
    *x += *u;
}
static int momentum(worker *w, const instruction *i) {
    return update(w, i, momentum_rule, (numbers){.r = (real)rate(w), .m = (real)i->number[0]}, 1);
}

// u = m u - r g,  x += m u - r g
INLINE void nesterov_rule(real *x, real *u, real *v, real g, const numbers *n) {
    (void)v;
    *u = normal_or_0(n->m * *u - n->r * g);
    *x += n->m * *u - n->r * g;
}
static int nesterov(worker *w, const instruction *i) {
    return update(w, i, nesterov_rule, (numbers){.r = (real)rate(w), .m = (real)i->number[0]}, 1);
}

// u += g^2,  x -= r g / (sqrt(u) + epsilon)
INLINE void adagrad_rule(real *x, real *u, real *v, real g, const numbers *n) {
    (void)v;
    const real s = *u + g * g;
    *u = s < n->least ? 0 : s;
    *x -= n->r * g / (real_sqrt(*u) + n->e);
}
static int adagrad(worker *w, const instruction *i) {
    const double e = i->number[0];
    return update(w, i, adagrad_rule, (numbers){.r = (real)rate(w), .e = (real)e, .least = least_square(e)}, 1);
}

// u = a u + (1 - a) g^2,  x -= r g / (sqrt(u) + epsilon)
INLINE void rmsprop_rule(real *x, real *u, real *v, real g, const numbers *n) {
    (void)v;
    const real s = n->a * *u + n->rest_a * g * g;
    *u = s < n->least ? 0 : s;
    *x -= n->r * g / (real_sqrt(*u) + n->e);
}
static int rmsprop(worker *w, const instruction *i) {
    const double a = i->number[0], e = i->number[1];
    const numbers n = {
        .r = (real)rate(w), .a = (real)a, .rest_a = (real)(1 - a), .e = (real)e, .least = least_square(e)};
    return update(w, i, rmsprop_rule, n, 1);
}

// u = a u + (1 - a) g,  v = b v + (1 - b) g^2,  x -= r (u / (1 - a^t)) / (sqrt(v / (1 - b^t)) + epsilon)
INLINE void adam_rule(real *x, real *u, real *v, real g, const numbers *n) {
    const real first = normal_or_0(n->a * *u + n->rest_a * g), second = n->b * *v + n->rest_b * g * g;
    *u = first;
    *v = second < n->least ? 0 : second;
    *x -= n->m * first / (real_sqrt(*v) * n->unbias + n->e);
}
static int adam(worker *w, const instruction *i) {
    const double a = i->number[0], b = i->number[1], e = i->number[2], t = (double)(w->call->done + w->step + 1);
    const numbers n = {.r = (real)rate(w), .m = (real)(rate(w) / (1 - pow(a, t))),
                       .a = (real)a, .rest_a = (real)(1 - a), .b = (real)b, .rest_b = (real)(1 - b),
                       .unbias = (real)(1 / sqrt(1 - pow(b, t))), .e = (real)e, .least = least_square(e)};
    return update(w, i, adam_rule, n, 2);
}
// The same with epsilon beside sqrt(v): x -= r sqrt(1 - b^t) / (1 - a^t) u / (sqrt(v) + epsilon)
static int adam_hat(worker *w, const instruction *i) {
    const double a = i->number[0], b = i->number[1], e = i->number[2], t = (double)(w->call->done + w->step + 1);
    const numbers n = {.r = (real)rate(w), .m = (real)(rate(w) * sqrt(1 - pow(b, t)) / (1 - pow(a, t))),
                       .a = (real)a, .rest_a = (real)(1 - a), .b = (real)b, .rest_b = (real)(1 - b),
                       .unbias = 1, .e = (real)e, .least = least_square(e)};
    return update(w, i, adam_rule, n, 2);
}
