// Products with sparse data, which are read where they lie: row r of the matrix (N, K) has the numbers indptr[r] to
// indptr[r + 1] - 1 of values, in columns that rise. Of x W, only the rows of W in these columns are read, and of dW
// only they are written to. The data are the caller's, who may change them: each address is checked here.

typedef struct {
    const array *indices, *values;
    int64_t row, next, end;  // its number in the data, and its numbers in the two
} sparse_row;

INLINE int64_t index_at(const array *a, int64_t k) {
    return a->kind == I32 ? ((const int32_t *)a->address)[k] : ((const int64_t *)a->address)[k];
}

INLINE real value_at(const array *a, int64_t k) {
    return a->kind == F32 ? (real)((const float *)a->address)[k] : (real)((const double *)a->address)[k];
}

static int no_sparse_row(const worker *w, const instruction *i, int64_t value, int64_t row) {
    fail(w->call, NOT_SPARSE_ROWS, i->operand[0], value, row);
    return 0;
}

// Row `r` of the batch, for the parts of a matrix at operands 0 to 2; 0, noted, where there is none.
INLINE int find_sparse_row(const worker *w, const instruction *i, int64_t r, sparse_row *found) {
    const array *indptr = operand(w, i, 0), *indices = operand(w, i, 1), *values = operand(w, i, 2);
    const int64_t row = row_number(w, i, r, indptr->length - 1);
    if (row < 0) return 0;
    const int64_t first = index_at(indptr, row), end = index_at(indptr, row + 1);
    *found = (sparse_row){indices, values, row, first, end};
    if (first >= 0 && first <= end && end <= indices->length && end <= values->length) return 1;
    return no_sparse_row(w, i, end, row);
}

// y (N,) += v x
INLINE void add_multiple(real *restrict y, real v, const real *restrict x, int64_t N) {
    for (int64_t j = 0; j < N; j++) y[j] += v * x[j];
}

// Fetch the row of N numbers that the next number of a sparse row leads to: it lies anywhere in the matrix.
INLINE void fetch_next(const sparse_row *x, const real *matrix, int64_t K, int64_t N) {
    if (x->next + 1 >= x->end) return;
    const int64_t column = index_at(x->indices, x->next + 1);
    if (column < 0 || column >= K) return;
    const char *row = (const char *)(matrix + column * N);
    for (int64_t k = 0; k < N * (int64_t)sizeof(real); k += 64) __builtin_prefetch(row + k);
}

// y (B, N) = x (B, K) W (K, N), for sparse x.
static int sparse_matmul(worker *w, const instruction *i) {
    const int64_t K = operand(w, i, 3)->length, N = operand(w, i, 3)->width;
    const real *W = all_rows(w, i, 3);
    real *y = own_rows(w, i, 4);
    for (int64_t r = w->low; r < w->high; r++, y += N) {
        sparse_row x;
        if (!find_sparse_row(w, i, r, &x)) return 0;
        memset(y, 0, (size_t)N * sizeof(real));
        for (int64_t before = -1; x.next < x.end; x.next++) {
            const int64_t column = index_at(x.indices, x.next);
            if (column <= before || column >= K) return no_sparse_row(w, i, column, x.row);
            fetch_next(&x, W, K, N);
            add_multiple(y, value_at(x.values, x.next), W + column * N, N);
            before = column;
        }
    }
    return 0;
}

// The first number of a row whose column is at least `low`.
INLINE int64_t first_from(const sparse_row *x, int64_t low) {
    int64_t next = x->next, end = x->end;
    while (next < end) {
        const int64_t middle = next + (end - next) / 2;
        if (index_at(x->indices, middle) < low) next = middle + 1;
        else end = middle;
    }
    return next;
}

// dW (K, N) = xᵀ dy, for sparse x (B, K) and dy (B, N): some rows of dW by each part, which looks them up in every row
// of x.
static int sparse_transposed_matmul(worker *w, const instruction *i) {
    const int64_t K = operand(w, i, 4)->length, N = operand(w, i, 4)->width;
    const int64_t low = share(K, w->part, w->parts), high = share(K, w->part + 1, w->parts);
    const real *dy = all_rows(w, i, 3);
    real *dW = all_rows(w, i, 4);
    memset(dW + low * N, 0, (size_t)((high - low) * N) * sizeof(real));
    for (int64_t r = 0; r < w->rows; r++, dy += N) {
        sparse_row x;
        if (!find_sparse_row(w, i, r, &x)) return 0;
        for (x.next = first_from(&x, low); x.next < x.end; x.next++) {
            const int64_t column = index_at(x.indices, x.next);
            if (column >= high) break;
            if (column < low) return no_sparse_row(w, i, column, x.row);
            fetch_next(&x, dW, K, N);
            add_multiple(dW + column * N, value_at(x.values, x.next), dy, N);
        }
    }
    if (!all_finite(dW + low * N, (high - low) * N)) *w->sum = NAN;
    return 0;
}
