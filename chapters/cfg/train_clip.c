/* train_clip.c — the program's stage for CLIP guidance: CLIP's image encoder once more, on the noisy
 * pictures that the base draws. */
#include "diffusion/losses.h"
#include "noisy_clip.h"
#include "settings.h"
#include "text_sampler.h"
#include "train/captioned_source.h"
#include "train/timesteps.h"

#include <math.h>

enum { SCENE_SIDE = 64 };

typedef struct {
    ClipImage net;
    FrozenClip clip;
    NoiseSchedule chain;
    CaptionedSource source;
} Training;

/* of pictures at times t and their captions; right (n) or NULL: see noisy_clip_loss */
static Tensor *batch_loss(const Training *m, const CaptionedBatch *b, const int *t, Rng *noise,
                          double *right) {
    Tape *tape = b->images->tape;
    NoisyImages noisy = noisy_images(&m->chain, small_pictures(b->images), t, noise);
    Tensor *image = clip_normalise(clip_image(&m->net, noisy.xt, t));
    Tensor *text = t_input(tape, NULL, SHAPE(b->n, m->clip.net.config.dim));
    frozen_clip_texts(&m->clip, b->n, b->captions, text->x);
    return noisy_clip_loss(&m->clip, image, text, caption_groups(b), right);
}

/* How many of 64 (or twice --validation) unseen pictures fit their own caption best, all at the same
 * t; by quarter of the timesteps, one in the middle of each */
static void log_accuracy(Run *run, const Training *m) {
    static const char *const columns[] = {"quarter_1", "quarter_2", "quarter_3", "quarter_4"};
    int n = 2 * o.validation;
    for (int k = 0; k < 4; k++) {
        Tape tape = {.no_grad = true};
        Rng noise = rng_new(1, "validation noise");
        CaptionedBatch b = validation_batch(&m->source.data, &tape, n, n / 4);
        int *t = arena_get(&tape.arena, (size_t)n * sizeof *t);
        double *right = arena_get(&tape.arena, (size_t)n * sizeof *right);
        for (int i = 0; i < b.n; i++) t[i] = m->chain.T * (2 * k + 1) / 8;
        batch_loss(m, &b, t, &noise, right);
        for (int i = 0; i < b.n; i++) run_value(run, columns[k], right[i]);
        tape_free(&tape);
    }
}

int clip_train(void) {
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,ln_batch,quarter_1,quarter_2,quarter_3,quarter_4", .log_every = 10,
        .stage = stage_names[NOISY_CLIP], .steps = &o.clip_steps});
    Training m = {.clip = frozen_clip_load(NULL)};
    captioned_source_open(&m.source, run, o.clip_batch, o.emoji, SCENE_SIDE);
    run_data(run, "clip", m.clip.sha256);
    GlideConfig base = glide_config("base", m.clip.bpe.size);
    m.chain = glide_schedule(&base);
    Params *params = run_params(run, "");
    m.net = noisy_clip_new(params, base.side, m.chain.T);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){.beta1 = 0.9, .beta2 = 0.98,
        .eps = 1e-6, .weight_decay = 0.1, .decay_matrices_only = true});
    run_ema(run, adam, 0.999);
    Rng *noise = run_rng(run, "noise"), *times = run_rng(run, "times");
    captioned_source_alike(&m.source, run, 0.5);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        CaptionedBatch b = captioned_source_next(&m.source, run);
        const int *t = uniform_timesteps(&run->tape.arena, times, m.chain.T, b.n);
        Tensor *loss = batch_loss(&m, &b, t, noise, NULL);
        run_log(run, "loss", loss);
        run_value(run, "ln_batch", log(b.n));
        minimise(adam, loss, o.common.lr * lr_cosine(run->step, 200, o.clip_steps));
        if (run_every(run, 250)) log_accuracy(run, &m);
    }
    schedule_free(&m.chain);
    frozen_clip_free(&m.clip), captioned_source_free(&m.source);
    return run_finish(run);
}
