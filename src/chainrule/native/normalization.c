// Normalization: z = (x - mean) * inverse, inverse = 1 / sqrt(var + epsilon), y = gamma z + beta, and its gradients.
// z is not kept: it is computed again from x, mean and inverse, which is quicker than to write and to read it.

// Each line of a row by itself --------------------------------------------------------------------------------------

// How many lines a row at operand `x` holds, as long as gamma.
INLINE int64_t line_length(const worker *w, const instruction *i, int gamma) {
    return operand(w, i, gamma)->width * operand(w, i, gamma)->length;
}

// y (B, T N) of x (B, T N), gamma and beta of N numbers; kept (B, T 2): mean and inverse of each line. Number: epsilon.
static int layer_norm(worker *w, const instruction *i) {
    const int64_t N = line_length(w, i, 1), lines = own_count(w) * (operand(w, i, 0)->width / N);
    const real *x = own_rows(w, i, 0), *restrict gamma = all_rows(w, i, 1), *restrict beta = all_rows(w, i, 2);
    const real epsilon = (real)i->number[0];
    real *kept = i->operand[3] < 0 ? NULL : own_rows(w, i, 3), *restrict y = own_rows(w, i, 4);
    for (int64_t r = 0; r < lines; r++, x += N, y += N) {
        const real mean = (real)(sum_of(x, N) / (double)N);
        const real inverse = 1 / real_sqrt((real)(sum_of_squares(x, mean, N) / (double)N) + epsilon);
        for (int64_t j = 0; j < N; j++) y[j] = gamma[j] * ((x[j] - mean) * inverse) + beta[j];
        if (!kept) continue;
        kept[2 * r] = mean;
        kept[2 * r + 1] = inverse;
    }
    return 0;
}

// dx (B, T N) = inverse (g - mean of g - z mean of (g z)), g = gamma dy, for dy, x (B, T N) and kept (B, T 2).
static int layer_norm_gradient(worker *w, const instruction *i) {
    const int64_t N = line_length(w, i, 2), lines = own_count(w) * (operand(w, i, 0)->width / N);
    const real *dy = own_rows(w, i, 0), *x = own_rows(w, i, 1), *restrict gamma = all_rows(w, i, 2);
    const real *kept = own_rows(w, i, 3);
    real *restrict dx = own_rows(w, i, 4);
    for (int64_t r = 0; r < lines; r++, dy += N, x += N, dx += N) {
        const real mean = kept[2 * r], inverse = kept[2 * r + 1];
        for (int64_t j = 0; j < N; j++) dx[j] = gamma[j] * dy[j];
        const real g_mean = (real)(sum_of(dx, N) / (double)N);
        const real gz_mean = (real)(sum_of_slopes(dx, x, mean, inverse, N) / (double)N);
        for (int64_t j = 0; j < N; j++) dx[j] = inverse * (dx[j] - g_mean - (x[j] - mean) * inverse * gz_mean);
    }
    return 0;
}

// dgamma = the sum of dy z over all lines, dbeta = that of dy, for dy, x (B, T N) and kept (B, T 2): some of their N
// numbers by each part.
static int layer_norm_parameters(worker *w, const instruction *i) {
    const int64_t N = line_length(w, i, 3), lines = w->rows * (operand(w, i, 0)->width / N);
    const int64_t low = share(N, w->part, w->parts), high = share(N, w->part + 1, w->parts);
    const real *dy = all_rows(w, i, 0), *x = all_rows(w, i, 1), *kept = all_rows(w, i, 2);
    real *restrict dgamma = all_rows(w, i, 3), *restrict dbeta = all_rows(w, i, 4);
    for (int64_t j = low; j < high; j++) dgamma[j] = dbeta[j] = 0;
    for (int64_t r = 0; r < lines; r++, dy += N, x += N) {
        const real mean = kept[2 * r], inverse = kept[2 * r + 1];
        for (int64_t j = low; j < high; j++) {
            dgamma[j] += dy[j] * ((x[j] - mean) * inverse);
            dbeta[j] += dy[j];
        }
    }
    if (!all_finite(dgamma + low, high - low) || !all_finite(dbeta + low, high - low)) *w->sum = NAN;
    return 0;
}

// Each channel by itself ----------------------------------------------------------------------------------------------

// An array as lines of C channels of `inner` numbers each; of the channels, those from low to high.
typedef struct {
    int64_t C, inner, lines, low, high;
} channels;

INLINE channels channels_of(const worker *w, const instruction *i, int64_t rows, int64_t inner) {
    const int64_t C = operand(w, i, 2)->width, lines = rows * (operand(w, i, 0)->width / (C * inner));
    return (channels){C, inner, lines, share(C, w->part, w->parts), share(C, w->part + 1, w->parts)};
}

// Mean and biased variance of own channels. Lines are added up one after another; numbers that lie together, as above.
static void moments(const real *restrict x, channels c, real *restrict mean, real *restrict var) {
    const double n = (double)(c.lines * c.inner);
    if (c.inner > 1) {
        for (int64_t k = c.low; k < c.high; k++) {
            const real *first = x + k * c.inner;
            double sum = 0, squares = 0;
            for (int64_t r = 0; r < c.lines; r++) sum += sum_of(first + r * c.C * c.inner, c.inner);
            mean[k] = (real)(sum / n);
            for (int64_t r = 0; r < c.lines; r++) squares += sum_of_squares(first + r * c.C * c.inner, mean[k], c.inner);
            var[k] = (real)(squares / n);
        }
        return;
    }
    for (int64_t k = c.low; k < c.high; k++) mean[k] = var[k] = 0;
    for (int64_t r = 0; r < c.lines; r++)
        for (int64_t k = c.low; k < c.high; k++) mean[k] += x[r * c.C + k];
    for (int64_t k = c.low; k < c.high; k++) mean[k] /= (real)n;
    for (int64_t r = 0; r < c.lines; r++)
        for (int64_t k = c.low; k < c.high; k++) {
            const real d = x[r * c.C + k] - mean[k];
            var[k] += d * d;
        }
    for (int64_t k = c.low; k < c.high; k++) var[k] /= (real)n;
}

// y = gamma z + beta in own channels. `inverse` is that of the first of them.
static void scaled(const real *restrict x, channels c, const real *restrict gamma, const real *restrict beta,
                   const real *restrict mean, const real *restrict inverse, real *restrict y) {
    for (int64_t r = 0; r < c.lines; r++, x += c.C * c.inner, y += c.C * c.inner) {
        if (c.inner == 1)
            for (int64_t k = c.low; k < c.high; k++)
                y[k] = gamma[k] * ((x[k] - mean[k]) * inverse[k - c.low]) + beta[k];
        else
            for (int64_t k = c.low; k < c.high; k++) {
                const real g = gamma[k], b = beta[k], m = mean[k], s = inverse[k - c.low];
                for (int64_t j = k * c.inner; j < (k + 1) * c.inner; j++) y[j] = g * ((x[j] - m) * s) + b;
            }
    }
}

// y (B, T C I) of x (B, T C I), gamma and beta (C,). kept (3, C): mean, inverse and unbiased variance of the batch in
// training, else the running mean (C,), and the inverse from the running variance (C,). Numbers: epsilon, I.
static int batch_norm(worker *w, const instruction *i) {
    const channels c = channels_of(w, i, w->rows, (int64_t)i->number[1]);
    const real *x = all_rows(w, i, 0), *running_mean = all_rows(w, i, 3), *running_var = all_rows(w, i, 4);
    const real epsilon = (real)i->number[0], n = (real)(c.lines * c.inner), unbias = n / (n > 2 ? n - 1 : 1);
    real *mean = all_rows(w, i, 5), *restrict inverse = mean + c.C, *var = inverse + c.C;
    if (w->call->training) moments(x, c, mean, var);
    else
        for (int64_t k = c.low; k < c.high; k++) {
            mean[k] = running_mean[k];
            var[k] = running_var[k];
        }
    for (int64_t k = c.low; k < c.high; k++) {
        inverse[k] = 1 / real_sqrt(var[k] + epsilon);
        var[k] *= unbias;
    }
    scaled(x, c, all_rows(w, i, 1), all_rows(w, i, 2), mean, inverse + c.low, all_rows(w, i, 6));
    return 0;
}

// y (B, T C I) of x (B, T C I), gamma, beta, running mean and variance (C,), row by row. Numbers: epsilon, I.
static int batch_norm_predicting(worker *w, const instruction *i) {
    enum { AT_ONCE = 512 };
    real inverse[AT_ONCE];
    const real *var = all_rows(w, i, 4), epsilon = (real)i->number[0];
    channels c = channels_of(w, i, own_count(w), (int64_t)i->number[1]);
    for (c.low = 0; c.low < c.C; c.low = c.high) {
        c.high = c.low + AT_ONCE < c.C ? c.low + AT_ONCE : c.C;
        for (int64_t k = c.low; k < c.high; k++) inverse[k - c.low] = 1 / real_sqrt(var[k] + epsilon);
        scaled(own_rows(w, i, 0), c, all_rows(w, i, 1), all_rows(w, i, 2), all_rows(w, i, 3), inverse,
               own_rows(w, i, 5));
    }
    return 0;
}

// dgamma = the sum of dy z, dbeta = that of dy, in own channels.
static void channel_sums(const real *restrict dy, const real *restrict x, channels c, const real *restrict mean,
                         const real *restrict inverse, real *restrict dgamma, real *restrict dbeta) {
    if (c.inner > 1) {
        for (int64_t k = c.low; k < c.high; k++) {
            double slopes = 0, sum = 0;
            for (int64_t r = 0; r < c.lines; r++) {
                const int64_t at = (r * c.C + k) * c.inner;
                slopes += sum_of_slopes(dy + at, x + at, mean[k], inverse[k], c.inner);
                sum += sum_of(dy + at, c.inner);
            }
            dgamma[k] = (real)slopes;
            dbeta[k] = (real)sum;
        }
        return;
    }
    for (int64_t k = c.low; k < c.high; k++) dgamma[k] = dbeta[k] = 0;
    for (int64_t r = 0; r < c.lines; r++, dy += c.C, x += c.C)
        for (int64_t k = c.low; k < c.high; k++) {
            dgamma[k] += dy[k] * ((x[k] - mean[k]) * inverse[k]);
            dbeta[k] += dy[k];
        }
}

// dx of one number: in training, mean and variance depend on x too, and `part` is 1 / n, else 0.
INLINE real through(real dy, real x, real mean, real inverse, real gamma, real dgamma, real dbeta, real part) {
    return gamma * inverse * (part > 0 ? dy - (dbeta + (x - mean) * inverse * dgamma) * part : dy);
}

// dgamma, dbeta (C,) = the sums of dy z and of dy; dx (B, T C I) = gamma inverse (dy - (dbeta + z dgamma) / n), where
// not training gamma inverse dy; for dy, x (B, T C I), gamma (C,) and kept (3, C). Number: I.
static int batch_norm_gradient(worker *w, const instruction *i) {
    const channels c = channels_of(w, i, w->rows, (int64_t)i->number[0]);
    const real *dy = all_rows(w, i, 0), *x = all_rows(w, i, 1), *restrict gamma = all_rows(w, i, 2);
    const real *restrict mean = all_rows(w, i, 3), *restrict inverse = mean + c.C;
    const real part = w->call->training ? 1 / (real)(c.lines * c.inner) : 0;
    real *restrict dgamma = all_rows(w, i, 4), *restrict dbeta = all_rows(w, i, 5);
    channel_sums(dy, x, c, mean, inverse, dgamma, dbeta);
    if (!all_finite(dgamma + c.low, c.high - c.low) || !all_finite(dbeta + c.low, c.high - c.low)) *w->sum = NAN;
    if (i->operand[6] < 0) return 0;
    real *restrict dx = all_rows(w, i, 6);
    for (int64_t r = 0; r < c.lines; r++, dy += c.C * c.inner, x += c.C * c.inner, dx += c.C * c.inner) {
        if (c.inner == 1)
            for (int64_t k = c.low; k < c.high; k++)
                dx[k] = through(dy[k], x[k], mean[k], inverse[k], gamma[k], dgamma[k], dbeta[k], part);
        else
            for (int64_t k = c.low; k < c.high; k++) {
                const real m = mean[k], s = inverse[k], g = gamma[k], slope = dgamma[k], sum = dbeta[k];
                for (int64_t j = k * c.inner; j < (k + 1) * c.inner; j++)
                    dx[j] = through(dy[j], x[j], m, s, g, slope, sum, part);
            }
    }
    return 0;
}

// running = momentum running + (1 - momentum) batch, in training, for kept (3, C) and the running mean and variance
// (C,). Number: momentum.
static int running_statistics(worker *w, const instruction *i) {
    if (!w->call->training) return 0;
    const int64_t C = operand(w, i, 0)->width;
    const int64_t low = share(C, w->part, w->parts), high = share(C, w->part + 1, w->parts);
    const real m = (real)i->number[0], rest = (real)(1 - i->number[0]);
    const real *restrict batch_mean = all_rows(w, i, 0), *restrict batch_var = batch_mean + 2 * C;
    real *restrict mean = all_rows(w, i, 1), *restrict var = all_rows(w, i, 2);
    for (int64_t k = low; k < high; k++) {
        mean[k] = m * mean[k] + rest * batch_mean[k];
        var[k] = m * var[k] + rest * batch_var[k];
    }
    return 0;
}
