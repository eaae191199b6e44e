#include "first_stage_loss.h"

#include <math.h>
#include <string.h>

/* ---- perceptual distance --------------------------------------------------------------------- */

/* each pixel's features of length 1 */
static Tensor *unit_length(Tensor *h) {
    Tensor *length = t_sqrt(t_add_scalar(t_sum_axis(t_square(h), -1), 1e-10));
    return t_div(h, length);
}

/* convolution, rectifier; and what goes on to the next one */
static Tensor *feature_layer(const Classifier *c, int i, Tensor **x) {
    Tensor *h = t_relu(conv2d(&c->conv[i], *x));
    *x = t_max_pool2(h);
    return h;
}

Tensor *perceptual_distance(const Classifier *c, Tensor *x, Tensor *y) {
    Tensor *sum = NULL;
    x = t_add_scalar(t_scale(x, 0.5), 0.5), y = t_add_scalar(t_scale(y, 0.5), 0.5);
    for (int i = 0; i < CLASSIFIER_LAYERS && c->config.filters[i]; i++) {
        Tensor *a = unit_length(feature_layer(c, i, &x)), *b = unit_length(feature_layer(c, i, &y));
        Tensor *d = t_scale(t_mse(a, b), c->config.filters[i]);    /* a sum over channels */
        sum = sum ? t_add(sum, d) : d;
    }
    return sum;
}

/* ---- the latents' term ----------------------------------------------------------------------- */

static double perplexity_of(Arena *arena, const Quantised *q, int codes) {
    int *times = arena_get(arena, (size_t)codes * sizeof *times);
    memset(times, 0, (size_t)codes * sizeof *times);
    codebook_count(q->n, q->index, times);
    return codebook_perplexity(codes, times);
}

/* z as the decoder is given it, and the term: as L_rec, of a picture of so many numbers; the
 * codebook's loss is a mean over them, as the errors are */
static Tensor *bottleneck(const FirstStage *f, const FirstStageLoss *l, Tensor *moments, Rng *noise,
                          double numbers, FirstStagePass *pass, Tensor **term) {
    if (f->config.codes) {
        Quantised q = quantise(&f->codebook, moments);
        Tensor *loss = t_add(t_scale(q.commitment_loss, l->commitment), q.codebook_loss);
        pass->perplexity = perplexity_of(&moments->tape->arena, &q, f->config.codes);
        pass->latent = (double)loss->x[0];
        *term = t_scale(loss, numbers);
        return q.codes;
    }
    Posterior q = posterior(moments);
    Tensor *eps = t_input(moments->tape, NULL, q.mean->rank, q.mean->shape);
    rng_normal(noise, eps->len, eps->x);
    Tensor *kl = t_mean(posterior_kl(q));
    pass->latent = (double)kl->x[0];
    *term = t_scale(kl, l->kl);
    return posterior_sample(q, eps);
}

/* ---- gradients by the reconstruction --------------------------------------------------------- */

/* L_rec of a copy of the reconstruction, whose gradient is then there */
static Tensor *reconstruction_term(const FirstStageLoss *l, Tensor *x, const Tensor *y,
                                   FirstStagePass *pass) {
    Tensor *copy = t_variable(x->tape, y->x, y->rank, y->shape), *loss = t_l1(copy, x);
    double numbers = (double)(y->len / (size_t)y->shape[0]);
    pass->l1 = (double)loss->x[0];
    if (l->features && l->perceptual > 0) {
        Tensor *p = perceptual_distance(l->features, x, copy);
        pass->perceptual = (double)p->x[0];
        loss = t_add(loss, t_scale(p, l->perceptual));
    }
    backward(t_scale(loss, numbers));
    return copy;
}

static Tensor *adversarial_term(const FirstStageLoss *l, const Tensor *y, FirstStagePass *pass) {
    Tensor *copy = t_variable(y->tape, y->x, y->rank, y->shape);
    params_freeze(l->discriminator_params, true);
    Tensor *loss = t_scale(t_mean(patchgan(l->discriminator, copy, true)), -1);
    pass->adversarial = (double)loss->x[0];
    backward(loss);
    params_freeze(l->discriminator_params, false);
    return copy;
}

/* length of the gradient by the last layer's weights, if its output has this one */
static double last_layer_norm(const Conv2d *last, const Tensor *features, const real *grad) {
    Tape *t = features->tape;
    Tensor *y = conv2d(last, t_input(t, features->x, features->rank, features->shape));
    last->w->has_grad = last->b->has_grad = false;       /* this gradient is alone there, */
    backward(t_sum(t_mul(y, t_input(t, grad, y->rank, y->shape))));
    last->w->has_grad = last->b->has_grad = false;       /* and is not trained with */
    return sqrt(k_sum_squares(last->w->len, last->w->g));
}

double adaptive_weight(const Conv2d *last, const Tensor *features, const real *rec_grad,
                       const real *adv_grad, double weight) {
    const double most = 1e4;
    double rec = last_layer_norm(last, features, rec_grad);
    double adv = last_layer_norm(last, features, adv_grad);
    return weight * fmin(rec / (adv + 1e-4), most);
}

/* ---- the pass -------------------------------------------------------------------------------- */

FirstStagePass first_stage_pass(const FirstStage *f, const FirstStageLoss *l, Tensor *x,
                                Rng *noise) {
    FirstStagePass pass = {0};
    double numbers = (double)(x->len / (size_t)x->shape[0]);
    Tensor *term, *z = bottleneck(f, l, encode(f, x), noise, numbers, &pass, &term);
    Tensor *features = decoder_features(f, z), *y = conv2d(&f->decoder.out, features);
    t_keep(features), t_keep(y);                     /* both are read below */
    const Tensor *by_rec = reconstruction_term(l, x, y, &pass);
    Tensor *grad = t_input(x->tape, by_rec->g, y->rank, y->shape);
    if (l->discriminator) {
        const Tensor *by_adv = adversarial_term(l, y, &pass);
        pass.lambda = adaptive_weight(&f->decoder.out, features, by_rec->g, by_adv->g, l->weight);
        k_axpy(grad->len, (real)pass.lambda, by_adv->g, grad->x, true);
    }
    pass.reconstruction = t_input(x->tape, y->x, y->rank, y->shape);
    pass.loss = t_add(t_sum(t_mul(y, grad)), term);
    return pass;
}
