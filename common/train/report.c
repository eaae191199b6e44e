#include "train/report.h"

#include "base/progress.h"
#include "diffusion/drawing.h"

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

Bound report_bound(const Cli *cli, Sampler *m, int n, const real *x0, bool learned) {
    Arena arena = {0};
    BoundTerm *term = arena_get(&arena, (size_t)m->schedule->T * sizeof *term);
    Bound b = evaluate_bound(m, n, x0, cli->common->quiet, term);
    char *path = path_join(cli->common->out, "bound.csv");
    bound_save(path, m->schedule, term, learned);
    free(path);
    arena_free(&arena);
    return b;
}
