/* samplers.c — whole trajectories of CompVis/latent-diffusion's PLMS and DDIM over a model in
 * closed form: guided, masked, with noise. */
#include "base/error.h"
#include "diffusion/guidance.h"
#include "diffusion/sampler.h"
#include "golden.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMESTEPS = 1000 };

/* ---- a case ---------------------------------------------------------------------------------- */

typedef struct {
    Golden *g;
    const char *name;
    SamplingMethod method;
    char sections[32];
    double scale, eta, temperature, first_beta, last_beta;
    bool masked;
    int n;                                       /* pictures */
    const real *c, *u;                           /* conditions, one a picture */
    const real *mask, *known;
    const real *noise, *mask_noise;              /* (step,n,height,width,channels), as used */
} Case;

static double number_in(const Golden *g, const cJSON *item, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, key);
    if (!cJSON_IsNumber(value)) fail("%s: a case without a number %s", g->path, key);
    return value->valuedouble;
}

static const char *text_in(const Golden *g, const cJSON *item, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, key);
    if (!cJSON_IsString(value)) fail("%s: a case without a text %s", g->path, key);
    return value->valuestring;
}

static void check_keys(const Golden *g, const cJSON *item) {
    static const char known[] = " name sampler S scale eta linear_start linear_end mask "
                                "temperature discretise ";
    const cJSON *field;
    cJSON_ArrayForEach(field, item) {
        char word[64];
        snprintf(word, sizeof word, " %s ", field->string);
        if (!strstr(known, word))
            fail("%s: what %s means is not known here", g->path, field->string);
    }
}

/* <case>.<what>, or NULL: the last three axes (C,H,W) as (H,W,C), those before as they are */
static real *images_of(const Case *c, const char *what, int shape[4]) {
    char name[120];
    snprintf(name, sizeof name, "%s.%s", c->name, what);
    const StTensor *t = safetensors_find(&c->g->file, name);
    if (!t) return NULL;
    if (t->rank < 4) fail("%s: %s holds no images", c->g->path, name);
    double *x = arena_get(&c->g->tape.arena, t->len * sizeof *x);
    real *y = arena_get(&c->g->tape.arena, t->len * sizeof *y);
    golden_numbers(c->g, "", name, (int)t->len, x);
    int C = (int)t->shape[t->rank - 3], area = (int)(t->shape[t->rank - 2] * t->shape[t->rank - 1]);
    for (int i = 0; i < (int)t->len; i++)
        y[i] = (real)x[(i / C / area * C + i % C) * area + i / C % area];
    for (int i = 0; i < 4 && shape; i++) shape[i] = (int)t->shape[t->rank - 4 + i];
    return y;
}

static Case case_of(Golden *g, const cJSON *item) {
    check_keys(g, item);
    const char *sampler = text_in(g, item, "sampler"), *spacing = text_in(g, item, "discretise");
    if (strcmp(sampler, "plms") && strcmp(sampler, "ddim"))
        fail("%s: the sampler %s is not known here", g->path, sampler);
    if (strcmp(spacing, "uniform") && strcmp(spacing, "quad"))
        fail("%s: steps that are %s are not known here", g->path, spacing);
    Case c = {.g = g, .name = text_in(g, item, "name"),
              .method = strcmp(sampler, "plms") ? DDIM : PLMS,
              .scale = number_in(g, item, "scale"), .eta = number_in(g, item, "eta"),
              .temperature = number_in(g, item, "temperature"),
              .first_beta = number_in(g, item, "linear_start"),
              .last_beta = number_in(g, item, "linear_end"),
              .masked = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "mask"))};
    snprintf(c.sections, sizeof c.sections, "ldm%s%d", strcmp(spacing, "quad") ? "" : "quad",
             (int)number_in(g, item, "S"));
    return c;
}

static void need(const Case *c, const void *what, const char *name) {
    if (!what) fail("%s: has no %s.%s", c->g->path, c->name, name);
}

/* ---- the model ------------------------------------------------------------------------------- */

/* e(x,t,c) = 0.6 tanh(0.8 x + c) + 0.3 sin(t/200) x */
static Tensor *model(const real *condition, const Step *at, Tensor *xt) {
    Tensor *e = t_input(xt->tape, NULL, xt->rank, xt->shape);
    size_t size = step_size(at);
    double wave = 0.3 * sin(at->schedule->time[at->t] / 200);
    for (size_t i = 0; i < xt->len; i++) {
        double x = (double)xt->x[i], c = (double)condition[(size_t)at->first + i / size];
        e->x[i] = (real)(0.6 * tanh(0.8 * x + c) + wave * x);
    }
    return e;
}

static Tensor *with_condition(const void *network, const Step *at, Tensor *xt) {
    return model(((const Case *)network)->c, at, xt);
}

static Tensor *without_condition(const void *network, const Step *at, Tensor *xt) {
    return model(((const Case *)network)->u, at, xt);
}

/* blended_denoiser with the file's noise */
typedef struct {
    Denoiser denoiser;
    const Denoiser *of;
    const Case *c;
} Masked;

static Prediction predict_masked(const Denoiser *self, const Step *at, real *xt) {
    const Masked *m = (const Masked *)self;
    size_t pixels = (size_t)(at->n * at->height * at->width), all = (size_t)at->n * step_size(at);
    if (at->lookahead) return denoise(m->of, at, xt);
    real *noisy = arena_get(&at->tape->arena, all * sizeof *noisy);
    size_t turn = (size_t)(at->schedule->T - 1 - at->t);
    q_sample(at->schedule, at->t, all, m->c->known, m->c->mask_noise + turn * all, noisy);
    paste(pixels, at->channels, m->c->mask, noisy, xt);
    return denoise(m->of, at, xt);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void expect_doubles(const Case *c, const char *what, int n, const double *ours) {
    char name[120];
    snprintf(name, sizeof name, "%s.%s", c->name, what);
    golden_compare(c->g, name, n, ours, 0);
}

static void expect(const Case *c, const char *what, const real *ours, size_t n) {
    double *y = arena_get(&c->g->tape.arena, n * sizeof *y);
    for (size_t i = 0; i < n; i++) y[i] = (double)ours[i];
    expect_doubles(c, what, (int)n, y);
}

static void compare_schedule(const Case *c, const NoiseSchedule *s) {
    double *steps = arena_get(&c->g->tape.arena, (size_t)s->T * sizeof *steps);
    for (int i = 0; i < s->T; i++) steps[i] = s->step[i];
    expect_doubles(c, "timesteps", s->T, steps);
    expect_doubles(c, "alphas", s->T, s->alpha_bar);
    expect_doubles(c, "alphas_prev", s->T, s->alpha_bar_before);
}

/* every step of all pictures at once */
static void compare_trajectory(const Case *c, Sampler *m, real *x) {
    const NoiseSchedule *s = m->schedule;
    size_t all = (size_t)c->n * sampler_size(m);
    real *between = arena_get(&c->g->tape.arena, (size_t)s->T * all * sizeof *between);
    real *x0 = arena_get(&c->g->tape.arena, (size_t)s->T * all * sizeof *x0);
    real *z = arena_get(&c->g->tape.arena, all * sizeof *z);
    for (int t = s->T - 1; t >= 0; t--) {
        size_t turn = (size_t)(s->T - 1 - t);
        if (c->noise) k_axpy(all, (real)c->temperature, c->noise + turn * all, z, false);
        Prediction p = sample_step_with(m, t, 0, c->n, z, x);
        memcpy(between + turn * all, x, all * sizeof *x);
        memcpy(x0 + turn * all, p.x0, all * sizeof *x0);
    }
    expect(c, "out.main", x, all);
    expect(c, "out.x_inter", between, (size_t)s->T * all);
    expect(c, "out.pred_x0", x0, (size_t)s->T * all);
}

static void compare_case(Golden *g, const cJSON *item) {
    Case c = case_of(g, item);
    NoiseSchedule all = schedule_sqrt_linear(TIMESTEPS, c.first_beta, c.last_beta);
    NoiseSchedule s = schedule_respaced(&all, c.sections);
    if (!s.T) fail("%s: %s: no steps of %d", g->path, c.sections, TIMESTEPS);
    compare_schedule(&c, &s);
    int shape[4];
    real *x = images_of(&c, "in.x_T", shape);
    c.c = images_of(&c, "in.c", NULL), c.u = images_of(&c, "in.u", NULL);
    c.noise = images_of(&c, "in.noise", NULL), c.mask_noise = images_of(&c, "in.q_noise", NULL);
    c.mask = images_of(&c, "in.mask", NULL), c.known = images_of(&c, "in.x0", NULL);
    need(&c, x, "in.x_T"), need(&c, c.c, "in.c"), need(&c, c.u, "in.u");
    if (c.eta > 0) need(&c, c.noise, "in.noise");
    if (c.masked) need(&c, c.mask, "in.mask"), need(&c, c.mask_noise, "in.q_noise");
    if (c.masked) need(&c, c.known, "in.x0");
    c.n = shape[0];
    Parameterization p = {PREDICT_NOISE, FIXED_SMALL};
    NetworkDenoiser with = network_denoiser(with_condition, &c, p);
    NetworkDenoiser without = network_denoiser(without_condition, &c, p);
    ClassifierFree guided = classifier_free(&with.denoiser, &without.denoiser, c.scale);
    Masked masked = {{predict_masked}, &guided.denoiser, &c};
    Sampler m = {.denoiser = c.masked ? &masked.denoiser : &guided.denoiser, .schedule = &s,
                 .method = c.method, .eta = c.eta, .height = shape[2], .width = shape[3],
                 .channels = shape[1]};
    compare_trajectory(&c, &m, x);
    sampler_free(&m);
    schedule_free(&s), schedule_free(&all);
}

static void run_samplers(Golden *g) {
    const char *text = safetensors_metadata(&g->file, "cases");
    cJSON *cases = text ? cJSON_Parse(text) : NULL;
    const cJSON *item;
    if (!cJSON_IsArray(cases)) fail("%s: its cases cannot be read", g->path);
    cJSON_ArrayForEach(item, cases) compare_case(g, item);
    cJSON_Delete(cases);
}

static const GoldenTolerance tolerances[] = {{"", 5e-6}};

const GoldenModel golden_samplers[] = {
    {"ldm_samplers", NULL, run_samplers, .tolerances = tolerances}, {0}};
