#include "train/scene_report.h"

#include "eval/references.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 64 };

void scene_evaluator_open(SceneEvaluator *e, const char *data) {
    enum { REFERENCES = 10000 };
    char *path = own_file(CAPTION_WEIGHTS);
    *e = (SceneEvaluator){.data = fashion_load(data)};
    e->wardrobe = wardrobe_open(&e->data, SIDE);
    e->captions = caption_evaluator_load(path);
    e->images = evaluator_open(caption_evaluator_net(&e->captions, SIDE),
                               wardrobe_reference(&e->arena, &e->wardrobe, REFERENCES));
    free(path);
}

void scene_evaluator_free(SceneEvaluator *e) {
    evaluator_free(&e->images);
    caption_evaluator_free(&e->captions);
    wardrobe_free(&e->wardrobe), fashion_free(&e->data), arena_free(&e->arena);
}

/* ---- what is drawn --------------------------------------------------------------------------- */

ScoredScene scored_scene(int i) {
    bool held_out = i % 3 == 2;
    return (ScoredScene){held_out ? PART_HELD_OUT : PART_TEST,
                         (uint64_t)(held_out ? i / 3 : i / 3 * 2 + i % 3)};
}

ScoredScenes scored_scenes(SceneEvaluator *e, int n) {
    ScoredScenes s = {.n = n};
    s.scenes = arena_get(&e->arena, (size_t)n * sizeof *s.scenes);
    s.captions = arena_get(&e->arena, (size_t)n * sizeof *s.captions);
    for (int i = 0; i < n; i++) {
        ScoredScene one = scored_scene(i);
        s.scenes[i] = wardrobe_scene(&e->wardrobe, one.part, SCORED_SEED, one.number);
        s.captions[i] = scene_caption(&s.scenes[i], arena_get(&e->arena, SCENE_CAPTION));
    }
    return s;
}

/* ---- how it is scored ------------------------------------------------------------------------ */

static void add_headlines(cJSON *to, const CaptionSheet *c, const Scores *s) {
    json_number(to, "caption_whole", c->samples.whole);
    json_number(to, "caption_garment", c->samples.garment);
    json_number(to, "caption_seen", c->kind[HELD_NOTHING].whole);
    json_number(to, "caption_held_out_colours", c->kind[HELD_COLOUR].whole);
    json_number(to, "caption_held_out_relations", c->kind[HELD_RELATION].whole);
    json_number(to, "caption_ceiling_seen", c->real_kind[HELD_NOTHING].whole);
    json_number(to, "frechet_distance", s->frechet);
    json_number(to, "precision", s->regions.precision);
    json_number(to, "recall", s->regions.recall);
}

/* the pictures of seen combinations, one behind the other */
static int seen_of(int n, const real *x, const Scene *scenes, real *seen) {
    size_t one = SIDE * SIDE * 3;
    int count = 0;
    for (int i = 0; i < n; i++)
        if (scene_held_out(&scenes[i]) == HELD_NOTHING)
            memcpy(seen + (size_t)count++ * one, x + (size_t)i * one, one * sizeof *x);
    return count;
}

void report_scenes(const Cli *cli, const SceneEvaluator *e, int n, const real *x,
                   const Scene *scenes, cJSON *to) {
    Arena arena = {0};
    real *seen = arena_get(&arena, (size_t)n * SIDE * SIDE * 3 * sizeof *seen);
    int count = seen_of(n, x, scenes, seen);
    CaptionSheet captions = caption_sheet(&e->captions, &e->wardrobe, n, x, scenes);
    ScoreSheet sheet = score_sheet(&e->images, count, seen, NULL, cli->common->seed);
    json_number(to, "pictures", n);
    json_number(to, "pictures_of_seen", count);
    add_headlines(to, &captions, &sheet.samples);
    json_item(to, "captions", caption_sheet_json(&captions));
    json_item(to, "scores", score_sheet_json(&sheet));
    arena_free(&arena);
    if (cli->common->quiet) return;
    caption_sheet_print(&captions);
    printf("\n");
    score_sheet_print(&sheet);
}
