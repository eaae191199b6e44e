#include "dalle2.h"

#include "diffusion/drawing.h"
#include "diffusion/guidance.h"

#include <string.h>

/* ---- training -------------------------------------------------------------------------------- */

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
    return training_losses(&b, HYBRID, (Parameterization){PREDICT_NOISE, LEARNED_RANGE}, output);
}

Losses upsampler_losses(const Upsampler *m, const NoiseSchedule *s, Crops c, const int *t,
                        Rng *noise) {
    NoisyImages b = noisy_images(s, c.x0, t, noise);
    Tensor *output = upsampler_output(m, b.xt, b.time, c.low);
    return training_losses(&b, SIMPLE, (Parameterization){PREDICT_NOISE, FIXED_SMALL}, output);
}

/* ---- guidance -------------------------------------------------------------------------------- */

/* Who is in a step's batch: its n pictures with their condition, then, if the scale needs both
 * answers, the same without. At scale 0: without alone. */
typedef struct {
    int B, *number;                     /* (B): of the picture; -1: without */
    Step step;                          /* of B */
    bool both;
} Asked;

static Asked ask(const Step *at, double scale, int each) {
    bool both = scale != 0 && scale != 1;                  /* zero and one exactly, as given */
    Asked a = {.B = both ? 2 * at->n : at->n, .step = *at, .both = both};
    a.step.n = a.B;
    a.number = arena_get(&at->tape->arena, (size_t)a.B * sizeof *a.number);
    for (int i = 0; i < a.B; i++)
        a.number[i] = i < at->n && scale != 0 ? (at->first + i) / each : -1;
    return a;
}

/* ---- caption -> z ---------------------------------------------------------------------------- */

static Tensor *prior_answer(const void *network, const Step *at, Tensor *zt) {
    const GuidedPrior *g = network;
    Asked a = ask(at, g->scale, g->each);
    CaptionFeatures text = caption_rows(g->text, at->tape, a.B, a.number);
    Tensor *x = a.both ? twice(zt) : zt;
    Tensor *z = pixels(prior_output(g->net, rows(x), step_times(&a.step), text));
    return t_clamp(a.both ? mix_guided(z, g->scale, at->channels) : z, -10, 10);
}

NetworkDenoiser guided_prior(const GuidedPrior *g) {
    return network_denoiser(prior_answer, g, (Parameterization){PREDICT_X0, FIXED_SMALL});
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

/* z of the pictures asked for, learned numbers where there is none */
static Tensor *images_of(const GuidedDecoder *g, Tape *t, const Asked *a) {
    int D = g->net->config.clip;
    Tensor *z = t_input(t, NULL, SHAPE(a->B, D));
    bool *without = arena_get(&t->arena, (size_t)a->B * sizeof *without);
    k_fill(z->len, 0, z->x);
    for (int i = 0; i < a->B; i++) {
        without[i] = !g->z || a->number[i] < 0;
        if (!without[i]) memcpy(z->x + i * D, g->z + a->number[i] * D, (size_t)D * sizeof *z->x);
    }
    return decoder_image(g->net, z, without);
}

/* their captions; without any, one token that is not there */
static CaptionFeatures captions_of(const GuidedDecoder *g, Tape *t, const Asked *a) {
    static real nothing[4096];
    static uint8_t absent[1];
    const CaptionTable none = {.n = 1, .length = 1, .dim = g->net->config.clip, .tokens = nothing,
                               .embedding = nothing, .mask = absent};
    int *number = arena_get(&t->arena, (size_t)a->B * sizeof *number);
    for (int i = 0; i < a->B; i++) number[i] = g->text ? a->number[i] : -1;
    return caption_rows(g->text ? g->text : &none, t, a->B, number);
}

static Tensor *decoder_answer(const void *network, const Step *at, Tensor *xt) {
    const GuidedDecoder *g = network;
    Asked a = ask(at, g->scale, 1);
    Tensor *z = images_of(g, at->tape, &a);
    CaptionFeatures text = captions_of(g, at->tape, &a);
    Tensor *output = decoder_output(g->net, a.both ? twice(xt) : xt, step_times(&a.step), z, text);
    return a.both ? mix_guided(output, g->scale, at->channels) : output;
}

NetworkDenoiser guided_decoder(const GuidedDecoder *g) {
    return network_denoiser(decoder_answer, g, (Parameterization){PREDICT_NOISE, LEARNED_RANGE});
}

static Tensor *upsampler_answer(const void *network, const Step *at, Tensor *xt) {
    const Upsampling *u = network;
    int low = u->net->config.low;
    size_t len = (size_t)(low * low * 3);
    Tensor *small = t_input(at->tape, u->low + (size_t)at->first * len, SHAPE(at->n, low, low, 3));
    return upsampler_output(u->net, xt, step_times(at), small);
}

NetworkDenoiser upsampling(const Upsampling *u) {
    return network_denoiser(upsampler_answer, u, (Parameterization){PREDICT_NOISE, FIXED_SMALL});
}
