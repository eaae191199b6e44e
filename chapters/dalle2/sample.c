/* sample.c — the program's `sample`: images of captions. */
#include "draw.h"

#include "base/error.h"
#include "train/captions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* what is longer than CLIP reads is cut */
static void say_tokens(const FrozenClip *f) {
    enum { MOST = 1000 };
    int ids[MOST], N = f->net.config.text.context;
    for (int i = 0; i < o.prompt.count; i++) {
        const char *text = o.prompt.text[i];
        int n = bpe_encode(&f->bpe, text, strlen(text), NULL, ids, MOST) + 2;    /* start, end */
        if (n > N)
            fprintf(stderr, "\"%s\": %d tokens, of which CLIP reads %d; the rest is cut\n", text, n,
                    N);
    }
}

int sample(void) {
    Models m;
    Arena arena = {0};
    if (!strcmp(o.prior, "image")) usage_error("--prior image: is for eval; here there is none");
    models_load(&m, chosen_prior());
    say_tokens(&m.clip);
    int n = o.pictures, side = models_side(&m);
    const char **captions = prompted_captions(&arena, &o.prompt, n);
    CaptionTable text = caption_table(&arena, &m.clip, n, captions);
    const real *z = embed_captions(&m, &arena, &text);
    real *x = images_of_captions(&m, &arena, &text, z);
    captions_save(&cli, n, captions);
    free(output_path(&cli, "samples.png")), free(output_path(&cli, "samples.npy"));
    samples_save(&cli, x, images_grid(n, side, n < 8 ? n : 8, captions));
    arena_free(&arena);
    models_free(&m);
    return 0;
}
