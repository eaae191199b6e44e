/* native.c — the same modules without a browser; FOLDER is notebooks-data:
 *
 *     NAME pack FOLDER OUT               the weights as the page wants them: all tensors in order
 *     NAME draw FOLDER CALLS NUMBER...   CALLS of try_draw: "01111"; prints the last one's try_out */
#include "base/error.h"
#include "base/file.h"
#include "io/half.h"
#include "nn/entry.h"
#include "try.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fits_half(const Tensor *w) {
    for (size_t k = 0; k < w->len; k++)
        if (half_to_float(half_from_float((float)w->x[k])) != (float)w->x[k]) return false;
    return true;
}

/* of each tensor how many bytes a number takes, in two bytes, then its numbers */
static void pack_tensor(AtomicFile *f, const Tensor *w) {
    uint16_t bytes = fits_half(w) ? 2 : 4;
    file_put(f, &bytes, sizeof bytes);
    for (size_t k = 0; k < w->len; k++) {
        uint16_t half = half_from_float((float)w->x[k]);
        float whole = (float)w->x[k];
        file_put(f, bytes == 2 ? (void *)&half : (void *)&whole, bytes);
    }
}

static void pack(const char *path) {
    AtomicFile f = file_create(path);
    for (int k = 0; k < TRY_NETWORKS; k++)
        for (int i = 0; i < try_params[k].count; i++) pack_tensor(&f, try_params[k].list[i]);
    file_commit(&f);
}

static void draw(const char *calls) {
    int n = 0;
    for (const char *c = calls; *c; c++) n = try_draw(*c - '0');
    for (int i = 0; i < n; i++) printf("%.9g\n", (double)try_out[i]);
}

static void load(const char *folder) {
    for (int k = 0; try_files[k]; k++) {
        Entries e = {0};
        char *path = path_join(folder, try_files[k]);
        char *program = text_format("%.*s", (int)strcspn(try_files[k], "/"), try_files[k]);
        entries_add(&e, "", &try_params[k]);
        weights_read(path, program, &e);
        free(path), free(program);
    }
}

int main(int argc, char **argv) {
    bool packs = argc == 4 && !strcmp(argv[1], "pack"), draws = argc >= 4 && !strcmp(argv[1], "draw");
    if (!packs && !draws) usage_error("usage: %s pack FOLDER OUT, or draw FOLDER CALLS NUMBER...", argv[0]);
    try_start();
    load(argv[2]);
    for (int i = 4; i < argc; i++) try_in[i - 4] = (real)strtod(argv[i], NULL);
    if (packs) pack(argv[3]);
    else draw(argv[3]);
    return 0;
}
