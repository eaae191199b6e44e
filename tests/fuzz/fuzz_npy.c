/* fuzz_npy.c — hostile bytes as an .npy file: refused with one line, or all its numbers lie within
 * the bytes. */
#include "fuzz.h"
#include "io/npy.h"

#include <stdlib.h>
#include <string.h>

static void one(const uint8_t *bytes, size_t length) {
    char message[NPY_MESSAGE] = "";
    Npy a;
    if (!npy_parse(&a, bytes, length, message)) {
        if (!*message || strchr(message, '\n')) abort();
        return;
    }
    volatile double last = a.len ? npy_number(&a, a.len - 1) : 0;
    (void)last;
}

/* The first input is a sound file of two numbers. */
static size_t mutate(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    static const char start[] = "\x93NUMPY\x01\0\x46\0{'descr': '<f4', 'fortran_order': False, "
                                "'shape': (2,), }            \n" "\0\0\x80\x3f\0\0\0\x40";
    (void)seed;
    if (length >= 8 || room < sizeof start) return LLVMFuzzerMutate(bytes, length, room);
    memcpy(bytes, start, sizeof start - 1);
    return sizeof start - 1;
}

const Fuzzer fuzz_npy = {"npy", one, mutate};
