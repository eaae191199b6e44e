/* libfuzzer.c — one Fuzzer, FUZZER (set by the Makefile), as libFuzzer wants it. */
#include "fuzz.h"

extern const Fuzzer FUZZER;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t room, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    FUZZER.one(bytes, length);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    return FUZZER.mutate(bytes, length, room, seed);
}
