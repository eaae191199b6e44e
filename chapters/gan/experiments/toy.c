#include "toy.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* ---- distributions in the plane -------------------------------------------------------------- */

static double normal_density(double x, double y, double sigma) {
    return exp(-(x * x + y * y) / (2 * sigma * sigma)) / (2 * pi * sigma * sigma);
}

static void draw_normal(int n, Rng *rng, double cx, double cy, double sigma, real *points) {
    rng_normal(rng, 2 * (size_t)n, points);
    for (int i = 0; i < 2 * n; i++)
        points[i] = (real)((i % 2 ? cy : cx) + sigma * (double)points[i]);
}

static const double ring_radius = 2, ring_sigma = 0.3, blob_sigma = 1.5;
static const double corner_at = 3, corner_sigma = 0.4;
const double narrow_sigma = 0.02;

void ring_centre(int k, double *x, double *y) {
    *x = ring_radius * cos(2 * pi * k / RING_MODES);
    *y = ring_radius * sin(2 * pi * k / RING_MODES);
}

static double density_around(double x, double y, double sigma) {
    double sum = 0, cx, cy;
    for (int k = 0; k < RING_MODES; k++) {
        ring_centre(k, &cx, &cy);
        sum += normal_density(x - cx, y - cy, sigma);
    }
    return sum / RING_MODES;
}

static void draw_around(int n, Rng *rng, double sigma, real *points) {
    draw_normal(n, rng, 0, 0, sigma, points);
    for (int i = 0; i < n; i++) {
        double cx, cy;
        ring_centre(rng_below(rng, RING_MODES), &cx, &cy);
        points[2 * i] += (real)cx, points[2 * i + 1] += (real)cy;
    }
}

static double ring_density(double x, double y) { return density_around(x, y, ring_sigma); }

static void ring_draw(int n, Rng *rng, real *points) { draw_around(n, rng, ring_sigma, points); }

static double narrow_density(double x, double y) { return density_around(x, y, narrow_sigma); }

static void narrow_draw(int n, Rng *rng, real *points) {
    draw_around(n, rng, narrow_sigma, points);
}

static double blob_density(double x, double y) { return normal_density(x, y, blob_sigma); }

static void blob_draw(int n, Rng *rng, real *points) {
    draw_normal(n, rng, 0, 0, blob_sigma, points);
}

static double corner_density(double x, double y) {
    return normal_density(x - corner_at, y - corner_at, corner_sigma);
}

static void corner_draw(int n, Rng *rng, real *points) {
    draw_normal(n, rng, corner_at, corner_at, corner_sigma, points);
}

const Plane ring = {ring_density, ring_draw};
const Plane narrow_ring = {narrow_density, narrow_draw};
const Plane blob = {blob_density, blob_draw};
const Plane corner = {corner_density, corner_draw};

double optimal_discriminator(const Plane *p, const Plane *q, double x, double y) {
    double real_density = p->density(x, y), made = q->density(x, y);
    return real_density / (real_density + made);
}

/* ---- the grid -------------------------------------------------------------------------------- */

const double toy_reach = 6;

void toy_grid(real *points) {
    double step = 2 * toy_reach / (TOY_SIDE - 1);
    for (int i = 0; i < TOY_SIDE * TOY_SIDE; i++) {
        points[2 * i] = (real)(-toy_reach + step * (i % TOY_SIDE));
        points[2 * i + 1] = (real)(-toy_reach + step * (i / TOY_SIDE));
    }
}

void toy_discriminator(const Perceptron *d, double *probability) {
    Tape t = {.no_grad = true};
    Tensor *x = t_input(&t, NULL, SHAPE(TOY_SIDE * TOY_SIDE, 2));
    toy_grid(x->x);
    Tensor *logits = perceptron(d, x);
    for (size_t i = 0; i < logits->len; i++)
        probability[i] = 1 / (1 + exp(-(double)logits->x[i]));
    tape_free(&t);
}

/* a log b, 0 where a is: no density, no part in the mean */
static double times_log(double a, double b) {
    return a > 0 ? a * log(b) : 0;
}

double game_value(const Plane *p, const Plane *q, const double *probability) {
    static real at[2 * TOY_SIDE * TOY_SIDE];
    double step = 2 * toy_reach / (TOY_SIDE - 1), sum = 0;
    toy_grid(at);
    for (int i = 0; i < TOY_SIDE * TOY_SIDE; i++) {
        double x = (double)at[2 * i], y = (double)at[2 * i + 1];
        double a = p->density(x, y), b = q->density(x, y);
        double d = probability ? probability[i] : a / (a + b);
        double not_d = probability ? 1 - d : b / (a + b);
        sum += times_log(a, d) + times_log(b, not_d);
    }
    return sum * step * step;
}

double distance_to_optimum(const Plane *p, const Plane *q, const double *probability) {
    static real at[2 * TOY_SIDE * TOY_SIDE];
    double step = 2 * toy_reach / (TOY_SIDE - 1), sum = 0;
    toy_grid(at);
    for (int i = 0; i < TOY_SIDE * TOY_SIDE; i++) {
        double x = (double)at[2 * i], y = (double)at[2 * i + 1];
        double mixture = (p->density(x, y) + q->density(x, y)) / 2;
        if (mixture > 0)
            sum += mixture * fabs(probability[i] - optimal_discriminator(p, q, x, y));
    }
    return sum * step * step;
}

/* ---- networks -------------------------------------------------------------------------------- */

Perceptron perceptron_new(Params *params, const char *name, int in, int out) {
    enum { UNITS = 64 };
    Perceptron n = {0};
    n.l[0] = linear_new(scope(params, "%s.0", name), in, UNITS, true);
    n.l[1] = linear_new(scope(params, "%s.1", name), UNITS, UNITS, true);
    n.l[2] = linear_new(scope(params, "%s.2", name), UNITS, out, true);
    return n;
}

static Tensor *layer(const Perceptron *n, int i, Tensor *x) {
    const Linear *l = &n->l[i];
    if (!n->spectral[i].w) return linear(l, x);
    return t_linear(x, spectral_norm(&n->spectral[i], x->tape, !x->tape->no_grad),
                    t_use(x->tape, l->b));
}

static Tensor *activation(const Perceptron *n, Tensor *x) {
    return n->leak > 0 ? t_leaky_relu(x, n->leak) : t_silu(x);
}

Tensor *perceptron(const Perceptron *n, Tensor *x) {
    Tensor *h = activation(n, layer(n, 0, x));
    h = activation(n, layer(n, 1, h));
    return layer(n, 2, h);
}

void player_start(Player *p, const char *name, int in, int out, uint64_t seed) {
    *p = (Player){.params = {.seed = seed}, .adam = {.beta1 = 0.5, .beta2 = 0.999, .eps = 1e-8},
                  .rng = rng_new(seed, name)};
    p->net = perceptron_new(&p->params, name, in, out);
}

void player_spectral(Player *p, const char *name) {
    for (int i = 0; i < 3; i++)
        p->net.spectral[i] = spectral_norm_new(scope(&p->params, "%s.%d", name, i), p->net.l[i].w);
}

void player_free(Player *p) {
    adam_free(&p->adam);
    params_free(&p->params);
    tape_free(&p->tape);
}

static void descend(Player *p, Tensor *loss, double lr) {
    params_zero_grad(&p->params);
    backward(loss);
    adam_step(&p->adam, &p->params, lr, 1);
}

static Tensor *points_of(Tape *t, const Plane *plane, int n, Rng *rng) {
    Tensor *x = t_input(t, NULL, SHAPE(n, 2));
    plane->draw(n, rng, x->x);
    return x;
}

void fit_discriminator(Player *d, const Plane *p, const Plane *q, int batch, double lr) {
    tape_reset(&d->tape);
    Tensor *real_points = points_of(&d->tape, p, batch, &d->rng);
    Tensor *made = points_of(&d->tape, q, batch, &d->rng);
    Tensor *on_real = perceptron(&d->net, real_points), *on_fake = perceptron(&d->net, made);
    descend(d, discriminator_loss(MINIMAX, on_real, on_fake), lr);
}

/* mean length of the rows of dL/dx, for a loss that is a mean over n */
static double mean_slope(const Perceptron *d, Loss loss, int n, const real *points) {
    Tape t = {0};
    Tensor *x = t_variable(&t, points, SHAPE(n, 2));
    backward(generator_loss(loss, perceptron(d, x)));
    double sum = 0;
    for (int i = 0; i < n; i++) sum += hypot((double)x->g[2 * i], (double)x->g[2 * i + 1]);
    tape_free(&t);
    return sum;
}

Slopes slopes(const Player *d, const Plane *q, int n, Rng *rng) {
    Tape t = {.no_grad = true};
    Tensor *x = points_of(&t, q, n, rng);
    Slopes s = {.minimax = mean_slope(&d->net, MINIMAX, n, x->x),
                .non_saturating = mean_slope(&d->net, NON_SATURATING, n, x->x),
                .probability = mean_probability(perceptron(&d->net, x))};
    tape_free(&t);
    return s;
}

static Tensor *toy_noise(Tape *t, int n, Rng *rng) {
    Tensor *z = t_input(t, NULL, SHAPE(n, TOY_CODE));
    rng_normal(rng, z->len, z->x);
    return z;
}

void toy_gan_step(Player *g, Player *d, const Plane *p, Loss loss, int batch, double lr) {
    tape_reset(&d->tape);
    Tensor *real_points = points_of(&d->tape, p, batch, &d->rng);
    Tensor *made = perceptron(&g->net, toy_noise(&d->tape, batch, &g->rng));
    Tensor *on_real = perceptron(&d->net, real_points);
    Tensor *on_fake = perceptron(&d->net, t_detach(made));
    descend(d, discriminator_loss(loss, on_real, on_fake), lr);

    params_freeze(&d->params, true);
    descend(g, generator_loss(loss, perceptron(&d->net, made)), lr);
    params_freeze(&d->params, false);
}

void toy_samples(Player *g, int n, real *points) {
    Tape t = {.no_grad = true};
    Tensor *x = perceptron(&g->net, toy_noise(&t, n, &g->rng));
    k_axpy(x->len, 1, x->x, points, false);
    tape_free(&t);
}
