/* fuzz_captions.c — hostile text as a line of captions.txt: refused with one line, or file and
 * caption lie in it, the caption printable. */
#include "fuzz.h"
#include "data/folder.h"

#include <stdlib.h>
#include <string.h>

static void one(const uint8_t *bytes, size_t length) {
    char message[CAPTION_MESSAGE] = "", *line = malloc(length + 1);
    const char *file, *caption;
    memcpy(line, bytes, length);
    line[length] = 0;
    if (!captions_line(line, &file, &caption, message)) {
        if (!*message || strchr(message, '\n')) abort();
    } else {
        if (file != line || !*file || *file == '/' || strchr(file, '\t')) abort();
        if (caption <= file || caption + strlen(caption) > line + length) abort();
        if (!*caption || strlen(caption) > CAPTION_MAX) abort();
        for (const char *c = caption; *c; c++) {
            if ((unsigned char)*c < 32 || *c == 127) abort();
        }
    }
    free(line);
}

/* The first input is a sound line. */
static size_t mutate(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    static const char start[] = "cat/1.png\ta cat on a na\xC3\xAFve mat";
    (void)seed;
    if (length >= 4 || room < sizeof start) return LLVMFuzzerMutate(bytes, length, room);
    memcpy(bytes, start, sizeof start - 1);
    return sizeof start - 1;
}

const Fuzzer fuzz_captions = {"captions", one, mutate};
