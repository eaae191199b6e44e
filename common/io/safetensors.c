#include "io/safetensors.h"

#include "base/file.h"
#include "base/printable.h"
#include "io/half.h"
#include "base/error.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

static const struct { const char *name; size_t size; } types[ST_TYPES] = {
    [ST_F64] = {"F64", 8}, [ST_I64] = {"I64", 8}, [ST_F32] = {"F32", 4}, [ST_I32] = {"I32", 4},
    [ST_F16] = {"F16", 2}, [ST_BF16] = {"BF16", 2}, [ST_U8] = {"U8", 1}};

static const size_t max_header = 100000000;       /* as in the reference reader */

/* ---- parsing --------------------------------------------------------------------------------- */

typedef struct {
    Safetensors *s;
    size_t data_length;          /* bytes after the header */
    const uint8_t *data;
    char *message;
} Parser;

/* Writes the message, on one line whatever a name in the file holds, and returns false. */
static bool __attribute__((format(printf, 2, 3))) wrong(Parser *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(p->message, ST_MESSAGE, format, args);
    va_end(args);
    make_printable(p->message, '?');
    return false;
}

/* A JSON number as a size: whole, not negative, below 2^53 where doubles are exact. */
static bool get_size(const cJSON *item, size_t *size) {
    if (!cJSON_IsNumber(item)) return false;
    double x = item->valuedouble;
    if (!(x >= 0 && x < 0x1p53) || x != floor(x)) return false;
    *size = (size_t)x;
    return true;
}

static bool parse_type(Parser *p, const cJSON *entry, StTensor *t) {
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    if (!cJSON_IsString(type)) return wrong(p, "%.60s has no \"dtype\"", t->name);
    for (int k = 0; k < ST_TYPES; k++) {
        if (strcmp(types[k].name, type->valuestring) == 0) {
            t->type = (StType)k;
            return true;
        }
    }
    return wrong(p, "%.60s has the type %.20s; F64, F32, F16, BF16, I64, I32 and U8 are read",
                 t->name, type->valuestring);
}

static bool parse_shape(Parser *p, const cJSON *entry, StTensor *t) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape"), *item;
    if (!cJSON_IsArray(shape)) return wrong(p, "%.60s has no \"shape\"", t->name);
    t->len = 1;
    cJSON_ArrayForEach(item, shape) {
        size_t size;
        if (t->rank == ST_MAX_RANK) {
            return wrong(p, "%.60s has more than %d axes", t->name, ST_MAX_RANK);
        }
        if (!get_size(item, &size)) return wrong(p, "%.60s: its shape is not sizes", t->name);
        if (__builtin_mul_overflow(t->len, size, &t->len)) {
            return wrong(p, "%.60s is too large to be counted", t->name);
        }
        t->shape[t->rank++] = size;
    }
    return true;
}

static bool parse_offsets(Parser *p, const cJSON *entry, StTensor *t) {
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    size_t begin, end, bytes;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !get_size(offsets->child, &begin) || !get_size(offsets->child->next, &end)) {
        return wrong(p, "%.60s has no \"data_offsets\" [begin, end]", t->name);
    }
    if (begin > end || end > p->data_length) {
        return wrong(p, "%.60s: its data, bytes %zu to %zu, are not within the %zu there are",
                     t->name, begin, end, p->data_length);
    }
    if (__builtin_mul_overflow(t->len, types[t->type].size, &bytes) || bytes != end - begin) {
        char shape[ST_SHAPE];
        return wrong(p, "%.60s: shape %s of %s does not make the %zu bytes of its data", t->name,
                     safetensors_shape(t->rank, t->shape, shape), types[t->type].name, end - begin);
    }
    t->data = p->data + begin;
    return true;
}

static bool parse_tensor(Parser *p, const cJSON *entry, StTensor *t) {
    t->name = entry->string;
    if (!cJSON_IsObject(entry)) return wrong(p, "%.60s is not described by an object", t->name);
    if (!parse_type(p, entry, t) || !parse_shape(p, entry, t) || !parse_offsets(p, entry, t)) {
        return false;
    }
    /* the three have been found: a fourth is a repeated key, or one of a format that came later */
    if (cJSON_GetArraySize(entry) != 3) {
        return wrong(p, "%.60s is described by more than dtype, shape and data_offsets", t->name);
    }
    return true;
}

static bool parse_metadata(Parser *p, const cJSON *metadata) {
    const cJSON *item;
    if (!cJSON_IsObject(metadata)) return wrong(p, "its __metadata__ is not an object");
    cJSON_ArrayForEach(item, metadata) {
        if (!cJSON_IsString(item)) {
            return wrong(p, "its __metadata__ %.60s is not a text", item->string);
        }
    }
    return true;
}

/* by place; tensors without data before those that start at the same byte */
static int by_data(const void *a, const void *b) {
    const StTensor *s = a, *t = b;
    if (s->data != t->data) return s->data < t->data ? -1 : 1;
    return (s->len > 0) - (t->len > 0);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const StTensor *)a)->name, ((const StTensor *)b)->name);
}

static bool check_places(Parser *p) {
    Safetensors *s = p->s;
    const uint8_t *end = p->data;
    qsort(s->tensors, (size_t)s->count, sizeof *s->tensors, by_data);
    for (int i = 0; i < s->count; i++) {
        const StTensor *t = &s->tensors[i];
        if (t->data != end) {
            return wrong(p, "%.60s starts at byte %zu of the data, where %zu is expected: %s",
                         t->name, (size_t)(t->data - p->data), (size_t)(end - p->data),
                         t->data < end ? "tensors overlap" : "there is a hole");
        }
        end = t->data + t->len * types[t->type].size;
    }
    if (end != p->data + p->data_length) {
        return wrong(p, "%zu bytes follow the header, its tensors have %zu", p->data_length,
                     (size_t)(end - p->data));
    }
    return true;
}

static bool check_names(Parser *p) {
    Safetensors *s = p->s;
    qsort(s->tensors, (size_t)s->count, sizeof *s->tensors, by_name);
    for (int i = 1; i < s->count; i++) {
        if (by_name(&s->tensors[i - 1], &s->tensors[i]) == 0) {
            return wrong(p, "there are two tensors %.60s", s->tensors[i].name);
        }
    }
    return true;
}

static bool parse_header(Parser *p, const cJSON *header) {
    const cJSON *entry;
    bool metadata = false;
    p->s->tensors = calloc((size_t)cJSON_GetArraySize(header) + 1, sizeof(StTensor));
    if (!p->s->tensors) return wrong(p, "out of memory");
    cJSON_ArrayForEach(entry, header) {
        if (strcmp(entry->string, "__metadata__") == 0) {
            if (metadata) return wrong(p, "there are two __metadata__");
            if (!parse_metadata(p, entry)) return false;
            metadata = true;
        } else if (!parse_tensor(p, entry, &p->s->tensors[p->s->count++])) {
            return false;
        }
    }
    return check_places(p) && check_names(p);
}

/* the header's length, from the first eight bytes */
static bool header_length(Parser *p, const uint8_t *bytes, size_t length, uint64_t *n) {
    if (length < 8) {
        return wrong(p, "holds %zu bytes, a safetensors file has at least 8", length);
    }
    memcpy(n, bytes, 8);
    if (*n > max_header) {
        return wrong(p, "is not a safetensors file: its first 8 bytes announce a header of %llu "
                     "bytes", (unsigned long long)*n);
    }
    if (*n > length - 8) {
        return wrong(p, "is cut short: it announces a header of %llu bytes, %zu follow",
                     (unsigned long long)*n, length - 8);
    }
    return true;
}

/* Is what follows the JSON value, up to the header's length, nothing but spaces? */
static bool only_spaces(const char *rest, const char *end) {
    while (rest < end && strchr(" \t\r\n", *rest) && *rest) rest++;
    return rest == end;
}

bool safetensors_parse(Safetensors *s, const uint8_t *bytes, size_t length,
                       char message[static ST_MESSAGE]) {
    *s = (Safetensors){0};
    Parser p = {.s = s, .message = message};
    uint64_t n = 0;
    if (!header_length(&p, bytes, length, &n)) return false;
    p.data = bytes + 8 + n;
    p.data_length = length - 8 - (size_t)n;

    char *text = malloc((size_t)n + 1);               /* cJSON reads safely up to a final 0 */
    if (!text) return wrong(&p, "out of memory");
    memcpy(text, bytes + 8, (size_t)n);
    text[n] = 0;
    const char *rest = text;
    cJSON *header = cJSON_ParseWithLengthOpts(text, (size_t)n + 1, &rest, false);
    bool good = cJSON_IsObject(header) && only_spaces(rest, text + n);
    free(text);
    s->header = header;
    good = good ? parse_header(&p, header) : wrong(&p, "its header is not one JSON object");
    if (!good) safetensors_close(s);
    return good;
}

/* ---- reading --------------------------------------------------------------------------------- */

Safetensors safetensors_open(const char *path) {
    Safetensors s;
    char message[ST_MESSAGE];
    size_t length;
    const uint8_t *bytes = file_map(path, &length);
    if (!safetensors_parse(&s, bytes, length, message)) {
        file_unmap(bytes, length);
        fail("%s: %s", path, message);
    }
    s.bytes = bytes;
    s.length = length;
    return s;
}

void safetensors_close(Safetensors *s) {
    free(s->tensors);
    cJSON_Delete(s->header);
    file_unmap(s->bytes, s->length);
    *s = (Safetensors){0};
}

const StTensor *safetensors_find(const Safetensors *s, const char *name) {
    StTensor key = {.name = name};
    if (!s->count) return NULL;
    return bsearch(&key, s->tensors, (size_t)s->count, sizeof key, by_name);
}

const char *safetensors_metadata(const Safetensors *s, const char *key) {
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(s->header, "__metadata__");
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, key));
}

bool safetensors_is_float(StType type) {
    return type == ST_F64 || type == ST_F32 || type == ST_F16 || type == ST_BF16;
}

const char *safetensors_type(StType type) {
    return types[type].name;
}

void safetensors_get(const StTensor *t, real *x) {
    for (size_t i = 0; i < t->len; i++) {
        const uint8_t *p = t->data + i * types[t->type].size;
        double d;
        float f;
        uint16_t h;
        switch (t->type) {
        case ST_F64: memcpy(&d, p, 8); x[i] = (real)d; break;
        case ST_F32: memcpy(&f, p, 4); x[i] = f; break;
        case ST_F16: memcpy(&h, p, 2); x[i] = half_to_float(h); break;
        case ST_BF16: memcpy(&h, p, 2); x[i] = bfloat16_to_float(h); break;
        default: die("safetensors_get: %s holds %s", t->name, types[t->type].name);
        }
    }
}

const char *safetensors_shape(int rank, const size_t *shape, char text[static ST_SHAPE]) {
    size_t n = (size_t)snprintf(text, ST_SHAPE, "(");
    for (int i = 0; i < rank; i++) {
        n += (size_t)snprintf(text + n, ST_SHAPE - n, "%s%zu", i ? "," : "", shape[i]);
    }
    snprintf(text + n, ST_SHAPE - n, ")");
    return text;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int by_output_name(const void *a, const void *b) {
    return strcmp(((const StOutput *)a)->name, ((const StOutput *)b)->name);
}

/* Largest numbers first: as the header ends at a multiple of 8, every tensor is aligned. */
static int in_file(const void *a, const void *b) {
    const StOutput *s = a, *t = b;
    size_t p = types[s->type].size, q = types[t->type].size;
    return p != q ? (p < q) - (p > q) : by_output_name(a, b);
}

static size_t output_bytes(const StOutput *t) {
    size_t bytes = types[t->type].size;
    for (int i = 0; i < t->rank; i++) bytes *= t->shape[i];
    return bytes;
}

/* cJSON returns NULL only when memory is out; one check of the printed text finds that */
static void describe(cJSON *header, const StOutput *t, size_t begin) {
    cJSON *entry = cJSON_AddObjectToObject(header, t->name);
    cJSON_AddStringToObject(entry, "dtype", types[t->type].name);
    cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
    for (int i = 0; i < t->rank; i++) {
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->shape[i]));
    }
    cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin));
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(begin + output_bytes(t))));
}

/* the header as text, to be freed */
static char *header_text(const StOutput *tensors, int count, const char *const *metadata) {
    cJSON *header = cJSON_CreateObject();
    if (metadata && *metadata) {
        cJSON *m = cJSON_AddObjectToObject(header, "__metadata__");
        for (; *metadata; metadata += 2) cJSON_AddStringToObject(m, metadata[0], metadata[1]);
    }
    size_t begin = 0;
    for (int i = 0; i < count; i++) {
        describe(header, &tensors[i], begin);
        begin += output_bytes(&tensors[i]);
    }
    char *text = cJSON_PrintUnformatted(header);
    if (!text) fail("out of memory");
    cJSON_Delete(header);
    return text;
}

static void sort_outputs(StOutput *tensors, int count) {
    qsort(tensors, (size_t)count, sizeof *tensors, by_output_name);
    for (int i = 1; i < count; i++) {
        if (by_output_name(&tensors[i - 1], &tensors[i]) == 0) {
            die("safetensors_write: two tensors are called %s", tensors[i].name);
        }
    }
    qsort(tensors, (size_t)count, sizeof *tensors, in_file);
}

void safetensors_write(const char *path, StOutput *tensors, int count,
                       const char *const *metadata) {
    sort_outputs(tensors, count);
    char *text = header_text(tensors, count, metadata);
    size_t n = strlen(text);
    uint64_t padded = (n + 7) / 8 * 8;
    AtomicFile f = file_create(path);
    file_put(&f, &padded, 8);
    file_put(&f, text, n);
    file_put(&f, "       ", padded - n);
    free(text);
    for (int i = 0; i < count; i++) {
        const StOutput *t = &tensors[i];
        size_t bytes = output_bytes(t);
        uint8_t *filled = t->fill && bytes ? malloc(bytes) : NULL;
        if (t->fill && bytes && !filled) fail("%s: out of memory: %zu bytes", t->name, bytes);
        if (filled) t->fill(t, filled);
        file_put(&f, filled ? filled : t->source, bytes);
        free(filled);
    }
    file_commit(&f);
}
