#include "dae.h"

#include <math.h>
#include <string.h>

/* ---- corruption ------------------------------------------------------------------------------ */

CorruptionKind corruption_named(const char *name) {
    if (!strcmp(name, "masking")) return MASKING;
    if (!strcmp(name, "salt-pepper")) return SALT_PEPPER;
    if (!strcmp(name, "gaussian")) return GAUSSIAN;
    return CORRUPT_NONE;
}

/* u < v chooses a pixel; of the chosen ones those with u < v/2 become pepper */
static real corrupt_one(CorruptionKind kind, real level, real x, real u, bool *chosen) {
    if (kind == GAUSSIAN) {
        *chosen = true;
        return x + level * u;
    }
    *chosen = u < level;
    if (!*chosen) return x;
    return kind == MASKING || u < level / 2 ? 0 : 1;
}

void corrupt(Corruption c, size_t n, const real *x, Rng *rng, real *corrupted, real *chosen) {
    enum { AT_ONCE = 1024 };
    real random[AT_ONCE];
    if (c.kind == CORRUPT_NONE) {
        memmove(corrupted, x, n * sizeof *x);
        if (chosen) k_fill(n, 0, chosen);
        return;
    }
    for (size_t first = 0; first < n; first += AT_ONCE) {
        size_t m = n - first < AT_ONCE ? n - first : AT_ONCE;
        if (c.kind == GAUSSIAN) rng_normal(rng, m, random);
        else rng_uniform(rng, m, random);
        for (size_t i = 0; i < m; i++) {
            bool is_chosen;
            corrupted[first + i] = corrupt_one(c.kind, (real)c.level, x[first + i], random[i],
                                               &is_chosen);
            if (chosen) chosen[first + i] = is_chosen;
        }
    }
}

/* ---- networks -------------------------------------------------------------------------------- */

DaeArchitecture dae_named(const char *config) {
    return !strcmp(config, "vincent2008") ? VINCENT_2008 : DAE_CONVOLUTIONAL;
}

/* 784-500-784 with tied weights; the start is that of the authors' program, dA.py: four times
 * Glorot & Bengio's bound, because a logistic unit has slope 1/4 at 0 */
static void vincent2008_new(Dae *d, Scope s) {
    enum { UNITS = 500 };
    double bound = 4 * sqrt(6.0 / (PIXELS + UNITS));
    d->code = UNITS;
    d->w = param(s, "w", INIT_UNIFORM, bound, SHAPE(PIXELS, UNITS));
    d->b = param(s, "b", INIT_CONSTANT, 0, SHAPE(UNITS));
    d->b_out = param(s, "b_prime", INIT_CONSTANT, 0, SHAPE(PIXELS));
}

/* 28x28x1 -> 14x14x32 -> 7x7x64 -> 7x7x32 and back. The code has twice as many numbers as the
 * image: only the corruption keeps this network from copying. */
static void convolutional_new(Dae *d, Scope s) {
    enum { C0 = 16, C1 = 32, C2 = 64, CODE = 32 };
    d->code = 7 * 7 * CODE;
    d->down[0] = conv2d_new(sub(s, "encoder.down.0"), 1, C1, 4, 2, 1, true);
    d->down[1] = conv2d_new(sub(s, "encoder.down.1"), C1, C2, 4, 2, 1, true);
    d->to_code = conv2d_new(sub(s, "encoder.code"), C2, CODE, 3, 1, 1, true);
    d->from_code = conv2d_new(sub(s, "decoder.code"), CODE, C2, 3, 1, 1, true);
    d->up[0] = conv_transpose2d_new(sub(s, "decoder.up.0"), C2, C1, 4, 2, 1, true);
    d->up[1] = conv_transpose2d_new(sub(s, "decoder.up.1"), C1, C0, 4, 2, 1, true);
    d->out = conv2d_new(sub(s, "decoder.out"), C0, 1, 3, 1, 1, true);
}

Dae dae_new(Params *p, DaeArchitecture architecture) {
    Dae d = {.architecture = architecture};
    Scope s = scope(p, "%s", "");
    if (architecture == VINCENT_2008) vincent2008_new(&d, s);
    else convolutional_new(&d, s);
    return d;
}

Tensor *dae_encode(const Dae *d, Tensor *x) {
    if (d->architecture == VINCENT_2008)
        return t_sigmoid(t_linear(t_reshape(x, SHAPE(-1, PIXELS)), d->w, d->b));
    Tensor *h = t_silu(conv2d(&d->down[0], x));                /* (B,14,14,32) */
    h = t_silu(conv2d(&d->down[1], h));                        /* (B,7,7,64) */
    h = t_silu(conv2d(&d->to_code, h));                        /* (B,7,7,32) */
    return t_reshape(h, SHAPE(-1, d->code));
}

/* h W^T + b': the same W as the encoder's, so both uses add to its gradient */
static Tensor *tied_logits(const Dae *d, Tensor *h) {
    Tensor *w = t_use(h->tape, d->w);
    Tensor *z = t_matmul(t_reshape(h, SHAPE(1, -1, d->code)),
                         t_reshape(w, SHAPE(1, PIXELS, d->code)), true);
    return t_reshape(t_add(z, d->b_out), SHAPE(-1, IMAGE, IMAGE, 1));
}

Tensor *dae_decode_logits(const Dae *d, Tensor *h) {
    if (d->architecture == VINCENT_2008) return tied_logits(d, h);
    h = t_silu(conv2d(&d->from_code, t_reshape(h, SHAPE(-1, 7, 7, d->code / 49))));
    h = t_silu(conv_transpose2d(&d->up[0], h));                /* (B,14,14,32) */
    h = t_silu(conv_transpose2d(&d->up[1], h));                /* (B,28,28,16) */
    return conv2d(&d->out, h);
}

Tensor *dae_reconstruct(const Dae *d, Tensor *x) {
    return t_sigmoid(dae_decode_logits(d, dae_encode(d, x)));
}

/* ---- loss ------------------------------------------------------------------------------------ */

Tensor *reconstruction_loss(Tensor *logits, Tensor *clean, const real *chosen, double alpha,
                            double beta) {
    if (alpha == 1 && beta == 1)
        return t_scale(t_bce_logits(logits, clean), PIXELS);
    Tensor *weight = t_input(logits->tape, chosen, logits->rank, logits->shape);
    for (size_t i = 0; i < weight->len; i++)
        weight->x[i] = (real)(weight->x[i] != 0 ? alpha : beta);
    /* -x log s(a) - (1-x) log(1 - s(a)) = softplus(a) - x a */
    Tensor *nats = t_sub(t_softplus(logits), t_mul(clean, logits));
    return t_scale(t_sum(t_mul(weight, nats)), 1.0 / logits->shape[0]);
}

Tensor *denoising_loss(const Dae *d, Corruption c, Tensor *clean, double alpha, double beta,
                       Rng *rng) {
    Tensor *corrupted = t_input(clean->tape, NULL, clean->rank, clean->shape);
    Tensor *chosen = t_input(clean->tape, NULL, clean->rank, clean->shape);
    corrupt(c, clean->len, clean->x, rng, corrupted->x, chosen->x);
    Tensor *logits = dae_decode_logits(d, dae_encode(d, corrupted));
    return reconstruction_loss(logits, clean, chosen->x, alpha, beta);
}

/* ---- many images ----------------------------------------------------------------------------- */

/* f over n images: each gives `size` numbers */
static void for_all(const Dae *d, Tensor *(*f)(const Dae *d, Tensor *x), int n, const real *x,
                    size_t size, real *y) {
    enum { AT_ONCE = 256 };
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        tape_reset(&t);
        Tensor *images = t_input(&t, x + (size_t)i * PIXELS,
                                 SHAPE(m, IMAGE, IMAGE, 1));
        memcpy(y + (size_t)i * size, f(d, images)->x, (size_t)m * size * sizeof *y);
    }
    tape_free(&t);
}

void dae_encode_all(const Dae *d, int n, const real *x, real *codes) {
    for_all(d, dae_encode, n, x, (size_t)d->code, codes);
}

void dae_reconstruct_all(const Dae *d, int n, const real *x, real *r) {
    for_all(d, dae_reconstruct, n, x, PIXELS, r);
}

double squared_error_per_image(int n, const real *a, const real *b) {
    return k_sum_squared_difference((size_t)n * PIXELS, a, b) / n;
}

void corrupt_all(Corruption c, int n, const real *x, uint64_t seed, const char *purpose, real *y) {
    Rng rng = rng_new(seed, purpose);
    corrupt(c, (size_t)n * PIXELS, x, &rng, y, NULL);
}

double denoising_error(const Dae *d, Corruption c, int n, const real *x, uint64_t seed) {
    Arena arena = {0};
    real *r = arena_get(&arena, (size_t)n * PIXELS * sizeof *r);
    corrupt_all(c, n, x, seed, "measure", r);
    dae_reconstruct_all(d, n, r, r);
    double error = squared_error_per_image(n, r, x);
    arena_free(&arena);
    return error;
}

void dae_chain_step(const Dae *d, Corruption c, double spread, int n, real *x, real *r, Rng *rng) {
    size_t len = (size_t)n * PIXELS;
    corrupt(c, len, x, rng, x, NULL);
    dae_reconstruct_all(d, n, x, x);
    if (r) memcpy(r, x, len * sizeof *x);
    corrupt((Corruption){GAUSSIAN, spread}, len, x, rng, x, NULL);
}
