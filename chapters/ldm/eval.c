/* eval.c — the program's `eval`: reconstructions, or pictures drawn for scenes of seen and held-out
 * combinations, and what the caption evaluator finds in them; emoji drawn from their names, and what
 * CLIP calls them. */
#include "settings.h"

#include "base/error.h"
#include "base/progress.h"
#include "train/emoji_report.h"
#include "train/scene_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURE = SCENE_SIDE * SCENE_SIDE * 3 };

/* x (n,64,64,3) in [-1,1] becomes [0,1] */
static void to_unit(const Pictures *p, real *x) {
    k_affine((size_t)p->n * PICTURE, x, (real)0.5, (real)0.5, x);
    k_clamp((size_t)p->n * PICTURE, x, 0, 1, x);
}

static void score(const SceneEvaluator *e, const Pictures *p, real *x, cJSON *metrics) {
    to_unit(p, x);
    report_scenes(&cli, e, p->n, x, p->scenes, metrics);
}

/* those that are scored */
static Pictures test_scenes(SceneEvaluator *e, int n) {
    Rng holes = rng_new(1, "test holes");
    Pictures p = pictures_new(&e->arena, n);
    for (int i = 0; i < n; i++) {
        ScoredScene s = scored_scene(i);
        scenes_put(&p, i, 1, &e->arena, &e->wardrobe, s.part, SCORED_SEED, s.number, &holes);
    }
    return p;
}

/* ---- the first stage ------------------------------------------------------------------------- */

static void report_errors(int n, const real *x, const real *y, cJSON *metrics) {
    double l1 = 0, ratio = psnr(n, PICTURE, x, y);
    for (int k = 0; k < n * PICTURE; k++) l1 += fabs((double)(x[k] - y[k]));
    l1 /= (double)n * PICTURE;
    json_number(metrics, "l1", l1);
    json_number(metrics, "psnr", ratio);
    if (!o.common.quiet)
        printf("%d test scenes: mean |x - x'| %.4f of 2, PSNR %.2f dB\n\n", n, l1, ratio);
}

int eval_autoencoder(void) {
    cli_refuse(&cli, "steps scale sampler eta emoji-samples", "--stage all or diffusion");
    SceneEvaluator e;
    Model m = {0};
    model_load_first_stage(&m, o.common.weights);
    scene_evaluator_open(&e, o.common.data);
    cJSON *metrics = metrics_new(&cli);
    Pictures p = test_scenes(&e, o.samples);
    real *y = arena_get(&e.arena, (size_t)p.n * PICTURE * sizeof *y);
    reconstruct(&m.space, p.n, SCENE_SIDE, p.images, y);
    json_number(metrics, "parameters", (double)params_count(&m.first_params));
    report_errors(p.n, p.images, y, metrics);
    score(&e, &p, y, metrics);
    metrics_save(&cli, metrics);
    model_free(&m), scene_evaluator_free(&e);
    return 0;
}

/* ---- diffusion ------------------------------------------------------------------------------- */

/* from their names, the rest of the pictures unknown */
static void score_emoji(Model *m, cJSON *metrics) {
    FrozenClip clip = frozen_clip_load(NULL);
    EmojiEvaluator e;
    emoji_evaluator_open(&e, &clip, o.emoji_samples);
    for (int part = 0; part < EMOJI_PARTS; part++) {
        Pictures p = pictures_new(&e.arena, e.scored[part].n);
        p.captions = e.scored[part].captions;
        real *x = arena_get(&e.arena, (size_t)p.n * PICTURE * sizeof *x);
        draw_pictures(m, &p, o.sampling_steps, o.scale, o.common.quiet, x);
        to_unit(&p, x);
        report_emoji(&cli, &e, part, x);
    }
    emoji_evaluator_free(&e, metrics);
    frozen_clip_free(&clip);
}

int eval_diffusion(void) {
    SceneEvaluator e;
    Model m = {0};
    model_load(&m);
    if (o.emoji_samples && m.conditioner.kind != TEXT)
        usage_error("--emoji-samples: this model was trained with --condition %s", o.condition);
    scene_evaluator_open(&e, o.common.data);
    cJSON *metrics = metrics_new(&cli);
    Pictures p = test_scenes(&e, o.samples);
    real *x = arena_get(&e.arena, (size_t)p.n * PICTURE * sizeof *x);
    double began = seconds_now();
    draw_pictures(&m, &p, o.sampling_steps, o.scale, o.common.quiet, x);
    json_number(metrics, "seconds_a_picture", (seconds_now() - began) / p.n);
    json_text(metrics, "condition", o.condition);
    json_number(metrics, "scale", is_attended(m.conditioner.kind) ? o.scale : 1);
    json_number(metrics, "sampling_steps", o.sampling_steps);
    json_text(metrics, "sampler", o.sampler);
    json_number(metrics, "parameters", (double)params_count(&m.params));
    json_number(metrics, "latent_scale", (double)m.space.scale->x[0]);
    score(&e, &p, x, metrics);
    if (o.emoji_samples) score_emoji(&m, metrics);
    metrics_save(&cli, metrics);
    model_free(&m), scene_evaluator_free(&e);
    return 0;
}
