#include "commands.h"
#include "data/batches.h"
#include "draw.h"
#include "train/checkpoint.h"
#include "base/file.h"
#include "train/run.h"
#include "nn/optim.h"
#include "settings.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 8, ROWS = 4, HELD_OUT = 256 };

/* validation images, each at a time of its own */
typedef struct {
    int n, *label, *even, *early;       /* even: as many late times as early ones */
    double *weight;                     /* of each early time */
    real *x0;
} HeldOut;

/* everything that changes while training, but for the run's own state */
typedef struct {
    Params params;
    Model net;
    Diffusion chain;
    Objective objective;
    Variance variance;
    Adam adam;
    Ema ema;
    Rng noise, times, dropout;
    bool importance;
    LossSampler sampler;                /* unless times are uniform */
    Batches batches;
    const Images *set;
    HeldOut held_out;
    /* of one batch: pictures, classes, times and their weights; what came of each */
    int *index, *label, *t;
    double *weight, *loss, *mse, *bits;
} Training;

/* ---- start and end --------------------------------------------------------------------------- */

/* Ends the program with one line where options contradict each other. */
static void check_settings(void) {
    bool simple = !strcmp(o.objective, "simple"), learned = !strcmp(o.variance, "learned");
    Diffusion d = chosen_chain();
    diffusion_free(&d);
    chosen_config();
    if (simple && learned)
        usage_error("--objective simple trains no variance: it needs --variance small or large");
    if (o.preview == 1)
        usage_error("--preview 1: one step draws no picture; 2 or more do, 0 is none");
    if (!strcmp(o.objective, "hybrid") && !learned)
        usage_error("--objective hybrid is simple and, for a learned variance alone, the bound: "
                    "it needs --variance learned");
}

static HeldOut held_out_images(Arena *arena, const Images *set, int T) {
    int n = set->count < HELD_OUT ? set->count : HELD_OUT;
    HeldOut h = {.n = n, .x0 = new_images(arena, n)};
    h.label = arena_get(arena, (size_t)n * sizeof *h.label);
    h.even = arena_get(arena, (size_t)n * sizeof *h.even);
    h.early = arena_get(arena, (size_t)n * sizeof *h.early);
    h.weight = arena_get(arena, (size_t)n * sizeof *h.weight);
    images_get(set, n, NULL, -1, 1, h.x0, h.label);
    even_timesteps(T, n, h.even);
    early_timesteps(T, n, h.early, h.weight);
    return h;
}

static void training_start(Training *m, Arena *arena, const Fashion *data) {
    uint64_t seed = o.common.seed;
    size_t B = (size_t)o.common.batch;
    m->params.seed = seed;
    m->net = model_new(&m->params, chosen_config());
    m->chain = chosen_chain();
    m->objective = objective_named(o.objective), m->variance = variance_named(o.variance);
    m->adam = (Adam){ADAM_DEFAULTS};
    m->ema.decay = o.ema;
    m->noise = rng_new(seed, "noise"), m->times = rng_new(seed, "times");
    m->dropout = rng_new(seed, "dropout");
    bool automatic = !strcmp(o.times, "auto");
    m->importance = automatic ? m->objective == VLB : !strcmp(o.times, "importance");
    if (m->importance) loss_sampler_start(&m->sampler, o.timesteps);
    m->set = &data->train;
    m->batches = batches_new(data->train.count, seed);
    m->held_out = held_out_images(arena, &data->validation, o.timesteps);
    int **whole[] = {&m->index, &m->label, &m->t};
    double **number[] = {&m->weight, &m->loss, &m->mse, &m->bits};
    for (int k = 0; k < 3; k++) *whole[k] = arena_get(arena, B * sizeof **whole[k]);
    for (int k = 0; k < 4; k++) *number[k] = arena_get(arena, B * sizeof **number[k]);
}

static void training_free(Training *m) {
    diffusion_free(&m->chain);
    ema_free(&m->ema), adam_free(&m->adam), params_free(&m->params);
    if (m->importance) loss_sampler_free(&m->sampler);
    batches_free(&m->batches);
}

/* ---- one step -------------------------------------------------------------------------------- */

static void draw_times(Training *m) {
    int B = o.common.batch;
    if (m->importance) {
        draw_timesteps(&m->sampler, &m->times, B, m->t, m->weight);
        return;
    }
    for (int b = 0; b < B; b++) {
        m->t[b] = (int)rng_below(&m->times, (uint32_t)o.timesteps);
        m->weight[b] = 1;
    }
}

/* n pictures of the batch from `first` on: their part of the gradient of its mean weighted loss */
static void add_gradient(Training *m, Tape *tape, int first, int n) {
    tape_reset(tape);
    Tensor *x0 = t_input(tape, NULL, SHAPE(n, SIDE, SIDE, 1));
    Tensor *w = t_input(tape, NULL, SHAPE(n, 1));
    images_get(m->set, n, m->index + first, -1, 1, x0->x, m->label + first);
    for (int b = 0; b < n; b++) w->x[b] = (real)(m->weight[first + b] / o.common.batch);
    Losses l = network_losses(&m->net, &m->chain, m->objective, m->variance, x0,
                              o.classes ? m->label + first : NULL, m->t + first, &m->noise);
    for (int b = 0; b < n; b++) {
        m->loss[first + b] = (double)l.each->x[b];
        m->mse[first + b] = (double)l.mse->x[b];
        m->bits[first + b] = l.bits ? (double)l.bits->x[b] : 0;
    }
    backward(t_sum(t_mul(l.each, w)));
}

/* Losses of the mean over all times, and of each quarter of them: the former weighted. */
static void log_losses(const Training *m, Run *run) {
    static const char *const quarters[] = {"quarter_1", "quarter_2", "quarter_3", "quarter_4"};
    int B = o.common.batch, T = o.timesteps;
    double loss = 0, bits = 0;
    for (int b = 0; b < B; b++) {
        loss += m->weight[b] * m->loss[b] / B;
        bits += m->weight[b] * m->bits[b] / B * T;
        run_value(run, quarters[(int64_t)m->t[b] * 4 / T], m->mse[b]);
    }
    run_value(run, "loss", loss);
    if (m->objective != SIMPLE) run_value(run, "bits", bits);
}

/* The batch goes through the network in two halves, whose gradients add up: for the gradient of one
 * half alone, and with half the memory. Garments are not mirrored: all shoes point the same way. */
static void training_step(Training *m, Tape *tape, Run *run) {
    int B = o.common.batch, half = (B + 1) / 2;
    batches_next(&m->batches, B, m->index);
    draw_times(m);
    params_zero_grad(&m->params);
    add_gradient(m, tape, 0, half);
    double small = grad_norm(&m->params) * B / half;
    if (half < B) add_gradient(m, tape, half, B - half);
    double norm = grad_norm(&m->params);
    log_losses(m, run);
    run_value(run, "gradient", norm);
    if (half < B) {
        GradientNoise g = gradient_noise(half, small * small, B, norm * norm);
        run_value(run, "signal", g.signal), run_value(run, "noise", g.noise);
    }
    if (m->importance) loss_sampler_update(&m->sampler, B, m->t, m->loss);
    adam_step(&m->adam, &m->params, o.common.lr * lr_warmup(run->step, o.warmup),
              clip_scale(norm, o.clip));
    ema_update(&m->ema, &m->params);
}

/* ---- on the way ------------------------------------------------------------------------------ */

enum { AT_ONCE = 64 };

static Tensor *held_out_part(const HeldOut *h, Tape *tape, int first) {
    int B = h->n - first < AT_ONCE ? h->n - first : AT_ONCE;
    tape_reset(tape);
    return t_input(tape, h->x0 + (size_t)first * PIXELS, SHAPE(B, SIDE, SIDE, 1));
}

/* mean squared error of eps, with the same noise each time */
static double held_out_error(const Training *m, const HeldOut *h) {
    Tape tape = {.no_grad = true};
    Rng noise = rng_new(1, "validation");
    double sum = 0;
    for (int i = 0; i < h->n; i += AT_ONCE) {
        Tensor *x0 = held_out_part(h, &tape, i);
        Losses l = network_losses(&m->net, &m->chain, SIMPLE, m->variance, x0,
                                  o.classes ? h->label + i : NULL, h->even + i, &noise);
        sum += k_sum(l.mse->len, l.mse->x);
    }
    tape_free(&tape);
    return sum / h->n;
}

/* the bound without the prior, likewise */
static double held_out_bits(const Training *m, const HeldOut *h) {
    Tape tape = {.no_grad = true};
    Rng noise = rng_new(1, "validation");
    double sum = 0, bits[AT_ONCE];
    for (int i = 0; i < h->n; i += AT_ONCE) {
        Tensor *x0 = held_out_part(h, &tape, i);
        network_bound(&m->net, &m->chain, m->variance, x0, o.classes ? h->label + i : NULL,
                      h->early + i, &noise, bits);
        for (int b = 0; b < x0->shape[0]; b++) sum += h->weight[i + b] * bits[b];
    }
    tape_free(&tape);
    return sum / h->n * o.timesteps;
}

/* of the averaged weights */
static void validate(Training *m, Run *run) {
    ema_swap(&m->ema, &m->params);
    run_value(run, "validation", held_out_error(m, &m->held_out));
    run_value(run, "validation_bits", held_out_bits(m, &m->held_out));
    ema_swap(&m->ema, &m->params);
}

/* a few pictures in a few steps, to see how far the averaged weights are */
static void save_samples(Training *m, char *path) {
    char sections[16];
    Arena arena = {0};
    int n = o.classes ? ROWS * o.classes : ROWS * COLUMNS;
    real *x = new_images(&arena, n);
    snprintf(sections, sizeof sections, "%d", o.preview < o.timesteps ? o.preview : o.timesteps);
    Diffusion few = respaced_chain(&m->chain, "preview", sections);
    Sampler sampler = new_sampler(&m->net, &few);
    ema_swap(&m->ema, &m->params);
    draw_pictures(&sampler, n, wanted_classes(&arena, n), x,
                  (Drawing){.at_once = n, .quiet = true});
    ema_swap(&m->ema, &m->params);
    save_garments(path, x, n, n / ROWS);
    tape_free(&sampler.tape);
    diffusion_free(&few);
    arena_free(&arena);
}

int train(void) {
    Run run = {.columns = "loss,bits,quarter_1,quarter_2,quarter_3,quarter_4,gradient,signal,noise,"
                          "validation,validation_bits",
               .log_every = 10};
    if (!o.common.resume) check_settings();     /* else the checkpoint knows better */
    run_start(&run, &cli, &o.common);
    Arena arena = {0};
    Fashion data = load_data();
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    Training m = {0};
    training_start(&m, &arena, &data);
    run_record_number(&run, "parameters", (double)params_count(&m.params));

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", &m.params},
                                        {"ema.", &m.ema.average, .like = &m.params},
                                        {"adam.m.", &m.adam.m, .like = &m.params},
                                        {"adam.v.", &m.adam.v, .like = &m.params},
                                        {"times.", m.importance ? &m.sampler.state : NULL}},
                             .numbers = {{"step", .i = &run.step},
                                         {"ema.step", .i = &m.ema.step},
                                         {"adam.step", .i = &m.adam.step},
                                         {"noise", .u = &m.noise.next},
                                         {"times", .u = &m.times.next},
                                         {"dropout", .u = &m.dropout.next},
                                         {"batches", .u = &m.batches.next}}};
    Checkpoint weights = {.cli = &cli, .params = {{"", &m.ema.average}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {.dropout = &m.dropout};
    while (run_next(&run)) {
        training_step(&m, &tape, &run);
        if (run_due(&run, 250)) validate(&m, &run);
        run_step(&run);
        if (run_save_due(&run)) {
            checkpoint_save_half(run.weights, &weights);
            checkpoint_save(run.checkpoint, &everything);
            if (o.preview) save_samples(&m, run_path(&run, "samples.png"));
        }
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    training_free(&m);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}
