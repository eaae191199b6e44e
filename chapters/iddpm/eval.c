#include "commands.h"
#include "draw.h"
#include "eval/likelihood.h"
#include "eval/scores.h"
#include "base/file.h"
#include "io/json.h"
#include "base/progress.h"
#include "train/results.h"
#include "settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- schedules ------------------------------------------------------------------------------- */

/* schedule.csv: what is left of the picture's variance, and how far beta~ is from beta, for chains
 * of several lengths */
static void save_schedules(void) {
    static const int lengths[] = {30, 100, 1000};
    char *path = path_join(o.common.out, "schedule.csv");
    AtomicFile f = file_create(path);
    fprintf(f.stream, "schedule,T,t,alpha_bar,variance_ratio\n");
    for (int cosine = 0; cosine < 2; cosine++) {
        for (int k = 0; k < 3; k++) {
            int T = lengths[k];
            Diffusion d = cosine ? diffusion_cosine(T) : diffusion_linear(T);
            for (int t = 0; t < T; t++)
                fprintf(f.stream, "%s,%d,%d,%.6g,%.6g\n", cosine ? "cosine" : "linear", T, t,
                        d.alpha_bar[t], d.posterior_variance[t] / d.beta[t]);
            diffusion_free(&d);
        }
    }
    file_commit(&f);
    free(path);
}

/* forward.png: a garment on its way to noise, always the same noise; linear above, cosine below */
static void picture_of_forward(const Images *set) {
    enum { MOMENTS = 10 };
    static real x0[PIXELS], eps[PIXELS], grid[2 * MOMENTS * PIXELS];
    char *captions[2 * MOMENTS];
    images_get(set, 1, NULL, -1, 1, x0, NULL);
    sampling_noise(1, 0, X_T, PIXELS, eps);
    for (int cosine = 0; cosine < 2; cosine++) {
        Diffusion d = cosine ? diffusion_cosine(1000) : diffusion_linear(1000);
        for (int k = 0; k < MOMENTS; k++) {
            int t = (d.T - 1) * k / (MOMENTS - 1), cell = cosine * MOMENTS + k;
            q_sample(&d, t, PIXELS, x0, eps, grid + cell * PIXELS);
            captions[cell] = text_format("t = %d", t + 1);
        }
        diffusion_free(&d);
    }
    Grid g = garments(2 * MOMENTS, MOMENTS);
    g.captions = (const char *const *)captions;
    char *path = path_join(o.common.out, "forward.png");
    picture_save(path, grid, g, cli.line);
    free(path);
    for (int k = 0; k < 2 * MOMENTS; k++) free(captions[k]);
}

/* ---- the bound ------------------------------------------------------------------------------- */

enum { AT_ONCE = 64 };          /* pictures the network sees together */

/* n test images, and space for what happens to AT_ONCE of them */
typedef struct {
    int n;
    const int *label;
    real *x0, *xt;
} Bounded;

/* a term of the bound, or its sum, in bits per dimension; the squared error of the predicted x0 */
enum { MODEL, SMALL, LARGE, BOUNDS };
typedef struct {
    double bits[BOUNDS];        /* with the model's variance, with beta~, with beta */
    double mse;
} Term;

/* adds to `sum` the terms of p(x_{t-1}|x_t) for `count` images from number `first` on, each divided
 * by the number of all */
static void add_terms(Sampler *m, int t, const Bounded *b, int first, int count, Term *sum) {
    static const Variance fixed[BOUNDS] = {LEARNED, FIXED_SMALL, FIXED_LARGE};
    const Diffusion *d = m->chain;
    const real *x0 = b->x0 + (size_t)first * PIXELS;
    size_t size = (size_t)count * PIXELS;
    real eps[PIXELS];
    for (int i = 0; i < count; i++) {
        size_t at = (size_t)i * PIXELS;
        sampling_noise(m->seed + 1, first + i, d->step[t], PIXELS, eps);
        q_sample(d, t, PIXELS, x0 + at, eps, b->xt + at);
    }
    Reverse p = predict(m, t, count, b->xt, b->label ? b->label + first : NULL);
    sum->mse += k_sum_squared_difference(size, p.start, x0) / ((double)b->n * PIXELS);
    for (int k = MODEL; k < BOUNDS; k++) {
        if (k > MODEL) k_fill(size, (real)fixed_log_variance(d, fixed[k], t), p.log_variance);
        double nats = bound_term(d, t, size, x0, b->xt, &p) / b->n;
        sum->bits[k] += bits_per_dimension(nats, PIXELS);
    }
}

static Term term_at(Sampler *m, int t, const Bounded *b) {
    Term term = {0};
    for (int i = 0; i < b->n; i += AT_ONCE)
        add_terms(m, t, b, i, b->n - i < AT_ONCE ? b->n - i : AT_ONCE, &term);
    return term;
}

/* bound.csv: the terms, the last one first */
static void save_terms(const Diffusion *d, const Term *term) {
    char *path = path_join(o.common.out, "bound.csv");
    AtomicFile f = file_create(path);
    fprintf(f.stream, "t,model,small,large,start_mse\n");
    for (int t = d->T - 1; t >= 0; t--)
        fprintf(f.stream, "%d,%.6g,%.6g,%.6g,%.6g\n", d->step[t], term[t].bits[MODEL],
                term[t].bits[SMALL], term[t].bits[LARGE], term[t].mse);
    file_commit(&f);
    free(path);
}

/* The bound's terms in bits per dimension, under three variances of one prediction, and how well x0
 * is predicted: bound.csv. Returns the sum of all terms; *prior, a part of it, is the last one. */
static Term evaluate_bound(Sampler *m, const Bounded *b, double *prior) {
    Progress progress;
    Arena arena = {0};
    const Diffusion *d = m->chain;
    Term *term = arena_get(&arena, (size_t)d->T * sizeof *term);
    double nats = prior_term(d, (size_t)b->n * PIXELS, b->x0) / b->n;
    *prior = bits_per_dimension(nats, PIXELS);
    Term sum = {.bits = {*prior, *prior, *prior}};
    progress_start(&progress, "bound", 0, d->T, o.common.quiet);
    for (int t = d->T - 1; t >= 0; t--) {
        term[t] = term_at(m, t, b);
        for (int k = MODEL; k < BOUNDS; k++) sum.bits[k] += term[t].bits[k];
        progress_update(&progress, d->T - t, "");
    }
    progress_end(&progress, d->T, "");
    save_terms(d, term);
    arena_free(&arena);
    return sum;
}

static void measure_bound(Sampler *m, const Fashion *data, cJSON *metrics) {
    static const char *const names[BOUNDS] = {"bits_per_dimension", "bits_small", "bits_large"};
    Arena arena = {0};
    double prior;
    int n = o.bound < data->test.count ? o.bound : data->test.count;
    int *label = arena_get(&arena, (size_t)n * sizeof *label);
    Bounded b = {.n = n, .label = o.classes ? label : NULL, .x0 = new_images(&arena, n),
                 .xt = new_images(&arena, AT_ONCE)};
    images_get(&data->test, n, NULL, -1, 1, b.x0, label);
    Term sum = evaluate_bound(m, &b, &prior);
    cJSON_AddNumberToObject(metrics, "bound_images", n);
    cJSON_AddNumberToObject(metrics, "bound_steps", m->chain->T);
    for (int k = MODEL; k < BOUNDS; k++) cJSON_AddNumberToObject(metrics, names[k], sum.bits[k]);
    cJSON_AddNumberToObject(metrics, "prior_bits_per_dimension", prior);
    if (!o.common.quiet)
        printf("at most %.3f bits per dimension (with beta~ %.3f, with beta %.3f), %d test images, "
               "%d steps\n", sum.bits[MODEL], sum.bits[SMALL], sum.bits[LARGE], n, m->chain->T);
    arena_free(&arena);
}

/* ---- samples --------------------------------------------------------------------------------- */

static void measure_samples(Sampler *m, const Fashion *data, cJSON *metrics) {
    Arena arena = {0};
    int n = score_count(data, o.samples);
    const int *label = wanted_classes(&arena, n);
    real *x = new_images(&arena, n);
    Judge judge = judge_new(data, CLASSIFIER_WEIGHTS);
    double start = seconds_now();
    draw_pictures(m, n, label, x, (Drawing){.at_once = AT_ONCE, .quiet = o.common.quiet});
    double seconds = (seconds_now() - start) / n;
    k_affine((size_t)n * PIXELS, x, (real)0.5, (real)0.5, x);
    ScoreSheet sheet = score_sheet(&judge, n, x, label, o.common.seed);
    if (!o.common.quiet) score_sheet_print(&sheet);
    cJSON_AddNumberToObject(metrics, "sampling_steps", m->chain->T);
    cJSON_AddStringToObject(metrics, "sampler", o.sampler);
    cJSON_AddNumberToObject(metrics, "eta", o.eta);
    cJSON_AddNumberToObject(metrics, "seconds_a_picture", seconds);
    cJSON_AddItemToObject(metrics, "scores", score_sheet_json(&sheet));
    char *path = path_join(o.common.out, "classes.csv");
    score_sheet_classes(&sheet, path);
    free(path);
    path = path_join(o.common.out, "neighbours.png");
    neighbours_picture(&judge, 10, x, path, cli.line);
    free(path);
    judge_free(&judge);
    arena_free(&arena);
}

int eval(void) {
    Params params = {0};
    Model net = load_network(&params);
    Fashion data = load_data();
    Diffusion all = chosen_chain(), chain = sampling_chain(&all);
    Diffusion bounded = respaced_chain(&all, "bound-respace", o.bound_respace);
    Sampler drawing = new_sampler(&net, &chain), bounding = new_sampler(&net, &bounded);
    bounding.variance = variance_named(o.variance);
    folder_create(o.common.out);
    cJSON *metrics = cJSON_CreateObject();
    cJSON_AddStringToObject(metrics, "command", cli.line);
    cJSON_AddNumberToObject(metrics, "parameters", (double)params_count(&params));
    save_schedules();
    picture_of_forward(&data.test);
    char *path = path_join(o.common.out, "metrics.json");
    if (o.bound) {
        measure_bound(&bounding, &data, metrics);
        json_save(path, metrics);      /* to be kept, whatever happens while samples are drawn */
    }
    measure_samples(&drawing, &data, metrics);
    json_save(path, metrics);
    if (!o.common.quiet) printf("%s\n", path);
    cJSON_Delete(metrics);
    free(path);
    tape_free(&drawing.tape), tape_free(&bounding.tape);
    diffusion_free(&all), diffusion_free(&chain), diffusion_free(&bounded);
    fashion_free(&data);
    params_free(&params);
    return 0;
}
