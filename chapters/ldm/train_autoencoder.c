/* train_autoencoder.c — the program's first stage: pictures through small latents. */
#include "settings.h"

#include "base/error.h"
#include "base/file.h"
#include "first_stage_loss.h"
#include "train/run.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 12, PICTURE = SCENE_SIDE * SCENE_SIDE * 3 };
/* All steps: it joins late, and has all to learn. At 5e-4 it stays at chance for a thousand steps. */
static const double DISCRIMINATOR_LR = 1e-4;

/* ---- validation ------------------------------------------------------------------------------ */

static void validate(Run *run, const PictureSource *source, const LatentSpace *s) {
    Pictures p = validation_pictures(source, &run->tape.arena, o.validation);
    real *y = arena_get(&run->tape.arena, (size_t)p.n * PICTURE * sizeof *y);
    reconstruct(s, p.n, SCENE_SIDE, p.images, y);
    run_value(run, "validation_psnr", psnr(p.n, PICTURE, p.images, y));
}

/* originals above reconstructions */
static void save_reconstructions(Run *run, const PictureSource *source, const LatentSpace *s,
                                 char *path) {
    Pictures p = validation_pictures(source, &run->tape.arena, SHOWN);
    real *all = arena_get(&run->tape.arena, 2 * SHOWN * PICTURE * sizeof *all);
    memcpy(all, p.images, SHOWN * PICTURE * sizeof *all);
    reconstruct(s, p.n, SCENE_SIDE, all, all + SHOWN * PICTURE);
    Grid g = colour_grid(2 * SHOWN, SCENE_SIDE, SHOWN, NULL);
    g.row_labels = "pictures|reconstructions";
    save_grid(&cli, path, all, g);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void log_pass(Run *run, const FirstStagePass *p) {
    run_value(run, "l1", p->l1), run_value(run, "perceptual", p->perceptual);
    run_value(run, "latent", p->latent);
    if (o.codes) run_value(run, "perplexity", p->perplexity);
}

/* the discriminator's step, on the pictures and what the pass made of them */
static void train_discriminator(Run *run, const PatchGan *d, Optimizer *adam, double lr, Tensor *x,
                                const FirstStagePass *p) {
    Tensor *loss = hinge_loss(patchgan(d, x, true), patchgan(d, p->reconstruction, true));
    run_log(run, "discriminator", loss);
    run_value(run, "lambda", p->lambda), run_value(run, "adversarial", p->adversarial);
    minimise(adam, loss, lr);
}

int train_autoencoder(void) {
    enum { DISCRIMINATOR_WIDTH = 32, DISCRIMINATOR_LAYERS = 2 };
    Run *run = run_start(&cli, (RunSettings){
        .columns = "l1,perceptual,latent,perplexity,discriminator,lambda,adversarial,"
                   "validation_psnr",
        .log_every = 10, .stage = "autoencoder", .later = "diffusion",
        .whole_batch = o.codes ? "the codebook follows the whole batch" : NULL});
    PictureSource source;
    picture_source_open(&source, run, o.common.batch, o.emoji);
    char *features_file = own_file(EMOJI_CLASSIFIER_WEIGHTS);
    Frozen features = frozen_load(features_file, &classifier_emoji);
    Params *params = run_params(run, ""), *d_params = run_params(run, "discriminator.");
    FirstStage net = first_stage_new(params, first_stage_config());
    LatentSpace space = {.net = net, .factor = o.factor, .channels = net.config.embed};
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
        Pictures p = pictures_next(&source, run);
        Tensor *x = t_input(&run->tape, p.images, SHAPE(p.n, SCENE_SIDE, SCENE_SIDE, 3));
        double lr = o.common.lr * lr_cosine(run->step, 100, o.common.steps);
        if (run->random && run->step == 0 && o.codes)
            codebook_start(&net.codebook, encode(&net, x), codes);
        loss.discriminator = run->step >= o.disc_start && o.discriminator > 0 ? &discriminator
                                                                             : NULL;
        FirstStagePass pass = first_stage_pass(&net, &loss, x, noise);
        log_pass(run, &pass);
        minimise(adam, pass.loss, lr);
        if (loss.discriminator)
            train_discriminator(run, &discriminator, d_adam, DISCRIMINATOR_LR, x, &pass);
        if (run_every(run, 250)) validate(run, &source, &space);
        if (run_saves(run))
            save_reconstructions(run, &source, &space, run_path(run, "reconstructions.png"));
    }
    int status = run_finish(run);
    frozen_free(&features), picture_source_free(&source);
    free(features_file);
    return status;
}
