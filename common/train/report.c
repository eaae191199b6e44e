#include "train/report.h"

#include "base/progress.h"
#include "diffusion/drawing.h"
#include "eval/references.h"

#include <stdio.h>
#include <stdlib.h>

Evaluator report_evaluator(const Fashion *data) {
    char *path = own_file(CLASSIFIER_WEIGHTS);
    Evaluator evaluator = evaluator_new(data, path);
    free(path);
    return evaluator;
}

void report_samples(const Cli *cli, const Evaluator *evaluator, Samples s, cJSON *metrics) {
    ScoreSheet sheet = score_sheet(evaluator, s.n, s.x, s.labels, cli->common->seed);
    if (!cli->common->quiet) score_sheet_print(&sheet);
    json_item(metrics, "scores", score_sheet_json(&sheet));
    folder_create(cli->common->out);
    char *path = path_join(cli->common->out, "classes.csv");
    score_sheet_classes(&sheet, path);
    free(path);
    path = path_join(cli->common->out, "neighbours.png");
    neighbours_picture(evaluator, s.n < s.neighbours ? s.n : s.neighbours, s.x, path, cli->line);
    free(path);
}

void report_drawn(const Cli *cli, const Evaluator *evaluator, Sampler *m, int n, const int *labels,
                  cJSON *metrics) {
    Arena arena = {0};
    size_t numbers = (size_t)n * sampler_size(m);
    real *x = arena_get(&arena, numbers * sizeof *x);
    double start = seconds_now();
    draw_images(m, n, x, (Drawing){.at_once = 64, .quiet = cli->common->quiet});
    json_number(metrics, "sampling_steps", m->schedule->T);
    json_number(metrics, "seconds_a_picture", (seconds_now() - start) / n);
    k_affine(numbers, x, (real)0.5, (real)0.5, x);
    report_samples(cli, evaluator, (Samples){n, x, labels, 10}, metrics);
    arena_free(&arena);
}

/* ---- scenes of the wardrobe ------------------------------------------------------------------ */

void scene_evaluator_open(SceneEvaluator *e, Arena *arena, const Wardrobe *w) {
    enum { REFERENCES = 10000 };
    char *path = own_file(CAPTION_WEIGHTS);
    e->captions = caption_evaluator_load(path);
    e->wardrobe = w;
    e->images = evaluator_open(caption_evaluator_net(&e->captions, w->size),
                               wardrobe_reference(arena, w, REFERENCES));
    free(path);
}

void scene_evaluator_free(SceneEvaluator *e) {
    evaluator_free(&e->images);
    caption_evaluator_free(&e->captions);
}

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

void report_scenes(const Cli *cli, const SceneEvaluator *e, int n, const real *x,
                   const Scene *scenes, cJSON *metrics) {
    CaptionSheet captions = caption_sheet(&e->captions, e->wardrobe, n, x, scenes);
    ScoreSheet sheet = score_sheet(&e->images, n, x, NULL, cli->common->seed);
    add_headlines(metrics, &captions, &sheet.samples);
    json_item(metrics, "captions", caption_sheet_json(&captions));
    json_item(metrics, "scores", score_sheet_json(&sheet));
    if (cli->common->quiet) return;
    caption_sheet_print(&captions);
    printf("\n");
    score_sheet_print(&sheet);
}
