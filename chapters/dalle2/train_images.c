/* train_images.c — the program's stages decoder, upsampler32 and upsampler64: from embeddings to
 * images, and to larger ones. */
#include "training.h"

#include "diffusion/drawing.h"
#include "train/draw_samples.h"

#include <string.h>

/* n images (n,64,64,3) at `side`, as bytes have them */
static Tensor *images_at(Tape *t, int n, const real *x, int side) {
    return t_input(t, shrink(&t->arena, n, SIDE, side, x), SHAPE(n, side, side, 3));
}

/* pictures of validation captions in the run's folder */
static void save_preview(Sampler *m, const ValidationPairs *h, Run *run) {
    draw_preview(&cli, m, run_path(run, "samples.png"),
                 colour_grid(SHOWN, m->height, 8, h->captions));
    sampler_free(m);
}

/* ---- the decoder ----------------------------------------------------------------------------- */

/* Error of the velocity at even timesteps, with embedding and caption or without both; z whitened */
static double decoder_validation(const Decoder *net, const NoiseSchedule *s, const ValidationPairs *h,
                                 const real *z, bool with) {
    Tape t = {.no_grad = true};
    Rng noise = rng_new(1, "validation noise");
    int at[VALIDATED];
    bool without[VALIDATED];
    even_timesteps(s->T, h->n, at);
    CaptionFeatures text = validation_text(h, &t);
    for (int i = 0; i < h->n; i++) {         /* nor what is never shown in training */
        without[i] = !with || o.no_image >= 1;
        if (!with || o.no_caption >= 1) caption_drop(&text, i);
    }
    Tensor *image = t_input(&t, z, SHAPE(h->n, h->text.dim));
    Tensor *mse = decoder_losses(net, s, images_at(&t, h->n, h->x, SMALL),
                                 decoder_image(net, image, without), text, at, &noise).mse;
    double mean = k_sum(mse->len, mse->x) / h->n;
    tape_free(&t);
    return mean;
}

/* from the embeddings of validation images alone, or from their captions where there are none, at a
 * scale of 2 */
static void decoder_preview(const Decoder *net, const NoiseSchedule *s, const ValidationPairs *h,
                            const real *z, Run *run) {
    bool by_text = o.no_image >= 1;
    GuidedDecoder guided = {.net = net, .z = by_text ? NULL : z, .text = by_text ? &h->text : NULL,
                            .scale = 2};
    NetworkDenoiser network = guided_decoder(&guided);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    NoiseSchedule few = schedule_respaced_to(s, "", o.preview);
    Sampler m = {.denoiser = &clipped.denoiser, .schedule = &few, .height = SMALL, .width = SMALL,
                 .channels = 3, .seed = o.common.seed};
    save_preview(&m, h, run);
    schedule_free(&few);
}

static const double SUMMARIES_DROPPED = 0.5;

/* What a batch's images are decoded from, some of it left out. Half of the captions that are kept
 * lose their summary: while it is there, their tokens are hardly read. */
static Tensor *drop_some(const Decoder *net, ClipPairs *p, Rng *drop) {
    int B = p->image->shape[0], D = p->image->shape[1];
    bool *without = arena_get(&p->image->tape->arena, (size_t)B * sizeof *without);
    for (int i = 0; i < B; i++) {
        without[i] = rng_chance(drop, o.no_image);
        if (rng_chance(drop, o.no_caption)) caption_drop(&p->text, i);
        if (rng_chance(drop, SUMMARIES_DROPPED)) k_fill((size_t)D, 0, p->text.embedding->x + i * D);
    }
    return decoder_image(net, p->image, without);
}

int decoder_train(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,mse,gradient,validation,without",
                                             .log_every = 10, .stage = stage_names[DECODER],
                                             .steps = &o.decoder_steps});
    Source s;
    source_open(&s, run, o.decoder_batch, true);
    int D = s.clip.net.config.dim;
    Params *params = run_params(run, ""), *whitening = run_params(run, "whitening.");
    Decoder net = decoder_new(params, decoder_config("default"));
    Whitening w = whitening_new(whitening, D);
    NoiseSchedule chain = decoder_schedule();
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    adam->clip = o.max_norm;
    run_ema(run, adam, o.ema);
    run_weights(run, (Weights){.params = {{"", params}, {"whitening.", whitening}}});
    if (run->random) source_whitening(&s, &w);
    Rng *noise = run_rng(run, "noise"), *times = run_rng(run, "times");
    Rng *drop = run_rng(run, "drop");
    ValidationPairs h = validation_pairs(&run->arena, &s);
    real *z = arena_get(&run->arena, (size_t)(h.n * D) * sizeof *z);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        CaptionedBatch b = captioned_source_next(&s.pairs, run);
        ClipPairs p = clip_pairs(&s.clip, &b, o.no_image < 1);
        whiten(&w, s.pairs.batch, p.image->x, p.image->x);
        Tensor *x0 = images_at(&run->tape, s.pairs.batch, b.images->x, SMALL);
        Tensor *given = drop_some(&net, &p, drop);
        const int *t = uniform_timesteps(&run->tape.arena, times, chain.T, s.pairs.batch);
        Losses l = decoder_losses(&net, &chain, x0, given, p.text, t, noise);
        run_log(run, "mse", t_mean(t_detach(l.mse)));
        run_minimise(run, adam, t_mean(l.each), rate(run, o.decoder_steps));
        whiten(&w, h.n, h.z, z);
        if (run_every(run, 250)) {
            run_value(run, "validation", decoder_validation(&net, &chain, &h, z, true));
            run_value(run, "without", decoder_validation(&net, &chain, &h, z, false));
        }
        if (run_saves(run) && o.preview) decoder_preview(&net, &chain, &h, z, run);
    }
    schedule_free(&chain), source_close(&s);
    return run_finish(run);
}

/* ---- an upsampler ---------------------------------------------------------------------------- */

/* error of the velocity on whole validation images, from small ones as they are */
static double upsampler_validation(const Upsampler *net, const NoiseSchedule *s,
                                   const ValidationPairs *h) {
    Tape t = {.no_grad = true};
    Rng noise = rng_new(1, "validation noise");
    int at[VALIDATED], n = h->n < 32 ? h->n : 32;
    even_timesteps(s->T, n, at);
    Crops whole = {images_at(&t, n, h->x, net->config.side),
                   images_at(&t, n, h->x, net->config.low)};
    double loss = (double)t_mean(upsampler_losses(net, s, whole, at, &noise).each)->x[0];
    tape_free(&t);
    return loss;
}

static void upsampler_preview(const Upsampler *net, const NoiseSchedule *s, const ValidationPairs *h,
                              Run *run) {
    Arena arena = {0};
    int side = net->config.side;
    Upsampling up = {net, shrink(&arena, SHOWN, SIDE, net->config.low, h->x)};
    NetworkDenoiser network = upsampling(&up);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    NoiseSchedule few = schedule_respaced_to(s, "", o.preview);
    Sampler m = {.denoiser = &clipped.denoiser, .schedule = &few, .method = DDIM, .height = side,
                 .width = side, .channels = 3, .seed = o.common.seed};
    save_preview(&m, h, run);
    schedule_free(&few), arena_free(&arena);
}

int upsampler_train(Stage stage) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,gradient,validation",
                                             .log_every = 10, .stage = stage_names[stage],
                                             .steps = &o.upsampler_steps});
    Source s;
    source_open(&s, run, o.upsampler_batch, false);
    Params *params = run_params(run, "");
    Upsampler net = upsampler_new(params, upsampler_config(stage == UPSAMPLER32 ? "32" : "64"));
    const UpsamplerConfig *c = &net.config;
    NoiseSchedule chain = upsampler_schedule(c);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    adam->clip = o.max_norm;
    run_ema(run, adam, o.ema);
    Rng *noise = run_rng(run, "noise"), *times = run_rng(run, "times");
    Rng *parts = run_rng(run, "parts"), *corruption = run_rng(run, "corruption");
    ValidationPairs h = validation_pairs(&run->arena, &s);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        CaptionedBatch b = captioned_source_next(&s.pairs, run);
        Crops crops = crop_pairs(c, images_at(&run->tape, s.pairs.batch, b.images->x, c->side),
                                 images_at(&run->tape, s.pairs.batch, b.images->x, c->low), parts);
        corrupt(c, crops.low, corruption);
        const int *t = uniform_timesteps(&run->tape.arena, times, chain.T, s.pairs.batch);
        Tensor *loss = t_mean(upsampler_losses(&net, &chain, crops, t, noise).each);
        run_minimise(run, adam, loss, rate(run, o.upsampler_steps));
        if (run_every(run, 250))
            run_value(run, "validation", upsampler_validation(&net, &chain, &h));
        if (run_saves(run) && o.preview) upsampler_preview(&net, &chain, &h, run);
    }
    schedule_free(&chain), source_close(&s);
    return run_finish(run);
}
