/* try.h — a network in the reader's page: the chapter's own C, compiled to WebAssembly.
 *
 * Each file here is one module. The page (try.js) calls try_start, fills the tensors with the
 * committed weights, writes numbers to try_input, calls try_draw, and shows try_output. */
#ifndef TRY_H
#define TRY_H

#include "tensor/tensor.h"

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name))) name
#else
#define EXPORT(name) name
#endif

enum { TRY_NUMBERS = 32768, TRY_NETWORKS = 3 };

extern Params try_params[TRY_NETWORKS];
/* of each network's weights, PROGRAM/NAME in notebooks-data; then NULL */
extern const char *const try_files[];
extern real try_in[TRY_NUMBERS], try_out[TRY_NUMBERS];

void try_start(void);        /* makes the networks in try_params */
/* What is drawn depends on `what` and on try_in: see each file. Returns how many numbers of try_out
 * there are. */
int  try_draw(int what);

#endif
