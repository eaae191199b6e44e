#include "codes.h"
#include "commands.h"
#include "draw.h"
#include "eval/likelihood.h"
#include "eval/scores.h"
#include "base/file.h"
#include "io/json.h"
#include "base/progress.h"
#include "train/results.h"
#include "settings.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* codebook.csv: where each code lies on the plane in which they vary most, how often the test
 * pictures chose it, and its colour in codes.png */
static void save_codebook(Arena *arena, const Vqvae *v, const int *times, cJSON *m) {
    size_t K = (size_t)o.codes;
    double *plane = arena_get(arena, 2 * K * sizeof *plane);
    real *rgb = arena_get(arena, 3 * K * sizeof *rgb);
    cJSON_AddNumberToObject(m, "variance_in_plane", project_codes(&v->book, times, 2, plane));
    code_colours(&v->book, times, rgb);
    char *path = path_join(o.common.out, "codebook.csv");
    AtomicFile f = file_create(path);
    fprintf(f.stream, "code,x,y,times,colour\n");
    for (size_t k = 0; k < K; k++) {
        int colour = 0;
        for (size_t i = 0; i < 3; i++)
            colour = colour * 256 + (int)lround(255 * (double)rgb[3 * k + i]);
        fprintf(f.stream, "%zu,%.5g,%.5g,%d,%d\n", k, plane[2 * k], plane[2 * k + 1], times[k],
                colour);
    }
    file_commit(&f);
    free(path);
}

/* the first stage alone, into m */
static void judge_autoencoder(Arena *arena, const Vqvae *v, const Fashion *data, const Coded *test,
                              cJSON *m) {
    int *times = times_chosen(arena, test);
    double variance = variance_of(&data->train);
    cJSON_AddNumberToObject(m, "test_images", test->n);
    cJSON_AddNumberToObject(m, "nmse", squared_error(test) / variance);
    cJSON_AddNumberToObject(m, "mse", squared_error(test));
    cJSON_AddNumberToObject(m, "pixel_variance", variance);
    cJSON_AddNumberToObject(m, "codes", o.codes);
    cJSON_AddNumberToObject(m, "codes_used", codes_used(o.codes, times));
    cJSON_AddNumberToObject(m, "perplexity", codebook_perplexity(o.codes, times));
    save_codebook(arena, v, times, m);
}

/* -ln p(x) <= -ln P(x|z_q) - ln p(z_q|class), on test pictures; the observations' scale is fitted
 * to validation pictures */
static void judge_likelihood(Arena *arena, const Model *model, const Fashion *data,
                             const Coded *test, cJSON *m) {
    Coded fit = code_first(arena, &model->autoencoder, &data->validation, HELD_OUT);
    Maps train = maps_of(arena, &model->autoencoder, &data->train);
    double scale = fit_scale((size_t)fit.n * PIXELS, fit.x, fit.rebuilt);
    size_t all = (size_t)test->n * PIXELS;
    double pixels = observation_nats(all, test->x, test->rebuilt, scale) / test->n;
    double nats = prior_nats(&model->prior, test->n, MAP, MAP, test->codes, test->labels);
    cJSON_AddNumberToObject(m, "observation_scale", scale);
    cJSON_AddNumberToObject(m, "observation_nats", pixels);
    cJSON_AddNumberToObject(m, "prior_nats_per_code", nats);
    cJSON_AddNumberToObject(m, "prior_nats_per_code_train",
                            first_nats(&model->prior, &train, test->n));
    cJSON_AddNumberToObject(m, "uniform_nats_per_code", log(o.codes));
    cJSON_AddNumberToObject(m, "bits_per_dimension",
                            bits_per_dimension(pixels + POSITIONS * nats, PIXELS));
    cJSON_AddNumberToObject(m, "bits_per_dimension_uniform_prior",
                            bits_per_dimension(pixels + POSITIONS * log(o.codes), PIXELS));
}

static void judge_samples(Arena *arena, const Model *model, const Fashion *data, int n, cJSON *m) {
    int most = n < 64 ? 64 : n;
    real *x = new_images(arena, most);
    int *labels = arena_get(arena, (size_t)most * sizeof *labels);
    double start = seconds_now();
    draw_pictures(&model->autoencoder, &model->prior, o.common.seed, 64, labels, x);
    cJSON_AddNumberToObject(m, "seconds_for_64", seconds_now() - start);
    draw_pictures(&model->autoencoder, &model->prior, o.common.seed, n, labels, x);
    Judge judge = judge_new(data, CLASSIFIER_WEIGHTS);
    ScoreSheet sheet = score_sheet(&judge, n, x, labels, o.common.seed);
    if (!o.common.quiet) score_sheet_print(&sheet);
    cJSON_AddNumberToObject(m, "temperature", o.temperature);
    cJSON_AddItemToObject(m, "scores", score_sheet_json(&sheet));
    char *path = path_join(o.common.out, "neighbours.png");
    neighbours_picture(&judge, 16, x, path, cli.line);
    free(path);
    judge_free(&judge);
}

/* numbers of metrics.json, one a line */
static void print_numbers(const cJSON *m) {
    const cJSON *item;
    cJSON_ArrayForEach(item, m)
        if (cJSON_IsNumber(item)) printf("%-34s %.5g\n", item->string, item->valuedouble);
}

int eval(void) {
    bool both = strcmp(o.stage, "autoencoder");
    if (!both && o.common.weights)
        usage_error("--weights: --stage autoencoder reads autoencoder-weights in --out");
    Model model = {0};
    if (both) model = load_model();
    else model.autoencoder = load_autoencoder(&model.of_autoencoder);
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    Coded test = code_first(&arena, &model.autoencoder, &data.test, data.test.count);
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "command", cli.line);
    cJSON_AddNumberToObject(m, "autoencoder_parameters",
                            (double)vqvae_count(&model.autoencoder, &model.of_autoencoder));
    judge_autoencoder(&arena, &model.autoencoder, &data, &test, m);
    if (both) {
        cJSON_AddNumberToObject(m, "prior_parameters", (double)params_count(&model.of_prior));
        judge_likelihood(&arena, &model, &data, &test, m);
        judge_samples(&arena, &model, &data, score_count(&data, o.samples), m);
    }
    char *path = path_join(o.common.out, "metrics.json");
    json_save(path, m);
    if (!o.common.quiet) print_numbers(m), printf("%s\n", path);
    cJSON_Delete(m);
    free(path);
    fashion_free(&data);
    arena_free(&arena);
    model_free(&model);
    return 0;
}
