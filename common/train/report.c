#include "train/report.h"

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
