/* fuzz_safetensors.c — hostile bytes as a safetensors file: refused with one line, or read without
 * a step outside. */
#include "fuzz.h"
#include "io/safetensors.h"

#include <stdlib.h>
#include <string.h>

static void one(const uint8_t *bytes, size_t length) {
    char message[ST_MESSAGE] = "", shape[ST_SHAPE];
    Safetensors s;
    if (!safetensors_parse(&s, bytes, length, message)) {
        if (!*message || strchr(message, '\n')) abort();
        return;
    }
    for (int i = 0; i < s.count; i++) {
        const StTensor *t = &s.tensors[i];
        safetensors_shape(t->rank, t->shape, shape);
        if (safetensors_find(&s, t->name) != t) abort();
        if (!safetensors_is_float(t->type)) continue;
        real *x = malloc(t->len * sizeof *x + 1);
        safetensors_get(t, x);
        free(x);
    }
    safetensors_metadata(&s, "chapter");
    safetensors_close(&s);
}

/* Most changes would break the header's length and be refused at once: half of the time it is put
 * right. The first inputs are made here. */
static size_t mutate(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    static const char start[] = "{\"__metadata__\":{\"chapter\":\"ae\"},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[8,10]}}";
    size_t n = sizeof start - 1;
    if (length < 9 && room >= 8 + n + 10) {
        memcpy(bytes + 8, start, n);
        memset(bytes + 8 + n, 0, 10);
        length = 8 + n + 10;
    } else {
        length = LLVMFuzzerMutate(bytes, length, room);
    }
    if (length > 8 && seed % 2) {
        uint64_t header = length - 8;
        while (header > 1 && bytes[8 + header - 1] != '}') header--;
        memcpy(bytes, &header, 8);
    }
    return length;
}

const Fuzzer fuzz_safetensors = {"safetensors", one, mutate};
