#include "dalle2.h"

#include "diffusion/drawing.h"
#include "diffusion/guidance.h"

#include <string.h>

/* ---- training -------------------------------------------------------------------------------- */

static const Parameterization decoder_predicts = {PREDICT_VELOCITY, LEARNED_RANGE};
static const Parameterization upsampler_predicts = {PREDICT_VELOCITY, FIXED_SMALL};

NoiseSchedule decoder_schedule(void) { return schedule_cosine(1000); }

/* (B,D) as B images of one pixel */
static Tensor *pixels(Tensor *z) {
    return t_reshape(z, SHAPE(z->shape[0], 1, 1, z->shape[1]));
}

static Tensor *rows(Tensor *x) {
    return t_reshape(x, SHAPE(x->shape[0], x->shape[3]));
}

Tensor *prior_loss(const Prior *m, const NoiseSchedule *s, Tensor *z, CaptionFeatures text,
                   const int *t, Rng *noise) {
    NoisyImages b = noisy_images(s, pixels(z), t, noise);
    return t_mse(prior_output(m, rows(b.xt), b.time, text), z);
}

Tensor *ar_prior_loss(const ArPrior *m, CaptionFeatures text, const int *dot, const int *code) {
    return t_scale(t_cross_entropy(ar_prior_logits(m, text, dot, code), code), m->config.codes);
}

Losses decoder_losses(const Decoder *m, const NoiseSchedule *s, Tensor *x0, Tensor *z,
                      CaptionFeatures text, const int *t, Rng *noise) {
    NoisyImages b = noisy_images(s, x0, t, noise);
    Tensor *output = decoder_output(m, b.xt, b.time, z, text);
    return training_losses(&b, HYBRID, decoder_predicts, output);
}

Losses upsampler_losses(const Upsampler *m, const NoiseSchedule *s, Crops c, const int *t,
                        Rng *noise) {
    NoisyImages b = noisy_images(s, c.x0, t, noise);
    Tensor *output = upsampler_output(m, b.xt, b.time, c.low);
    return training_losses(&b, SIMPLE, upsampler_predicts, output);
}

/* ---- caption -> z ---------------------------------------------------------------------------- */

static Tensor *prior_output_at(const void *network, const Step *at, Tensor *zt) {
    const GuidedPrior *g = network;
    GuidedBatch b = guided_batch(at, g->scale);
    int *caption = arena_get(&at->tape->arena, (size_t)b.n * sizeof *caption);
    for (int i = 0; i < b.n; i++) caption[i] = b.number[i] < 0 ? -1 : b.number[i] / g->each;
    CaptionFeatures text = caption_rows(g->text, at->tape, b.n, caption);
    Tensor *z = prior_output(g->net, rows(guided_xt(&b, zt)), b.time, text);
    return t_clamp(guided(&b, pixels(z)), -10, 10);
}

NetworkDenoiser guided_prior(const GuidedPrior *g) {
    return network_denoiser(prior_output_at, g, (Parameterization){PREDICT_X0, FIXED_SMALL});
}

enum { CANDIDATES = 2, AT_ONCE = 64 };

void draw_embeddings(const EmbeddingDrawing *d, real *z) {
    const CaptionTable *text = d->prior.text;
    int n = text->n, D = text->dim, all = n * CANDIDATES;
    GuidedPrior g = d->prior;
    g.each = CANDIDATES;
    NetworkDenoiser network = guided_prior(&g);
    Sampler m = {.denoiser = &network.denoiser, .schedule = d->chain, .height = 1, .width = 1,
                 .channels = D, .seed = d->seed};
    Arena arena = {0};
    real *x = arena_get(&arena, (size_t)(all * D) * sizeof *x);
    draw_images(&m, all, x, (Drawing){.at_once = AT_ONCE, .quiet = d->quiet});
    unwhiten(d->whitening, all, x, x);
    for (int i = 0; i < n; i++) {
        const real *one = x + (size_t)(i * CANDIDATES * D), *two = one + D;
        const real *about = text->embedding + (size_t)(i * D);
        memcpy(z + (size_t)(i * D), cosine(D, one, about) >= cosine(D, two, about) ? one : two,
               (size_t)D * sizeof *z);
    }
    sampler_free(&m), arena_free(&arena);
}

void draw_ar_embeddings(const ArPrior *m, const CaptionTable *text, uint64_t seed, real *z) {
    Tape t = {.no_grad = true};
    int D = text->dim, K = m->config.codes, number[AT_ONCE];
    Rng rng = rng_new(seed, "codes");
    for (int i = 0; i < text->n; i += AT_ONCE, tape_reset(&t)) {
        int n = text->n - i < AT_ONCE ? text->n - i : AT_ONCE;
        int *code = arena_get(&t.arena, (size_t)(n * K) * sizeof *code);
        for (int k = 0; k < n; k++) number[k] = i + k;
        CaptionFeatures f = caption_rows(text, &t, n, number);
        ar_prior_sample(m, f, &(TokenSampler){TOKEN_SAMPLER_DEFAULTS}, &rng, code);
        ar_prior_decode(m, n, code, z + (size_t)(i * D));
        for (int k = 0; k < n; k++) normalise(D, z + (size_t)((i + k) * D));
    }
    tape_free(&t);
}

/* ---- z -> image ------------------------------------------------------------------------------ */

/* z of these pictures, learned numbers where there is none */
static Tensor *images_of(const GuidedDecoder *g, Tape *t, int n, const int *number) {
    bool *without = arena_get(&t->arena, (size_t)n * sizeof *without);
    for (int i = 0; i < n; i++) without[i] = number[i] < 0;
    Tensor *z = t_input_rows(t, g->z, NULL, number, SHAPE(n, g->net->config.clip));
    return decoder_image(g->net, z, without);
}

static Tensor *decoder_output_at(const void *network, const Step *at, Tensor *xt) {
    const GuidedDecoder *g = network;
    const CaptionTable no_caption = {.length = 1, .dim = g->net->config.clip};
    GuidedBatch b = guided_batch(at, g->scale);
    int *none = arena_get(&at->tape->arena, (size_t)b.n * sizeof *none);
    for (int i = 0; i < b.n; i++) none[i] = -1;
    Tensor *z = images_of(g, at->tape, b.n, g->z ? b.number : none);
    CaptionFeatures text = caption_rows(g->text ? g->text : &no_caption, at->tape, b.n,
                                        g->text ? b.number : none);
    return guided(&b, decoder_output(g->net, guided_xt(&b, xt), b.time, z, text));
}

NetworkDenoiser guided_decoder(const GuidedDecoder *g) {
    return network_denoiser(decoder_output_at, g, decoder_predicts);
}

static Tensor *upsampler_output_at(const void *network, const Step *at, Tensor *xt) {
    const Upsampling *u = network;
    int low = u->net->config.low;
    size_t len = (size_t)(low * low * 3);
    Tensor *small = t_input(at->tape, u->low + (size_t)at->first * len, SHAPE(at->n, low, low, 3));
    return upsampler_output(u->net, xt, step_times(at), small);
}

NetworkDenoiser upsampling(const Upsampling *u) {
    return network_denoiser(upsampler_output_at, u, upsampler_predicts);
}
