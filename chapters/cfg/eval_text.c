/* eval_text.c — the program's `eval` for texts: scenes of the wardrobe drawn from their captions,
 * of seen and held-out combinations, and what the caption evaluator finds in them; emoji drawn from
 * their names, and what CLIP calls them. */
#include "base/error.h"
#include "base/progress.h"
#include "draw_text.h"
#include "settings.h"
#include "train/emoji_report.h"
#include "train/scene_report.h"

enum { SIDE = 64 };

/* pictures (n,64,64,3) in [0,1]; base_seconds: for a picture of the base, which alone is guided */
static real *draw(const TextModels *m, Arena *arena, int n, const char **captions,
                  double *base_seconds) {
    size_t small = (size_t)(m->base.config.side * m->base.config.side * 3), len = 4 * small;
    real *low = arena_get(arena, (size_t)n * small * sizeof *low);
    real *x = arena_get(arena, (size_t)n * len * sizeof *x);
    double start = seconds_now();
    draw_base(m, (BaseDrawing){.n = n, .captions = captions, .scale = chosen_scale(),
                               .quiet = o.common.quiet}, low);
    *base_seconds = (seconds_now() - start) / n;
    TextTable text = captions_table(arena, &m->upsampler, &m->bpe, n, captions);
    TextSampler up;
    upsampler_open(m, &up, &text, low, NULL, NULL);
    draw_images(&up.sampler, n, x, (Drawing){.at_once = drawn_at_once(&up.sampler, 16),
                                             .quiet = o.common.quiet});
    text_sampler_close(&up);
    k_affine((size_t)n * len, x, (real)0.5, (real)0.5, x);
    return x;
}

static void score_emoji(const TextModels *m, cJSON *metrics) {
    EmojiEvaluator e;
    emoji_evaluator_open(&e, &m->clip, o.emoji_samples);
    for (int part = 0; part < EMOJI_PARTS; part++) {
        double seconds;
        report_emoji(&cli, &e, part, draw(m, &e.arena, e.scored[part].n, e.scored[part].captions,
                                          &seconds));
    }
    emoji_evaluator_free(&e, metrics);
}

/* ---- eval ------------------------------------------------------------------------------------ */

int text_eval(void) {
    TextModels m;
    Arena arena = {0};
    chosen_scale();
    if (o.samples < SCENES_MINIMUM)
        usage_error("--samples %d: at least %d scenes are scored", o.samples, SCENES_MINIMUM);
    text_models_load(&m, false);
    if (!m.enlarges)
        usage_error("eval scores pictures of 64x64: train --stage upsampler, or --upsampler FILE");
    SceneEvaluator evaluator;
    scene_evaluator_open(&evaluator, o.common.data);
    ScoredScenes s = scored_scenes(&evaluator, o.samples);
    cJSON *metrics = metrics_new(&cli);
    json_number(metrics, "scale", chosen_scale());
    json_number(metrics, "w", weight_of(chosen_scale()));
    json_number(metrics, "clip_scale", o.clip_scale);
    json_text(metrics, "respace", o.respace);
    json_number(metrics, "parameters", (double)params_count(&m.base_params));
    json_number(metrics, "upsampler_parameters", (double)params_count(&m.upsampler_params));
    double seconds;
    const real *x = draw(&m, &arena, s.n, s.captions, &seconds);
    json_number(metrics, "base_seconds_a_picture", seconds);
    report_scenes(&cli, &evaluator, s.n, x, s.scenes, metrics);
    if (o.emoji_samples && !(o.clip_scale > 0)) score_emoji(&m, metrics);   /* CLIP judges there */
    metrics_save(&cli, metrics);
    scene_evaluator_free(&evaluator);
    arena_free(&arena);
    text_models_free(&m);
    return 0;
}
