/* sample.c — the program's `sample`: images of captions. */
#include "draw.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* what is drawn if nobody says what */
static const char *const examples[] = {
    "an orange coat above a blue bag", "a red dress", "a green sneaker to the left of a pink bag",
    "a pair of purple trousers", "a black ankle boot", "a turquoise shirt above a brown sandal",
    "red apple", "smiling face"};
enum { EXAMPLES = sizeof examples / sizeof *examples };

/* one caption for each image, prompts in turn */
static const char **captions_of(Arena *arena, int n) {
    const char **captions = arena_get(arena, (size_t)n * sizeof *captions);
    for (int i = 0; i < n; i++)
        captions[i] = o.prompt.count ? o.prompt.text[i % o.prompt.count] : examples[i % EXAMPLES];
    return captions;
}

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

/* captions.txt: what build/score reads beside samples.npy */
static void save_captions(int n, const char *const *captions) {
    char *path = output_path(&cli, "captions.txt");
    AtomicFile f = file_create(path);
    for (int i = 0; i < n; i++) fprintf(f.stream, "%s\n", captions[i]);
    file_commit(&f);
    free(path);
}

int sample(void) {
    Models m;
    Arena arena = {0};
    models_load(&m, chosen_prior());
    say_tokens(&m.clip);
    int n = o.pictures, side = models_side(&m);
    const char **captions = captions_of(&arena, n);
    CaptionTable text = caption_table(&arena, &m.clip, n, captions);
    const real *z = embed_captions(&m, &arena, &text);
    real *x = images_of_captions(&m, &arena, &text, z);
    save_captions(n, captions);
    free(output_path(&cli, "samples.png")), free(output_path(&cli, "samples.npy"));
    samples_save(&cli, x, images_grid(n, side, n < 8 ? n : 8, captions));
    arena_free(&arena);
    models_free(&m);
    return 0;
}
