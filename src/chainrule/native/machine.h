// What the machine and its kernels share: arrays, instructions, a call, and a worker, one of the threads of a call.
//
// Everything is allocated by the caller. The table was verified before: the operands of every instruction lie inside
// their arrays for up to the largest number of rows. What is an address and comes from data (row numbers, labels,
// places in sparse rows) is checked where it is read. The names and the order of the fields are those of program/layout.py.
#ifndef CHAINRULE_MACHINE_H
#define CHAINRULE_MACHINE_H

#include <stdatomic.h>
#include <stdint.h>

enum { OPERANDS = 8, NUMBERS = 7, LINE = 8 };  // LINE: numbers of 8 bytes in a line of the cache

// Of what kind the numbers of an array are.
enum { F32, F64, I8, I16, I32, I64, U8, U16, U32, U64 };

// Why a call came back.
enum { FINISHED, IN_PYTHON, NOT_FINITE, ROW_OUT_OF_RANGE, LABEL_OUT_OF_RANGE, NOTHING_TO_AVERAGE, NOT_SPARSE_ROWS };

// Where a part of a turn is done.
enum { TURN_NATIVE, TURN_PYTHON };

typedef struct {
    void *address;
    int64_t width;   // numbers in a row
    int64_t length;  // rows, of what does not grow with the batch: parameters, data
    int64_t stride;  // bytes from one row to the next
    int64_t kind;
    void *home;      // where a batch is gathered to; `address` may instead point into the data
} array;

typedef struct {
    int64_t operation;
    int64_t operand[OPERANDS];  // numbers of arrays, -1 for none
    double number[NUMBERS];
} instruction;

typedef struct {
    int64_t first, end;  // its instructions
    int64_t kind;
    int64_t parts;       // into how many it is cut, which are the same whoever does them
} turn;

// out = op(a) op(b) and y = op(a) x, as CBLAS has them; by number type and by the width of BLAS's integers.
typedef void (*function)(void);

typedef struct {
    const instruction *code;
    const turn *turns;
    int64_t turn_count;
    function gemm, gemv;      // NULL: the plain loops do it
    int64_t blas_bits;        // of BLAS's integers
    const int64_t *rows;      // row numbers of the data, batch by batch; NULL: rows one after another
    const int64_t *starts;    // (steps + 1,) where each batch begins in them; NULL: each has `batch`
    int64_t steps, batch;     // with rows one after another, batch is that of all steps but the last
    int64_t total;            // rows in all, one after another
    const double *rates;      // of each step
    const double *weights;    // of each step: the sum of its rows' weights; NULL: their number
    int64_t done;             // steps the optimizer has done before
    int64_t training;         // whether layers act as in training
    int64_t iteration;        // number of the first step, which decides the random numbers drawn
    double *losses;           // of each step
    int64_t *right;           // answers that are right, of each step
    void *result;             // (total, width) where outputs go, or NULL
    int64_t parts;            // of the turn that is cut into most
    _Atomic int64_t *box;     // what passes between threads, see machine.c; NULL where there is one
    double *sums;             // the loss of each part, LINE apart
    double *squares;          // added up by each part, LINE apart: of the gradient, and their unit; the penalty
    _Atomic int64_t next;     // the next step that no thread has taken, of a prediction
    _Atomic int64_t doubtful; // whether something watched was not finite
    _Atomic int64_t failed;   // ROW_OUT_OF_RANGE or what follows it, and what was read where:
    int64_t failed_array, failed_value, failed_row;
} call;

typedef struct {
    call *call;
    array *arrays;
    const void *kernels;
    int64_t task;         // the turn to do next, those of all steps counted through; in a prediction, of its step
    int64_t step, turn, part, parts;
    int64_t first, rows;  // of the batch: where it begins, in `rows` or one after another; how many
    int64_t low, high;    // the rows of this part, in a turn that is cut by rows
    double *sum;          // where the loss of this part goes
} worker;

typedef int kernel_function(worker *w, const instruction *i);

typedef struct {
    const char *name;
    kernel_function *run;
} kernel;

// The part of `length` that belongs to part `part` of `parts`.
static inline int64_t share(int64_t length, int64_t part, int64_t parts) { return length * part / parts; }

// Note a number that ends the call, unless another thread has noted one before.
static inline void fail(call *c, int64_t code, int64_t which, int64_t value, int64_t row) {
    int64_t none = 0;
    if (atomic_compare_exchange_strong(&c->failed, &none, code)) {
        c->failed_array = which;
        c->failed_value = value;
        c->failed_row = row;
    }
}

#endif
