/* nets_vae.c — the variational autoencoder of pytorch/examples: 784-400-20-400-784, 652,824
 * parameters, Adam 1e-3, binary cross-entropy summed over pixels plus KL. */
#include "nets.h"

enum { PIXELS = 784, HIDDEN = 400, LATENT = 20 };

typedef struct {
    Linear fc1, fc21, fc22, fc3, fc4;
    const real *images, *eps;
} Vae;

static void build(Training *t) {
    Vae *v = net_alloc(t, sizeof *v);
    Params *p = &t->params[0];
    v->fc1 = linear_new(scope(p, "fc1"), PIXELS, HIDDEN, true);
    v->fc21 = linear_new(scope(p, "fc21"), HIDDEN, LATENT, true);
    v->fc22 = linear_new(scope(p, "fc22"), HIDDEN, LATENT, true);
    v->fc3 = linear_new(scope(p, "fc3"), LATENT, HIDDEN, true);
    v->fc4 = linear_new(scope(p, "fc4"), HIDDEN, PIXELS, true);
    v->images = input_uniform(t, "images", 0, 1, SHAPE(t->batch, PIXELS));
    v->eps = input_normal(t, "eps", SHAPE(t->batch, LATENT));
}

/* KL(N(mu, s^2) || N(0,1)) = 1/2 sum(mu^2 + s^2 - 1 - log s^2), over codes and batch */
static Tensor *kl_divergence(Tensor *mu, Tensor *logvar) {
    Tensor *terms = t_sub(t_add(t_square(mu), t_exp(logvar)), t_add_scalar(logvar, 1));
    return t_scale(t_sum(terms), 0.5);
}

static double step(Training *t) {
    const Vae *v = t->net;
    Tensor *x = t_input(&t->tape, v->images, SHAPE(t->batch, PIXELS));
    Tensor *eps = t_input(&t->tape, v->eps, SHAPE(t->batch, LATENT));
    Tensor *h = t_relu(linear(&v->fc1, x));
    Tensor *mu = linear(&v->fc21, h), *logvar = linear(&v->fc22, h);
    Tensor *z = t_add(mu, t_mul(eps, t_exp(t_scale(logvar, 0.5))));
    Tensor *logits = linear(&v->fc4, t_relu(linear(&v->fc3, z)));
    Tensor *reconstruction = t_scale(t_bce_logits(logits, x), (double)x->len);
    return descend(t, 0, t_add(reconstruction, kl_divergence(mu, logvar)), 1e-3);
}

const NetKind net_vae = {"vae", "VAE 784-400-20", 128, false, build, step};
