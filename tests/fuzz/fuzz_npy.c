/* fuzz_npy.c — hostile bytes as an .npy file: refused with one line, or all its numbers lie within
 * the bytes. */
#include "io/npy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    char message[NPY_MESSAGE] = "";
    Npy a;
    if (!npy_parse(&a, bytes, length, message)) {
        if (!*message || strchr(message, '\n')) abort();
        return 0;
    }
    volatile double last = a.len ? npy_number(&a, a.len - 1) : 0;
    (void)last;
    return 0;
}
