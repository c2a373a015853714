// The rows of a batch, taken out of the data: out[r] = data[rows[r]], converted to the numbers that are computed with.
// Row numbers and labels are addresses, and the data are the caller's, who may change them: each is checked here.

#define CONVERT(name, type) \
    static void name(const char *from, real *restrict to, int64_t n) { \
        const type *x = (const type *)from; \
        for (int64_t j = 0; j < n; j++) to[j] = (real)x[j]; \
    }
CONVERT(from_f32, float)
CONVERT(from_f64, double)
CONVERT(from_i8, int8_t)
CONVERT(from_i16, int16_t)
CONVERT(from_i32, int32_t)
CONVERT(from_i64, int64_t)
CONVERT(from_u8, uint8_t)
CONVERT(from_u16, uint16_t)
CONVERT(from_u32, uint32_t)
CONVERT(from_u64, uint64_t)

typedef void convert(const char *from, real *restrict to, int64_t n);
static convert *const CONVERSIONS[] = {from_f32, from_f64, from_i8,  from_i16, from_i32,
                                       from_i64, from_u8,  from_u16, from_u32, from_u64};

// The number of the data's row for row `r` of the batch, of data with `rows` rows; -1, noted, where there is none.
INLINE int64_t row_number(const worker *w, const instruction *i, int64_t r, int64_t rows) {
    call *c = w->call;
    const int64_t row = c->rows ? c->rows[w->first + r] : w->first + r;
    if (row >= 0 && row < rows) return row;
    fail(c, ROW_OUT_OF_RANGE, i->operand[0], row, r);
    return -1;
}

// x (B, D) = data[rows]. Rows one after another, of the right kind, are used where they lie, if number[0] allows it.
static int gather(worker *w, const instruction *i) {
    const array *data = operand(w, i, 0);
    array *x = w->arrays + i->operand[1];
    const int as_it_is = data->kind == REAL_KIND;
    if (!w->call->rows && as_it_is && i->number[0] != 0 && data->stride == x->width * (int64_t)sizeof(real)
        && w->first + w->rows <= data->length) {
        x->address = (char *)data->address + w->first * data->stride;
        return 0;
    }
    if (x->address != x->home) x->address = x->home;
    real *to = own_rows(w, i, 1);
    for (int64_t r = w->low; r < w->high; r++, to += x->width) {
        const int64_t row = row_number(w, i, r, data->length);
        if (row < 0) return 0;
        const char *from = (const char *)data->address + row * data->stride;
        if (as_it_is) memcpy(to, from, (size_t)x->width * sizeof(real));
        else CONVERSIONS[data->kind](from, to, x->width);
    }
    return 0;
}

static const int64_t BYTES[] = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8};  // of a number of each kind

INLINE int64_t whole_number(const void *at, int64_t kind) {
    switch (kind) {
        case I8: return *(const int8_t *)at;
        case I16: return *(const int16_t *)at;
        case I32: return *(const int32_t *)at;
        case I64: return *(const int64_t *)at;
        case U8: return *(const uint8_t *)at;
        case U16: return *(const uint16_t *)at;
        case U32: return *(const uint32_t *)at;
        default: return (int64_t)*(const uint64_t *)at;  // what is too large becomes negative, and is refused
    }
}

// t (B, D) = data[rows], whole numbers from 0 to number[0] - 1.
static int gather_labels(worker *w, const instruction *i) {
    const array *data = operand(w, i, 0), *labels = operand(w, i, 1);
    const int64_t below = (int64_t)i->number[0], size = BYTES[data->kind];
    int64_t *t = (int64_t *)labels->address + w->low * labels->width;
    for (int64_t r = w->low; r < w->high; r++) {
        const int64_t row = row_number(w, i, r, data->length);
        if (row < 0) return 0;
        const char *from = (const char *)data->address + row * data->stride;
        for (int64_t j = 0; j < labels->width; j++, from += size) {
            const int64_t label = whole_number(from, data->kind);
            if (label < 0 || label >= below) {
                fail(w->call, LABEL_OUT_OF_RANGE, i->operand[0], label, row);
                return 0;
            }
            *t++ = label;
        }
    }
    return 0;
}

// Hand out the rows of the output.
static int result(worker *w, const instruction *i) {
    const array *y = operand(w, i, 0);
    if (w->call->result)
        memcpy((real *)w->call->result + w->first * y->width, y->address, (size_t)(w->rows * y->width) * sizeof(real));
    return 0;
}

// Note whether x (B, D) holds what is not finite.
static int watch(worker *w, const instruction *i) {
    if (!all_finite(own_rows(w, i, 0), own_count(w) * operand(w, i, 0)->width)) atomic_store(&w->call->doubtful, 1);
    return 0;
}
