#include "gan.h"

#include <math.h>
#include <string.h>

/* ---- the games ------------------------------------------------------------------------------- */

Loss loss_named(const char *name) {
    if (!strcmp(name, "minimax")) return MINIMAX;
    return !strcmp(name, "hinge") ? HINGE : NON_SATURATING;
}

/* mean of -log D(x) for logits l: D = sigmoid(l), so -log D = softplus(-l), finite for every l */
static Tensor *neg_log_d(Tensor *logits) {
    return t_mean(t_softplus(t_scale(logits, -1)));
}

/* mean of -log(1 - D(x)) = softplus(l) */
static Tensor *neg_log_not_d(Tensor *logits) {
    return t_mean(t_softplus(logits));
}

/* mean of max(0, 1 - side * l), for side 1 or -1: 0 beyond the margin of 1 */
static Tensor *margin(Tensor *logits, int side) {
    return t_mean(t_relu(t_add_scalar(t_scale(logits, -side), 1)));
}

Tensor *discriminator_loss(Loss loss, Tensor *on_real, Tensor *on_fake) {
    if (loss == HINGE) return t_add(margin(on_real, 1), margin(on_fake, -1));
    return t_add(neg_log_d(on_real), neg_log_not_d(on_fake));
}

Tensor *generator_loss(Loss loss, Tensor *on_fake) {
    switch (loss) {
    case MINIMAX: return t_scale(neg_log_not_d(on_fake), -1);    /* E log(1 - D(G(z))), minimised */
    case HINGE: return t_scale(t_mean(on_fake), -1);
    default: return neg_log_d(on_fake);
    }
}

double mean_probability(const Tensor *logits) {
    double sum = 0;
    for (size_t i = 0; i < logits->len; i++) sum += 1 / (1 + exp(-(double)logits->x[i]));
    return sum / (double)logits->len;
}

/* ---- R1 -------------------------------------------------------------------------------------- */

/* x + h v, v ~ N(0,I) */
static Tensor *perturbed(Tensor *x, double h, Rng *rng) {
    Tensor *v = t_input(x->tape, NULL, x->rank, x->shape);
    rng_normal(rng, v->len, v->x);
    return t_add(x, t_scale(v, h));
}

Tensor *r1_penalty(const Discriminator *d, Tensor *x, Tensor *y, double h, Rng *rng) {
    Tensor *at_x = discriminator(d, x, y, false);
    Tensor *nearby = discriminator(d, perturbed(x, h, rng), y, false);
    return t_mean(t_square(t_scale(t_sub(nearby, at_x), 1 / h)));
}

/* ---- noise ----------------------------------------------------------------------------------- */

/* half the width of the uniform distribution z is drawn from; 0: z is normal */
static double uniform_bound(const Design *d) {
    switch (d->architecture) {
    case GOODFELLOW: return sqrt(3);      /* variance 1 */
    case DCGAN28: return 1;
    default: return 0;
    }
}

void draw_noise(const Design *d, int n, Rng *rng, real *z) {
    size_t len = (size_t)n * (size_t)d->code;
    double bound = uniform_bound(d);
    if (bound == 0) {
        rng_normal(rng, len, z);
        return;
    }
    rng_uniform(rng, len, z);
    k_affine(len, z, (real)(2 * bound), (real)-bound, z);
}

Tensor *noise_tensor(Tape *t, const Design *d, int n, Rng *rng) {
    Tensor *z = t_input(t, NULL, SHAPE(n, d->code));
    draw_noise(d, n, rng, z->x);
    return z;
}

/* angle between a and b */
static double angle(int n, const real *a, const real *b) {
    double ab = 0;
    for (int j = 0; j < n; j++) ab += (double)a[j] * (double)b[j];
    double norms = sqrt(k_sum_squares((size_t)n, a) * k_sum_squares((size_t)n, b));
    return acos(fmin(1, fmax(-1, ab / norms)));
}

/* Shoemake 1985: normal noise of many dimensions lies near a sphere of radius sqrt(code). The
 * middle of a straight line lies inside it, at radius sqrt(code/2), where noise of training almost
 * never lies. */
void interpolate_noise(const Design *d, const real *a, const real *b, int steps, real *z) {
    int n = d->code;
    double w = uniform_bound(d) == 0 ? angle(n, a, b) : 0;
    for (int k = 0; k < steps; k++) {
        double t = steps > 1 ? (double)k / (steps - 1) : 0, from = 1 - t, to = t;
        if (sin(w) > 1e-6) from = sin((1 - t) * w) / sin(w), to = sin(t * w) / sin(w);
        for (int j = 0; j < n; j++)
            z[k * n + j] = (real)(from * (double)a[j] + to * (double)b[j]);
    }
}

/* ---- images ---------------------------------------------------------------------------------- */

/* which pixel of the 28x28 image stands at (r,c) of the scaled one; -1: the frame */
static int source_pixel(const Design *d, int r, int c) {
    int enlarge = d->side / IMAGE, frame = (d->side - enlarge * IMAGE) / 2;
    r -= frame, c -= frame;
    if (r < 0 || c < 0 || r >= enlarge * IMAGE || c >= enlarge * IMAGE) return -1;
    return r / enlarge * IMAGE + c / enlarge;
}

void scale_images(const Design *d, int n, const real *images, real *scaled) {
    for (int i = 0; i < n; i++)
        for (int r = 0; r < d->side; r++)
            for (int c = 0; c < d->side; c++) {
                int at = source_pixel(d, r, c);
                double grey = at < 0 ? 0 : (double)images[i * PIXELS + at];
                for (int k = 0; k < d->channels; k++)
                    *scaled++ = (real)(d->low + (1 - d->low) * grey);
            }
}

void unscale_images(const Design *d, int n, const real *scaled, real *images) {
    int enlarge = d->side / IMAGE, share = enlarge * enlarge * d->channels;
    k_fill((size_t)n * PIXELS, 0, images);
    for (int i = 0; i < n; i++)
        for (int r = 0; r < d->side; r++)
            for (int c = 0; c < d->side; c++) {
                int at = source_pixel(d, r, c);
                for (int k = 0; k < d->channels; k++) {
                    double grey = ((double)*scaled++ - d->low) / (1 - d->low);
                    if (at >= 0) images[i * PIXELS + at] += (real)(grey / share);
                }
            }
}

/* ---- a trained generator --------------------------------------------------------------------- */

void standing_statistics(const Generator *g, int batches, int B, uint64_t seed) {
    const Design *d = &g->design;
    Generator standing = *g;
    Rng rng = rng_new(seed, "standing statistics");
    Tape t = {.no_grad = true};
    for (int k = 0; k < batches && g->norms; k++) {
        /* 1, 1/2, 1/3, ...: running means become the mean over all batches so far */
        for (int i = 0; i < g->norms; i++) standing.norm[i].momentum = 1.0 / (k + 1);
        tape_reset(&t);
        Tensor *z = noise_tensor(&t, d, B, &rng);
        Tensor *y = d->classes ? t_input(&t, NULL, SHAPE(B, d->classes)) : NULL;
        for (int i = 0; y && i < B * d->classes; i++)
            y->x[i] = i % d->classes == (k * B + i / d->classes) % d->classes;
        generator(&standing, z, y, true);
    }
    tape_free(&t);
}

enum { AT_ONCE = 250 };

void generate_scaled(const Generator *g, int n, const real *z, const int *labels, real *images) {
    const Design *d = &g->design;
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        tape_reset(&t);
        Tensor *noise = t_input(&t, z + (size_t)i * (size_t)d->code, SHAPE(m, d->code));
        Tensor *y = d->classes ? one_hot(&t, m, labels + i, d->classes) : NULL;
        Tensor *x = generator(g, noise, y, false);
        memcpy(images, x->x, x->len * sizeof *images);
        images += x->len;
    }
    tape_free(&t);
}

void generate(const Generator *g, int n, const real *z, const int *labels, real *images) {
    const Design *d = &g->design;
    Arena arena = {0};
    size_t scaled = (size_t)(d->side * d->side * d->channels);
    real *x = arena_get(&arena, AT_ONCE * scaled * sizeof *x);
    for (int i = 0; i < n; i += AT_ONCE) {
        int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        generate_scaled(g, m, z + (size_t)i * (size_t)d->code, labels ? labels + i : NULL, x);
        unscale_images(d, m, x, images + (size_t)i * PIXELS);
    }
    arena_free(&arena);
}
