#include "pictures.h"

#include <string.h>

/* ---- scenes ---------------------------------------------------------------------------------- */

/* a rectangle of a quarter to three quarters of each side, its corners on multiples of 8 */
static void draw_hole(Rng *rng, uint8_t *hole) {
    enum { STEP = 8, GRID = SCENE_SIDE / STEP };
    int at[2], size[2];
    for (int k = 0; k < 2; k++) {
        size[k] = 2 + (int)rng_below(rng, GRID / 2 + 1);
        at[k] = (int)rng_below(rng, (uint32_t)(GRID - size[k] + 1));
    }
    memset(hole, 0, SCENE_SIDE * SCENE_SIDE);
    for (int i = at[0] * STEP; i < (at[0] + size[0]) * STEP; i++)
        memset(hole + i * SCENE_SIDE + at[1] * STEP, 1, (size_t)(size[1] * STEP));
}

Pictures pictures_new(Arena *arena, int n) {
    size_t pixels = (size_t)n * SCENE_SIDE * SCENE_SIDE;
    Pictures p = {.n = n};
    p.images = arena_get(arena, 3 * pixels * sizeof *p.images);
    p.captions = arena_get(arena, (size_t)n * sizeof *p.captions);
    p.scenes = arena_get(arena, (size_t)n * sizeof *p.scenes);
    p.map = arena_get(arena, pixels), p.hole = arena_get(arena, pixels);
    return p;
}

void scenes_put(const Pictures *p, int at, int n, Arena *arena, const Wardrobe *w, Part part,
                uint64_t seed, uint64_t first, Rng *holes) {
    size_t pixels = SCENE_SIDE * SCENE_SIDE, before = (size_t)at * pixels;
    wardrobe_get(w, part, seed, first, n,
                 &(SceneBatch){.images = p->images + 3 * before, .low = -1, .high = 1,
                               .scenes = p->scenes + at, .map = p->map + before});
    for (int i = at; i < at + n; i++) {
        p->captions[i] = scene_caption(&p->scenes[i], arena_get(arena, SCENE_CAPTION));
        draw_hole(holes, p->hole + (size_t)i * pixels);
    }
}

Pictures scenes_new(Arena *arena, const Wardrobe *w, Part part, uint64_t seed, uint64_t first,
                    int n, Rng *holes) {
    Pictures p = pictures_new(arena, n);
    scenes_put(&p, 0, n, arena, w, part, seed, first, holes);
    return p;
}

/* ---- emoji ----------------------------------------------------------------------------------- */

/* pictures `at` to at + b->n - 1 */
static void emoji_put(const Pictures *p, int at, const CaptionedBatch *b, Rng *holes) {
    size_t pixels = SCENE_SIDE * SCENE_SIDE, before = (size_t)at * pixels;
    memcpy(p->images + 3 * before, b->images->x, b->images->len * sizeof(real));
    memset(p->map + before, 0, (size_t)b->n * pixels);
    for (int i = 0; i < b->n; i++) {
        p->captions[at + i] = b->captions[i];
        p->scenes[at + i] = (Scene){0};
        draw_hole(holes, p->hole + before + (size_t)i * pixels);
    }
}

/* ---- of a training --------------------------------------------------------------------------- */

void picture_source_open(PictureSource *s, Run *run, int batch, double emoji) {
    captioned_source_open(&s->captioned, run, batch, emoji, SCENE_SIDE);
    s->share = emoji;
    s->holes = run_rng(run, "holes");
}

void picture_source_free(PictureSource *s) {
    captioned_source_free(&s->captioned);
}

Pictures pictures_next(const PictureSource *s, Run *run) {
    const CaptionedSource *c = &s->captioned;
    int emoji = c->emoji, scenes = c->batch - emoji;
    Pictures p = pictures_new(&run->tape.arena, c->batch);
    scenes_put(&p, 0, scenes, &run->tape.arena, &c->data.wardrobe, PART_TRAIN, c->seed,
               (uint64_t)run->micro_batch * (uint64_t)scenes, s->holes);
    if (!emoji) return p;
    loader_next(c->order);
    CaptionedBatch b = training_batch(&c->data, &run->tape, (BatchPlan){
        .n = emoji, .emoji = emoji, .number = c->order->index, .rng = c->moved});
    emoji_put(&p, scenes, &b, s->holes);
    return p;
}

Pictures pictures_of_part(const PictureSource *s, Arena *arena, Part part, uint64_t seed, int n) {
    int emoji = (int)(s->share * n);
    Rng holes = rng_new(1, "validation holes");
    Pictures p = pictures_new(arena, n);
    Tape tape = {.no_grad = true};
    CaptionedBatch b = {0};                      /* there are so many emoji, not more */
    if (emoji) b = validation_batch(&s->captioned.data, &tape, emoji, emoji);
    scenes_put(&p, 0, n - b.n, arena, &s->captioned.data.wardrobe, part, seed, 0, &holes);
    if (emoji) emoji_put(&p, n - b.n, &b, &holes);
    tape_free(&tape);
    return p;
}

Pictures validation_pictures(const PictureSource *s, Arena *arena, int n) {
    return pictures_of_part(s, arena, PART_VALIDATION, 0, n);
}
