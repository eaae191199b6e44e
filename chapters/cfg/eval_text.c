/* eval_text.c — the program's `eval` for texts: scenes of the wardrobe drawn from their captions,
 * of seen and held-out combinations, and what the caption evaluator finds in them. */
#include "base/error.h"
#include "draw_text.h"
#include "settings.h"
#include "train/report.h"

enum { SIDE = 64 };

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

int text_eval(void) {
    TextModels m;
    Arena arena = {0};
    chosen_scale();
    text_models_load(&m, false);
    if (!m.enlarges)
        usage_error("eval scores pictures of 64x64: train --stage upsampler, or --upsampler FILE");
    Fashion data = fashion_load(o.common.data);
    Wardrobe w = wardrobe_open(&data, SIDE);
    SceneEvaluator evaluator;
    scene_evaluator_open(&evaluator, &arena, &w);
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
    report_scenes(&cli, &evaluator, n, x, scenes, metrics);
    metrics_save(&cli, metrics);
    scene_evaluator_free(&evaluator);
    wardrobe_free(&w), fashion_free(&data), arena_free(&arena);
    text_models_free(&m);
    return 0;
}
