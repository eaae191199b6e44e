#include "io/safetensors.h"

#include "base/file.h"
#include "base/printable.h"
#include "io/half.h"
#include "kernels/widen.h"
#include "base/memory.h"

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
/* of JSON values in a header, each of which takes 100 bytes of memory: 100,000 tensors have fewer */
static const size_t max_values = 1500000;

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

/* dtype, shape and data_offsets have been found: is there one twice, or another? */
static bool only_three_keys(Parser *p, const cJSON *entry, const char *name) {
    const cJSON *item, *before;
    int keys = cJSON_GetArraySize(entry);
    if (keys == 3) return true;
    for (item = entry->child; item && keys < 10; item = item->next) {
        for (before = entry->child; before != item; before = before->next)
            if (!strcmp(before->string, item->string))
                return wrong(p, "%.60s has %.20s twice", name, item->string);
    }
    return wrong(p, "%.60s is described by more than dtype, shape and data_offsets", name);
}

static bool parse_tensor(Parser *p, const cJSON *entry, StTensor *t) {
    t->name = entry->string;
    if (!cJSON_IsObject(entry)) return wrong(p, "%.60s is not described by an object", t->name);
    if (!parse_type(p, entry, t) || !parse_shape(p, entry, t) || !parse_offsets(p, entry, t)) {
        return false;
    }
    return only_three_keys(p, entry, t->name);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool parse_metadata(Parser *p, const cJSON *metadata) {
    const cJSON *item;
    if (cJSON_IsNull(metadata)) return true;           /* written by some for "none" */
    if (!cJSON_IsObject(metadata)) return wrong(p, "its __metadata__ is not an object");
    int n = 0, count = cJSON_GetArraySize(metadata);
    const char **keys = malloc(((size_t)count + 1) * sizeof *keys), *twice = NULL;
    if (!keys) return wrong(p, "out of memory");
    cJSON_ArrayForEach(item, metadata) {
        if (!cJSON_IsString(item)) {
            free(keys);
            return wrong(p, "its __metadata__ %.60s is not a text", item->string);
        }
        keys[n++] = item->string;
    }
    qsort(keys, (size_t)n, sizeof *keys, by_text);
    for (int i = 1; i < n && !twice; i++) twice = strcmp(keys[i - 1], keys[i]) ? NULL : keys[i];
    free(keys);
    return !twice || wrong(p, "its __metadata__ has %.60s twice", twice);
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
            return wrong(p, "there are two tensors called %.60s", s->tensors[i].name);
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
    if (!check_names(p) || !check_places(p)) return false;
    qsort(p->s->tensors, (size_t)p->s->count, sizeof(StTensor), by_name);
    return true;
}

/* the header's length, from the first eight bytes */
static bool header_length(Parser *p, const uint8_t *bytes, size_t length, uint64_t *n) {
    if (length < 8) {
        return wrong(p, "holds %zu bytes, a safetensors file has at least 8", length);
    }
    memcpy(n, bytes, 8);
    if (*n > max_header) {
        return wrong(p, "is not a safetensors file: its first 8 bytes declare a header of %llu "
                     "bytes", (unsigned long long)*n);
    }
    if (*n > length - 8) {
        return wrong(p, "is cut short: it declares a header of %llu bytes, %zu follow",
                     (unsigned long long)*n, length - 8);
    }
    return true;
}

/* Is what follows the JSON value, up to the header's length, nothing but spaces? */
static bool only_spaces(const char *rest, const char *end) {
    while (rest < end && strchr(" \t\r\n", *rest) && *rest) rest++;
    return rest == end;
}

/* How many values, about: commas, colons and opening brackets, outside of texts. */
static size_t count_values(const char *text, size_t n) {
    size_t values = 1;
    bool inside = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (inside && c == '\\') i++;
        else if (c == '"') inside = !inside;
        else values += !inside && (c == ',' || c == ':' || c == '[' || c == '{');
    }
    return values;
}

/* cJSON returns NULL for a text that is no JSON and when memory is out: this tells which. */
static bool memory_ran_out;

static void *watched_malloc(size_t n) {
    void *memory = malloc(n);
    if (!memory) memory_ran_out = true;
    return memory;
}

/* the header as one JSON object, or NULL with a message */
static cJSON *parse_json(Parser *p, const char *text, size_t n) {
    const char *rest = text;
    if (count_values(text, n) > max_values) {
        wrong(p, "its header holds more than %zu values", max_values);
        return NULL;
    }
    memory_ran_out = false;
    cJSON_InitHooks(&(cJSON_Hooks){watched_malloc, free});
    cJSON *header = cJSON_ParseWithLengthOpts(text, n + 1, &rest, false);
    cJSON_InitHooks(NULL);
    if (cJSON_IsObject(header) && only_spaces(rest, text + n)) return header;
    cJSON_Delete(header);
    wrong(p, memory_ran_out ? "out of memory" : "its header is not one JSON object");
    return NULL;
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
    s->header = parse_json(&p, text, (size_t)n);
    free(text);
    bool good = s->header && parse_header(&p, s->header);
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

/* the type of most large files */
static void get_halves(const StTensor *t, real *x) {
    enum { AT_ONCE = 4096 };
    uint16_t halves[AT_ONCE];
    for (size_t i = 0; i < t->len; i += AT_ONCE) {
        size_t n = t->len - i < AT_ONCE ? t->len - i : AT_ONCE;
        memcpy(halves, t->data + 2 * i, 2 * n);
        k_widen(n, halves, x + i);
    }
}

void safetensors_get(const StTensor *t, real *x) {
    if (t->type == ST_F16) {
        get_halves(t, x);
        return;
    }
    for (size_t i = 0; i < t->len; i++) {
        const uint8_t *p = t->data + i * types[t->type].size;
        double d;
        float f;
        uint16_t h;
        switch (t->type) {
        case ST_F64: memcpy(&d, p, 8); x[i] = (real)d; break;
        case ST_F32: memcpy(&f, p, 4); x[i] = f; break;
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

/* cJSON gives NULL when memory is out, and goes on when it is given NULL: what it left out would be
 * missing from the file. */
static cJSON *made(cJSON *item) {
    if (!item) fail("out of memory");
    return item;
}

static void add_number(cJSON *array, size_t n) {
    cJSON_AddItemToArray(array, made(cJSON_CreateNumber((double)n)));
}

static void describe(cJSON *header, const StOutput *t, size_t begin) {
    cJSON *entry = made(cJSON_AddObjectToObject(header, t->name));
    made(cJSON_AddStringToObject(entry, "dtype", types[t->type].name));
    cJSON *shape = made(cJSON_AddArrayToObject(entry, "shape"));
    for (int i = 0; i < t->rank; i++) add_number(shape, t->shape[i]);
    cJSON *offsets = made(cJSON_AddArrayToObject(entry, "data_offsets"));
    add_number(offsets, begin);
    add_number(offsets, begin + output_bytes(t));
}

static size_t data_bytes(const StOutput *tensors, int count) {
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += output_bytes(&tensors[i]);
    return bytes;
}

/* the header as text, to be freed */
static char *header_text(const StOutput *tensors, int count, const char *const *metadata) {
    cJSON *header = made(cJSON_CreateObject());
    if (metadata && *metadata) {
        cJSON *m = made(cJSON_AddObjectToObject(header, "__metadata__"));
        for (; *metadata; metadata += 2)
            made(cJSON_AddStringToObject(m, metadata[0], metadata[1]));
    }
    size_t begin = 0;
    for (int i = 0; i < count; begin += output_bytes(&tensors[i++]))
        describe(header, &tensors[i], begin);
    char *text = cJSON_PrintUnformatted(header);
    if (!text) fail("out of memory");
    cJSON_Delete(header);
    return text;
}

static bool same_tensor(const StTensor *read, const StOutput *t, size_t begin,
                        const uint8_t *data) {
    return read && read->type == t->type && read->rank == t->rank && read->data == data + begin &&
           !memcmp(read->shape, t->shape, (size_t)t->rank * sizeof *t->shape);
}

/* Does a reader find in the header what is to be written? Before a good file is replaced by one that
 * could not be read. */
static void verify(const char *path, const char *text, const StOutput *tensors, int count) {
    char message[ST_MESSAGE];
    Safetensors s = {0};
    /* where the data would lie is not looked at */
    Parser p = {.s = &s, .data = (const uint8_t *)text, .message = message,
                .data_length = data_bytes(tensors, count)};
    s.header = parse_json(&p, text, strlen(text));
    if (!s.header || !parse_header(&p, s.header)) fail("%s: not written: %s", path, message);
    bool good = s.count == count;
    size_t begin = 0;
    for (int i = 0; i < count && good; begin += output_bytes(&tensors[i++]))
        good = same_tensor(safetensors_find(&s, tensors[i].name), &tensors[i], begin, p.data);
    if (!good) fail("%s: not written: its header does not say what it should", path);
    safetensors_close(&s);
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
    verify(path, text, tensors, count);
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
        uint8_t *filled = t->fill && bytes ? memory_new(bytes, 1, "%s", t->name) : NULL;
        if (filled) t->fill(t, filled);
        file_put(&f, filled ? filled : t->source, bytes);
        free(filled);
    }
    file_commit(&f);
}
