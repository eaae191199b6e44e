#include "data/captioned_batch.h"

#include <string.h>

void captioned_data_open(CaptionedData *d, const char *folder, int side) {
    enum { TRAINING = 100, TESTING = 20 };       /* at least: every class must be in every part */
    *d = (CaptionedData){.fashion = fashion_load_least(folder, TRAINING, TESTING), .side = side};
    d->emoji = emoji_load(side, NULL);
    d->wardrobe = wardrobe_open(&d->fashion, side);
}

void captioned_data_free(CaptionedData *d) {
    wardrobe_free(&d->wardrobe);
    captioned_free(&d->emoji);
    fashion_free(&d->fashion);
}

/* ---- parts of a batch ------------------------------------------------------------------------ */

static size_t picture_len(const CaptionedData *d) {
    return (size_t)d->side * (size_t)d->side * 3;
}

static CaptionedBatch batch_new(const CaptionedData *d, Tape *t, int n, int emoji) {
    CaptionedBatch b = {.n = n, .emoji = emoji};
    b.images = t_input(t, NULL, SHAPE(n, d->side, d->side, 3));
    b.captions = arena_get(&t->arena, (size_t)n * sizeof *b.captions);
    return b;
}

/* the numbers of n scenes of a kind */
static uint64_t *find_scenes(const CaptionedData *d, Tape *t, Part part, BatchPlan p, int n) {
    uint64_t *index = arena_get(&t->arena, (size_t)(n + 1) * sizeof *index), next = p.first;
    for (int i = 0; i < n; i++, next++)
        index[i] = next = wardrobe_find(&d->wardrobe, part, p.seed, next, p.kind);
    return index;
}

static void put_scenes(const CaptionedData *d, Tape *t, CaptionedBatch *b, Part part,
                       BatchPlan p) {
    int n = b->n - b->emoji;
    Scene *scenes = arena_get(&t->arena, (size_t)(n + 1) * sizeof *scenes);
    wardrobe_get(&d->wardrobe, part, p.seed, 0, n,
                 &(SceneBatch){.index = find_scenes(d, t, part, p, n), .images = b->images->x,
                               .low = -1, .high = 1, .scenes = scenes});
    for (int i = 0; i < n; i++)
        b->captions[i] = scene_caption(&scenes[i], arena_get(&t->arena, SCENE_CAPTION));
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

static int shift(const CaptionedData *d, Rng *rng) {
    int most = d->side / 16;
    return (int)rng_below(rng, (uint32_t)(2 * most + 1)) - most;
}

int *caption_groups(const CaptionedBatch *b) {
    Arena *arena = &b->images->tape->arena;
    int *group = arena_get(arena, (size_t)b->n * sizeof *group);
    const char **plain = arena_get(arena, (size_t)b->n * sizeof *plain);
    for (int i = 0; i < b->n; i++) {
        plain[i] = scene_plainest(b->captions[i], arena_get(arena, SCENE_CAPTION));
        for (group[i] = 0; strcmp(plain[group[i]], plain[i]); ) group[i]++;
    }
    return group;
}

/* ---- batches --------------------------------------------------------------------------------- */

CaptionedBatch training_batch(const CaptionedData *d, Tape *t, BatchPlan p) {
    CaptionedBatch b = batch_new(d, t, p.n, p.emoji);
    size_t len = picture_len(d);
    real *still = arena_get(&t->arena, len * sizeof *still);
    put_scenes(d, t, &b, PART_TRAIN, p);
    for (int i = 0; i < p.emoji; i++) {
        int at = p.n - p.emoji + i, dy = shift(d, p.rng), dx = shift(d, p.rng);
        images_get(&d->emoji.train, 1, &p.number[i], -1, 1, still, NULL);
        move_picture(d->side, dy, dx, still, b.images->x + (size_t)at * len);
        bool grouped = rng_below(p.rng, 2);       /* training stands first among all emoji */
        b.captions[at] = grouped ? emoji_caption(&d->emoji, p.number[i],
                                                 arena_get(&t->arena, EMOJI_CAPTION))
                                 : d->emoji.train.captions[p.number[i]];
    }
    return b;
}

CaptionedBatch validation_batch(const CaptionedData *d, Tape *t, int n, int emoji) {
    if (emoji > d->emoji.validation.count) emoji = d->emoji.validation.count;
    CaptionedBatch b = batch_new(d, t, n, emoji);
    put_scenes(d, t, &b, PART_VALIDATION, (BatchPlan){0});
    int *index = arena_get(&t->arena, (size_t)emoji * sizeof *index);
    for (int i = 0; i < emoji; i++) {            /* evenly: they stand by groups */
        index[i] = (int)((int64_t)i * d->emoji.validation.count / emoji);
        b.captions[n - emoji + i] = d->emoji.validation.captions[index[i]];
    }
    images_get(&d->emoji.validation, emoji, index, -1, 1,
               b.images->x + (size_t)(n - emoji) * picture_len(d), NULL);
    return b;
}
