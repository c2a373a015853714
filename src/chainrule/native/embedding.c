// Embedding: rows of a table by number. The numbers were checked when the batch was gathered.

// y (B, T D) = W[ids], for W (V, D) and ids (B, T).
static int embedding(worker *w, const instruction *i) {
    const int64_t D = operand(w, i, 0)->width, T = operand(w, i, 1)->width, n = own_count(w) * T;
    const real *restrict W = all_rows(w, i, 0);
    const int64_t *restrict ids = (const int64_t *)operand(w, i, 1)->address + w->low * T;
    real *restrict y = own_rows(w, i, 2);
    for (int64_t r = 0; r < n; r++, y += D) memcpy(y, W + ids[r] * D, (size_t)D * sizeof(real));
    return 0;
}

// dW (V, D): row v is the sum of those rows of dy (B, T D) whose number in ids (B, T) is v, added up in their order.
// Some rows of dW by each part, which looks through all numbers.
static int embedding_gradient(worker *w, const instruction *i) {
    const array *dW = operand(w, i, 2);
    const int64_t D = dW->width, n = w->rows * operand(w, i, 1)->width;
    const int64_t low = share(dW->length, w->part, w->parts), high = share(dW->length, w->part + 1, w->parts);
    const real *restrict dy = all_rows(w, i, 0);
    const int64_t *restrict ids = operand(w, i, 1)->address;
    real *restrict out = dW->address;
    memset(out + low * D, 0, (size_t)((high - low) * D) * sizeof(real));
    for (int64_t r = 0; r < n; r++) {
        if (ids[r] < low || ids[r] >= high) continue;
        real *restrict row = out + ids[r] * D;
        for (int64_t j = 0; j < D; j++) row[j] += dy[r * D + j];
    }
    if (!all_finite(out + low * D, (high - low) * D)) *w->sum = NAN;
    return 0;
}
