#include "train/report.h"

#include <stdlib.h>

Judge report_judge(const Fashion *data) {
    char *path = own_file(CLASSIFIER_WEIGHTS);
    Judge judge = judge_new(data, path);
    free(path);
    return judge;
}

void report_samples(const Cli *cli, const Judge *judge, Samples s, cJSON *metrics) {
    ScoreSheet sheet = score_sheet(judge, s.n, s.x, s.labels, cli->common->seed);
    if (!cli->common->quiet) score_sheet_print(&sheet);
    json_item(metrics, "scores", score_sheet_json(&sheet));
    folder_create(cli->common->out);
    char *path = path_join(cli->common->out, "classes.csv");
    score_sheet_classes(&sheet, path);
    free(path);
    path = path_join(cli->common->out, "neighbours.png");
    neighbours_picture(judge, s.n < s.neighbours ? s.n : s.neighbours, s.x, path, cli->line);
    free(path);
}
