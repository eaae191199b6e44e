/* evaluate.c — the program's `eval`: scenes drawn from their captions, of seen and held-out
 * combinations, and how near the priors' embeddings come to those of real images. */
#include "draw.h"

#include "base/error.h"
#include "train/scene_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    int n;
    const Scene *scenes;
    CaptionTable text;
    real *z;                             /* (n,D) of real images */
} Examples;

static double cosine(int D, const real *a, const real *b) {
    double sum = 0;
    for (int d = 0; d < D; d++) sum += (double)a[d] * (double)b[d];
    return sum / sqrt(k_sum_squares((size_t)D, a) * k_sum_squares((size_t)D, b));
}

static Examples examples_of(const Models *m, Arena *arena, SceneEvaluator *evaluator, int n) {
    ScoredScenes s = scored_scenes(evaluator, n);
    int D = m->clip.net.config.dim;
    real x[SIDE * SIDE * 3];
    Examples e = {n, s.scenes, caption_table(arena, &m->clip, n, s.captions),
                  arena_get(arena, (size_t)(n * D) * sizeof *e.z)};
    for (int i = 0; i < n; i++) {
        ScoredScene one = scored_scene(i);
        wardrobe_get(&evaluator->wardrobe, one.part, SCORED_SEED, one.number, 1,
                     &(SceneBatch){.images = x, .low = -1, .high = 1});
        clip_images(&m->clip, 1, x, e.z + i * D);
    }
    return e;
}

/* the largest cosine of z with one of so many training scenes' embeddings, a mean over examples */
static double nearest_in_training(const Models *m, const Wardrobe *w, const Examples *e) {
    enum { TRAINING = 2000, AT_ONCE = 50 };
    Arena arena = {0};
    int D = e->text.dim;
    real *x = arena_get(&arena, AT_ONCE * SIDE * SIDE * 3 * sizeof *x);
    real *z = arena_get(&arena, (size_t)(TRAINING * D) * sizeof *z);
    for (int i = 0; i < TRAINING; i += AT_ONCE) {
        wardrobe_get(w, PART_TRAIN, o.common.seed, (uint64_t)i, AT_ONCE,
                     &(SceneBatch){.images = x, .low = -1, .high = 1});
        clip_images(&m->clip, AT_ONCE, x, z + i * D);
    }
    double sum = 0;
    for (int i = 0; i < e->n; i++) {
        double best = -1;
        for (int k = 0; k < TRAINING; k++) best = fmax(best, cosine(D, e->z + i * D, z + k * D));
        sum += best / e->n;
    }
    arena_free(&arena);
    return sum;
}

/* Mean cosines with the real images' embeddings: of z, which the prior has drawn, of the text's own
 * embeddings, of the nearest training image's */
static void report_embeddings(const Models *m, const Wardrobe *w, const Examples *e, const real *z,
                              cJSON *metrics) {
    int D = e->text.dim;
    double drawn = 0, text = 0, nearest = nearest_in_training(m, w, e);
    for (int i = 0; i < e->n; i++) {
        drawn += cosine(D, z + i * D, e->z + i * D) / e->n;
        text += cosine(D, e->text.embedding + i * D, e->z + i * D) / e->n;
    }
    json_number(metrics, "cosine_drawn", drawn);
    json_number(metrics, "cosine_text", text);
    json_number(metrics, "cosine_nearest", nearest);
    if (!o.common.quiet)
        printf("cosine with the true embedding: drawn %.3f, the text's own %.3f, the nearest "
               "training image's %.3f\n", drawn, text, nearest);
}

static void describe(const Models *m, cJSON *metrics) {
    json_text(metrics, "prior", o.prior);
    json_number(metrics, "prior_scale", o.prior_scale);
    json_number(metrics, "scale", o.scale);
    json_text(metrics, "respace", o.respace);
    json_text(metrics, "clip_sha256", m->clip.sha256);
    for (int s = 0; s < STAGES; s++) {
        char key[40];
        snprintf(key, sizeof key, "parameters_%s", stage_names[s]);
        if (m->params[s].count) json_number(metrics, key, (double)params_count(&m->params[s]));
    }
}

int eval(void) {
    Models m;
    Arena arena = {0};
    models_load(&m, chosen_prior());
    if (m.upsamplers < 2)
        usage_error("eval scores images of 64x64: train --stage upsampler32 and upsampler64");
    SceneEvaluator evaluator;
    scene_evaluator_open(&evaluator, o.common.data);
    Examples e = examples_of(&m, &arena, &evaluator, o.samples);
    cJSON *metrics = metrics_new(&cli);
    describe(&m, metrics);
    const real *z = embed_captions(&m, &arena, &e.text);
    if (z) report_embeddings(&m, &evaluator.wardrobe, &e, z, metrics);
    real *x = images_of_captions(&m, &arena, &e.text, z);
    k_affine((size_t)e.n * SIDE * SIDE * 3, x, (real)0.5, (real)0.5, x);
    report_scenes(&cli, &evaluator, e.n, x, e.scenes, metrics);
    metrics_save(&cli, metrics);
    scene_evaluator_free(&evaluator);
    arena_free(&arena);
    models_free(&m);
    return 0;
}
