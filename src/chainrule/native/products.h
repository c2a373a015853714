// Matrix products: by BLAS, or, where that pays or there is no BLAS, by the loops here.
//
// BLAS copies its matrices into an order of its own first. That pays from some thousands of numbers on; a hidden layer
// of 16 to 64 units has fewer. In tiles, 6, 4 or 1 rows of two vectors of the result stay in registers while k runs:
// each step of k reads two vectors of b and one number a row of a.
#ifndef CHAINRULE_PRODUCTS_H
#define CHAINRULE_PRODUCTS_H

#include "real.h"

enum { ROW_MAJOR = 101, AS_IT_IS = 111, TRANSPOSED = 112 };  // by the names of CBLAS
enum { LARGEST_TILED = 4096 };  // numbers in b; with more, BLAS is as fast where a is transposed

typedef void gemm_of_64(int, int, int, int64_t, int64_t, int64_t, real, const real *, int64_t, const real *, int64_t,
                        real, real *, int64_t);
typedef void gemm_of_32(int, int, int, int32_t, int32_t, int32_t, real, const real *, int32_t, const real *, int32_t,
                        real, real *, int32_t);
typedef void gemv_of_64(int, int, int64_t, int64_t, real, const real *, int64_t, const real *, int64_t, real, real *,
                        int64_t);
typedef void gemv_of_32(int, int, int32_t, int32_t, real, const real *, int32_t, const real *, int32_t, real, real *,
                        int32_t);

// A matrix as it is read: number (i, k) lies at data[i * row + k * column]; one of the two strides is 1.
typedef struct {
    const real *data;
    int64_t row, column;
} matrix;

INLINE int order(matrix a) { return a.column == 1 ? AS_IT_IS : TRANSPOSED; }
INLINE int64_t leading(matrix a, int64_t columns) {
    const int64_t stride = a.column == 1 ? a.row : a.column;
    return a.column == 1 && stride < columns ? columns : stride;  // a single row may have any
}

// y (M,) = a (M, K) x (K,), with strides of x and y; `a` has its rows or its columns together.
static void times_vector(const call *c, matrix a, const real *x, int64_t x_step, real *y, int64_t y_step, int64_t M,
                         int64_t K) {
    const int64_t rows = a.column == 1 ? M : K, columns = a.column == 1 ? K : M;
    if (c->blas_bits == 64)
        ((gemv_of_64 *)c->gemv)(ROW_MAJOR, order(a), rows, columns, 1, a.data, leading(a, K), x, x_step, 0, y, y_step);
    else
        ((gemv_of_32 *)c->gemv)(ROW_MAJOR, order(a), (int32_t)rows, (int32_t)columns, 1, a.data,
                                (int32_t)leading(a, K), x, (int32_t)x_step, 0, y, (int32_t)y_step);
}

#if defined(__AVX__)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif
enum { LANES = VECTOR_BYTES / sizeof(real), TILE = 2 * LANES, WIDEST_TILE = 64 / sizeof(real) };
typedef real vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real))));

// out[r, j] = sum over k of a[r, k] b[k, j], for `rows` rows and the TILE columns from out and b on.
INLINE void tile(int rows, matrix a, const real *b, int64_t b_row, real *out, int64_t out_row, int64_t K) {
    vector left[6], right[6];
    for (int r = 0; r < rows; r++) left[r] = right[r] = (vector){0};
    for (int64_t k = 0; k < K; k++, b += b_row) {
        const vector b_left = *(const vector *)b, b_right = *(const vector *)(b + LANES);
        for (int r = 0; r < rows; r++) {
            const real x = a.data[r * a.row + k * a.column];
            left[r] += x * b_left;
            right[r] += x * b_right;
        }
    }
    for (int r = 0; r < rows; r++) {
        *(vector *)(out + r * out_row) = left[r];
        *(vector *)(out + r * out_row + LANES) = right[r];
    }
}

static void in_tiles(matrix a, const real *b, int64_t b_row, real *out, int64_t out_row, int64_t M, int64_t N,
                     int64_t K) {
    for (int64_t i = 0; i < M;) {
        const int64_t left = M - i;
        const matrix at = {a.data + i * a.row, a.row, a.column};
        real *to = out + i * out_row;
        if (left > 8 || left == 6) {
            for (int64_t j = 0; j < N; j += TILE) tile(6, at, b + j, b_row, to + j, out_row, K);
            i += 6;
        } else if (left >= 4) {
            for (int64_t j = 0; j < N; j += TILE) tile(4, at, b + j, b_row, to + j, out_row, K);
            i += 4;
        } else {
            for (int64_t j = 0; j < N; j += TILE) tile(1, at, b + j, b_row, to + j, out_row, K);
            i += 1;
        }
    }
}

// The same for b transposed, of which a copy is made the other way round: for several rows that is quicker than BLAS.
enum { ROWS_WORTH_TURNING = 16 };
static void in_tiles_turned(matrix a, matrix b, real *out, int64_t out_row, int64_t M, int64_t N, int64_t K) {
    enum { BLOCK = 8 };
    real turned[LARGEST_TILED];
    for (int64_t j = 0; j < N; j += BLOCK)  // N is a multiple of it; whole lines of the cache are read and written
        for (int64_t k = 0; k < K; k++)
            for (int64_t d = 0; d < BLOCK; d++) turned[k * N + j + d] = b.data[(j + d) * b.column + k];
    in_tiles(a, turned, N, out, out_row, M, N, K);
}

// The same for any b: the reference of the tiles, and what runs where there is no BLAS.
static void plainly(matrix a, matrix b, real *restrict out, int64_t out_row, int64_t M, int64_t N, int64_t K) {
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) {
            real sum = 0;
            for (int64_t k = 0; k < K; k++) sum += a.data[i * a.row + k * a.column] * b.data[k * b.row + j * b.column];
            out[i * out_row + j] = sum;
        }
}

// out (N,) = a (K,) b (K, N), `vectors` of it from out and b on, which stay in registers while k runs.
INLINE void row_block(int vectors, const real *a, int64_t a_step, const real *b, int64_t b_row, real *out, int64_t K) {
    vector sums[8];
    for (int v = 0; v < vectors; v++) sums[v] = (vector){0};
    for (int64_t k = 0; k < K; k++, b += b_row)
        for (int v = 0; v < vectors; v++) sums[v] += a[k * a_step] * *(const vector *)(b + v * LANES);
    for (int v = 0; v < vectors; v++) *(vector *)(out + v * LANES) = sums[v];
}

// The same for a wide b, of which eight rows at a time are read from end to end, as they lie in memory.
static void wide_row_product(const real *a, int64_t a_step, const real *b, int64_t b_row, real *restrict out, int64_t N,
                             int64_t K) {
    enum { ROWS = 8 };
    int64_t k = 0;
    for (int64_t j = 0; j < N; j++) out[j] = 0;
    for (; k + ROWS <= K; k += ROWS) {
        const real *row = b + k * b_row;
        real x[ROWS];
        for (int r = 0; r < ROWS; r++) x[r] = a[(k + r) * a_step];
        for (int64_t j = 0; j < N; j++) {
            real sum = out[j];
            for (int r = 0; r < ROWS; r++) sum += x[r] * row[r * b_row + j];
            out[j] = sum;
        }
    }
    for (; k < K; k++)
        for (int64_t j = 0; j < N; j++) out[j] += a[k * a_step] * b[k * b_row + j];
}

// out (N,) = a (K,) b (K, N) for a single row: as quick as BLAS, which would have to be told to use one thread. The last
// vectors overlap those before them.
static void row_product(const real *a, int64_t a_step, const real *b, int64_t b_row, real *out, int64_t N, int64_t K) {
    int64_t j = 0;
    if (N > 16 * LANES) {
        wide_row_product(a, a_step, b, b_row, out, N, K);
        return;
    }
    for (; j + 8 * LANES <= N; j += 8 * LANES) row_block(8, a, a_step, b + j, b_row, out + j, K);
    for (; j + 4 * LANES <= N; j += 4 * LANES) row_block(4, a, a_step, b + j, b_row, out + j, K);
    for (; j + 2 * LANES <= N; j += 2 * LANES) row_block(2, a, a_step, b + j, b_row, out + j, K);
    for (; j + LANES <= N; j += LANES) row_block(1, a, a_step, b + j, b_row, out + j, K);
    if (j < N && N >= LANES) row_block(1, a, a_step, b + N - LANES, b_row, out + N - LANES, K);
    else
        for (; j < N; j++) {
            real sum = 0;
            for (int64_t k = 0; k < K; k++) sum += a[k * a_step] * b[k * b_row + j];
            out[j] = sum;
        }
}

// out (M, N) = a (M, K) b (K, N), whose rows are `out_row` numbers apart.
static void product(const call *c, matrix a, matrix b, real *out, int64_t out_row, int64_t M, int64_t N, int64_t K) {
    if (M == 0 || N == 0) return;
    if (K == 0)
        for (int64_t i = 0; i < M; i++) memset(out + i * out_row, 0, (size_t)N * sizeof(real));
    else if (b.column == 1 && N % WIDEST_TILE == 0 && K * N <= LARGEST_TILED)
        in_tiles(a, b.data, b.row, out, out_row, M, N, K);
    else if (b.row == 1 && N % WIDEST_TILE == 0 && K * N <= LARGEST_TILED && M >= ROWS_WORTH_TURNING)
        in_tiles_turned(a, b, out, out_row, M, N, K);
    else if (M == 1 && b.column == 1) row_product(a.data, a.column, b.data, b.row, out, N, K);
    else if (!c->gemm) plainly(a, b, out, out_row, M, N, K);
    else if (N == 1 && K > 1) times_vector(c, a, b.data, b.row, out, out_row, M, K);
    else if (M == 1 && K > 1) times_vector(c, (matrix){b.data, b.column, b.row}, a.data, a.column, out, 1, N, K);
    else if (c->blas_bits == 64)
        ((gemm_of_64 *)c->gemm)(ROW_MAJOR, order(a), order(b), M, N, K, 1, a.data, leading(a, K), b.data,
                                leading(b, N), 0, out, out_row);
    else
        ((gemm_of_32 *)c->gemm)(ROW_MAJOR, order(a), order(b), (int32_t)M, (int32_t)N, (int32_t)K, 1, a.data,
                                (int32_t)leading(a, K), b.data, (int32_t)leading(b, N), 0, out, (int32_t)out_row);
}

#endif
