#include "image_guide.h"

Tensor *gram_matrices(Tensor *features) {
    int B = features->shape[0], C = features->shape[3];
    Tensor *f = t_reshape(features, SHAPE(B, -1, C));
    Tensor *gram = t_matmul(t_permute(f, 3, (int[]){0, 2, 1}), f, false);
    return t_scale(gram, (double)B / (double)features->len);
}

/* minus the mean square of each picture's a - b: (B,1) */
static Tensor *minus_difference(Tensor *a, Tensor *b) {
    Tensor *square = t_reshape(t_square(t_sub(a, b)), SHAPE(a->shape[0], -1));
    return t_scale(t_mean_axis(square, 1), -1);
}

/* minus the length of each picture's a - b over that of b: (B,1). Squared, its gradient would grow with
 * the difference, and a strong guide would lead astray. */
static Tensor *minus_relative_difference(Tensor *a, Tensor *b) {
    int B = a->shape[0];
    Tensor *difference = t_reshape(t_square(t_sub(a, b)), SHAPE(B, -1));
    Tensor *square = t_reshape(t_square(b), SHAPE(B, -1));
    Tensor *ratio = t_div(t_sum_axis(difference, 1), t_sum_axis(square, 1));
    return t_scale(t_sqrt(t_add_scalar(ratio, 1e-12)), -1);
}

/* rows of a times rows of b, over the product of their lengths: (B,C), (B,C) -> (B,1) */
static Tensor *cosine(Tensor *a, Tensor *b) {
    Tensor *lengths = t_mul(t_sum_axis(t_square(a), 1), t_sum_axis(t_square(b), 1));
    return t_div(t_sum_axis(t_mul(a, b), 1), t_sqrt(t_add_scalar(lengths, 1e-12)));
}

/* what the encoder makes of x, normalised, averaged over its pixels: (B,C); and of each level */
static Tensor *features_of(const NoisyClassifier *c, Tensor *x, const double *time,
                           Tensor **level) {
    int B = x->shape[0];
    Tensor *emb = time_embedding(&c->time, x->tape, time, B);
    Tensor *h = group_norm_silu(&c->net.norm_out,
                                unet_encoder_levels(&c->net.encoder, x, emb, level));
    Tensor *pixels = t_reshape(h, SHAPE(B, -1, h->shape[3]));
    return t_reshape(t_mean_axis(pixels, 1), SHAPE(B, h->shape[3]));
}

Tensor *likeness(const NoisyClassifier *net, Likeness what, Tensor *x, Tensor *reference,
                 const double *time) {
    Tensor *level[UNET_LEVELS], *level_of_reference[UNET_LEVELS];
    if (what == LIKE_PIXELS)
        return minus_difference(t_avg_pool2(t_avg_pool2(x)), t_avg_pool2(t_avg_pool2(reference)));
    Tensor *f = features_of(net, x, time, level);
    Tensor *g = features_of(net, reference, time, level_of_reference);
    if (what == LIKE_FEATURES) return cosine(f, g);
    Tensor *sum = NULL;
    for (int l = 0; l < net->net.encoder.config.levels; l++) {
        Tensor *term = minus_relative_difference(gram_matrices(level[l]),
                                                 gram_matrices(level_of_reference[l]));
        sum = sum ? t_add(sum, term) : term;
    }
    return sum;
}

static Tensor *likeness_at(const Guide *self, const Step *at, Tensor *xt) {
    enum { REFERENCE_NOISE = 1 << 15 };     /* keys of sampling_noise that no step has */
    const ImageGuide *g = (const ImageGuide *)self;
    size_t size = step_size(at);
    Tensor *reference = t_input(xt->tape, NULL, xt->rank, xt->shape);
    real *eps = arena_get(&at->tape->arena, size * sizeof *eps);
    for (int i = 0; i < at->n; i++) {
        int number = at->first + i;
        sampling_noise(g->seed, number, REFERENCE_NOISE + at->schedule->step[at->t], size, eps);
        q_sample(at->schedule, at->t, size, g->reference + (size_t)number * size, eps,
                 reference->x + (size_t)i * size);
    }
    return likeness(g->net, g->what, xt, reference, step_times(at));
}

ImageGuide image_guide(const NoisyClassifier *net, Likeness what, const real *reference,
                       uint64_t seed, Tape *tape) {
    return (ImageGuide){{likeness_at, tape}, net, what, reference, seed};
}
