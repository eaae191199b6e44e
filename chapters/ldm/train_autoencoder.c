/* train_autoencoder.c — the program's first stage: pictures through small latents. */
#include "settings.h"

#include "base/error.h"
#include "base/file.h"
#include "first_stage_loss.h"
#include "train/captioned_source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 12, HELD_OUT = 32 };

/* ---- validation ------------------------------------------------------------------------------ */

/* x (n,64,64,3) through the network, without sampling */
static real *reconstruct(Arena *arena, const LatentSpace *s, int n, const real *x) {
    Tape t = {0};
    real *y = arena_get(arena, (size_t)n * SCENE_SIDE * SCENE_SIDE * 3 * sizeof *y);
    const Tensor *z = latents_of(s, &t, n, SCENE_SIDE, x, NULL);
    pictures_of(s, n, SCENE_SIDE / s->factor, z->x, y);
    tape_free(&t);
    return y;
}

/* mean over pictures of 10 log10(peak^2 / mean squared error), values within 2 of each other */
static double psnr(int n, const real *x, const real *y) {
    size_t one = SCENE_SIDE * SCENE_SIDE * 3;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double error = k_sum_squared_difference(one, x + (size_t)i * one, y + (size_t)i * one);
        sum += 10 * log10(4 * (double)one / error);
    }
    return sum / n;
}

static void validate(Run *run, const CaptionedData *d, const LatentSpace *s) {
    CaptionedBatch b = validation_batch(d, &run->tape, HELD_OUT, HELD_OUT / 4);
    const real *y = reconstruct(&run->tape.arena, s, b.n, b.images->x);
    run_value(run, "validation_psnr", psnr(b.n, b.images->x, y));
}

/* originals above reconstructions */
static void save_reconstructions(Run *run, const CaptionedData *d, const LatentSpace *s,
                                 char *path) {
    CaptionedBatch b = validation_batch(d, &run->tape, SHOWN, SHOWN / 4);
    size_t row = b.images->len;
    real *all = arena_get(&run->tape.arena, 2 * row * sizeof *all);
    memcpy(all, b.images->x, row * sizeof *all);
    memcpy(all + row, reconstruct(&run->tape.arena, s, b.n, all), row * sizeof *all);
    save_grid(&cli, path, all, (Grid){.count = 2 * b.n, .height = SCENE_SIDE, .width = SCENE_SIDE,
                                      .channels = 3, .columns = b.n, .enlarge = 2, .low = -1,
                                      .high = 1});
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void log_pass(Run *run, const FirstStagePass *p) {
    run_value(run, "l1", p->l1), run_value(run, "perceptual", p->perceptual);
    run_value(run, "latent", p->latent);
}

/* the discriminator's step, on the pictures and what the pass made of them */
static void train_discriminator(Run *run, const PatchGan *d, Optimizer *adam, Tensor *x,
                                const FirstStagePass *p) {
    Tensor *loss = hinge_loss(patchgan(d, x, true), patchgan(d, p->reconstruction, true));
    run_log(run, "discriminator", loss);
    run_value(run, "lambda", p->lambda), run_value(run, "adversarial", p->adversarial);
    minimise(adam, loss, o.common.lr);
}

int train_autoencoder(void) {
    enum { DISCRIMINATOR_WIDTH = 32, DISCRIMINATOR_LAYERS = 2 };
    Run *run = run_start(&cli, (RunSettings){
        .columns = "l1,perceptual,latent,discriminator,lambda,adversarial,validation_psnr",
        .log_every = 10, .stage = "autoencoder", .later = "diffusion",
        .whole_batch = o.codes ? "the codebook follows the whole batch" : NULL});
    CaptionedSource source;
    captioned_source_open(&source, run, o.common.batch, o.emoji, SCENE_SIDE);
    char *features_file = own_file(EMOJI_CLASSIFIER_WEIGHTS);
    Frozen features = frozen_load(features_file, &classifier_emoji);
    Params *params = run_params(run, ""), *d_params = run_params(run, "discriminator.");
    Params one = {0};
    FirstStage net = first_stage_new(params, first_stage_config());
    LatentSpace space = {.net = net, .factor = o.factor, .channels = net.config.embed};
    space.scale = buffer((Scope){.params = &one}, "scale", 1, SHAPE(1));
    PatchGan discriminator = patchgan_new(d_params, (PatchGanConfig){3, DISCRIMINATOR_WIDTH,
                                                                     DISCRIMINATOR_LAYERS});
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    Optimizer *d_adam = run_adam(run, "adam.d", d_params, (Adam){ADAM_DEFAULTS});
    adam->adam.beta1 = d_adam->adam.beta1 = 0.5, adam->adam.beta2 = d_adam->adam.beta2 = 0.9;
    FirstStageLoss loss = {.features = &features.net, .perceptual = o.perceptual,
                           .discriminator_params = d_params, .weight = o.discriminator,
                           .kl = o.kl, .commitment = 0.25};
    Cli remembered = cli_before(&cli, "stage");
    run_weights(run, (Weights){.cli = &remembered, .params = {{"", params, NULL}}});
    Rng *noise = run_rng(run, "noise"), *codes = run_rng(run, "codes");
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        CaptionedBatch b = captioned_source_next(&source, run, (SceneKind){0});
        if (run->step == 0 && o.codes) codebook_start(&net.codebook, encode(&net, b.images), codes);
        loss.discriminator = run->step >= o.disc_start && o.discriminator > 0 ? &discriminator
                                                                             : NULL;
        FirstStagePass pass = first_stage_pass(&net, &loss, b.images, noise);
        log_pass(run, &pass);
        minimise(adam, pass.loss, o.common.lr * lr_warmup(run->step, 100));
        if (loss.discriminator)
            train_discriminator(run, &discriminator, d_adam, b.images, &pass);
        if (run_every(run, 250)) validate(run, &source.data, &space);
        if (run_saves(run))
            save_reconstructions(run, &source.data, &space, run_path(run, "reconstructions.png"));
    }
    int status = run_finish(run);
    frozen_free(&features), params_free(&one), captioned_source_free(&source);
    free(features_file);
    return status;
}
