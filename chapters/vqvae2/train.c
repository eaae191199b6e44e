#include "commands.h"
#include "data/batches.h"
#include "models.h"
#include "nn/optim.h"
#include "settings.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the autoencoder ------------------------------------------------------------------------- */

/* how validation pictures are coded and rebuilt, into the log */
static void validate_autoencoder(Run *run, const Pictures *d, const Vqvae2 *v, double variance) {
    Arena arena = {0};
    int *times[2] = {new_ints(&arena, o.codes), new_ints(&arena, o.codes)}, N = bottom_codes(d);
    for (int k = 0; k < o.codes; k++) times[0][k] = times[1][k] = 0;
    Coded c = code_first(&arena, d, v, d->validation, HELD_OUT);
    real *y = new_pictures(&arena, d, c.n);
    decode_all(v, c.n, d->side, d->side, c.top, c.bottom, y);
    run_value(run, "validation_error", pictures_error(d, c.n, c.x, y) / c.n / variance);
    if (o.levels == 2) {
        codebook_count(c.n * N / 4, c.top, times[0]);
        run_value(run, "perplexity_top", codebook_perplexity(o.codes, times[0]));
    }
    codebook_count(c.n * N, c.bottom, times[1]);
    run_value(run, "perplexity_bottom", codebook_perplexity(o.codes, times[1]));
    arena_free(&arena);
}

static int train_autoencoder(void) {
    Run run = {.name = "autoencoder", .log_every = 10,
               .columns = "loss,error,commitment,revived,validation_error,perplexity_top,"
                          "perplexity_bottom"};
    run_start(&run, &cli, &o.common);
    Models m = {.params = {[AUTOENCODER] = {.seed = o.common.seed}}};
    Pictures d;
    load_data(&d);
    pictures_record(&d, &run);
    build(&m, AUTOENCODER);
    Vqvae2 *v = &m.autoencoder;
    Params *params = &m.params[AUTOENCODER];
    Arena arena = {0};
    int B = o.common.batch, *index = new_ints(&arena, B);
    double variance = pictures_variance(&d);
    Batches batches = batches_new(d.train->count, o.common.seed);
    Rng revive = rng_new(o.common.seed, "codebooks");
    Adam adam = {ADAM_DEFAULTS};
    run_record_number(&run, "parameters", (double)params_count(params));
    run_record_number(&run, "variance", variance);

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", params},
                                        {"adam.m.", &adam.m, .like = params},
                                        {"adam.v.", &adam.v, .like = params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"adam.step", .i = &adam.step},
                                         {"codebooks", .u = &revive.next},
                                         {"batches", .u = &batches.next}}};
    Cli own = autoencoder_cli();
    Checkpoint weights = {.cli = &own, .params = {{"", params}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        tape_reset(&tape);
        batches_next(&batches, B, index);
        Tensor *x = t_input(&tape, NULL, SHAPE(B, d.side, d.side, d.channels));
        pictures_get(&d, d.train, B, index, x->x, NULL);
        if (run.step == 0) vqvae2_start(v, x, &revive);
        Encoding e = encode(v, x);
        run_value(&run, "revived", codebooks_update(v, &e, 0.1, &revive));
        Tensor *loss = vqvae2_loss(&e, x, decode(v, e.top.codes, e.bottom.codes), variance);
        double commitment = (double)e.bottom.commitment_loss->x[0];
        if (o.levels == 2) commitment += (double)e.top.commitment_loss->x[0];
        run_value(&run, "loss", (double)loss->x[0]);
        run_value(&run, "commitment", commitment);
        run_value(&run, "error", (double)loss->x[0] - 0.25 * commitment);
        params_zero_grad(params);
        backward(loss);
        adam_step(&adam, params, o.common.lr * lr_warmup(run.step, 100), 1);
        if (run_due(&run, 250)) validate_autoencoder(&run, &d, v, variance);
        run_step(&run);
        if (run_save_due(&run)) {
            checkpoint_save_half(run.weights, &weights);
            checkpoint_save(run.checkpoint, &everything);
            picture_of_reconstructions(run_path(&run, "reconstructions.png"), &d, v, d.validation);
        }
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    adam_free(&adam), batches_free(&batches), arena_free(&arena);
    models_free(&m), pictures_free(&d);
    return run_finish(&run);
}

/* ---- a prior --------------------------------------------------------------------------------- */

/* every network's weights in one file, once there are all */
static void save_together(Models *m, int stage) {
    char *all = weights_of("");
    bool complete = true;
    for (int s = TOP; s < STAGES; s++) {
        char *path = weights_of(stage_names[s]);
        if (s != stage && has_stage(s)) {
            complete = complete && access(path, F_OK) == 0;
            if (complete && !m->params[s].count) {
                build(m, s);
                checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", &m->params[s]}}});
            }
        }
        free(path);
    }
    Checkpoint c = together(m);
    if (complete) checkpoint_save_half(all, &c);
    free(all);
}

/* the next batch's codes, and the cross-entropy of the prior's guesses */
static Tensor *prior_loss(const Snail *s, int stage, Tape *t, const Coded *c, int B,
                          const int *index, Rng *dropout) {
    int H = s->c.height, W = s->c.width, N = H * W;
    int *z = new_ints(&t->arena, B * N), *top = new_ints(&t->arena, B * N / 4);
    int *labels = new_ints(&t->arena, B);
    const int *above = told(c, stage);
    for (int b = 0; b < B; b++) {
        size_t i = (size_t)index[b];
        memcpy(z + b * N, codes_of(c, stage) + i * (size_t)N, (size_t)N * sizeof *z);
        if (above)
            memcpy(top + b * N / 4, above + i * (size_t)(N / 4), (size_t)(N / 4) * sizeof *top);
        labels[b] = c->labels[i];
    }
    Tensor *given = above ? one_hot(t, B, H / 2, W / 2, o.codes, top) : NULL;
    Tensor *condition = snail_condition(s, t, B, given, labels);
    Tensor *logits = snail(s, one_hot(t, B, H, W, o.codes, z), condition, dropout);
    return t_cross_entropy(logits, z);
}

/* what a prior in training writes: the top's with the bottom left out, the bottom's for the tops of
 * validation pictures */
static void picture_of_prior(char *path, const Pictures *d, Models *m, int stage, const Coded *c) {
    Arena arena = {0};
    int n = c->n < 4 * COLUMNS ? c->n / COLUMNS * COLUMNS : 4 * COLUMNS, N = bottom_codes(d);
    int *z = new_ints(&arena, n * N);
    real *x = new_pictures(&arena, d, n);
    Rng rng = rng_new(o.common.seed, "samples");
    snail_sample(&m->prior[stage], n, told(c, stage), c->labels, 1, &rng, z);
    if (stage == TOP) rebuild(d, &m->autoencoder, 1, n, z, NULL, x);
    else rebuild(d, &m->autoencoder, 0, n, c->top, z, x);
    save_grid(path, d, x, n / COLUMNS, COLUMNS);
    arena_free(&arena);
}

static int train_prior(int stage) {
    Run run = {.name = stage_names[stage], .steps = stage == TOP ? &o.top_steps : &o.bottom_steps,
               .log_every = 10, .columns = "loss,training,validation"};
    run_start(&run, &cli, &o.common);
    Models m = {.params = {[TOP] = {.seed = o.common.seed}, [BOTTOM] = {.seed = o.common.seed}}};
    load_autoencoder(&m, o.autoencoder);
    Pictures d;
    load_data(&d);
    pictures_record(&d, &run);
    build(&m, stage);
    Params *params = &m.params[stage];
    Arena arena = {0};
    int B = o.prior_batch, *index = new_ints(&arena, B);
    Coded codes = code_first(&arena, &d, &m.autoencoder, d.train, d.train->count);
    Coded held_out = code_first(&arena, &d, &m.autoencoder, d.validation, HELD_OUT);
    Coded learned = codes;
    learned.n = codes.n < HELD_OUT ? codes.n : HELD_OUT;
    Batches batches = batches_new(codes.n, o.common.seed);
    Rng dropout = rng_new(o.common.seed, "dropout");
    Adam adam = {ADAM_DEFAULTS};
    Ema ema = {.decay = 0.999};
    run_record_number(&run, "parameters", (double)params_count(params));

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", params},
                                        {"ema.", &ema.average, .like = params},
                                        {"adam.m.", &adam.m, .like = params},
                                        {"adam.v.", &adam.v, .like = params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"ema.step", .i = &ema.step},
                                         {"adam.step", .i = &adam.step},
                                         {"dropout", .u = &dropout.next},
                                         {"batches", .u = &batches.next}}};
    Checkpoint weights = {.cli = &cli, .params = {{"", &ema.average}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        tape_reset(&tape);
        batches_next(&batches, B, index);
        Tensor *loss = prior_loss(&m.prior[stage], stage, &tape, &codes, B, index, &dropout);
        run_value(&run, "loss", (double)loss->x[0]);
        params_zero_grad(params);
        backward(loss);
        double rate = o.prior_lr * lr_warmup(run.step, 100);
        adam_step(&adam, params, rate, clip_scale(grad_norm(params), 1));
        ema_update(&ema, params);
        bool validate = run_due(&run, 250), save;
        if (validate) {
            ema_swap(&ema, params);
            run_value(&run, "training", nats_of(&m.prior[stage], stage, &learned));
            run_value(&run, "validation", nats_of(&m.prior[stage], stage, &held_out));
            ema_swap(&ema, params);
        }
        run_step(&run);
        save = run_save_due(&run);
        if (!save) continue;
        checkpoint_save_half(run.weights, &weights);
        ema_swap(&ema, params);
        save_together(&m, stage);
        ema_swap(&ema, params);
        checkpoint_save(run.checkpoint, &everything);
        ema_swap(&ema, params);
        picture_of_prior(run_path(&run, "samples.png"), &d, &m, stage, &held_out);
        ema_swap(&ema, params);
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    ema_free(&ema), adam_free(&adam), batches_free(&batches), arena_free(&arena);
    models_free(&m), pictures_free(&d);
    return run_finish(&run);
}

int train(void) {
    bool all = !strcmp(o.stage, "all");
    if (o.autoencoder && (all || !strcmp(o.stage, "autoencoder")))
        usage_error("--autoencoder: --stage %s trains one itself", o.stage);
    if (!has_stage(TOP) && !strcmp(o.stage, "top")) usage_error("--levels 1 has no top");
    for (int s = 0; s < STAGES; s++) {
        if (!has_stage(s) || !(all || !strcmp(o.stage, stage_names[s]))) continue;
        int status = s == AUTOENCODER ? train_autoencoder() : train_prior(s);
        if (status) return status;
    }
    return 0;
}
