/* eval_text.c — the program's `eval` for texts: scenes of the wardrobe drawn from their captions,
 * of seen and held-out combinations, and what the caption evaluator finds in them; emoji drawn from
 * their names, and what CLIP calls them. */
#include "base/error.h"
#include "base/progress.h"
#include "draw_text.h"
#include "eval/emoji_naming.h"
#include "settings.h"
#include "train/scene_report.h"

#include <stdio.h>

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

/* ---- emoji ----------------------------------------------------------------------------------- */

/* n emoji of a part, evenly: their numbers among all */
static int *choose_emoji(Arena *arena, const Captioned *c, Part part, int *n) {
    const Images *of = part == PART_TRAIN ? &c->train : &c->held_out;
    int first = part == PART_TRAIN ? 0 : c->all.count - of->count;
    if (*n > of->count) *n = of->count;
    int *number = arena_get(arena, (size_t)*n * sizeof *number);
    for (int i = 0; i < *n; i++) number[i] = first + (int)((int64_t)i * of->count / *n);
    return number;
}

static void report_emoji_of(const TextModels *m, const EmojiNamer *e, Part part, cJSON *to) {
    Arena arena = {0};
    const char *what = part == PART_TRAIN ? "seen" : "held_out";
    int n = o.emoji_samples, *number = choose_emoji(&arena, e->emoji, part, &n);
    const char **captions = arena_get(&arena, (size_t)n * sizeof *captions);
    for (int i = 0; i < n; i++) captions[i] = e->emoji->all.captions[number[i]];
    double seconds;
    EmojiNaming drawn = emoji_naming(e, n, number, draw(m, &arena, n, captions, &seconds));
    EmojiNaming there = emoji_naming_real(e, n, number);
    cJSON *both = json_object();
    json_item(both, "samples", emoji_naming_json(&drawn));
    json_item(both, "real", emoji_naming_json(&there));
    json_item(to, what, both);
    if (!o.common.quiet)
        printf("%d emoji, %-9s CLIP finds the name of %5.1f %% (real ones: %.1f %%), the "
               "concept %5.1f %% (%.1f %%), the group %5.1f %% (%.1f %%)\n", n,
               part == PART_TRAIN ? "seen:" : "held out:", 100 * drawn.name, 100 * there.name,
               100 * drawn.concept, 100 * there.concept, 100 * drawn.group, 100 * there.group);
    arena_free(&arena);
}

/* what training has seen, and combinations that were kept from it */
static void report_emoji(const TextModels *m, cJSON *metrics) {
    Arena arena = {0};
    Captioned emoji = emoji_load(SIDE, NULL);
    EmojiNamer namer = emoji_namer(&arena, &m->clip, &emoji);
    cJSON *to = json_object();
    report_emoji_of(m, &namer, PART_TRAIN, to);
    report_emoji_of(m, &namer, PART_HELD_OUT, to);
    json_text(to, "clip_sha256", m->clip.sha256);
    json_item(metrics, "emoji", to);
    captioned_free(&emoji), arena_free(&arena);
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
    if (o.emoji_samples && !(o.clip_scale > 0)) report_emoji(&m, metrics);   /* CLIP judges there */
    metrics_save(&cli, metrics);
    scene_evaluator_free(&evaluator);
    arena_free(&arena);
    text_models_free(&m);
    return 0;
}
