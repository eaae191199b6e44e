#include "batch.h"

#include "nn/clip.h"

#include <stdlib.h>
#include <string.h>

void captioned_data_open(CaptionedData *d, const char *folder, int side, int context) {
    *d = (CaptionedData){.fashion = fashion_load(folder), .emoji = emoji_load(side, NULL),
                         .bpe = bpe_load(NULL), .side = side, .context = context};
    d->wardrobe = wardrobe_open(&d->fashion, side);
}

void captioned_data_free(CaptionedData *d) {
    bpe_free(&d->bpe);
    wardrobe_free(&d->wardrobe);
    captioned_free(&d->emoji);
    fashion_free(&d->fashion);
}

/* ---- parts of a batch ------------------------------------------------------------------------ */

static size_t picture_size(const CaptionedData *d) {
    return (size_t)d->side * (size_t)d->side * 3;
}

static PairBatch batch_new(const CaptionedData *d, Tape *t, int n, int emoji) {
    PairBatch b = {.n = n, .emoji = emoji};
    b.images = t_input(t, NULL, SHAPE(n, d->side, d->side, 3));
    b.tokens = arena_get(&t->arena, (size_t)(n * d->context) * sizeof *b.tokens);
    b.group = arena_get(&t->arena, (size_t)n * sizeof *b.group);
    return b;
}

static void put_text(const CaptionedData *d, PairBatch *b, int i, const char *text) {
    bpe_tokenize(&d->bpe, text, NULL, d->context, b->tokens + i * d->context);
}

static void put_scenes(const CaptionedData *d, Tape *t, PairBatch *b, Part part, uint64_t seed,
                       uint64_t first) {
    int n = b->n - b->emoji;
    char text[SCENE_CAPTION];
    Scene *scenes = arena_get(&t->arena, (size_t)(n + 1) * sizeof *scenes);
    wardrobe_get(&d->wardrobe, part, seed, first, n,
                 &(SceneBatch){.images = b->images->x, .low = -1, .high = 1, .scenes = scenes});
    for (int i = 0; i < n; i++) put_text(d, b, i, scene_caption(&scenes[i], text));
}

/* moves a picture by (dy,dx); what comes in from the side is white, as the ground is */
static void move_picture(int side, int dy, int dx, const real *from, real *x) {
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            int u = i - dy, v = j - dx;
            bool inside = u >= 0 && u < side && v >= 0 && v < side;
            for (int c = 0; c < 3; c++)
                x[(i * side + j) * 3 + c] = inside ? from[(u * side + v) * 3 + c] : 1;
        }
}

static int shift(Rng *rng) {
    enum { MOST = 4 };
    return (int)rng_below(rng, 2 * MOST + 1) - MOST;
}

/* ---- batches --------------------------------------------------------------------------------- */

PairBatch training_batch(const CaptionedData *d, Tape *t, int n, uint64_t seed, uint64_t first,
                         int emoji, const int *number, Rng *rng) {
    PairBatch b = batch_new(d, t, n, emoji);
    size_t size = picture_size(d);
    real *still = arena_get(&t->arena, size * sizeof *still);
    char text[EMOJI_CAPTION];
    put_scenes(d, t, &b, PART_TRAIN, seed, first);
    for (int i = 0; i < emoji; i++) {
        int at = n - emoji + i, dy = shift(rng), dx = shift(rng);
        images_get(&d->emoji.train, 1, &number[i], -1, 1, still, NULL);
        move_picture(d->side, dy, dx, still, b.images->x + (size_t)at * size);
        bool grouped = rng_below(rng, 2);         /* training stands first among all emoji */
        put_text(d, &b, at, grouped ? emoji_caption(&d->emoji, number[i], text)
                                    : d->emoji.train.captions[number[i]]);
    }
    clip_groups(n, d->context, b.tokens, b.group);
    return b;
}

PairBatch validation_batch(const CaptionedData *d, Tape *t, int n, int emoji) {
    if (emoji > d->emoji.validation.count) emoji = d->emoji.validation.count;
    PairBatch b = batch_new(d, t, n, emoji);
    put_scenes(d, t, &b, PART_VALIDATION, 0, 0);
    images_get(&d->emoji.validation, emoji, NULL, -1, 1,
               b.images->x + (size_t)(n - emoji) * picture_size(d), NULL);
    for (int i = 0; i < emoji; i++)
        put_text(d, &b, n - emoji + i, d->emoji.validation.captions[i]);
    clip_groups(n, d->context, b.tokens, b.group);
    return b;
}
