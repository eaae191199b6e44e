/* train.c — the training loop: L_simple, Adam, the average of the weights, checkpoints. */
#include "data/batches.h"
#include "train/checkpoint.h"
#include "train/run.h"
#include "nn/optim.h"
#include "settings.h"

enum { COLUMNS = 8, ROWS = 4, HELD_OUT = 256 };

/* everything that changes while training, but for the run's own state */
typedef struct {
    Params params;
    Model net;
    Schedule schedule;
    Adam adam;
    Ema ema;
    Rng noise, times, dropout;
    Batches batches;
    const Images *set;
    /* space for one batch */
    int *index, *t;
    double *error;
    real *held_out;              /* validation images */
    int held_out_count;
} Training;

static void training_start(Training *m, Arena *arena, const Fashion *data) {
    uint64_t seed = o.common.seed;
    size_t B = (size_t)o.common.batch;
    m->params.seed = seed;
    m->net = model_new(&m->params, chosen_config());
    m->schedule = paper_schedule();
    m->adam = (Adam){ADAM_DEFAULTS};
    m->ema.decay = o.ema;
    m->noise = rng_new(seed, "noise"), m->times = rng_new(seed, "times");
    m->dropout = rng_new(seed, "dropout");
    m->set = &data->train;
    m->batches = batches_new(data->train.count, seed);
    m->index = arena_get(arena, B * sizeof *m->index);
    m->t = arena_get(arena, B * sizeof *m->t);
    m->error = arena_get(arena, B * sizeof *m->error);
    m->held_out_count = data->validation.count < HELD_OUT ? data->validation.count : HELD_OUT;
    m->held_out = new_images(arena, m->held_out_count);
    images_get(&data->validation, m->held_out_count, NULL, -1, 1, m->held_out, NULL);
}

static void training_free(Training *m) {
    schedule_free(&m->schedule);
    ema_free(&m->ema), adam_free(&m->adam), params_free(&m->params);
    batches_free(&m->batches);
}

/* Garments are not mirrored, as the paper's pictures are: all shoes point the same way. */
static void training_step(Training *m, Tape *tape, Run *run) {
    static const char *const quarters[] = {"quarter_1", "quarter_2", "quarter_3", "quarter_4"};
    int B = o.common.batch;
    batches_next(&m->batches, B, m->index);
    Tensor *x0 = t_input(tape, NULL, SHAPE(B, SIDE, SIDE, 1));
    images_get(m->set, B, m->index, -1, 1, x0->x, NULL);
    for (int b = 0; b < B; b++) m->t[b] = (int)rng_below(&m->times, TIMESTEPS);
    Tensor *loss = simple_loss(&m->net, &m->schedule, prediction_named(o.predict), x0, m->t,
                               &m->noise, m->error);
    run_value(run, "loss", (double)loss->x[0]);
    for (int b = 0; b < B; b++) run_value(run, quarters[4 * m->t[b] / TIMESTEPS], m->error[b]);
    params_zero_grad(&m->params);
    backward(loss);
    double norm = grad_norm(&m->params);
    run_value(run, "gradient", norm);
    adam_step(&m->adam, &m->params, o.common.lr * lr_warmup(run->step, o.warmup),
              clip_scale(norm, o.clip));
    ema_update(&m->ema, &m->params);
}

/* the loss of validation images, at times spread evenly and with the same noise each time */
static double held_out_loss(const Training *m) {
    enum { AT_ONCE = 64 };
    Tape tape = {.no_grad = true};
    Rng noise = rng_new(1, "validation");
    double sum = 0;
    int n = m->held_out_count, t[AT_ONCE];
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        tape_reset(&tape);
        for (int b = 0; b < B; b++) t[b] = (int)((i + b) * 389LL % TIMESTEPS);
        Tensor *x0 = t_input(&tape, m->held_out + (size_t)i * PIXELS, SHAPE(B, SIDE, SIDE, 1));
        Tensor *loss = simple_loss(&m->net, &m->schedule, prediction_named(o.predict), x0, t,
                                   &noise, NULL);
        sum += B * (double)loss->x[0];
    }
    tape_free(&tape);
    return sum / n;
}

/* a few pictures in a few steps, to see how far the training is */
static void save_samples(const Training *m, char *path) {
    static real x[ROWS * COLUMNS * PIXELS], x0[ROWS * COLUMNS * PIXELS];
    Schedule quick = schedule_strided(&m->schedule, o.preview);
    Sampler sampler = sampler_of(&m->net, &quick);
    draw(&sampler, 0, ROWS * COLUMNS, x, x0, NULL, NULL);
    save_garments(path, x, ROWS * COLUMNS, COLUMNS);
    tape_free(&sampler.tape);
    schedule_free(&quick);
}

int train(void) {
    Run run = {.columns = "loss,quarter_1,quarter_2,quarter_3,quarter_4,gradient,validation",
               .log_every = 10};
    chosen_config();
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
                                        {"adam.v.", &m.adam.v, .like = &m.params}},
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
        tape_reset(&tape);
        training_step(&m, &tape, &run);
        if (run_due(&run, 500)) {
            ema_swap(&m.ema, &m.params);     /* scores and pictures are the averaged weights' */
            run_value(&run, "validation", held_out_loss(&m));
            ema_swap(&m.ema, &m.params);
        }
        run_step(&run);
        if (run_save_due(&run)) {
            checkpoint_save_half(run.weights, &weights);
            checkpoint_save(run.checkpoint, &everything);
            ema_swap(&m.ema, &m.params);
            if (o.preview) save_samples(&m, run_path(&run, "samples.png"));
            ema_swap(&m.ema, &m.params);
        }
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    training_free(&m);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}
