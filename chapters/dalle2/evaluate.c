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

/* ---- embeddings to compare with -------------------------------------------------------------- */

/* of another image of each caption. What a perfect prior draws is as near to the true embedding as
 * these are, on average. */
static real *other_images(const Models *m, Arena *arena, const Wardrobe *w, const Examples *e) {
    int D = e->text.dim;
    real *z = arena_get(arena, (size_t)(e->n * D) * sizeof *z), x[SIDE * SIDE * 3];
    uint8_t pixels[SIDE * SIDE * 3];
    Rng rng = rng_new(SCORED_SEED, "again");
    for (int i = 0; i < e->n; i++) {
        Part part = scored_scene(i).part;
        Scene s = wardrobe_again(w, part, e->scenes[i], &rng);
        wardrobe_draw(w, part, &s, pixels, NULL, NULL);
        for (int k = 0; k < SIDE * SIDE * 3; k++) x[k] = (real)(pixels[k] / 127.5 - 1);
        clip_images(&m->clip, 1, x, z + i * D);
    }
    return z;
}

/* of the image of another caption */
static real *other_captions(Arena *arena, const Examples *e) {
    size_t half = (size_t)(e->n / 2 * e->text.dim), all = (size_t)(e->n * e->text.dim);
    real *z = arena_get(arena, all * sizeof *z);
    memcpy(z, e->z + half, (all - half) * sizeof *z);
    memcpy(z + all - half, e->z, half * sizeof *z);
    return z;
}

/* of so many training scenes the nearest to the true one */
static real *nearest_in_training(const Models *m, Arena *arena, const Wardrobe *w,
                                 const Examples *e) {
    enum { TRAINING = 2000, AT_ONCE = 50 };
    int D = e->text.dim;
    real *x = arena_get(arena, AT_ONCE * SIDE * SIDE * 3 * sizeof *x);
    real *all = arena_get(arena, (size_t)(TRAINING * D) * sizeof *all);
    real *z = arena_get(arena, (size_t)(e->n * D) * sizeof *z);
    for (int i = 0; i < TRAINING; i += AT_ONCE) {
        wardrobe_get(w, PART_TRAIN, o.common.seed, (uint64_t)i, AT_ONCE,
                     &(SceneBatch){.images = x, .low = -1, .high = 1});
        clip_images(&m->clip, AT_ONCE, x, all + i * D);
    }
    for (int i = 0; i < e->n; i++) {
        int best = 0;
        double most = -2;
        for (int k = 0; k < TRAINING; k++) {
            double c = cosine(D, e->z + i * D, all + k * D);
            if (c > most) most = c, best = k;
        }
        memcpy(z + i * D, all + best * D, (size_t)D * sizeof *z);
    }
    return z;
}

/* ---- cosines with the true embeddings -------------------------------------------------------- */

/* mean over scenes of seen combinations, and of held-out ones */
static void report_cosine(const char *key, const char *what, const Examples *e, const real *z,
                          cJSON *metrics) {
    double sum[2] = {0};
    int count[2] = {0}, D = e->text.dim;
    char held_key[40];
    for (int i = 0; i < e->n; i++) {
        bool held = scene_held_out(&e->scenes[i]) != HELD_NOTHING;
        sum[held] += cosine(D, z + i * D, e->z + i * D), count[held]++;
    }
    snprintf(held_key, sizeof held_key, "%s_held_out", key);
    json_number(metrics, key, sum[0] / count[0]);
    json_number(metrics, held_key, sum[1] / count[1]);
    if (!o.common.quiet)
        printf("  %-44s %.3f  %.3f\n", what, sum[0] / count[0], sum[1] / count[1]);
}

static void report_embeddings(const Models *m, const Wardrobe *w, const Examples *e, const real *z,
                              cJSON *metrics) {
    Arena arena = {0};
    if (!o.common.quiet) printf("cosine with the true embedding, seen and held-out captions\n");
    report_cosine("cosine_drawn", "drawn by the prior", e, z, metrics);
    report_cosine("cosine_text", "the text's", e, e->text.embedding, metrics);
    report_cosine("cosine_again", "another image of the caption", e, other_images(m, &arena, w, e),
                  metrics);
    report_cosine("cosine_other", "the image of another caption", e, other_captions(&arena, e),
                  metrics);
    report_cosine("cosine_nearest", "the nearest of 2,000 training scenes", e,
                  nearest_in_training(m, &arena, w, e), metrics);
    arena_free(&arena);
}

/* ---- eval ------------------------------------------------------------------------------------ */

static void describe(const Models *m, cJSON *metrics) {
    json_text(metrics, "prior", o.prior);
    json_number(metrics, "prior_scale", o.prior_scale);
    json_number(metrics, "scale", o.scale);
    json_text(metrics, "respace", o.respace);
    json_text(metrics, "prior_respace", o.prior_respace);
    json_text(metrics, "sampler", o.sampler);
    json_number(metrics, "eta", o.eta);
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
    refuse_unused();
    models_load(&m, chosen_prior());
    if (m.upsamplers < 2)
        usage_error("eval scores images of 64x64: train --stage upsampler32 and upsampler64");
    SceneEvaluator evaluator;
    scene_evaluator_open(&evaluator, o.common.data);
    Examples e = examples_of(&m, &arena, &evaluator, o.samples);
    cJSON *metrics = metrics_new(&cli);
    describe(&m, metrics);
    bool ceiling = !strcmp(o.prior, "image");
    const real *z = ceiling ? e.z : embed_captions(&m, &arena, &e.text);
    if (z && !ceiling) report_embeddings(&m, &evaluator.wardrobe, &e, z, metrics);
    real *x = images_of_captions(&m, &arena, &e.text, z);
    k_affine((size_t)e.n * SIDE * SIDE * 3, x, (real)0.5, (real)0.5, x);
    report_scenes(&cli, &evaluator, e.n, x, e.scenes, metrics);
    metrics_save(&cli, metrics);
    scene_evaluator_free(&evaluator);
    arena_free(&arena);
    models_free(&m);
    return 0;
}
