/* eval.c — the program's `eval`: reconstructions, or pictures drawn for scenes of seen and held-out
 * combinations, and what the caption evaluator finds in them. */
#include "settings.h"

#include "base/progress.h"
#include "train/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURE = SCENE_SIDE * SCENE_SIDE * 3 };

/* what scoring needs */
typedef struct {
    Fashion fashion;
    Wardrobe wardrobe;
    SceneEvaluator evaluator;
    Arena arena;
} Scoring;

static void scoring_open(Scoring *s) {
    *s = (Scoring){.fashion = fashion_load(o.common.data)};
    s->wardrobe = wardrobe_open(&s->fashion, SCENE_SIDE);
    scene_evaluator_open(&s->evaluator, &s->arena, &s->wardrobe);
}

static void scoring_close(Scoring *s) {
    scene_evaluator_free(&s->evaluator);
    wardrobe_free(&s->wardrobe), fashion_free(&s->fashion), arena_free(&s->arena);
}

/* x (n,64,64,3) in [-1,1] becomes [0,1] */
static void score(Scoring *s, int n, real *x, const Scene *scenes, cJSON *metrics) {
    k_affine((size_t)n * PICTURE, x, (real)0.5, (real)0.5, x);
    k_clamp((size_t)n * PICTURE, x, 0, 1, x);
    report_scenes(&cli, &s->evaluator, n, x, scenes, metrics);
}

/* n test scenes, half of them of held-out combinations: those that cfg and dalle2 are scored on */
static Pictures test_scenes(Scoring *s, int n) {
    Rng holes = rng_new(1, "test holes");
    Pictures p = pictures_new(&s->arena, n);
    int seen = (n + 1) / 2;
    scenes_put(&p, 0, seen, &s->arena, &s->wardrobe, PART_TEST, 1, 0, &holes);
    scenes_put(&p, seen, n - seen, &s->arena, &s->wardrobe, PART_HELD_OUT, 1, 0, &holes);
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
    Scoring s;
    Model m = {0};
    scoring_open(&s);
    model_load_first_stage(&m, o.common.weights);
    cJSON *metrics = metrics_new(&cli);
    Pictures p = test_scenes(&s, o.samples);
    real *y = arena_get(&s.arena, (size_t)p.n * PICTURE * sizeof *y);
    reconstruct(&m.space, p.n, SCENE_SIDE, p.images, y);
    json_number(metrics, "parameters", (double)params_count(&m.first_params));
    report_errors(p.n, p.images, y, metrics);
    score(&s, p.n, y, p.scenes, metrics);
    metrics_save(&cli, metrics);
    model_free(&m), scoring_close(&s);
    return 0;
}

/* ---- diffusion ------------------------------------------------------------------------------- */

int eval_diffusion(void) {
    Scoring s;
    Model m = {0};
    scoring_open(&s);
    model_load(&m);
    cJSON *metrics = metrics_new(&cli);
    Pictures p = test_scenes(&s, o.samples);
    real *x = arena_get(&s.arena, (size_t)p.n * PICTURE * sizeof *x);
    double began = seconds_now();
    draw_pictures(&m, &p, o.sampling_steps, o.scale, o.common.quiet, x);
    json_number(metrics, "seconds_a_picture", (seconds_now() - began) / p.n);
    json_text(metrics, "condition", o.condition);
    json_number(metrics, "scale", is_attended(m.conditioner.kind) ? o.scale : 1);
    json_number(metrics, "sampling_steps", o.sampling_steps);
    json_text(metrics, "sampler", o.sampler);
    json_number(metrics, "parameters", (double)params_count(&m.params));
    json_number(metrics, "latent_scale", (double)m.space.scale->x[0]);
    score(&s, p.n, x, p.scenes, metrics);
    metrics_save(&cli, metrics);
    model_free(&m), scoring_close(&s);
    return 0;
}
