#include "io/npy.h"

#include "base/file.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void npy_save(const char *path, const real *x, int rank, const int *shape) {
    /* magic, version 1.0, length of the rest of the header; the numbers start at byte 128 */
    char header[128] = "\x93NUMPY\x01\x00\x76\x00";
    size_t len = 1;
    char *dims = text_format("%s", "");
    for (int i = 0; i < rank; i++) {
        len *= (size_t)shape[i];
        char *more = text_format("%s%d,", dims, shape[i]);
        free(dims);
        dims = more;
    }
    char *dict = text_format("{'descr': '<f%zu', 'fortran_order': False, 'shape': (%s), }",
                             sizeof(real), dims);
    if (strlen(dict) > sizeof header - 11) die("npy_save: %d axes", rank);
    memset(header + 10, ' ', sizeof header - 10);
    memcpy(header + 10, dict, strlen(dict));
    header[sizeof header - 1] = '\n';

    AtomicFile f = file_create(path);
    file_put(&f, header, sizeof header);
    file_put(&f, x, len * sizeof *x);
    file_commit(&f);
    free(dict);
    free(dims);
}

/* ---- reading --------------------------------------------------------------------------------- */

static const struct { const char *name; NpyType type; size_t size; } types[] = {
    {"|u1", NPY_U8, 1}, {"<i4", NPY_I32, 4}, {"<i8", NPY_I64, 8}, {"<f4", NPY_F32, 4},
    {"<f8", NPY_F64, 8}};

/* what stands after 'key': in a dictionary as NumPy writes it; NULL if the key is not there */
static const char *value_of(const char *dict, const char *key) {
    const char *p = strstr(dict, key);
    if (!p) return NULL;
    p += strlen(key);
    return p + strspn(p, ": ");
}

/* "(2, 3)", "(2,)", "()" -> shape and its product */
static bool parse_shape(const char *p, Npy *a) {
    if (*p++ != '(') return false;
    a->len = 1;
    for (p += strspn(p, " "); *p != ')'; p += strspn(p, ", ")) {
        if (*p < '0' || *p > '9' || a->rank == NPY_MAX_RANK) return false;
        size_t size = 0;
        for (; *p >= '0' && *p <= '9'; p++) {
            if (__builtin_mul_overflow(size, (size_t)10, &size)) return false;
            if (__builtin_add_overflow(size, (size_t)(*p - '0'), &size)) return false;
        }
        if (__builtin_mul_overflow(a->len, size, &a->len)) return false;
        a->shape[a->rank++] = size;
    }
    return true;
}

/* type, order and shape, from the header's text; the size of a number, or 0 with a message */
static size_t parse_dict(const char *dict, Npy *a, char *message) {
    const char *descr = value_of(dict, "'descr'"), *order = value_of(dict, "'fortran_order'");
    const char *shape = value_of(dict, "'shape'");
    if (!descr || !order || !shape || !parse_shape(shape, a)) {
        snprintf(message, NPY_MESSAGE, "its header is not one that NumPy writes");
        return 0;
    }
    if (strncmp(order, "False", 5) != 0) {
        snprintf(message, NPY_MESSAGE, "is in Fortran order; save numpy.ascontiguousarray(x)");
        return 0;
    }
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        if (descr[0] != '\'' || strncmp(descr + 1, types[k].name, 3) != 0 || descr[4] != '\'')
            continue;
        a->type = types[k].type;
        return types[k].size;
    }
    int n = (int)strcspn(descr, ",}\n");
    snprintf(message, NPY_MESSAGE, "holds numbers of type %.*s; uint8, int32, int64, float32 and "
             "float64 (little-endian) are read", n < 40 ? n : 40, descr);
    return 0;
}

bool npy_parse(Npy *a, const uint8_t *bytes, size_t length, char message[static NPY_MESSAGE]) {
    enum { LONGEST = 4096 };
    char dict[LONGEST];
    *a = (Npy){0};
    size_t start = length > 6 && bytes[6] == 1 ? 10 : 12;    /* two or four bytes of length */
    if (length < start || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 3) {
        snprintf(message, NPY_MESSAGE, "is not an .npy file");
        return false;
    }
    size_t n = bytes[8] | (size_t)bytes[9] << 8;
    if (start == 12) n |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (n >= LONGEST || n > length - start) {
        snprintf(message, NPY_MESSAGE, "its header of %zu bytes is cut short or too long", n);
        return false;
    }
    memcpy(dict, bytes + start, n);
    dict[n] = 0;
    size_t size = parse_dict(dict, a, message), expected, follow = length - start - n;
    if (!size) return false;
    if (__builtin_mul_overflow(a->len, size, &expected) || expected != follow) {
        snprintf(message, NPY_MESSAGE, "its header declares %zu numbers of %zu bytes, %zu bytes "
                 "follow", a->len, size, follow);
        return false;
    }
    a->data = bytes + start + n;
    return true;
}

Npy npy_open(const char *path) {
    char message[NPY_MESSAGE];
    Npy a;
    size_t length;
    const uint8_t *bytes = file_map(path, &length);
    if (!npy_parse(&a, bytes, length, message)) {
        file_unmap(bytes, length);
        fail("%s: %s", path, message);
    }
    a.bytes = bytes;
    a.length = length;
    return a;
}

void npy_close(Npy *a) {
    if (a->bytes) file_unmap(a->bytes, a->length);
    *a = (Npy){0};
}

double npy_number(const Npy *a, size_t i) {
    int32_t i32;
    int64_t i64;
    float f32;
    double f64;
    switch (a->type) {
    case NPY_U8: return a->data[i];
    case NPY_I32: memcpy(&i32, a->data + 4 * i, 4); return i32;
    case NPY_I64: memcpy(&i64, a->data + 8 * i, 8); return (double)i64;
    case NPY_F32: memcpy(&f32, a->data + 4 * i, 4); return (double)f32;
    case NPY_F64: memcpy(&f64, a->data + 8 * i, 8); return f64;
    }
    die("npy_number: type %d", (int)a->type);
}
