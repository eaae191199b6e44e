/* entry.h — how a parameter stands in a file: under PyTorch's name, in PyTorch's layout. The table
 * is in checkpoint.h. */
#ifndef ENTRY_H
#define ENTRY_H

#include "io/safetensors.h"
#include "tensor/tensor.h"

typedef struct {
    char *name;                  /* owned */
    size_t shape[4];
    int order[4];                /* axis i in the file is axis order[i] here */
    bool turned;
    Tensor *tensor;
} Entry;

/* `prefix` stands before the name; free .name */
Entry entry_of(const char *prefix, Tensor *w);
/* the numbers of `t`, of the entry's shape, in the layout they have here */
void entry_get(const Entry *e, const StTensor *t, real *x);

#endif
