/* sample.c — pictures of captions, the best of many; pictures to codes and back, completed from
 * their upper half, and compared with captions. */
#include "settings.h"

#include "base/error.h"
#include "base/file.h"
#include "data/picture_decode.h"
#include "train/captions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PROMPTS = 4, DEFAULT_IMAGES = 6 };

static real *pictures_new(Arena *a, int n) {
    return arena_get(a, (size_t)n * VALUES * sizeof(real));
}

/* n pictures x of one caption; of which the first `known` codes, those of `codes` (N), are given */
static void draw(const Dalle *m, const char *caption, int n, int known, const int *codes, Rng *rng,
                 real *x) {
    Arena arena = {0};
    int N = dalle_codes(m);
    const char **captions = arena_get(&arena, (size_t)n * sizeof *captions);
    DalleDraw d = {.n = n, .captions = captions, .sampler = chosen_sampler(), .scale = o.scale,
                   .known = known, .x = x};
    d.codes = arena_get(&arena, (size_t)(n * N) * sizeof *d.codes);
    for (int i = 0; i < n; i++) {
        captions[i] = caption;
        if (known) memcpy(d.codes + i * N, codes, (size_t)known * sizeof *codes);
    }
    dalle_draw(m, d, rng);
    arena_free(&arena);
}

/* ---- pictures of captions -------------------------------------------------------------------- */

/* o.pictures of the o.best_of (or all) that were drawn, the best first */
static void draw_best(const Dalle *m, const FrozenClip *clip, const char *caption, Rng *rng,
                      real *best) {
    Arena arena = {0};
    int n = clip ? o.best_of : o.pictures, *order = arena_get(&arena, (size_t)n * sizeof *order);
    real *x = pictures_new(&arena, n), *cosines = arena_get(&arena, (size_t)n * sizeof *cosines);
    draw(m, caption, n, 0, NULL, rng, x);
    for (int i = 0; i < n; i++) order[i] = i;
    if (clip) dalle_rank(clip, caption, n, x, order, cosines);
    for (int i = 0; i < o.pictures; i++)
        memcpy(best + (size_t)i * VALUES, x + (size_t)order[i] * VALUES, VALUES * sizeof *best);
    arena_free(&arena);
}

/* Whole prompts beside each other, up to 8 images a row. samples.npy and captions.txt are what
 * build/score reads. */
static void save_samples(const Dalle *m, const FrozenClip *clip, int prompts,
                         const char *const *prompt) {
    Arena arena = {0};
    Rng rng = rng_new(o.common.seed, "samples");
    int n = prompts * o.pictures;
    real *x = pictures_new(&arena, n);
    const char **captions = arena_get(&arena, (size_t)n * sizeof *captions);
    samples_open(&cli);
    for (int i = 0; i < prompts; i++) {
        draw_best(m, clip, prompt[i], &rng, x + (size_t)(i * o.pictures) * VALUES);
        for (int k = 0; k < o.pictures; k++) captions[i * o.pictures + k] = prompt[i];
    }
    captions_save(&cli, n, captions);
    int columns = o.pictures < 8 ? 8 / o.pictures * o.pictures : o.pictures;
    samples_save(&cli, x, scene_grid(n, columns, captions));
    arena_free(&arena);
}

/* ---- pictures completed ---------------------------------------------------------------------- */

enum { COMPLETED = 5, COMPLETION_ROW = 3 + COMPLETED };

/* x without its lower half, white in its place */
static void upper_half(const real *x, real *y) {
    memcpy(y, x, VALUES / 2 * sizeof *y);
    k_fill(VALUES / 2, 1, y + VALUES / 2);
}

/* A row for each picture x (n,...): itself, rebuilt from its codes, what is given, and with its lower
 * half drawn several times, after the upper half and the caption, which stands left */
static void save_completions(const Dalle *m, int n, const real *x, const char *const *captions) {
    Arena arena = {0};
    int N = dalle_codes(m), *codes = arena_get(&arena, (size_t)(n * N) * sizeof *codes);
    Rng rng = rng_new(o.common.seed, "completions");
    real *rows = pictures_new(&arena, n * COMPLETION_ROW);
    const char *labels = "";
    dvae_encode(&m->dvae, n, SIDE, x, codes);
    for (int i = 0; i < n; i++) {
        real *row = rows + (size_t)(i * COMPLETION_ROW) * VALUES;
        memcpy(row, x + (size_t)i * VALUES, VALUES * sizeof *row);
        dvae_decode(&m->dvae, 1, SIDE, codes + i * N, row + VALUES);
        upper_half(row + VALUES, row + 2 * VALUES);
        draw(m, captions[i], COMPLETED, N / 2, codes + i * N, &rng, row + 3 * VALUES);
        char *label = arena_text(&arena, "%s", captions[i]);
        for (char *c = label; (c = strchr(c, '|')); ) *c = '/';       /* it parts labels */
        labels = arena_text(&arena, "%s%s%s", labels, i ? "|" : "", label);
    }
    Grid g = scene_grid(n * COMPLETION_ROW, COMPLETION_ROW, NULL);
    g.row_labels = labels;
    g.column_labels = "scene|from its codes|given|drawn|drawn|drawn|drawn|drawn";
    save_grid(&cli, output_path(&cli, "completions.png"), rows, g);
    arena_free(&arena);
}

/* ---- a user's pictures ----------------------------------------------------------------------- */

/* Which prompt fits the picture: what its codes cost after each. Returns the cheapest. */
static const char *best_caption(const Dalle *m, const char *path, const real *x) {
    Arena arena = {0};
    int n = o.prompts.count, N = dalle_codes(m), best = 0;
    int *codes = arena_get(&arena, (size_t)N * sizeof *codes);
    double *nats = arena_get(&arena, (size_t)n * sizeof *nats);
    dvae_encode(&m->dvae, 1, SIDE, x, codes);
    caption_nats(m, codes, n, o.prompts.text, nats);
    if (!o.common.quiet) printf("%s\n", path);
    for (int i = 0; i < n; i++) {
        if (nats[i] < nats[best]) best = i;
        if (!o.common.quiet) printf("  %8.2f nats after \"%s\"\n", nats[i], o.prompts.text[i]);
    }
    arena_free(&arena);
    return o.prompts.text[best];
}

static void users_pictures(const Dalle *m) {
    Arena arena = {0};
    int n = o.images.count;
    real *x = pictures_new(&arena, n);
    const char **captions = arena_get(&arena, (size_t)n * sizeof *captions);
    for (int i = 0; i < n; i++) {
        picture_read(o.images.text[i], SIDE, 0, 1, x + (size_t)i * VALUES);
        captions[i] = best_caption(m, o.images.text[i], x + (size_t)i * VALUES);
    }
    save_completions(m, n, x, captions);
    arena_free(&arena);
}

/* ---- openai's dVAE --------------------------------------------------------------------------- */

/* A user's pictures at 256x256, and rebuilt from their 32x32 codes by the published networks */
static int rebuild_official(void) {
    enum { LARGE = 256, CODES = LARGE / 8 * LARGE / 8 };
    Params params = {0};
    Arena arena = {0};
    int n = o.images.count, *codes = arena_get(&arena, (size_t)(n * CODES) * sizeof *codes);
    size_t values = LARGE * LARGE * 3;
    if (!o.common.weights || !n || o.prompts.count)
        usage_error("--config openai: takes pictures to codes and back: --weights FILE --image "
                    "FILE, no --prompt");
    cli_refuse(&cli, "pictures best-of clip temperature top-k top-p scale",
               "--config default");
    Dvae d = dvae_new(&params, chosen_dvae());
    weights_load_any(&cli, &dvae_official, &params);
    real *x = arena_get(&arena, 2 * (size_t)n * values * sizeof *x);
    for (int i = 0; i < n; i++)
        picture_read(o.images.text[i], LARGE, 0, 1, x + (size_t)i * values);
    dvae_encode(&d, n, LARGE, x, codes);
    dvae_decode(&d, n, LARGE, codes, x + (size_t)n * values);
    Grid g = colour_grid(2 * n, LARGE, n, NULL);
    g.low = 0;
    save_grid(&cli, output_path(&cli, "reconstructions.png"), x, g);
    arena_free(&arena), params_free(&params);
    return 0;
}

/* ---- sample ---------------------------------------------------------------------------------- */

static void check_options(void) {
    if (is_published())
        usage_error("--config %s: has no weights here to draw with; info counts it",
                    o.common.config);
    if (o.best_of == 1) cli_refuse(&cli, "clip", "--best-of");
    if (o.best_of > 1 && o.best_of < o.pictures && !cli_given(&cli, "pictures"))
        o.pictures = o.best_of;
    if (o.best_of > 1 && o.best_of < o.pictures)
        usage_error("--best-of %d: fewer than the %d --pictures that are shown", o.best_of,
                    o.pictures);
    if (o.images.count && !o.prompts.count)
        usage_error("--image: what does it show? --prompt TEXT, once or several times");
    if (o.images.count && (cli_given(&cli, "best-of") || cli_given(&cli, "pictures")))
        usage_error("--best-of and --pictures: an --image is completed, a fixed number of times");
}

/* captions of test scenes, and their pictures completed */
static void default_samples(const Dalle *m, const FrozenClip *clip) {
    Arena arena = {0};
    WardrobeData data;
    wardrobe_data_open(&data, o.common.data, SIDE);
    Scenes s = scenes_new(&arena, &data.wardrobe, PART_TEST, o.common.seed, 0, DEFAULT_IMAGES);
    save_samples(m, clip, DEFAULT_PROMPTS, s.captions);
    save_completions(m, DEFAULT_IMAGES, s.x, s.captions);
    wardrobe_data_free(&data), arena_free(&arena);
}

int sample(void) {
    if (!strcmp(o.common.config, "openai")) return rebuild_official();
    check_options();
    Dalle m = {0};
    FrozenClip file = {0}, *clip = o.best_of > 1 ? &file : NULL;
    load_all(&m);
    say_tokens(&cli, &m.bpe, &o.prompts, m.prior.c.text, 2);
    if (clip) file = frozen_clip_for(o.clip, SIDE);
    remove_output(&cli, "completions.png");
    if (o.images.count) users_pictures(&m);
    else if (o.prompts.count) save_samples(&m, clip, o.prompts.count, o.prompts.text);
    else default_samples(&m, clip);
    if (clip) frozen_clip_free(clip);
    dalle_free(&m);
    return 0;
}
