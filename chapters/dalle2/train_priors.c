/* train_priors.c — the program's stages prior and ar: from captions to image embeddings. */
#include "training.h"

#include <math.h>
#include <string.h>

static Adam adam_with(double decay, double beta2, double eps) {
    Adam a = {ADAM_DEFAULTS};
    a.weight_decay = decay, a.beta2 = beta2, a.eps = eps;
    a.decay_matrices_only = true;
    return a;
}

/* ---- the diffusion prior --------------------------------------------------------------------- */

/* the loss at even timesteps, with the same noise every time; z whitened */
static double validation(const Prior *net, const NoiseSchedule *s, const ValidationPairs *h,
                         const real *z) {
    Tape t = {.no_grad = true};
    Rng noise = rng_new(1, "validation noise");
    int at[VALIDATED];
    even_timesteps(s->T, h->n, at);
    CaptionFeatures text = validation_text(h, &t);
    Tensor *x = t_input(&t, z, SHAPE(h->n, h->text.dim));
    double loss = (double)prior_loss(net, s, x, text, at, &noise)->x[0];
    tape_free(&t);
    return loss;
}

/* Mean cosine of the true embeddings and those predicted from noise alone, in one step */
static double mean_cosine(const Prior *net, const NoiseSchedule *s, const Whitening *w,
                     const ValidationPairs *h) {
    Tape t = {.no_grad = true};
    Rng noise = rng_new(1, "validation noise");
    double time[VALIDATED];
    int D = h->text.dim;
    for (int i = 0; i < h->n; i++) time[i] = s->time[s->T - 1];
    Tensor *zt = t_input(&t, NULL, SHAPE(h->n, D));
    rng_normal(&noise, zt->len, zt->x);
    Tensor *z = prior_output(net, zt, time, validation_text(h, &t));
    unwhiten(w, h->n, z->x, z->x);
    double sum = 0;
    for (size_t i = 0; i < z->len; i++) sum += (double)z->x[i] * (double)h->z[i];
    tape_free(&t);
    return sum / h->n;
}

int prior_train(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,gradient,validation,cosine",
                                             .log_every = 10, .stage = stage_names[PRIOR]});
    Source s;
    source_open(&s, run, o.common.batch, true);
    const ClipConfig *c = &s.clip.net.config;
    Params *params = run_params(run, ""), *whitening = run_params(run, "whitening.");
    Prior net = prior_new(params, prior_config("default", c->text.context, c->dim));
    Whitening w = whitening_new(whitening, c->dim);
    NoiseSchedule chain = schedule_cosine(1000);
    Optimizer *adam = run_adam(run, "adam", params, adam_with(0.06, 0.99, 1e-6));
    adam->clip = o.max_norm;
    run_ema(run, adam, o.ema);
    run_weights(run, (Weights){.params = {{"", params}, {"whitening.", whitening}}});
    if (run->random) source_whitening(&s, &w);
    Rng *noise = run_rng(run, "noise"), *times = run_rng(run, "times");
    Rng *drop = run_rng(run, "drop");
    ValidationPairs h = validation_pairs(&run->arena, &s);
    real *z = arena_get(&run->arena, (size_t)(h.n * c->dim) * sizeof *z);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        CaptionedBatch b = captioned_source_next(&s.pairs, run);
        ClipPairs p = clip_pairs(&s.clip, &b, true);
        whiten(&w, s.pairs.batch, p.image->x, p.image->x);
        for (int i = 0; i < s.pairs.batch; i++)
            if (rng_chance(drop, o.no_text)) caption_drop(&p.text, i);
        const int *t = uniform_timesteps(&run->tape.arena, times, chain.T, s.pairs.batch);
        run_minimise(run, adam, prior_loss(&net, &chain, p.image, p.text, t, noise),
                     rate(run, o.common.steps));
        if (run_every(run, 250)) {
            whiten(&w, h.n, h.z, z);
            run_value(run, "validation", validation(&net, &chain, &h, z));
            run_value(run, "cosine", mean_cosine(&net, &chain, &w, &h));
        }
    }
    schedule_free(&chain), source_close(&s);
    return run_finish(run);
}

/* ---- the autoregressive prior ---------------------------------------------------------------- */

/* codes of n embeddings and their dot products with the captions' */
static void codes_of(const ArPrior *net, int n, const real *z, const real *text, int *dot,
                     int *code) {
    int D = net->config.dim;
    for (int i = 0; i < n; i++) dot[i] = ar_prior_dot(net, z + i * D, text + i * D);
    ar_prior_encode(net, n, z, code);
}

/* nats of a validation embedding */
static double ar_validation(const ArPrior *net, const ValidationPairs *h) {
    Tape t = {.no_grad = true};
    int dot[VALIDATED];
    int *code = arena_get(&t.arena, (size_t)(h->n * net->config.codes) * sizeof *code);
    codes_of(net, h->n, h->z, h->text.embedding, dot, code);
    CaptionFeatures text = validation_text(h, &t);
    double nats = (double)ar_prior_loss(net, text, dot, code)->x[0];
    tape_free(&t);
    return nats;
}

/* the part of the variance that the codes' components keep */
static double fit_codes(const Source *s, ArPrior *net) {
    Arena arena = {0};
    size_t bytes = (size_t)(o.fit * net->config.dim) * sizeof(real);
    real *image = arena_get(&arena, bytes), *text = arena_get(&arena, bytes);
    source_pairs(s, o.fit, image, text);
    double kept = ar_prior_fit(net, o.fit, image, text);
    arena_free(&arena);
    return kept;
}

int ar_train(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,gradient,validation",
                                             .log_every = 10, .stage = stage_names[AR],
                                             .steps = &o.ar_steps});
    Source s;
    source_open(&s, run, o.common.batch, true);
    const ClipConfig *c = &s.clip.net.config;
    Params *params = run_params(run, "");
    ArPrior net = ar_prior_new(params, ar_prior_config(c->text.context, c->dim));
    Optimizer *adam = run_adam(run, "adam", params, adam_with(0.04, 0.99, 1e-10));
    adam->clip = o.max_norm;
    run_ema(run, adam, o.ema);
    run_record(run, "variance_kept", fit_codes(&s, &net));
    ValidationPairs h = validation_pairs(&run->arena, &s);
    int *dot = arena_get(&run->arena, (size_t)s.pairs.batch * sizeof *dot);
    int *code = arena_get(&run->arena, (size_t)(s.pairs.batch * net.config.codes) * sizeof *code);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        CaptionedBatch b = captioned_source_next(&s.pairs, run);
        ClipPairs p = clip_pairs(&s.clip, &b, true);
        codes_of(&net, s.pairs.batch, p.image->x, p.text.embedding->x, dot, code);
        run_minimise(run, adam, ar_prior_loss(&net, p.text, dot, code), rate(run, o.ar_steps));
        if (run_every(run, 250)) run_value(run, "validation", ar_validation(&net, &h));
    }
    source_close(&s);
    return run_finish(run);
}
