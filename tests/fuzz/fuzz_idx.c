/* fuzz_idx.c — hostile bytes as an IDX file: refused with one line, or all its data lie within the
 * bytes. */
#include "data/idx.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    char message[IDX_MESSAGE] = "";
    Idx idx;
    if (!idx_parse(&idx, bytes, length, message)) {
        if (!*message || strchr(message, '\n')) abort();
        return 0;
    }
    size_t len = 1;
    for (int i = 0; i < idx.rank; i++) len *= (size_t)idx.shape[i];
    if (len != idx.len || idx.data + idx.len != bytes + length) abort();
    return 0;
}
