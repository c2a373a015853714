// Movement within a row: pieces of x to other places in y, and their gradients back.
//
// It is said by runs, four whole numbers each, that never change: from, to, n, step. y[to + k] is x[from + k step], for
// k < n. The table was verified: all runs lie inside.
enum { RUN = 4 };

// y (B, K): what the runs say, from x (B, D).
static int move(worker *w, const instruction *i) {
    const int64_t D = operand(w, i, 0)->width, K = operand(w, i, 2)->width;
    const int64_t *runs = operand(w, i, 1)->address, count = operand(w, i, 1)->width;
    const real *restrict x = own_rows(w, i, 0);
    real *restrict y = own_rows(w, i, 2);
    for (int64_t r = w->low; r < w->high; r++, x += D, y += K)
        for (int64_t at = 0; at < count; at += RUN) {
            const int64_t n = runs[at + 2], step = runs[at + 3];
            const real *from = x + runs[at];
            real *to = y + runs[at + 1];
            if (step == 1)
                for (int64_t k = 0; k < n; k++) to[k] = from[k];
            else
                for (int64_t k = 0; k < n; k++) to[k] = from[k * step];
        }
    return 0;
}

// dx (B, D) = 0, and dy (B, K) added where each of its numbers came from: several times where several did.
static int add_back(worker *w, const instruction *i) {
    const int64_t *runs = operand(w, i, 1)->address, count = operand(w, i, 1)->width;
    const int64_t K = operand(w, i, 0)->width, D = operand(w, i, 2)->width;
    const real *restrict dy = own_rows(w, i, 0);
    real *restrict dx = own_rows(w, i, 2);
    for (int64_t r = w->low; r < w->high; r++, dy += K, dx += D) {
        for (int64_t j = 0; j < D; j++) dx[j] = 0;
        for (int64_t at = 0; at < count; at += RUN) {
            const int64_t n = runs[at + 2], step = runs[at + 3];
            const real *from = dy + runs[at + 1];
            real *to = dx + runs[at];
            if (step == 1)
                for (int64_t k = 0; k < n; k++) to[k] += from[k];
            else
                for (int64_t k = 0; k < n; k++) to[k * step] += from[k];
        }
    }
    return 0;
}
