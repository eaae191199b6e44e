/* entry.h — how parameters stand in a file: under PyTorch's names, in PyTorch's layout, so that a
 * PyTorch user can load them. The last part of a parameter's name says what it is:
 *
 *     here                                in the file
 *     x.w      (in,out)                   x.weight        (out,in)          linear layer
 *     x.w      (kh,kw,in,out)             x.weight        (out,in,kh,kw)    convolution
 *     x.wt     (kh,kw,out,in)             x.weight        (in,out,kh,kw)    transposed convolution
 *     x.table  (count,dim)                x.weight        (count,dim)       embedding: as it is
 *     x.b  x.gain  x.shift                x.bias  x.weight  x.bias
 *     x.mean  x.var                       x.running_mean  x.running_var     batch normalisation
 *     x.embed  x.embed_avg  (K,D)         as named         (D,K)             codebook of averages
 *     x.wv  x.wg                          x.weight_v  x.weight_g            weight-normalised layer:
 *                                                                           turned as a weight is
 *     anything else                       as it is
 *
 * Interface:
 *   - entry_of, _get, _new    one parameter; is_batch_counter: a name to pass over
 *   - entries_add, _check, _read, _free, made_by     all that a file holds
 *   - weights_read            the last four for a file that holds weights alone */
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
/* PyTorch's batch normalisations count batches, and none of them uses the count: is this such a
 * counter, which nothing of ours stands for? */
bool is_batch_counter(const char *name);
/* the numbers of `t`, of the entry's shape, in the layout they have here */
void entry_get(const Entry *e, const StTensor *t, real *x);
/* the numbers of a parameter that the file has, without changing it; to be freed */
real *entry_new(const Safetensors *s, const char *prefix, Tensor *w);

/* ---- all of a file --------------------------------------------------------------------------- */

typedef struct {
    Entry *list;
    int count;
    size_t room;
} Entries;                       /* {0}: none */

void entries_add(Entries *e, const char *prefix, const Params *p);
void entries_free(Entries *e);

/* File and list must have the same tensors with the same shapes, in the file of any float type;
 * else the first one that is missing, surplus or of another shape is named, and the program ends */
void entries_check(const Entries *e, const Safetensors *s, const char *path);
/* the same; further tensors of the file are ignored */
void entries_check_part(const Entries *e, const Safetensors *s, const char *path);
/* After the check: fills the parameters. Ends the program at a number that is not finite. */
void entries_read(const Entries *e, const Safetensors *s, const char *path);

/* Ends the program if the file says that another program than this one made it */
void made_by(const Safetensors *s, const char *path, const char *program);

/* The weights that `program` has passed on: checked and read. Frees the list. */
void weights_read(const char *path, const char *program, Entries *e);

#endif
