// Products of matrices that are rows of a batch: one for each sample, or several.

// out (B, T S) = op(a) op(b), matrix by matrix, for op(a) (T, K) and op(b) (K, S), each of the batch or one for all.
// Numbers: T, K, S, and which of the two are read transposed: 1 a, 2 b.
static int matrix_product(worker *w, const instruction *i) {
    enum { OF_A = 1, OF_B = 2 };
    const int64_t T = (int64_t)i->number[0], K = (int64_t)i->number[1], S = (int64_t)i->number[2];
    const int which = (int)i->number[3];
    const array *of_a = operand(w, i, 0), *of_b = operand(w, i, 1);
    const int64_t count = own_count(w) * (operand(w, i, 2)->width / (T * S));
    const int64_t a_step = of_a->length > 0 ? 0 : T * K, b_step = of_b->length > 0 ? 0 : K * S;
    const int64_t of_all = which & OF_A || b_step || !a_step ? 1 : count;  // one product of all rows of a, where b is whole
    const real *a = (const real *)of_a->address + (a_step ? w->low * of_a->width : 0);
    const real *b = (const real *)of_b->address + (b_step ? w->low * of_b->width : 0);
    real *out = own_rows(w, i, 2);
    for (int64_t k = 0; k < count; k += of_all, a += a_step, b += b_step, out += T * S)
        product(w->call, which & OF_A ? (matrix){a, 1, T} : (matrix){a, K, 1},
                which & OF_B ? (matrix){b, 1, K} : (matrix){b, S, 1}, out, S, of_all * T, S, K);
    return 0;
}

// db (K, S) = the sum of aᵀ dy over all matrices of the batch, for a (B, T K) and dy (B, T S). Number: S. Some rows of
// db by each part.
static int matrix_gradient(worker *w, const instruction *i) {
    const int64_t S = (int64_t)i->number[0], K = operand(w, i, 2)->length * operand(w, i, 2)->width / S;
    const int64_t low = share(K, w->part, w->parts), high = share(K, w->part + 1, w->parts);
    real *db = all_rows(w, i, 2) + low * S;
    product(w->call, (matrix){all_rows(w, i, 0) + low, 1, K}, (matrix){all_rows(w, i, 1), S, 1}, db, S, high - low, S,
            w->rows * (operand(w, i, 0)->width / K));
    if (!all_finite(db, (high - low) * S)) *w->sum = NAN;
    return 0;
}
