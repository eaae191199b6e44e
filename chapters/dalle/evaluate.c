/* evaluate.c — what the chapter measures: what codes keep of a picture, what they cost the prior,
 * how well a caption is known by its picture, and how many drawn pictures show their captions, of
 * one and the best of many. */
#include "settings.h"

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "nn/codebook.h"
#include "train/emoji_report.h"
#include "train/scene_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCENES = 1000, COMPARED = 200, CHOICE = 10, LEVELS = 4 };

typedef struct {
    Dalle m;
    SceneEvaluator evaluator;
    Arena arena;
} Evaluation;

static Scenes encoded_scenes(Evaluation *e, Part part, int n) {
    Scenes s = scenes_new(&e->arena, &e->evaluator.wardrobe, part, o.common.seed, 0, n);
    scenes_encode(&e->arena, &s, &e->m, NULL);
    return s;
}

/* ---- the dVAE -------------------------------------------------------------------------------- */

/* Rebuilt from hard codes: how much is lost, which codes are used, are class and colour there? */
static void report_dvae(Evaluation *e, const Scenes *test, cJSON *metrics) {
    int N = dalle_codes(&e->m), K = e->m.dvae.c.codes, n = test->n;
    cJSON *to = json_object();
    real *y = arena_get(&e->arena, (size_t)n * VALUES * sizeof *y);
    int *times = arena_get(&e->arena, (size_t)K * sizeof *times);
    memset(times, 0, (size_t)K * sizeof *times);
    dvae_decode(&e->m.dvae, n, SIDE, test->codes, y);
    codebook_count(n * N, test->codes, times);
    double lost = lost_variance((size_t)n * VALUES, test->x, y);
    json_number(to, "pictures", n);
    json_number(to, "lost_variance", lost);
    json_number(to, "codes_used", codes_used(K, times));
    json_number(to, "perplexity", codebook_perplexity(K, times));
    CaptionSheet sheet = caption_sheet(&e->evaluator.captions, &e->evaluator.wardrobe,
                                       n, y, test->scenes);
    if (!o.common.quiet) {
        printf("from hard codes: %.2f %% of the variance is lost, %d of %d codes are used\n",
               100 * lost, codes_used(K, times), K);
        caption_sheet_print(&sheet);
    }
    json_item(to, "captions", caption_sheet_json(&sheet));
    json_item(metrics, "reconstruction", to);
}

/* ---- the prior ------------------------------------------------------------------------------- */

/* positions.csv: what the code of each place costs */
static void save_positions(const Dalle *m, const double *place) {
    char *path = output_path(&cli, "positions.csv");
    AtomicFile f = file_create(path);
    int columns = m->prior.c.columns;
    fprintf(f.stream, "row,column,nats\n");
    for (int i = 0; i < dalle_codes(m); i++)
        fprintf(f.stream, "%d,%d,%.5g\n", i / columns, i % columns, place[i]);
    file_commit(&f);
    free(path);
}

/* The share of pictures whose own caption, of ten, makes their codes the likeliest */
static double captioning(const Evaluation *e, const Scenes *s) {
    int N = dalle_codes(&e->m), n = s->n < COMPARED ? s->n : COMPARED, right = 0;
    for (int i = 0; i < n; i++) {
        const char *captions[CHOICE];
        double nats[CHOICE];
        int best = 0;
        for (int k = 0; k < CHOICE; k++) captions[k] = s->captions[(i + k) % s->n];
        caption_nats(&e->m, s->codes + i * N, CHOICE, captions, nats);
        for (int k = 1; k < CHOICE; k++)
            if (nats[k] < nats[best]) best = k;
        right += best == 0;
    }
    return (double)right / n;
}

static void report_prior(Evaluation *e, const Scenes *test, const Scenes *held_out,
                         cJSON *metrics) {
    cJSON *to = json_object();
    int N = dalle_codes(&e->m);
    double *place = arena_get(&e->arena, (size_t)N * sizeof *place);
    for (int i = 0; i < N; i++) place[i] = 0;
    double seen = scenes_nats(test, &e->m, place), unseen = scenes_nats(held_out, &e->m, NULL);
    double named = captioning(e, test), unseen_named = captioning(e, held_out);
    save_positions(&e->m, place);
    json_number(to, "nats_test", seen);
    json_number(to, "nats_held_out", unseen);
    json_number(to, "captioning_test", named);
    json_number(to, "captioning_held_out", unseen_named);
    json_item(metrics, "prior", to);
    if (o.common.quiet) return;
    printf("a picture's %d codes cost %.1f nats (test), %.1f (held-out combinations)\n", N, seen,
           unseen);
    printf("its own caption, of %d, is the likeliest for %.1f %% and %.1f %%\n", CHOICE,
           100 * named, 100 * unseen_named);
}

/* ---- samples --------------------------------------------------------------------------------- */

static const int level_of[LEVELS] = {1, 8, 64, 512};

static bool is_level(int n) {
    for (int l = 0; l < LEVELS; l++)
        if (level_of[l] == n) return true;
    return false;
}

/* the best by CLIP of the first 1, 8, 64, 512 of x (n,...) go to picture i of each level */
static void keep_best(const FrozenClip *clip, const char *caption, int n, const real *x, int i,
                      real *level[LEVELS]) {
    int best[LEVELS], levels = 0;
    real cosines[512];
    if (n > 1) dalle_cosines(clip, caption, n, x, cosines);
    while (levels < LEVELS && level_of[levels] <= n) levels++;
    best_of_each(levels, level_of, cosines, best);
    for (int l = 0; l < levels; l++)
        memcpy(level[l] + (size_t)i * VALUES, x + (size_t)best[l] * VALUES, VALUES * sizeof *x);
}

/* o.best_of pictures of each caption; returns the seconds that drawing took, without ranking */
static double draw_levels(Evaluation *e, const FrozenClip *clip, const ScoredScenes *s,
                        real *level[LEVELS]) {
    enum { AT_ONCE = 64 };
    Arena arena = {0};
    int n = o.best_of, group = n < AT_ONCE ? AT_ONCE / n : 1, most = group * n;
    Rng rng = rng_new(o.common.seed, "evaluation");
    const char **captions = arena_get(&arena, (size_t)most * sizeof *captions);
    DalleDraw d = {.captions = captions, .sampler = chosen_sampler(), .scale = o.scale};
    d.codes = arena_get(&arena, (size_t)(most * dalle_codes(&e->m)) * sizeof *d.codes);
    d.x = arena_get(&arena, (size_t)most * VALUES * sizeof *d.x);
    double seconds = 0;
    Progress progress;
    progress_start(&progress, "draw", 0, s->n, o.common.quiet);
    for (int i = 0; i < s->n; i += group) {
        if (group > s->n - i) group = s->n - i;
        d.n = group * n;
        for (int k = 0; k < d.n; k++) captions[k] = s->captions[i + k / n];
        double start = seconds_now();
        dalle_draw(&e->m, d, &rng);
        seconds += seconds_now() - start;
        for (int k = 0; k < group; k++)
            keep_best(clip, s->captions[i + k], n, d.x + (size_t)(k * n) * VALUES, i + k, level);
        progress_update(&progress, i + group, "");
    }
    progress_end(&progress, s->n, "");
    arena_free(&arena);
    return seconds;
}

static void report_images(Evaluation *e, const FrozenClip *clip, cJSON *metrics) {
    ScoredScenes s = scored_scenes(&e->evaluator, o.captions);
    real *level[LEVELS] = {0};
    for (int l = 0; l < LEVELS && level_of[l] <= o.best_of; l++)
        level[l] = arena_get(&e->arena, (size_t)s.n * VALUES * sizeof(real));
    double seconds = draw_levels(e, clip, &s, level);
    cJSON *all = json_array();
    for (int l = 0; l < LEVELS && level[l]; l++) {
        cJSON *to = json_object();
        json_number(to, "best_of", level_of[l]);
        if (!o.common.quiet) printf("\nbest of %d\n", level_of[l]);
        report_scenes(&cli, &e->evaluator, s.n, level[l], s.scenes, to);
        json_append(all, to);
    }
    json_item(metrics, "samples", all);
    json_number(metrics, "seconds_a_picture", seconds / s.n / o.best_of);
    if (o.best_of > 1) json_text(metrics, "clip_sha256", clip->sha256);
}

/* ---- emoji ----------------------------------------------------------------------------------- */

static void score_emoji(const Dalle *m, const FrozenClip *clip, cJSON *metrics) {
    EmojiEvaluator e;
    Rng rng = rng_new(o.common.seed, "emoji");
    emoji_evaluator_open(&e, clip, o.emoji_samples);
    for (int part = 0; part < EMOJI_PARTS; part++) {
        int n = e.scored[part].n;
        DalleDraw d = {.n = n, .captions = e.scored[part].captions, .sampler = chosen_sampler(),
                       .scale = o.scale};
        d.codes = arena_get(&e.arena, (size_t)(n * dalle_codes(m)) * sizeof *d.codes);
        d.x = arena_get(&e.arena, (size_t)n * VALUES * sizeof *d.x);
        dalle_draw(m, d, &rng);
        report_emoji(&cli, &e, part, d.x);
    }
    emoji_evaluator_free(&e, metrics);
}

/* ---- eval ------------------------------------------------------------------------------------ */

int eval(void) {
    if (is_published())
        usage_error("--config %s: has no weights here to score; info counts it", o.common.config);
    if (!is_level(o.best_of))
        usage_error("--best-of %d: eval scores the best of 1, 8, 64 and 512", o.best_of);
    bool clip_needed = o.best_of > 1 || o.emoji_samples;
    if (!clip_needed) cli_refuse(&cli, "clip", "--best-of or --emoji-samples");
    Evaluation e = {0};
    FrozenClip clip = {0};
    load_all(&e.m);
    if (clip_needed) clip = frozen_clip_for(o.clip, SIDE);
    scene_evaluator_open(&e.evaluator, o.common.data);
    cJSON *metrics = metrics_new(&cli);
    for (int s = 0; s < STAGES; s++)
        json_number(metrics, s == STAGE_DVAE ? "parameters_dvae" : "parameters_prior",
                    (double)params_count(&e.m.params[s]));
    int n = o.captions < SCENES ? o.captions : SCENES;
    Scenes test = encoded_scenes(&e, PART_TEST, n), held_out = encoded_scenes(&e, PART_HELD_OUT, n);
    report_dvae(&e, &test, metrics);
    report_prior(&e, &test, &held_out, metrics);
    report_images(&e, &clip, metrics);
    if (o.emoji_samples) score_emoji(&e.m, &clip, metrics);
    metrics_save(&cli, metrics);
    scene_evaluator_free(&e.evaluator);
    if (clip_needed) frozen_clip_free(&clip);
    dalle_free(&e.m), arena_free(&e.arena);
    return 0;
}
