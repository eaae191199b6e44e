/* train_diffusion.c — the program's second stage: diffusion of latents. */
#include "settings.h"

#include "base/error.h"
#include "condition_picture.h"
#include "diffusion/losses.h"
#include "train/run.h"
#include "train/timesteps.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 16, MEASURED = 256 };
static const double PRIORITY = 0.1;     /* a text says most while nothing can be seen yet */

typedef struct {
    Model m;
    PictureSource source;
} Training;

/* ---- one batch ------------------------------------------------------------------------------- */

/* L_LDM of pictures at times t, weighted; noise of the diffusion, and of the first stage's latents */
static Losses ldm_losses(const Model *m, Tape *tape, const Pictures *p, const bool *dropped,
                         const int *t, Rng *noise) {
    Tensor *z = latents_of(&m->space, tape, p->n, SCENE_SIDE, p->images, noise);
    NoisyImages b = noisy_images(&m->schedule, z, t, noise);
    Conditioned c = condition(&m->conditioner, tape, p, dropped);
    Tensor *eps = ldm_unet(&m->net, b.xt, b.time, c.beside, (Context){.tokens = c.context});
    Parameterization as = {PREDICT_NOISE, FIXED_SMALL};
    return prioritized(&b, PRIORITY, training_losses(&b, SIMPLE, as, eps));
}

static double validation(const Training *r) {
    Tape tape = {.no_grad = true};
    Rng noise = rng_new(1, "validation noise");
    Pictures p = validation_pictures(&r->source, &tape.arena, o.validation);
    int *t = arena_get(&tape.arena, (size_t)p.n * sizeof *t);
    even_timesteps(r->m.schedule.T, p.n, t);
    Tensor *mse = ldm_losses(&r->m, &tape, &p, NULL, t, &noise).mse;
    double loss = k_sum(mse->len, mse->x) / (double)mse->len;
    tape_free(&tape);
    return loss;
}

static void save_preview(Training *r, char *path) {
    Arena arena = {0};
    Condition kind = r->m.conditioner.kind;
    Pictures p = validation_pictures(&r->source, &arena, SHOWN);
    real *x = arena_get(&arena, (size_t)p.n * SCENE_SIDE * SCENE_SIDE * 3 * sizeof *x);
    draw_pictures(&r->m, &p, o.preview, is_attended(kind) ? 3 : 1, true, x);
    if (kind > TEXT) save_conditions(&cli, path, kind, r->m.space.factor, &p, x);
    else save_grid(&cli, path, x, colour_grid(p.n, SCENE_SIDE, 8,
                                              kind == TEXT ? p.captions : NULL));
    arena_free(&arena);
}

/* ---- before the first step ------------------------------------------------------------------- */

/* the latents' scale, from training scenes */
static void measure(Training *r) {
    Arena arena = {0};
    Rng noise = rng_new(1, "scale noise");
    PictureSource scenes = r->source;
    scenes.share = 0;
    Pictures p = pictures_of_part(&scenes, &arena, PART_TRAIN, o.common.seed, MEASURED);
    measure_scale(&r->m.space, p.n, SCENE_SIDE, p.images, &noise);
    arena_free(&arena);
}

static void open_first_stage(Run *run, Model *m) {
    char *path = first_stage_weights();
    if (o.factor == 1) model_new_first_stage(m);
    else run_trained_on(run, path), model_load_first_stage(m, path);
    free(path);
}

/* ---- the loop -------------------------------------------------------------------------------- */

int train_diffusion(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,gradient,validation",
                                             .log_every = 10, .stage = "diffusion",
                                             .steps = &o.diffusion_steps});
    Training r = {0};
    Model *m = &r.m;
    open_first_stage(run, m);
    model_new_diffusion(m);
    picture_source_open(&r.source, run, o.diffusion_batch, o.emoji);
    if (m->conditioner.clip) run_data(run, "clip", m->clip.sha256);
    run_state(run, "", &m->params);
    Optimizer *adam = run_adam(run, "adam", &m->params, (Adam){ADAM_DEFAULTS});
    adam->clip = o.clip;
    run_ema(run, adam, o.ema);
    Rng *noise = run_rng(run, "noise"), *times = run_rng(run, "times"), *drop = run_rng(run, "drop");
    Weights all = {.file = "weights.safetensors"};
    CheckpointParams list[3];
    model_list(m, list);
    memcpy(all.params, list, sizeof list);
    run_weights(run, all);
    run_record(run, "parameters", (double)params_count(&m->params));
    int B = r.source.captioned.batch;
    bool *dropped = arena_get(&run->arena, (size_t)B * sizeof *dropped);
    if (run->random && o.from) model_begin_as_text(m, o.from);
    else if (run->random) measure(&r);

    while (run_next(run)) {
        Pictures p = pictures_next(&r.source, run);
        for (int i = 0; i < B; i++) dropped[i] = rng_chance(drop, o.p_uncond);
        const int *t = uniform_timesteps(&run->tape.arena, times, m->schedule.T, B);
        Tensor *loss = t_mean(ldm_losses(m, &run->tape, &p, dropped, t, noise).each);
        double lr = o.diffusion_lr * lr_cooldown(run->step, o.warmup, o.diffusion_steps);
        run_minimise(run, adam, loss, lr);
        if (run_every(run, 250)) run_value(run, "validation", validation(&r));
        if (run_saves(run) && o.preview) save_preview(&r, run_path(run, "samples.png"));
    }
    int status = run_finish(run);
    picture_source_free(&r.source), model_free(m);
    return status;
}
