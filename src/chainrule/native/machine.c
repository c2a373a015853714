// The machine: runs a table of instructions, for many steps in one call.
//
// A step is a list of turns, a turn a list of instructions. In a training each turn is cut into parts, as the program
// says, so that results never depend on the number of threads. The calling thread opens a turn by writing a ticket
// into the box: the number of the turn and that of its next part. Whoever raises the ticket does that part. The
// caller does parts as long as there are any, and then waits for those that helpers have begun, and for nothing else.
//
// The steps of a prediction need nothing of each other: every thread takes the next one that is left.
//
// A helper comes in by chainrule_help, and touches nothing of the call before it is counted as inside and has seen
// that the box is open. The box is closed before a call returns for good, when all helpers are out again.
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

// What is in the box, each two lines of the cache from the next. A ticket is a turn times MOST_PARTS, plus a part.
enum { TICKET = 0, DONE = 16, CLOSED = 32, INSIDE = 48 };
enum { MOST_PARTS = 128, PATIENCE = 2000, BORED = 4000000 };

static inline void rest(int64_t *spins) {
    if (++*spins > PATIENCE) give_way();
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

// One part of turn `number`, the turns of all steps counted through.
static int run_part(worker *w, int64_t number, int64_t part) {
    const call *c = w->call;
    w->step = number / c->turn_count;
    w->turn = number % c->turn_count;
    w->part = part;
    w->parts = c->turns[w->turn].parts;
    w->first = c->starts ? c->starts[w->step] : w->step * c->batch;
    w->rows = c->starts ? c->starts[w->step + 1] - w->first : c->batch;
    w->low = share(w->rows, part, w->parts);
    w->high = share(w->rows, part + 1, w->parts);
    w->sum = c->sums + LINE * part;
    return run_turn(w, &c->turns[w->turn]);
}

// Take a part of the turn that the ticket is for; -1 when none is left. `ticket` becomes what was read.
static int64_t claim(const call *c, _Atomic int64_t *box, int64_t *ticket) {
    *ticket = atomic_load(box + TICKET);
    const int64_t parts = c->turns[*ticket / MOST_PARTS % c->turn_count].parts;
    if (*ticket % MOST_PARTS >= parts) return -1;
    return atomic_compare_exchange_strong(box + TICKET, ticket, *ticket + 1) ? *ticket % MOST_PARTS : -1;
}

// All parts of a turn, of which helpers may do some.
static int run_shared(worker *w, int64_t number, int64_t parts) {
    _Atomic int64_t *box = w->call->box;
    int64_t left = parts, spins = 0, ticket;
    int code = 0;
    atomic_store(box + DONE, 0);
    atomic_store(box + TICKET, number * MOST_PARTS + 1);  // part 0 is the caller's
    for (int64_t part = 0;;) {
        const int found = run_part(w, number, part);
        if (found) code = found;
        left--;
        do part = claim(w->call, box, &ticket);
        while (part < 0 && ticket % MOST_PARTS < parts);
        if (part < 0) break;
    }
    while (atomic_load(box + DONE) < left) rest(&spins);
    return code;
}

static void close_box(_Atomic int64_t *box) {
    int64_t spins = 0;
    atomic_store(box + CLOSED, 1);
    while (atomic_load(box + INSIDE)) rest(&spins);
}

// End a call: no helper is inside any more, and none comes in.
EXPORT void chainrule_close(_Atomic int64_t *box) { close_box(box); }

static int64_t ended(const call *c, int64_t status) {
    if (c->box && status != IN_PYTHON) close_box(c->box);
    return status;
}

// Run training steps. Comes back with IN_PYTHON before a turn that Python does, to be called again behind it.
EXPORT int64_t chainrule_train(call *c, worker *w) {
    for (;;) {
        const int64_t number = w->task++;
        const turn *t = &c->turns[number % c->turn_count];
        w->step = number / c->turn_count;
        if (w->step >= c->steps) return ended(c, FINISHED);
        if (t->kind == TURN_PYTHON) {
            w->turn = number % c->turn_count;
            return IN_PYTHON;
        }
        int code = 0;
        if (t->parts > 1 && c->box) code = run_shared(w, number, t->parts);
        else
            for (int64_t part = 0; part < t->parts; part++) {
                const int found = run_part(w, number, part);
                if (found) code = found;
            }
        if (code) return ended(c, code);
    }
}

// The steps of a prediction: rows one after another, `batch` at a time, each step by one thread.
static int64_t run_steps(call *c, worker *w) {
    double loss = 0;
    w->sum = &loss;
    w->parts = 1;
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

// Run the steps of a prediction. Comes back with IN_PYTHON as above; there is one thread then.
EXPORT int64_t chainrule_predict(call *c, worker *w) { return ended(c, run_steps(c, w)); }

// The same prediction again, on other numbers at the same addresses. Returns whether something was not finite.
EXPORT int64_t chainrule_predict_again(call *c, worker *w) {
    atomic_store(&c->next, 0);
    atomic_store(&c->doubtful, 0);
    return run_steps(c, w) != FINISHED || atomic_load(&c->doubtful);
}

// Help with a call until its box is closed, or for long there was nothing to do.
EXPORT void chainrule_help(_Atomic int64_t *box, call *c, worker *w) {
    int64_t spins = 0, ticket;
    atomic_fetch_add(box + INSIDE, 1);
    if (!atomic_load(box + CLOSED)) {
        if (!c->rows) run_steps(c, w);
        while (c->rows && !atomic_load(box + CLOSED) && spins < BORED) {
            const int64_t part = claim(c, box, &ticket);
            if (part < 0) {
                rest(&spins);
                continue;
            }
            run_part(w, ticket / MOST_PARTS, part);
            atomic_fetch_add(box + DONE, 1);
            spins = 0;
        }
    }
    atomic_fetch_sub(box + INSIDE, 1);
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

// The sizes of the structures, which program/layout.py lays out too.
EXPORT int64_t chainrule_size(const char *of) {
    if (!strcmp(of, "call")) return sizeof(call);
    if (!strcmp(of, "worker")) return sizeof(worker);
    if (!strcmp(of, "array")) return sizeof(array);
    if (!strcmp(of, "instruction")) return sizeof(instruction);
    return !strcmp(of, "turn") ? sizeof(turn) : 0;
}
