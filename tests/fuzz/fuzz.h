/* fuzz.h — hostile bytes for the parsers of files.
 *
 * Each fuzz_NAME.c defines one Fuzzer:
 *
 *     const Fuzzer fuzz_npy = {"npy", one, mutate};
 *
 * `make fuzz` links each with libFuzzer (libfuzzer.c), which finds its way by what code is reached;
 * tests/test_fuzz.c runs all of them for a moment, over inputs made by chance and the ones in
 * found/NAME, which once did harm. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name;
    void (*one)(const uint8_t *bytes, size_t length);     /* aborts if something is wrong */
    /* Changes the bytes, up to `room` of them; returns how many there are now. Few bytes become a
     * sound input, so that the changes begin with one. */
    size_t (*mutate)(uint8_t *bytes, size_t length, size_t room, unsigned seed);
} Fuzzer;

/* some change of no purpose: libFuzzer's, or in a test its stand-in */
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t length, size_t room);

#endif
