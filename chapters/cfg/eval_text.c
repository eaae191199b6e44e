/* eval_text.c — the program's `eval` for texts: scenes of the wardrobe drawn from their captions,
 * of seen and held-out combinations, and what the caption evaluator finds in them; emoji drawn from
 * their names, and what CLIP calls them. */
#include "base/error.h"
#include "base/progress.h"
#include "draw_text.h"
#include "settings.h"
#include "text_sampler.h"
#include "train/emoji_report.h"
#include "train/scene_report.h"

#include <string.h>

enum { SIDE = 64 };

static size_t small_len(const TextModels *m) {
    return (size_t)(m->base.config.side * m->base.config.side * 3);
}

/* The base's pictures (n,32,32,3) in [-1,1]; seconds: for one of them. It alone is guided. */
static real *draw_small(const TextModels *m, Arena *arena, int n, const char **captions,
                        double *seconds) {
    real *low = arena_get(arena, (size_t)n * small_len(m) * sizeof *low);
    double start = seconds_now();
    draw_base(m, (BaseDrawing){.n = n, .captions = captions, .scale = chosen_scale(),
                               .quiet = o.common.quiet}, low);
    *seconds = (seconds_now() - start) / n;
    return low;
}

/* the scored scenes themselves, as the upsampler is shown them in training */
static real *real_small(const TextModels *m, Arena *arena, const Wardrobe *w, int n) {
    real *low = arena_get(arena, (size_t)n * small_len(m) * sizeof *low);
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i++) {
        ScoredScene s = scored_scene(i);
        tape_reset(&t);
        Tensor *x = t_input(&t, NULL, SHAPE(1, SIDE, SIDE, 3));
        wardrobe_get(w, s.part, SCORED_SEED, s.number, 1,
                     &(SceneBatch){.images = x->x, .low = -1, .high = 1});
        memcpy(low + (size_t)i * small_len(m), small_pictures(x)->x, small_len(m) * sizeof *low);
    }
    tape_free(&t);
    return low;
}

/* pictures (n,64,64,3) in [0,1] of small ones */
static real *enlarge(const TextModels *m, Arena *arena, int n, const char **captions,
                     const real *low) {
    size_t len = 4 * small_len(m);
    real *x = arena_get(arena, (size_t)n * len * sizeof *x);
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
        int n = e.scored[part].n;
        double seconds;
        const real *low = draw_small(m, &e.arena, n, e.scored[part].captions, &seconds);
        report_emoji(&cli, &e, part, enlarge(m, &e.arena, n, e.scored[part].captions, low));
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
    if (!o.real_base) {
        json_number(metrics, "scale", chosen_scale());
        json_number(metrics, "w", weight_of(chosen_scale()));
        json_number(metrics, "clip_scale", o.clip_scale);
        json_text(metrics, "respace", o.respace);
    }
    json_number(metrics, "parameters", (double)params_count(&m.base_params));
    json_number(metrics, "upsampler_parameters", (double)params_count(&m.upsampler_params));
    double seconds = 0;
    const real *low = o.real_base ? real_small(&m, &arena, &evaluator.wardrobe, s.n)
                                  : draw_small(&m, &arena, s.n, s.captions, &seconds);
    const real *x = enlarge(&m, &arena, s.n, s.captions, low);
    if (!o.real_base) json_number(metrics, "base_seconds_a_picture", seconds);
    report_scenes(&cli, &evaluator, s.n, x, s.scenes, metrics);
    bool judged_by_its_guide = o.clip_scale > 0;                 /* CLIP names emoji */
    if (o.emoji_samples && !judged_by_its_guide && !o.real_base) score_emoji(&m, metrics);
    metrics_save(&cli, metrics);
    scene_evaluator_free(&evaluator);
    arena_free(&arena);
    text_models_free(&m);
    return 0;
}
