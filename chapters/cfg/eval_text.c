/* eval_text.c — the program's `eval` for texts: scenes of the wardrobe drawn from their captions,
 * of seen and held-out combinations, and what the caption evaluator finds in them. */
#include "base/error.h"
#include "base/file.h"
#include "data/wardrobe.h"
#include "draw_text.h"
#include "eval/caption_sheet.h"
#include "eval/references.h"
#include "eval/scores.h"
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>

enum { SCENES = 10000, SIDE = 64 };

/* every second one of a combination that training has never shown */
static void choose_scenes(const Wardrobe *w, int n, Scene *scenes) {
    for (int i = 0; i < n; i++)
        scenes[i] = wardrobe_scene(w, i % 2 ? PART_HELD_OUT : PART_TEST, 1, (uint64_t)i / 2);
}

static const char **captions_of(Arena *arena, int n, const Scene *scenes) {
    const char **captions = arena_get(arena, (size_t)n * sizeof *captions);
    for (int i = 0; i < n; i++)
        captions[i] = scene_caption(&scenes[i], arena_get(arena, SCENE_CAPTION));
    return captions;
}

/* pictures (n,64,64,3) in [0,1] */
static real *draw(const TextModels *m, Arena *arena, int n, const char **captions) {
    size_t small = (size_t)(m->base.config.side * m->base.config.side * 3), len = 4 * small;
    real *low = arena_get(arena, (size_t)n * small * sizeof *low);
    real *x = arena_get(arena, (size_t)n * len * sizeof *x);
    draw_base(m, (BaseDrawing){.n = n, .captions = captions, .scale = chosen_scale(),
                               .quiet = o.common.quiet}, low);
    TextTable text = captions_table(arena, &m->upsampler, &m->bpe, n, captions);
    TextSampler up;
    upsampler_open(m, &up, &text, low, NULL, NULL);
    draw_images(&up.sampler, n, x, (Drawing){.at_once = drawn_at_once(&up.sampler, 16),
                                             .quiet = o.common.quiet});
    text_sampler_close(&up);
    k_affine((size_t)n * len, x, (real)0.5, (real)0.5, x);
    return x;
}

/* what sweeps and texts quote, beside the whole sheets */
static void add_headlines(cJSON *metrics, const CaptionSheet *c, const Scores *s) {
    json_number(metrics, "caption_whole", c->samples.whole);
    json_number(metrics, "caption_garment", c->samples.garment);
    json_number(metrics, "caption_seen", c->kind[HELD_NOTHING].whole);
    json_number(metrics, "caption_held_out_colours", c->kind[HELD_COLOUR].whole);
    json_number(metrics, "caption_held_out_relations", c->kind[HELD_RELATION].whole);
    json_number(metrics, "caption_ceiling_seen", c->real_kind[HELD_NOTHING].whole);
    json_number(metrics, "frechet_distance", s->frechet);
    json_number(metrics, "precision", s->regions.precision);
    json_number(metrics, "recall", s->regions.recall);
}

static void score(Arena *arena, const Wardrobe *w, int n, const real *x, const Scene *scenes,
                  cJSON *metrics) {
    char *path = own_file(CAPTION_WEIGHTS);
    CaptionEvaluator e = caption_evaluator_load(path);
    CaptionSheet captions = caption_sheet(&e, w, n, x, scenes);
    Evaluator evaluator = evaluator_open(caption_evaluator_net(&e, SIDE),
                             wardrobe_reference(arena, w, SCENES));
    ScoreSheet sheet = score_sheet(&evaluator, n, x, NULL, o.common.seed);
    add_headlines(metrics, &captions, &sheet.samples);
    json_item(metrics, "captions", caption_sheet_json(&captions));
    json_item(metrics, "scores", score_sheet_json(&sheet));
    if (!o.common.quiet) {
        caption_sheet_print(&captions);
        printf("\n");
        score_sheet_print(&sheet);
    }
    evaluator_free(&evaluator), caption_evaluator_free(&e);
    free(path);
}

int text_eval(void) {
    TextModels m;
    Arena arena = {0};
    chosen_scale();
    text_models_load(&m, false);
    if (!m.enlarges)
        usage_error("eval scores pictures of 64x64: train --stage upsampler, or --upsampler FILE");
    Fashion data = fashion_load(o.common.data);
    Wardrobe w = wardrobe_open(&data, SIDE);
    int n = o.samples;
    Scene *scenes = arena_get(&arena, (size_t)n * sizeof *scenes);
    choose_scenes(&w, n, scenes);
    const char **captions = captions_of(&arena, n, scenes);
    cJSON *metrics = metrics_new(&cli);
    json_number(metrics, "scale", chosen_scale());
    json_number(metrics, "w", chosen_scale() - 1);
    json_text(metrics, "respace", o.respace);
    json_number(metrics, "parameters", (double)params_count(&m.base_params));
    json_number(metrics, "upsampler_parameters", (double)params_count(&m.upsampler_params));
    const real *x = draw(&m, &arena, n, captions);
    score(&arena, &w, n, x, scenes, metrics);
    metrics_save(&cli, metrics);
    wardrobe_free(&w), fashion_free(&data), arena_free(&arena);
    text_models_free(&m);
    return 0;
}
