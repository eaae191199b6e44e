/* safetensors.h — reader and writer of the safetensors format (huggingface/safetensors).
 *
 * 8 bytes little-endian N; N bytes of JSON {"name":
 * {"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}, ..., "__metadata__": {"key":"text"}}; then
 * the numbers, row major, little-endian, offsets counted from here.
 *
 * Interface:
 *   - safetensors_parse   checks bytes in memory, prints nothing; an error leaves nothing allocated
 *   - safetensors_open    the same for a file; fails with one line that names it
 *   - safetensors_find    a tensor by name, safetensors_metadata a text by key; or NULL
 *   - safetensors_get     numbers as real, from any of the float types
 *   - safetensors_write   a file, atomically; the same tensors give the same bytes
 *
 * The reader is strict: names once only, offsets without hole or overlap, sizes that agree with the
 * shapes, no byte too many or too few. */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "kernels/real.h"

typedef enum { ST_F64, ST_I64, ST_F32, ST_I32, ST_F16, ST_BF16, ST_U8, ST_TYPES } StType;
enum { ST_MAX_RANK = 8, ST_MESSAGE = 256, ST_SHAPE = 192 };

typedef struct {
    const char *name;
    StType type;
    int rank;                    /* 0: a single number */
    size_t shape[ST_MAX_RANK];
    size_t len;                  /* numbers */
    const uint8_t *data;         /* at any address: read by safetensors_get or memcpy */
} StTensor;

typedef struct {
    StTensor *tensors;           /* sorted by name */
    int count;
    void *header;                /* the parsed JSON; names and metadata live in it */
    const uint8_t *bytes;        /* set by safetensors_open: the mapped file */
    size_t length;
} Safetensors;

/* Fills `s`, whose data point into `bytes`. On an error returns false with one line in `message`. */
bool safetensors_parse(Safetensors *s, const uint8_t *bytes, size_t length,
                       char message[static ST_MESSAGE]);
Safetensors safetensors_open(const char *path);
void safetensors_close(Safetensors *s);

const StTensor *safetensors_find(const Safetensors *s, const char *name);
const char *safetensors_metadata(const Safetensors *s, const char *key);
bool safetensors_is_float(StType type);
const char *safetensors_type(StType type);            /* "F32" */
void safetensors_get(const StTensor *t, real *x);     /* float types only; x has room for t->len */
/* "(2,3)" */
const char *safetensors_shape(int rank, const size_t *shape, char text[static ST_SHAPE]);

/* What is to be written. `fill` puts len numbers of `type` at `bytes`; NULL: they are copied from
 * `source`. */
typedef struct StOutput StOutput;
struct StOutput {
    const char *name;
    StType type;
    int rank;
    size_t shape[ST_MAX_RANK];
    const void *source;
    void (*fill)(const StOutput *t, uint8_t *bytes);
};
/* metadata: key, text, key, text, ..., NULL; or NULL. Reorders `tensors`. */
void safetensors_write(const char *path, StOutput *tensors, int count, const char *const *metadata);

#endif
