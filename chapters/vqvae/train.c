/* train.c — two stages, each a run of its own in the same folder:
 *   autoencoder   pictures to codes and back: autoencoder-log.csv, -checkpoint, -weights, ...
 *   prior         p(codes | class) on the codes of autoencoder-weights.safetensors: prior-log.csv
 * The second writes weights.safetensors, which holds both. */
#include "codes.h"
#include "commands.h"
#include "data/batches.h"
#include "draw.h"
#include "train/checkpoint.h"
#include "base/file.h"
#include "train/run.h"
#include "nn/optim.h"
#include "settings.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* ---- the autoencoder ------------------------------------------------------------------------- */

/* everything that changes while training, but for the run's own state */
typedef struct {
    Params params;
    Params times;                /* one buffer: how often each code was chosen in this epoch */
    Vqvae net;
    Adam adam;
    Rng codebook;
    Batches batches;
    double variance;
} Stage1;

static void stage1_start(Stage1 *s, const Images *train_set) {
    *s = (Stage1){.params = {.seed = o.common.seed}, .adam = {ADAM_DEFAULTS}};
    s->net = new_autoencoder(&s->params);
    buffer(scope(&s->times, "%s", ""), "times", 0, SHAPE(o.codes));
    s->codebook = rng_new(o.common.seed, "codebook");
    s->batches = batches_new(train_set->count, o.common.seed);
    s->variance = variance_of(train_set);
}

static void stage1_free(Stage1 *s) {
    adam_free(&s->adam), params_free(&s->params), params_free(&s->times);
    batches_free(&s->batches);
}

/* The first batch's vectors are where codes start. Averages move, and codes that nobody uses start
 * anew, here and nowhere else: evaluation leaves the codebook alone. */
static Quantised quantise_and_learn(Stage1 *s, Tensor *z, int64_t step) {
    Codebook *book = &s->net.book;
    if (step == 0) codebook_start(book, z, &s->codebook);
    Quantised q = quantise(book, z);
    codebook_update(book, &q);
    codebook_revive(book, &q, o.revive, &s->codebook);
    for (int i = 0; i < q.n; i++) s->times.list[0]->x[q.index[i]] += 1;
    return q;
}

static void stage1_step(Stage1 *s, Tape *tape, Run *run, const Images *set, int *index) {
    int B = o.common.batch;
    tape_reset(tape);
    batches_next(&s->batches, B, index);
    Tensor *x = t_input(tape, NULL, SHAPE(B, IMAGE, IMAGE, 1));
    images_get(set, B, index, 0, 1, x->x, NULL);

    Quantised q = quantise_and_learn(s, encode(&s->net, x), run->step);
    Tensor *rebuilt = decode(&s->net, q.codes);
    Tensor *loss = vqvae_loss(x, rebuilt, &q, s->variance, o.beta);
    run_value(run, "loss", (double)loss->x[0]);
    run_value(run, "nmse", (double)t_mse(rebuilt, x)->x[0] / s->variance);
    run_value(run, "commitment", (double)q.commitment_loss->x[0]);
    params_zero_grad(&s->params);
    backward(loss);
    adam_step(&s->adam, &s->params, o.common.lr * lr_warmup(run->step, 100), 1);
}

/* An epoch is over (or the run): how many of the codes did its millions of vectors choose? A single
 * batch has too few vectors to tell. */
static void close_epoch(Stage1 *s, Run *run) {
    uint64_t B = (uint64_t)o.common.batch, count = (uint64_t)s->batches.count;
    bool over = s->batches.next / count != (s->batches.next - B) / count;
    Tensor *times = s->times.list[0];
    if (!over) return;
    int *whole = calloc((size_t)o.codes, sizeof *whole);
    if (!whole) fail("out of memory");
    for (int k = 0; k < o.codes; k++) whole[k] = (int)times->x[k];
    run_value(run, "perplexity", codebook_perplexity(o.codes, whole));
    run_value(run, "codes_used", codes_used(o.codes, whole));
    k_fill(times->len, 0, times->x);
    free(whole);
}

static double held_out_nmse(const Stage1 *s, const Fashion *data) {
    Arena arena = {0};
    Coded c = code_first(&arena, &s->net, &data->validation, HELD_OUT);
    double nmse = squared_error(&c) / s->variance;
    arena_free(&arena);
    return nmse;
}

static int train_autoencoder(void) {
    Run run = {.columns = "loss,nmse,commitment,validation_nmse,perplexity,codes_used",
               .log_every = 10, .name = "autoencoder"};
    run_start(&run, &cli, &o.common);
    Arena arena = {0};
    Fashion data = load_data();
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    int *index = arena_get(&arena, (size_t)o.common.batch * sizeof *index);
    Stage1 s;
    stage1_start(&s, &data.train);
    run_record_number(&run, "parameters", (double)vqvae_count(&s.net, &s.params));
    run_record_number(&run, "pixel_variance", s.variance);

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", &s.params},
                                        {"epoch.", &s.times},
                                        {"adam.m.", &s.adam.m, .like = &s.params},
                                        {"adam.v.", &s.adam.v, .like = &s.params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"adam.step", .i = &s.adam.step},
                                         {"codebook", .u = &s.codebook.next},
                                         {"batches", .u = &s.batches.next}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        stage1_step(&s, &tape, &run, &data.train, index);
        close_epoch(&s, &run);
        if (run_due(&run, 250)) run_value(&run, "validation_nmse", held_out_nmse(&s, &data));
        run_step(&run);
        if (!run_save_due(&run)) continue;
        checkpoint_save_half(run.weights, &(Checkpoint){.cli = &cli, .params = {{"", &s.params}}});
        checkpoint_save(run.checkpoint, &everything);
        picture_of_reconstructions(&s.net, &data.validation,
                                   run_path(&run, "reconstructions.png"));
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    stage1_free(&s);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}

/* ---- the prior ------------------------------------------------------------------------------- */

typedef struct {
    Params of_autoencoder, params;
    Vqvae autoencoder;
    Prior prior;
    Adam adam;
    Ema ema;
    Batches batches;
    Maps train, validation;
    int *index, *codes, *labels;         /* of one batch */
} Stage2;

static void stage2_start(Stage2 *s, Arena *arena, const Fashion *data) {
    size_t B = (size_t)o.common.batch;
    s->params.seed = o.common.seed;
    s->prior = new_prior(&s->params);
    s->adam = (Adam){ADAM_DEFAULTS};
    s->ema.decay = 0.999;
    s->batches = batches_new(data->train.count, o.common.seed);
    s->train = maps_of(arena, &s->autoencoder, &data->train);
    s->validation = maps_of(arena, &s->autoencoder, &data->validation);
    s->index = arena_get(arena, B * sizeof(int));
    s->codes = arena_get(arena, B * POSITIONS * sizeof(int));
    s->labels = arena_get(arena, B * sizeof(int));
}

static void stage2_free(Stage2 *s) {
    ema_free(&s->ema), adam_free(&s->adam), batches_free(&s->batches);
    params_free(&s->params), params_free(&s->of_autoencoder);
}

static void stage2_step(Stage2 *s, Tape *tape, Run *run) {
    int B = o.common.batch;
    tape_reset(tape);
    batches_next(&s->batches, B, s->index);
    for (int i = 0; i < B; i++) {
        size_t from = (size_t)s->index[i] * POSITIONS;
        memcpy(s->codes + i * POSITIONS, s->train.codes + from, POSITIONS * sizeof *s->codes);
        s->labels[i] = s->train.labels[s->index[i]];
    }
    Tensor *embedded = prior_embed(&s->prior, tape, s->codes, B, MAP, MAP);
    Tensor *loss = prior_loss(prior_logits(&s->prior, embedded, s->labels), s->codes);
    run_value(run, "loss", (double)loss->x[0]);
    params_zero_grad(&s->params);
    backward(loss);
    adam_step(&s->adam, &s->params, o.prior_lr * lr_warmup(run->step, 100), 1);
    ema_update(&s->ema, &s->params);
}

/* The same number of images that it trains on and that it does not: the gap is what it learned by
 * heart. */
static void compare_likelihoods(Stage2 *s, Run *run) {
    ema_swap(&s->ema, &s->params);
    run_value(run, "train_nats", first_nats(&s->prior, &s->train, HELD_OUT));
    run_value(run, "validation_nats", first_nats(&s->prior, &s->validation, HELD_OUT));
    ema_swap(&s->ema, &s->params);
}

static void save_weights(Stage2 *s) {
    char *path = path_join(o.common.out, "weights.safetensors");
    checkpoint_save_half(path, &(Checkpoint){.cli = &cli,
                                             .params = {{"autoencoder.", &s->of_autoencoder},
                                                        {"prior.", &s->ema.average}}});
    free(path);
}

static void save_samples(Stage2 *s, const Run *run) {
    ema_swap(&s->ema, &s->params);
    picture_of_samples(&s->autoencoder, &s->prior, run_path(run, "samples.png"));
    ema_swap(&s->ema, &s->params);
}

static int train_prior(void) {
    Run run = {.columns = "loss,train_nats,validation_nats", .log_every = 10,
               .steps = &o.prior_steps, .name = "prior"};
    Stage2 s = {0};
    s.autoencoder = load_autoencoder(&s.of_autoencoder);
    run_start(&run, &cli, &o.common);
    Arena arena = {0};
    Fashion data = load_data();
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    stage2_start(&s, &arena, &data);
    run_record_number(&run, "parameters", (double)params_count(&s.params));

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", &s.params},
                                        {"ema.", &s.ema.average, .like = &s.params},
                                        {"adam.m.", &s.adam.m, .like = &s.params},
                                        {"adam.v.", &s.adam.v, .like = &s.params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"ema.step", .i = &s.ema.step},
                                         {"adam.step", .i = &s.adam.step},
                                         {"batches", .u = &s.batches.next}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        stage2_step(&s, &tape, &run);
        if (run_due(&run, 250)) compare_likelihoods(&s, &run);
        run_step(&run);
        if (!run_save_due(&run)) continue;
        save_weights(&s);
        checkpoint_save(run.checkpoint, &everything);
        save_samples(&s, &run);
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    stage2_free(&s);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}

int train(void) {
    int status = 0;
    if (strcmp(o.stage, "prior")) status = train_autoencoder();
    if (!status && strcmp(o.stage, "autoencoder")) status = train_prior();
    return status;
}
