/* fuzz_captions.c — hostile text as a line of captions.txt: refused with one line, or file and
 * caption lie in it, the caption printable. */
#include "data/folder.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
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
    return 0;
}
