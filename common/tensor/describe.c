/* describe.c — a tensor in the words of an error message. */
#include "tensor/tensor.h"

#include <stdio.h>

const char *t_describe(const Tensor *x) {
    static char text[6][200];
    static int turn;
    char *s = text[turn = (turn + 1) % 6];
    int n = snprintf(s, 140, "%s (", x->name ? x->name : x->op);
    for (int i = 0; i < x->rank; i++)
        n += snprintf(s + n, 200 - (size_t)n, "%s%d", i ? "," : "", x->shape[i]);
    snprintf(s + n, 200 - (size_t)n, ")");
    return s;
}
