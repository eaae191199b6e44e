/* test_micro.c — steps made of micro-batches: gradients, random streams, images, buffers, the log. */
#include "base/file.h"
#include "stops.h"
#include "testing.h"
#include "train/run.h"

#include <signal.h>
#include <unistd.h>

SUITE(micro);

/* ---- a small network with everything that a step can change ---------------------------------- */

enum { COUNT = 7, BATCH = 12, STEPS = 4, VALUES = 3 };

static CommonOptions common;
static Option options[] = {COMMON_OPTIONS(common, "default"), {0}};
static Cli cli;
static char folder[32];
static struct {
    bool without_noise, without_buffer, plain;      /* plain: SGD, not clipped */
    int stop_at;                         /* a signal in the last turn of this step */
    int turns, evaluations;              /* counted */
    const char *whole_batch;
} plan;

static void parse(const char *words) {
    static char copy[500], *argv[16];
    int argc = 1;
    common = (CommonOptions){.seed = 3, .steps = STEPS, .batch = BATCH, .lr = 0.1,
                             .config = "default", .out = folder, .quiet = true};
    cli = (Cli){.program = "toy", .common = &common, .options = options,
                .commands = (const Command[]){{"train", "", NULL}, {0}}};
    strcpy(copy, words);
    argv[0] = "build/toy";
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
    argv[argc] = NULL;
    cli_parse(&cli, argc, argv);
}

typedef struct {
    Tensor *w, *mean;                    /* weights; a running mean of what is drawn */
} Toy;

static Toy toy_new(Params *p) {
    Scope s = scope(p, "layer");
    return (Toy){param(s, "w", INIT_NORMAL, 1, SHAPE(VALUES)), buffer(s, "mean", 0.5, SHAPE(1))};
}

/* The weights follow the images' numbers, noise and the running mean. They are used twice, so that
 * their gradient is a sum by itself. */
static Tensor *toy_loss(const Toy *n, Tape *t, int size, const int *index, Rng *noise) {
    real target[VALUES] = {0};
    if (!plan.without_noise) rng_normal(noise, VALUES, target);
    for (int i = 0; i < size; i++) target[index[i] % VALUES] += (real)index[i] / (real)size;
    if (!plan.without_buffer) {
        n->mean->x[0] += (real)0.1 * (target[0] - n->mean->x[0]);
        target[1] += n->mean->x[0];
    }
    Tensor *w = t_use(t, n->w);
    return t_add(t_mse(w, t_input(t, target, SHAPE(VALUES))), t_mean(t_mul(w, t_use(t, n->w))));
}

/* Trains it; two batches a step, as a loop may take them. The weights and the mean go to `to`. */
static int train(const char *words, real to[static VALUES + 1]) {
    parse(words);
    plan.turns = plan.evaluations = 0;
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,turn,validation",
                                             .whole_batch = plan.whole_batch});
    Params *params = run_params(run, "");
    Toy net = toy_new(params);
    Optimizer *optimizer = plan.plain ? run_sgd(run, "sgd", params, (Sgd){0})
                                      : run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    optimizer->clip = plan.plain ? 0 : 0.5;
    run_ema(run, optimizer, 0.5);
    Loader *order = run_order(run, COUNT, run_part(run, BATCH));
    Rng *noise = run_rng(run, "noise");
    while (run_next(run)) {
        loader_next(order), loader_next(order);
        Tensor *loss = toy_loss(&net, &run->tape, order->size, order->index, noise);
        run_log(run, "loss", loss);
        run_value(run, "turn", (double)run->micro_batch);
        minimise(optimizer, loss, common.lr / (double)(1 + run->step));
        plan.turns++;
        if (plan.turns == plan.stop_at) raise(SIGINT);
        if (run_every(run, 2)) run_value(run, "validation", ++plan.evaluations);
    }
    memcpy(to, net.w->x, VALUES * sizeof *to), to[VALUES] = net.mean->x[0];
    return run_finish(run);
}

/* The same by the definitions, with M micro-batches: images, draws, sums, norm, step. */
static void train_by_hand(int M, real to[static VALUES + 1]) {
    Params p = {.seed = 3};
    Toy net = toy_new(&p);
    Adam adam = {ADAM_DEFAULTS};
    Batches order = batches_new(COUNT, 3);
    int size = BATCH / M, index[BATCH];
    for (int step = 0; step < STEPS; step++) {
        real sum[VALUES], before = net.mean->x[0], change = 0;
        for (int m = 0; m < M; m++) {
            Tape t = {0};
            char name[16];
            snprintf(name, sizeof name, "%d", m);
            Rng noise = {3, hash_name(hash_name(0, "noise"), name), (uint64_t)step << 32};
            order.next = (uint64_t)((2 * step + 1) * BATCH + m * size);     /* the second batch */
            batches_next(&order, size, index);
            net.mean->x[0] = before;
            backward(toy_loss(&net, &t, size, index, &noise));
            for (int i = 0; i < VALUES; i++) sum[i] = (m ? sum[i] : 0) + net.w->g[i];
            change += net.mean->x[0] - before;
            params_zero_grad(&p), tape_free(&t);
        }
        memcpy(net.w->g, sum, sizeof sum);
        net.w->has_grad = true;
        net.mean->x[0] = before;
        k_axpy(1, (real)(1.0 / M), &change, net.mean->x, true);       /* rounded once */
        double scale = clip_scale(grad_norm(&p) / M, 0.5) / M;
        adam_step(&adam, &p, 0.1 / (1 + step), scale);
        params_zero_grad(&p);
    }
    memcpy(to, net.w->x, VALUES * sizeof *to), to[VALUES] = net.mean->x[0];
    adam_free(&adam), batches_free(&order), params_free(&p);
}

static void new_folder(void) {
    signal(SIGINT, SIG_DFL);
    strcpy(folder, temporary_folder());
}

/* a file of the run; to be freed */
static char *read_file(const char *name, size_t *n) {
    char *path = path_join(folder, name);
    const uint8_t *bytes = file_map(path, n);
    char *copy = malloc(*n + 1);
    memcpy(copy, bytes, *n), copy[*n] = 0;
    file_unmap(bytes, *n);
    free(path);
    return copy;
}

/* ---- the tests ------------------------------------------------------------------------------- */

/* the same bits as by the definitions, for 2, 3, 4 and 12 micro-batches */
Test(micro, a_step_is_what_it_is_defined_to_be) {
    static const char *const words[] = {"train --micro 2", "train --micro 3", "train --micro 4",
                                        "train --micro 12"};
    static const int count[] = {2, 3, 4, 12};
    for (int k = 0; k < 4; k++) {
        real got[VALUES + 1], expected[VALUES + 1];
        new_folder();
        cr_assert_eq(train(words[k], got), 0);
        train_by_hand(count[k], expected);
        for (int i = 0; i <= VALUES; i++)
            cr_expect_eq(got[i], expected[i], "%s: %d: %.9g, by hand %.9g", words[k], i,
                         (double)got[i], (double)expected[i]);
        cr_expect_eq(plan.turns, STEPS * count[k]);
    }
}

/* Without noise and running means: is the gradient that of the whole batch, but for rounding? */
Test(micro, parts_of_a_batch_are_the_batch) {
    real whole[VALUES + 1], parts[VALUES + 1];
    plan.without_noise = plan.without_buffer = true;
    for (int plain = 0; plain < 2; plain++) {
        plan.plain = plain;
        new_folder();
        train("train", whole);
        new_folder();
        train("train --micro 4", parts);
        for (int i = 0; i < VALUES; i++)
            cr_expect_float_eq(parts[i], whole[i], sizeof(real) == 8 ? 1e-13 : 1e-5);
    }
}

/* Are a row's values the means over the micro-batches, and evaluations made once a step? */
Test(micro, the_log_holds_means_over_micro_batches) {
    real w[VALUES + 1];
    size_t n;
    new_folder();
    train("train --micro 3", w);
    char *log = read_file("log.csv", &n), *row = strtok(log, "\n");
    for (int step = 1; step <= STEPS; step++) {
        int number;
        row = strtok(NULL, "\n");
        cr_assert(row);
        double turn, validation = 0;
        int found = sscanf(row, "%d,%*f,%*f,%lf,%lf", &number, &turn, &validation);
        cr_expect(found == (step % 2 ? 2 : 3) && number == step, "%s", row);
        cr_expect_eq(turn, 3 * (step - 1) + 1, "the mean of three numbers in a row: %s", row);
        cr_expect_eq(validation, step % 2 ? 0 : step / 2, "%s", row);
    }
    cr_expect_eq(plan.evaluations, 2);
    free(log);
}

/* stopped amid a step's turns, and resumed: the same checkpoint? */
Test(micro, a_resumed_run_is_the_same) {
    real w[VALUES + 1];
    size_t n, m;
    new_folder();
    cr_assert_eq(train("train --micro 3", w), 0);
    char *straight = read_file("checkpoint.safetensors", &n);
    new_folder();
    plan.stop_at = 4;                    /* the first turn of the second step */
    cr_assert_eq(train("train --micro 3", w), 130);
    cr_assert_eq(plan.turns, 6, "the step is finished");
    plan.stop_at = 0;
    cr_assert_eq(train("train --resume", w), 0);
    char *resumed = read_file("checkpoint.safetensors", &m);
    cr_expect(n == m && !memcmp(straight, resumed, n));
    free(straight), free(resumed);
}

static void train_it(void *words) {
    real w[VALUES + 1];
    exit(train(words, w));
}

Test(micro, what_cannot_be_is_refused) {
    real w[VALUES + 1];
    new_folder();
    expect_stop(2, "--micro 5: does not divide the batch of 12", train_it, "train --micro 5");
    cr_assert_eq(train("train --micro 2", w), 0);
    expect_stop(2, "--micro 3 contradicts", train_it, "train --resume --micro 3");
    new_folder();
    cr_assert_eq(rmdir(folder), 0);
    plan.whole_batch = "its codebook follows the whole batch";
    expect_stop(2, "--micro 2: its codebook follows the whole batch; leave it out", train_it,
                "train --micro 2");
    cr_expect_neq(access(folder, F_OK), 0, "a folder was made");
    cr_assert_eq(train("train", w), 0);
}
