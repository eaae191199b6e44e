/* common.c — what each module has: its numbers, and its weights in their order. */
#include "try.h"

Params try_params[TRY_NETWORKS];
real try_in[TRY_NUMBERS], try_out[TRY_NUMBERS];

int   EXPORT(try_tensors)(void);
int   EXPORT(try_length)(int i);
real *EXPORT(try_values)(int i);
real *EXPORT(try_input)(void);
real *EXPORT(try_output)(void);

static Tensor *tensor_at(int i) {
    int k = 0;
    while (i >= try_params[k].count) i -= try_params[k++].count;
    return try_params[k].list[i];
}

int try_tensors(void) {
    int n = 0;
    for (int k = 0; k < TRY_NETWORKS; k++) n += try_params[k].count;
    return n;
}

int try_length(int i) { return (int)tensor_at(i)->len; }
real *try_values(int i) { return tensor_at(i)->x; }
real *try_input(void) { return try_in; }
real *try_output(void) { return try_out; }
