// Dropout: y = x keep / (1 - rate), dx = dy keep / (1 - rate), while training; y = x and dx = dy else.

// Block `block` of Philox4x64-10 for this key and step: ten rounds of two products, whose halves change places.
INLINE void philox(const uint64_t *key, uint64_t block, uint64_t step, uint64_t *out) {
    uint64_t a = block, b = step, c = 0, d = 0, k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const unsigned __int128 one = (unsigned __int128)a * UINT64_C(0xD2E7470EE14C6C93);
        const unsigned __int128 two = (unsigned __int128)c * UINT64_C(0xCA5A826395121157);
        a = (uint64_t)(two >> 64) ^ b ^ k0;
        b = (uint64_t)two;
        c = (uint64_t)(one >> 64) ^ d ^ k1;
        d = (uint64_t)one;
        k0 += UINT64_C(0x9E3779B97F4A7C15);
        k1 += UINT64_C(0xBB67AE8584CAA73B);
    }
    out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

// x m, and 0 for m = 0 even where x is NaN or infinite.
INLINE real times_or_0(real x, real m) { return m * (m > 0 ? x : 0); }

// y (B, D) and the factors m (B, D), 0 or 1 / (1 - rate), of x (B, D); the key is operand 1. Number 0 is the threshold
// below which a word of 32 bits drops its element, number 1 the factor. Element r D + j of the batch has word (r D + j)
// mod 8 of block 1 + (r D + j) / 8.
static int dropout(worker *w, const instruction *i) {
    enum { BLOCKS = 32, WORDS = 8 };
    const int64_t D = operand(w, i, 0)->width, first = w->low * D, end = w->high * D;
    const real *restrict x = all_rows(w, i, 0);
    const uint64_t *key = operand(w, i, 1)->address;
    real *restrict m = all_rows(w, i, 2), *restrict y = all_rows(w, i, 3);
    const uint32_t threshold = (uint32_t)i->number[0];
    const real factor = (real)i->number[1];
    uint64_t blocks[4 * BLOCKS];
    uint32_t words[WORDS * BLOCKS];
    if (!w->call->training) {
        memcpy(y + first, x + first, (size_t)(end - first) * sizeof(real));
        return 0;
    }
    for (int64_t e = first; e < end;) {
        const int64_t block = e / WORDS, skip = e % WORDS, left = end - e + skip;
        const int64_t count = left < WORDS * BLOCKS ? (left + WORDS - 1) / WORDS : BLOCKS;
        for (int64_t k = 0; k < count; k++)
            philox(key, (uint64_t)(1 + block + k), (uint64_t)(w->call->iteration + w->step), blocks + 4 * k);
        for (int64_t k = 0; k < 4 * count; k++) {
            words[2 * k] = (uint32_t)blocks[k];
            words[2 * k + 1] = (uint32_t)(blocks[k] >> 32);
        }
        const int64_t n = left < WORDS * count ? end - e : WORDS * count - skip;
        for (int64_t j = 0; j < n; j++) m[e + j] = words[skip + j] >= threshold ? factor : 0;
        for (int64_t j = 0; j < n; j++) y[e + j] = times_or_0(x[e + j], m[e + j]);
        e += n;
    }
    return 0;
}

// dx = dy m, in place: dy (B, D), m (B, D).
static int dropout_gradient(worker *w, const instruction *i) {
    const int64_t n = own_count(w) * operand(w, i, 0)->width;
    real *restrict dy = own_rows(w, i, 0);
    const real *restrict m = own_rows(w, i, 1);
    if (!w->call->training) return 0;
    for (int64_t j = 0; j < n; j++) dy[j] = times_or_0(dy[j], m[j]);
    return 0;
}
