/* sample.c — the program's `sample`: images of captions. */
#include "draw.h"

#include "base/error.h"
#include "train/captions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sample(void) {
    Models m;
    Arena arena = {0};
    if (!strcmp(o.prior, "image")) usage_error("--prior image: is for eval; here there is none");
    refuse_unused();
    models_load(&m, chosen_prior());
    say_tokens(&cli, &m.clip.bpe, &o.prompt, m.clip.net.config.text.context, 2);
    samples_open(&cli);
    int n = o.pictures;
    const char **captions = prompted_captions(&arena, &o.prompt, n);
    CaptionTable text = caption_table(&arena, &m.clip, n, captions);
    const real *z = embed_captions(&m, &arena, &text);
    real *x = images_of_captions(&m, &arena, &text, z);
    captions_save(&cli, n, captions);
    samples_save(&cli, x, colour_grid(n, models_side(&m), n < 8 ? n : 8, captions));
    arena_free(&arena);
    models_free(&m);
    return 0;
}
