// The machine: runs a table of instructions, for many steps in one call.
//
// A step is a list of turns, a turn a list of instructions. In a training, each turn is cut into parts 0 and 1, which
// are the same whoever does them, so that results never depend on the number of threads. The calling thread does part
// 0, then part 1 too, unless the helper has claimed it meanwhile. The caller never waits for a thread that has not
// begun. Two numbers in the box pass between them: OPEN holds the turn whose part 1 is free, or -1 - turn once it is
// claimed; DONE holds the last turn whose part 1 the helper has finished.
//
// The steps of a prediction need nothing of each other: every thread takes the next one that is left.
#include "machine.h"

#include <stddef.h>
#include <string.h>

#if defined(_WIN32)
#include <windows.h>
#define give_way() SwitchToThread()
#else
#include <sched.h>
#define give_way() sched_yield()
#endif

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { OPEN = 0, DONE = 16, PATIENCE = 2000 };

static inline void rest(int64_t *spins) {
    if (++*spins > PATIENCE) give_way();
}

// The task after `task`: 2 * turn + part, with the turns of all steps counted through.
static int64_t next_task(_Atomic int64_t *box, int64_t task, int64_t helping, int64_t parts) {
    const int64_t turn = task < 0 ? -1 : task / 2;
    int64_t spins = 0;
    if (parts == 1) return 2 * turn + 2;
    if (helping) {
        if (task >= 0) atomic_store(box + DONE, turn);
        for (;;) {
            int64_t open = atomic_load(box + OPEN);
            if (open >= 0 && atomic_compare_exchange_strong(box + OPEN, &open, -1 - open)) return 2 * open + 1;
            rest(&spins);
        }
    }
    if (task >= 0 && task % 2 == 0) {
        int64_t open = turn;
        if (atomic_compare_exchange_strong(box + OPEN, &open, -1 - turn)) return task + 1;
        while (atomic_load(box + DONE) != turn) rest(&spins);
    }
    atomic_store(box + OPEN, turn + 1);
    return 2 * turn + 2;
}

static int run_turn(worker *w, const turn *t) {
    const instruction *end = w->call->code + t->end;
    const kernel *kernels = w->kernels;
    for (const instruction *i = w->call->code + t->first; i < end; i++) {
        const int code = kernels[i->operation].run(w, i);
        if (code) return code;
    }
    return 0;
}

// Run training steps. Comes back with IN_PYTHON before a turn that Python does, to be called again behind it.
EXPORT int64_t chainrule_train(call *c, worker *w) {
    for (;;) {
        w->task = next_task(c->box, w->task, w->helping, c->parts);
        const int64_t number = w->task / 2;
        w->step = number / c->turn_count;
        w->turn = number % c->turn_count;
        w->part = w->task % 2;
        if (w->step >= c->steps) return FINISHED;
        if (c->turns[w->turn].kind == TURN_PYTHON) {
            if (w->part == 0) return IN_PYTHON;
            continue;
        }
        w->rows = c->batch;
        w->low = share(w->rows, w->part, c->parts);
        w->high = share(w->rows, w->part + 1, c->parts);
        w->sum = c->sums + LINE * w->part;
        const int code = run_turn(w, &c->turns[w->turn]);
        if (code) return code;
    }
}

// Run the steps of a prediction: rows one after another, `batch` at a time, each step by one thread. Comes back with
// IN_PYTHON as above; there is one thread then.
EXPORT int64_t chainrule_predict(call *c, worker *w) {
    double loss = 0;
    w->sum = &loss;
    for (;;) {
        if (w->task < 0) {  // no step is begun
            w->step = atomic_fetch_add(&c->next, 1);
            if (w->step >= c->steps) return FINISHED;
            w->first = w->step * c->batch;
            w->rows = c->total - w->first < c->batch ? c->total - w->first : c->batch;
            w->low = 0;
            w->high = w->rows;
        }
        for (w->turn = w->task + 1; w->turn < c->turn_count; w->turn++) {
            w->task = w->turn;
            if (c->turns[w->turn].kind == TURN_PYTHON) return IN_PYTHON;
            const int code = run_turn(w, &c->turns[w->turn]);
            if (code) return code;
        }
        w->task = -1;
        if (c->losses) c->losses[w->step] = loss;
        if (atomic_load(&c->failed)) return atomic_load(&c->failed);
    }
}

// The same prediction again, on other numbers at the same addresses. Returns whether something was not finite.
EXPORT int64_t chainrule_predict_again(call *c, worker *w) {
    atomic_store(&c->next, 0);
    atomic_store(&c->doubtful, 0);
    return chainrule_predict(c, w) != FINISHED || atomic_load(&c->doubtful);
}

// Which variants of the kernels there are, and which this processor can run ------------------------------------

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
extern const kernel kernels_v2_32[], kernels_v2_64[], kernels_v3_32[], kernels_v3_64[];
static const char *const VARIANTS[] = {"v2", "v3"};
static const kernel *const KERNELS[][2] = {{kernels_v2_32, kernels_v2_64}, {kernels_v3_32, kernels_v3_64}};

// Whether processor and operating system keep 32-byte vectors: AVX2, FMA, BMI and their like, by CPUID and XGETBV.
static int has_v3(void) {
    unsigned a, b, c, d, leaf1 = 0, leaf7 = 0, extended = 0, low, high;
    const unsigned of_leaf1 = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29;  // FMA MOVBE OSXSAVE AVX F16C
    const unsigned of_leaf7 = 1u << 3 | 1u << 5 | 1u << 8;                           // BMI1 AVX2 BMI2
    if (__get_cpuid(1, &a, &b, &c, &d)) leaf1 = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) leaf7 = b;
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d)) extended = c;
    if ((leaf1 & of_leaf1) != of_leaf1 || (leaf7 & of_leaf7) != of_leaf7 || !(extended >> 5 & 1)) return 0;  // LZCNT
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

EXPORT int64_t chainrule_best_variant(void) { return has_v3(); }
#else
extern const kernel kernels_base_32[], kernels_base_64[];
static const char *const VARIANTS[] = {"base"};
static const kernel *const KERNELS[][2] = {{kernels_base_32, kernels_base_64}};

EXPORT int64_t chainrule_best_variant(void) { return 0; }
#endif

EXPORT const char *chainrule_variant_name(int64_t variant) {
    const int64_t count = sizeof VARIANTS / sizeof VARIANTS[0];
    return variant >= 0 && variant < count ? VARIANTS[variant] : NULL;
}

// The kernels of a variant for numbers of 32 or 64 bits; their table ends with a name that is NULL.
EXPORT const void *chainrule_kernels(int64_t variant, int64_t bits) {
    return chainrule_variant_name(variant) ? KERNELS[variant][bits == 64] : NULL;
}

EXPORT const char *chainrule_kernel_name(const void *kernels, int64_t operation) {
    return ((const kernel *)kernels)[operation].name;
}

// The sizes of the structures, which program/machine.py lays out too.
EXPORT int64_t chainrule_size(const char *of) {
    if (!strcmp(of, "call")) return sizeof(call);
    if (!strcmp(of, "worker")) return sizeof(worker);
    if (!strcmp(of, "array")) return sizeof(array);
    if (!strcmp(of, "instruction")) return sizeof(instruction);
    return !strcmp(of, "turn") ? sizeof(turn) : 0;
}
