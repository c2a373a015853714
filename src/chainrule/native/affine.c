// y = x W + b and its gradients: dx = dy Wᵀ, dW = xᵀ dy, db = the sum of dy over the batch.

// A row of x may hold several rows of K numbers, and that of y as many of N: how many, for x at operand `x`, W at `W`
// and y at `y`. One of K and N may be 0.
INLINE int64_t lines(const worker *w, const instruction *i, int x, int W, int y) {
    const int64_t K = operand(w, i, W)->length, N = operand(w, i, W)->width;
    return K ? operand(w, i, x)->width / K : N ? operand(w, i, y)->width / N : 0;
}

// y (B, N) = x (B, K) W (K, N), or y (B, T N) of x (B, T K), each of the T by itself; here and below.
static int matmul(worker *w, const instruction *i) {
    const int64_t K = operand(w, i, 1)->length, N = operand(w, i, 1)->width;
    product(w->call, (matrix){own_rows(w, i, 0), K, 1}, (matrix){all_rows(w, i, 1), N, 1}, own_rows(w, i, 2), N,
            own_count(w) * lines(w, i, 0, 1, 2), N, K);
    return 0;
}

// dx (B, K) = dy (B, N) Wᵀ, for W (K, N).
static int matmul_by_transposed(worker *w, const instruction *i) {
    const int64_t K = operand(w, i, 1)->length, N = operand(w, i, 1)->width;
    product(w->call, (matrix){own_rows(w, i, 0), N, 1}, (matrix){all_rows(w, i, 1), 1, N}, own_rows(w, i, 2), K,
            own_count(w) * lines(w, i, 2, 1, 0), K, N);
    return 0;
}

// The columns from *low to *high of n that a part computes, whole lines of the cache: for large matrices, which BLAS
// copies, each part its own columns, for all rows.
INLINE void own_columns(const worker *w, int64_t n, int64_t *low, int64_t *high) {
    const int64_t units = (n + WIDEST_TILE - 1) / WIDEST_TILE;
    *low = share(units, w->part, w->parts) * WIDEST_TILE;
    *high = share(units, w->part + 1, w->parts) * WIDEST_TILE;
    *high = *high < n ? *high : n;
}

// The same as matmul, cut by columns.
static int matmul_of_large(worker *w, const instruction *i) {
    const int64_t K = operand(w, i, 1)->length, N = operand(w, i, 1)->width;
    int64_t low, high;
    own_columns(w, N, &low, &high);
    product(w->call, (matrix){all_rows(w, i, 0), K, 1}, (matrix){all_rows(w, i, 1) + low, N, 1}, all_rows(w, i, 2) + low,
            N, w->rows * lines(w, i, 0, 1, 2), high - low, K);
    return 0;
}

// The same as matmul_by_transposed, cut by columns.
static int matmul_by_transposed_of_large(worker *w, const instruction *i) {
    const int64_t K = operand(w, i, 1)->length, N = operand(w, i, 1)->width;
    int64_t low, high;
    own_columns(w, K, &low, &high);
    product(w->call, (matrix){all_rows(w, i, 0), N, 1}, (matrix){all_rows(w, i, 1) + low * N, 1, N},
            all_rows(w, i, 2) + low, K, w->rows * lines(w, i, 2, 1, 0), high - low, N);
    return 0;
}

// dW (K, N) = xᵀ dy, for x (B, K) and dy (B, N): some rows of dW by each part.
static int transposed_matmul(worker *w, const instruction *i) {
    const int64_t K = operand(w, i, 2)->length, N = operand(w, i, 2)->width;
    const int64_t low = share(K, w->part, w->parts), high = share(K, w->part + 1, w->parts);
    real *dW = all_rows(w, i, 2) + low * N;
    product(w->call, (matrix){all_rows(w, i, 0) + low, 1, K}, (matrix){all_rows(w, i, 1), N, 1}, dW, N, high - low, N,
            w->rows * lines(w, i, 0, 2, 1));
    if (!all_finite(dW, (high - low) * N)) *w->sum = NAN;
    return 0;
}

// y (B, N) += b (N,).
static int add_bias(worker *w, const instruction *i) {
    const int64_t N = operand(w, i, 1)->width, rows = rows_of_vector(w, i, 0, 1);
    real *restrict y = own_rows(w, i, 0);
    const real *restrict b = all_rows(w, i, 1);
    for (int64_t r = 0; r < rows; r++, y += N)
        for (int64_t j = 0; j < N; j++) y[j] += b[j];
    return 0;
}

// db (N,) = dy (B, N) summed over the batch, or dy (B, T N) over the T, too: some of its numbers by each part.
static int bias_gradient(worker *w, const instruction *i) {
    const int64_t N = operand(w, i, 1)->width, rows = N ? w->rows * (operand(w, i, 0)->width / N) : 0;
    const int64_t low = share(N, w->part, w->parts), high = share(N, w->part + 1, w->parts);
    const real *restrict dy = all_rows(w, i, 0);
    real *restrict db = all_rows(w, i, 1);
    for (int64_t j = low; j < high; j++) db[j] = 0;
    for (int64_t r = 0; r < rows; r++, dy += N)
        for (int64_t j = low; j < high; j++) db[j] += dy[j];
    if (!all_finite(db + low, high - low)) *w->sum = NAN;
    return 0;
}
