#include "commands.h"
#include "draw.h"
#include "base/file.h"
#include "io/json.h"
#include "settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"both", "top_only", "bottom_only"};
enum { MEASURED = 2000 };    /* pictures of each part that errors and likelihoods are means of */

static const char *const part_names[] = {"train", "validation", "test"};
static const Images *part(const Pictures *d, int k) {
    return k == 0 ? d->train : k == 1 ? d->validation : d->test;
}

/* error / variance with and without levels; how many codes are in use */
static void measure_autoencoder(const Pictures *d, const Vqvae2 *v, cJSON *m) {
    double variance = pictures_variance(d);
    int N = bottom_codes(d);
    cJSON_AddNumberToObject(m, "variance", variance);
    cJSON_AddNumberToObject(m, "bits_per_picture",
                            log2(o.codes) * (o.levels == 2 ? N + N / 4 : N));
    for (int k = 0; k < 3; k++) {
        Arena arena = {0};
        Coded c = code_first(&arena, d, v, part(d, k), MEASURED);
        real *y = new_pictures(&arena, d, c.n);
        cJSON *row = cJSON_AddObjectToObject(m, part_names[k]);
        cJSON_AddNumberToObject(row, "pictures", c.n);
        for (int kind = 0; kind < (o.levels == 2 ? 3 : 1); kind++) {
            rebuild(d, v, kind, c.n, c.top, c.bottom, y);
            double error = pictures_error(d, c.n, c.x, y) / c.n / variance;
            cJSON_AddNumberToObject(row, kinds[kind], error);
            if (!o.common.quiet)
                printf("%-10s  %-11s  error / variance %.4f\n", part_names[k], kinds[kind], error);
        }
        for (int level = o.levels == 2 ? TOP : BOTTOM; level <= BOTTOM; level++) {
            int *times = new_ints(&arena, o.codes);
            for (int i = 0; i < o.codes; i++) times[i] = 0;
            codebook_count(level == TOP ? c.n * N / 4 : c.n * N, codes_of(&c, level), times);
            char name[2][32];
            snprintf(name[0], sizeof name[0], "perplexity_%s", stage_names[level]);
            snprintf(name[1], sizeof name[1], "codes_used_%s", stage_names[level]);
            cJSON_AddNumberToObject(row, name[0], codebook_perplexity(o.codes, times));
            cJSON_AddNumberToObject(row, name[1], codes_used(o.codes, times));
            if (!o.common.quiet)
                printf("%-10s  %-11s  %d of %d codes used, perplexity %.1f\n", part_names[k],
                       stage_names[level], codes_used(o.codes, times), o.codes,
                       codebook_perplexity(o.codes, times));
        }
        arena_free(&arena);
    }
}

/* the top codes of another picture of the same class, where there is one */
static void exchange_tops(const Coded *c, int N, int *top) {
    for (int i = 0; i < c->n; i++) {
        int j = (i + 1) % c->n;
        while (j != i && c->labels[j] != c->labels[i]) j = (j + 1) % c->n;
        memcpy(top + i * N / 4, c->top + j * N / 4, (size_t)(N / 4) * sizeof *top);
    }
}

/* nats a code costs; the bottom's also when it is told another picture's top */
static void measure_priors(const Pictures *d, const Models *models, cJSON *m) {
    int N = bottom_codes(d);
    cJSON_AddNumberToObject(m, "uniform_nats", log(o.codes));
    if (!o.common.quiet) printf("\nnats a code (uniform: %.3f)\n", log(o.codes));
    for (int k = 0; k < 3; k++) {
        Arena arena = {0};
        Coded c = code_first(&arena, d, &models->autoencoder, part(d, k), MEASURED);
        cJSON *row = cJSON_GetObjectItem(m, part_names[k]);
        const Snail *bottom = &models->prior[BOTTOM];
        double of_bottom = nats_of(bottom, BOTTOM, &c);
        double total = N * of_bottom;
        cJSON_AddNumberToObject(row, "nats_bottom", of_bottom);
        if (!o.common.quiet) printf("%-10s  bottom %.3f", part_names[k], of_bottom);
        if (o.levels == 2) {
            int *other = new_ints(&arena, c.n * N / 4);
            exchange_tops(&c, N, other);
            double of_top = nats_of(&models->prior[TOP], TOP, &c);
            double exchanged = mean_nats(bottom, c.n, c.bottom, other, c.labels);
            total += N / 4 * of_top;
            cJSON_AddNumberToObject(row, "nats_top", of_top);
            cJSON_AddNumberToObject(row, "nats_bottom_of_another_top", exchanged);
            if (!o.common.quiet)
                printf("  top %.3f  bottom with another picture's top %.3f", of_top, exchanged);
        }
        cJSON_AddNumberToObject(row, "code_bits_per_picture", total / log(2));
        if (!o.common.quiet) printf("  %.1f bits a picture\n", total / log(2));
        arena_free(&arena);
    }
}

static void measure_samples(const Pictures *d, const Models *models, cJSON *m) {
    Arena arena = {0};
    int n = score_count(&d->fashion, o.samples), *labels = new_ints(&arena, n);
    real *x = new_pictures(&arena, d, n);
    real *grey = arena_get(&arena, (size_t)n * FASHION_PIXELS * sizeof *grey);
    Rng rng = rng_new(o.common.seed, "samples");
    for (int i = 0; i < n; i++) labels[i] = i % d->classes;
    Judge judge = judge_new(&d->fashion, CLASSIFIER_WEIGHTS);
    if (o.keep < 1) draw_best(d, models, &judge, n, labels, &rng, x);
    else draw(d, models, n, labels, &rng, x);
    garments_of(d, n, x, grey);
    ScoreSheet sheet = score_sheet(&judge, n, grey, labels, o.common.seed);
    if (!o.common.quiet) score_sheet_print(&sheet);
    cJSON_AddNumberToObject(m, "temperature", o.temperature);
    cJSON_AddNumberToObject(m, "keep", o.keep);
    cJSON_AddItemToObject(m, "scores", score_sheet_json(&sheet));
    char *path = path_join(o.common.out, "neighbours.png");
    neighbours_picture(&judge, n < 16 ? n : 16, grey, path, cli.line);
    free(path);
    judge_free(&judge), arena_free(&arena);
}

int eval(void) {
    Models m = {0};
    bool priors = strcmp(o.stage, "autoencoder");
    if (priors) load_all(&m);
    else load_autoencoder(&m, o.common.weights);
    check_keep();
    Pictures d;
    load_data(&d);
    folder_create(o.common.out);
    cJSON *metrics = cJSON_CreateObject();
    cJSON_AddStringToObject(metrics, "command", cli.line);
    for (int s = 0; s < STAGES; s++) {
        char *name = text_format("parameters_%s", stage_names[s]);
        if (m.params[s].count)
            cJSON_AddNumberToObject(metrics, name, (double)params_count(&m.params[s]));
        free(name);
    }
    measure_autoencoder(&d, &m.autoencoder, metrics);
    if (priors) measure_priors(&d, &m, metrics);
    if (priors && garments()) measure_samples(&d, &m, metrics);
    char *path = path_join(o.common.out, "metrics.json");
    json_save(path, metrics);
    if (!o.common.quiet) printf("%s\n", path);
    cJSON_Delete(metrics);
    free(path);
    models_free(&m), pictures_free(&d);
    return 0;
}
