/* evaluate.c — the bound term by term, the schedule, scores of samples. */
#include "eval/likelihood.h"
#include "eval/scores.h"
#include "base/file.h"
#include "io/json.h"
#include "train/results.h"
#include "settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { AT_ONCE = 64 };          /* pictures the network sees together */

/* ---- the schedule ---------------------------------------------------------------------------- */

/* schedule.csv: what each step adds, and what is left of the picture */
static void save_schedule(const Schedule *s) {
    char *path = path_join(o.common.out, "schedule.csv");
    AtomicFile f = file_create(path);
    fprintf(f.stream, "t,beta,alpha_bar,picture,noise,beta_tilde\n");
    for (int t = 0; t < s->T; t++)
        fprintf(f.stream, "%d,%.9g,%.9g,%.9g,%.9g,%.9g\n", t, s->beta[t], s->alpha_bar[t],
                sqrt(s->alpha_bar[t]), sqrt(1 - s->alpha_bar[t]), s->posterior_variance[t]);
    file_commit(&f);
    free(path);
}

/* ---- the bound ------------------------------------------------------------------------------- */

/* of n pictures: the sum of all terms under each variance, and the prior's; bits per dimension */
typedef struct {
    double bits[2], prior;      /* bits[FIXED_SMALL], bits[FIXED_LARGE] */
} Bound;

typedef struct {
    int n;
    real *x0, *xt, *start;
} BoundImages;

/* the term of index t under both variances, and the squared error of the predicted x0; means over
 * the pictures */
typedef struct {
    double bits[2], start_mse;
} Term;

static Term term_at(Sampler *m, const BoundImages *b, int t) {
    real eps[PIXELS];
    double size = (double)b->n * PIXELS;
    for (int i = 0; i < b->n; i++) {
        size_t at = (size_t)i * PIXELS;
        sampling_noise(m->seed + 1, i, t, PIXELS, eps);
        q_sample(m->schedule, t, PIXELS, b->x0 + at, eps, b->xt + at);
    }
    for (int i = 0; i < b->n; i += AT_ONCE) {
        size_t at = (size_t)i * PIXELS;
        int count = b->n - i < AT_ONCE ? b->n - i : AT_ONCE;
        predict(m, t, count, b->xt + at, b->start + at);
    }
    Term term = {.start_mse = k_sum_squared_difference((size_t)size, b->start, b->x0) / size};
    for (Variance v = FIXED_SMALL; v <= FIXED_LARGE; v++) {
        double nats = bound_term(m->schedule, v, t, (size_t)size, b->x0, b->xt, b->start) / b->n;
        term.bits[v] = bits_per_dimension(nats, PIXELS);
    }
    return term;
}

/* bound.csv: the terms, the last one first */
static void save_terms(int T, const Term *term) {
    char *path = path_join(o.common.out, "bound.csv");
    AtomicFile f = file_create(path);
    fprintf(f.stream, "t,small,large,start_mse\n");
    for (int t = T - 1; t >= 0; t--)
        fprintf(f.stream, "%d,%.6g,%.6g,%.6g\n", t, term[t].bits[FIXED_SMALL],
                term[t].bits[FIXED_LARGE], term[t].start_mse);
    file_commit(&f);
    free(path);
}

static Bound evaluate_bound(Sampler *m, const Images *set, int n) {
    Arena arena = {0};
    Progress progress;
    const Schedule *s = m->schedule;
    BoundImages b = {n, new_images(&arena, n), new_images(&arena, n), new_images(&arena, n)};
    Term *term = arena_get(&arena, (size_t)s->T * sizeof *term);
    images_get(set, n, NULL, -1, 1, b.x0, NULL);
    double prior = prior_term(s, (size_t)n * PIXELS, b.x0) / n;
    Bound sum = {.prior = bits_per_dimension(prior, PIXELS)};
    sum.bits[FIXED_SMALL] = sum.bits[FIXED_LARGE] = sum.prior;
    progress_start(&progress, "bound", 0, s->T, o.common.quiet);
    for (int t = s->T - 1; t >= 0; t--) {
        term[t] = term_at(m, &b, t);
        for (Variance v = FIXED_SMALL; v <= FIXED_LARGE; v++) sum.bits[v] += term[t].bits[v];
        progress_update(&progress, s->T - t, "");
    }
    progress_end(&progress, s->T, "");
    save_terms(s->T, term);
    arena_free(&arena);
    return sum;
}

static void bound_of(Sampler *m, const Images *set, int n, cJSON *metrics) {
    Bound b = evaluate_bound(m, set, n);
    cJSON_AddNumberToObject(metrics, "bound_images", n);
    cJSON_AddNumberToObject(metrics, "bits_small", b.bits[FIXED_SMALL]);
    cJSON_AddNumberToObject(metrics, "bits_large", b.bits[FIXED_LARGE]);
    cJSON_AddNumberToObject(metrics, "prior_bits", b.prior);
    if (!o.common.quiet)
        printf("at most %.3f bits per dimension with the small variance, %.3f with the large: "
               "%d test images\n", b.bits[FIXED_SMALL], b.bits[FIXED_LARGE], n);
}

/* ---- scores ---------------------------------------------------------------------------------- */

/* of `n` pictures, into metrics */
static void score_samples(Sampler *m, const Fashion *data, int n, cJSON *metrics) {
    Arena arena = {0};
    real *x = new_images(&arena, n);
    Judge judge = judge_new(data, CLASSIFIER_WEIGHTS);
    double start = seconds_now();
    draw_many(m, n, x, AT_ONCE, NULL, NULL);
    cJSON_AddNumberToObject(metrics, "seconds_a_picture", (seconds_now() - start) / n);
    k_affine((size_t)n * PIXELS, x, (real)0.5, (real)0.5, x);
    ScoreSheet sheet = score_sheet(&judge, n, x, NULL, o.common.seed);
    if (!o.common.quiet) score_sheet_print(&sheet);
    cJSON_AddItemToObject(metrics, "scores", score_sheet_json(&sheet));
    char *path = path_join(o.common.out, "classes.csv");
    score_sheet_classes(&sheet, path);
    free(path);
    path = path_join(o.common.out, "neighbours.png");
    neighbours_picture(&judge, n < 10 ? n : 10, x, path, cli.line);
    free(path);
    judge_free(&judge);
    arena_free(&arena);
}

int eval(void) {
    Params params = {0};
    Model net = load_network(&params);
    Fashion data = load_data();
    Schedule all = paper_schedule(), s = schedule_strided(&all, o.sampling_steps);
    Sampler m = sampler_of(&net, &s), full = sampler_of(&net, &all);
    int n = score_count(&data, o.samples);
    int images = o.bound < data.test.count ? o.bound : data.test.count;
    folder_create(o.common.out);

    cJSON *metrics = cJSON_CreateObject();
    cJSON_AddStringToObject(metrics, "command", cli.line);
    cJSON_AddNumberToObject(metrics, "parameters", (double)params_count(&params));
    cJSON_AddStringToObject(metrics, "weights", o.raw ? "as trained" : "averaged");
    cJSON_AddNumberToObject(metrics, "sampling_steps", s.T);
    cJSON_AddStringToObject(metrics, "variance", o.variance);
    save_schedule(&all);
    char *path = path_join(o.common.out, "metrics.json");
    if (images) {
        bound_of(&full, &data.test, images, metrics);
        json_save(path, metrics);      /* to be kept, whatever happens while samples are drawn */
    }
    score_samples(&m, &data, n, metrics);
    json_save(path, metrics);
    if (!o.common.quiet) printf("%s\n", path);
    cJSON_Delete(metrics);
    free(path);
    tape_free(&m.tape), tape_free(&full.tape);
    schedule_free(&all), schedule_free(&s);
    fashion_free(&data);
    params_free(&params);
    return 0;
}
