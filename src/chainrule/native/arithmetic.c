// Sums, copies and scales, element by element.

// out (B, D) = a + b.
static int add(worker *w, const instruction *i) {
    const int64_t n = own_count(w) * operand(w, i, 2)->width;
    const real *a = own_rows(w, i, 0), *b = own_rows(w, i, 1);
    real *restrict out = own_rows(w, i, 2);
    for (int64_t j = 0; j < n; j++) out[j] = a[j] + b[j];
    return 0;
}

// out (B, D) = a.
static int copy(worker *w, const instruction *i) {
    memcpy(own_rows(w, i, 1), own_rows(w, i, 0), (size_t)(own_count(w) * operand(w, i, 1)->width) * sizeof(real));
    return 0;
}

// out (B, D) += a.
static int accumulate(worker *w, const instruction *i) {
    const int64_t n = own_count(w) * operand(w, i, 1)->width;
    const real *restrict a = own_rows(w, i, 0);
    real *restrict out = own_rows(w, i, 1);
    for (int64_t j = 0; j < n; j++) out[j] += a[j];
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

// y (B, D) = x * factor (D,) + shift (D,).
static int scale_columns(worker *w, const instruction *i) {
    const int64_t D = operand(w, i, 0)->width;
    const real *x = own_rows(w, i, 0), *restrict factor = all_rows(w, i, 1), *restrict shift = all_rows(w, i, 2);
    real *y = own_rows(w, i, 3);
    for (int64_t r = w->low; r < w->high; r++, x += D, y += D)
        for (int64_t j = 0; j < D; j++) y[j] = x[j] * factor[j] + shift[j];
    return 0;
}
