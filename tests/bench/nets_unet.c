/* nets_unet.c — the diffusion chapters' U-Net (nn/unet.h) in the configuration "bench" of chapters/ddpm:
 * 28x28 grey, 32 channels, multipliers 1, 2, 2, two residual blocks per level, attention at 14x14
 * and in the middle: 1,623,169 parameters, no dropout. Two kinds of step (Ho et al. 2020): training
 * on L_simple, mean squared error on the noise, with Adam 2e-4; and sampling, one step back. */
#include "nets.h"
#include "nn/unet.h"

#include <math.h>
#include <string.h>

enum { SIDE = 28, TIMES = 1000 };

static const UNetConfig config = {
    .in = 1, .out = 1, .width = 32, .levels = 3, .multiplier = {1, 2, 2},
    .attends = {false, true, false}, .blocks = 2, .heads = 1,
    .style = {.groups = 32, .eps = 1e-6, .pad_far_sides = true, .glorot = true}};

typedef struct {
    TimeEmbedding time;
    UNet unet;
} Model;

static Model model_of(Training *t) {
    Params *p = &t->params[0];
    Scope time = styled_scope(&config.style, scope(p, "time"));
    Model net = {.time = time_embedding_new(time, config.width, unet_emb(&config), true)};
    net.unet = unet_new(p, config);
    net_wake(t);
    return net;
}

static Tensor *model_output(const Model *m, Tensor *x, const double *time) {
    return unet(&m->unet, x, time_embedding(&m->time, x->tape, time, x->shape[0]), NULL);
}

/* ---- training -------------------------------------------------------------------------------- */

typedef struct {
    Model net;
    const real *images, *noise, *signal_scale, *noise_scale;
    double *time;
} Denoising;

static void build(Training *t) {
    Denoising *d = net_alloc(t, sizeof *d);
    int B = t->batch;
    d->net = model_of(t);
    d->images = input_uniform(t, "images", -1, 1, SHAPE(B, SIDE, SIDE, 1));
    d->noise = input_normal(t, "noise", SHAPE(B, SIDE, SIDE, 1));
    d->signal_scale = input_uniform(t, "signal_scale", 0.1, 0.9, SHAPE(B, 1, 1, 1));
    d->noise_scale = input_uniform(t, "noise_scale", 0.1, 0.9, SHAPE(B, 1, 1, 1));
    d->time = input_times(t, TIMES);
}

static double step(Training *t) {
    const Denoising *d = t->net;
    int B = t->batch;
    Tensor *x0 = t_input(&t->tape, d->images, SHAPE(B, SIDE, SIDE, 1));
    Tensor *noise = t_input(&t->tape, d->noise, SHAPE(B, SIDE, SIDE, 1));
    Tensor *signal_scale = t_input(&t->tape, d->signal_scale, SHAPE(B, 1, 1, 1));
    Tensor *noise_scale = t_input(&t->tape, d->noise_scale, SHAPE(B, 1, 1, 1));
    Tensor *xt = t_add(t_mul(signal_scale, x0), t_mul(noise_scale, noise));
    Tensor *eps = model_output(&d->net, xt, d->time);
    return descend(t, 0, t_mse(eps, noise), 2e-4);
}

const NetKind net_unet = {"unet", "DDPM U-Net 28x28", 64, true, build, step};

/* ---- sampling -------------------------------------------------------------------------------- */

/* A schedule of ten steps costs as much a step as one of a thousand, but there the network's part
 * in a single step is too small for a comparison with the twin to see a mistake in it. */
enum { STEPS = 10 };

static double beta(int t) {
    return 0.01 + 0.19 * t / (STEPS - 1);
}

static double alpha_bar(int t) {
    return t < 0 ? 1 : alpha_bar(t - 1) * (1 - beta(t));
}

typedef struct {
    Model net;
    const real *z;
    real *x;                     /* x_t, until the step makes it x_{t-1} */
    double *time;
    int t;
} Sampling;

static void sample_build(Training *t) {
    Sampling *s = net_alloc(t, sizeof *s);
    int B = t->batch;
    size_t bytes = (size_t)(B * SIDE * SIDE) * sizeof(real);
    s->net = model_of(t);
    s->z = input_normal(t, "z", SHAPE(B, SIDE, SIDE, 1));
    s->x = arena_get(&t->input.arena, bytes);
    memcpy(s->x, input_normal(t, "x", SHAPE(B, SIDE, SIDE, 1)), bytes);
    s->time = input_times(t, TIMES);
    t->tape.no_grad = true;
}

/* x_t -> x_{t-1}: the mean of eq. 7, with the x0 that eps leaves of x_t (eq. 4, solved for x0 and
 * clipped to what pixels can be), and noise of variance beta_t. eps becomes x0. */
static void step_back(int t, size_t n, real *eps, const real *z, real *x) {
    double before = alpha_bar(t - 1), after = alpha_bar(t), sigma = t > 0 ? sqrt(beta(t)) : 0;
    double mean_coef_x0 = beta(t) * sqrt(before) / (1 - after);
    double mean_coef_xt = (1 - before) * sqrt(1 - beta(t)) / (1 - after);
    double x_scale = sqrt(1 / after), eps_scale = sqrt(1 / after - 1);
    real *x0 = eps;
    for (size_t i = 0; i < n; i++)
        x0[i] = (real)(x_scale * (double)x[i] - eps_scale * (double)eps[i]);
    k_clamp(n, x0, -1, 1, x0);
    for (size_t i = 0; i < n; i++)
        x[i] = (real)(mean_coef_x0 * (double)x0[i] + mean_coef_xt * (double)x[i] +
                      sigma * (double)z[i]);
}

/* After x_0 it goes on from there with the last t. The sum of squares of the new x stands in for a
 * loss. */
static double sample(Training *t) {
    Sampling *s = t->net;
    s->t = (s->t > 0 ? s->t : STEPS) - 1;
    for (int b = 0; b < t->batch; b++) s->time[b] = s->t * (TIMES / STEPS);
    Tensor *x = t_input(&t->tape, s->x, SHAPE(t->batch, SIDE, SIDE, 1));
    Tensor *eps = model_output(&s->net, x, s->time);
    step_back(s->t, eps->len, eps->x, s->z, s->x);
    return k_sum_squares(eps->len, s->x);
}

const NetKind net_unet_sample = {"unet_sample", "DDPM sampling step 28x28", 64, true, sample_build,
                                 sample};
