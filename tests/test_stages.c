/* test_stages.c — training in two stages in one folder: each knows what it was trained on. */
#include "base/file.h"
#include "nn/layers.h"
#include "stops.h"
#include "testing.h"
#include "train/run.h"

SUITE(stages);

/* ---- a program of two stages: weights that follow noise, and weights that follow these ------- */

static CommonOptions common;
static int second_steps;
static const char *stage;
static Option options[] = {
    COMMON_OPTIONS(common, "default"),
    {"stage", 0, .s = &stage, .choices = "all|first|second", .keep = KEEP_NOT},
    {"second-steps", 0, .i = &second_steps, .min = 0, .max = 100, .keep = KEEP_DEFAULT},
    {0}};
static Cli cli = {.program = "toy", .common = &common, .options = options};
static char folder[32];

static void parse(const char *words) {
    static char copy[200], *argv[16];
    int argc = 1;
    common = (CommonOptions){.seed = 3, .steps = 4, .batch = 2, .lr = 0.1, .config = "default",
                             .out = folder, .quiet = true};
    second_steps = 4, stage = "all";
    cli.commands = (const Command[]){{"train", "", NULL}, {0}};
    strcpy(copy, words);
    argv[0] = "toy";
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
    argv[argc] = NULL;
    cli_parse(&cli, argc, argv);
}

/* trains w towards noise around `goal`; the step it began at */
static int64_t fit(Run *run, real goal) {
    Params *params = run_params(run, "");
    Tensor *w = param(scope(params, "layer"), "b", INIT_CONSTANT, 0, SHAPE(3));
    Optimizer *sgd = run_sgd(run, "sgd", params, (Sgd){0});
    Rng *noise = run_rng(run, "noise");
    int64_t begun = -1;
    while (run_next(run)) {
        if (begun < 0) begun = run->step;
        Tensor *target = t_input(&run->tape, NULL, SHAPE(3));
        rng_normal(noise, 3, target->x);
        Tensor *loss = t_mse(t_use(&run->tape, w), t_add_scalar(target, goal));
        run_log(run, "loss", loss);
        minimise(sgd, loss, common.lr);
    }
    cr_assert_eq(run_finish(run), 0);
    return begun;
}

static char *first_weights(void) { return path_join(folder, "first-weights.safetensors"); }

static void first(const char *words) {
    parse(words);
    fit(run_start(&cli, (RunSettings){.columns = "loss", .stage = "first", .later = "second"}), 0);
}

static bool began_anew;          /* the second stage, with random weights */

static int64_t second(const char *words) {
    parse(words);
    char *path = first_weights();
    Params of_first = {0};
    Run *run = run_start(&cli, (RunSettings){.columns = "loss", .stage = "second",
                                             .steps = &second_steps});
    run_trained_on(run, path);
    began_anew = run->random;
    Tensor *w = param(scope(&of_first, "layer"), "b", INIT_CONSTANT, 0, SHAPE(3));
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", &of_first}}});
    int64_t begun = fit(run, w->x[0]);
    params_free(&of_first);
    free(path);
    return begun;
}

static void second_of(void *words) {
    second(words);
}

static bool there(const char *name) {
    char *path = path_join(folder, name);
    bool yes = access(path, F_OK) == 0;
    free(path);
    return yes;
}

static void new_folder(void) { strcpy(folder, temporary_folder()); }

/* ---- tests ----------------------------------------------------------------------------------- */

/* Another first stage: are the second's files kept under another name, and out of the way? */
Test(stages, a_first_stage_trained_anew_sets_the_later_one_aside) {
    new_folder();
    first("train"), second("train");
    cr_assert(there("second-checkpoint.safetensors") && there("second-weights.safetensors"));
    first("train --seed 4");
    cr_expect(!there("second-checkpoint.safetensors") && !there("second-weights.safetensors"));
    cr_expect(there("second-checkpoint.safetensors.old") && there("second-log.csv.old"));
    cr_expect(there("first-weights.safetensors.old"));
    second("train"), first("train --seed 5");
    cr_expect(there("second-weights.safetensors.old") && there("second-weights.safetensors.old2"));
}

/* Trained further, it is another, too; with no step to do it stays what it was. */
Test(stages, a_first_stage_that_goes_on_sets_the_later_one_aside) {
    new_folder();
    first("train"), second("train");
    first("train --resume");
    cr_expect(there("second-checkpoint.safetensors"), "nothing was trained");
    first("train --resume --steps 6");
    cr_expect(!there("second-checkpoint.safetensors"), "it is another now");
    cr_expect(there("second-checkpoint.safetensors.old") && !there("first-log.csv.old"));
}

/* --resume of all stages begins those it had not come to; of one that --stage names, and that has
 * nothing to go on from, it is refused as in any run: its options would be defaults. */
Test(stages, a_stage_that_was_not_begun_is_not_resumed_by_name) {
    new_folder();
    first("train");
    expect_stop(1, "second-checkpoint.safetensors: not found, so there is nothing to go on from",
                second_of, "train --resume --stage second");
    cr_expect(!there("second-log.csv"));
    cr_expect_eq(second("train --resume"), 0);
    cr_expect_eq(second("train --resume --stage second --second-steps 6"), 4);
}

/* other weights in the first stage's place, as a copied file would be */
static void replace_first_weights(void) {
    Params p = {0};
    char *path = first_weights();
    param(scope(&p, "layer"), "b", INIT_CONSTANT, 7, SHAPE(3));
    checkpoint_save_half(path, &(Checkpoint){.cli = &cli, .params = {{"", &p}}});
    params_free(&p);
    free(path);
}

/* Is a stage gone on from with the weights that it was trained on, and begun anew with others? */
Test(stages, a_later_stage_goes_on_with_its_own_weights_alone) {
    new_folder();
    first("train");
    cr_expect_eq(second("train"), 0);
    cr_expect(began_anew);
    cr_expect_eq(second("train --resume --second-steps 6"), 4);
    cr_expect(!there("second-log.csv.old") && !began_anew);
    replace_first_weights();
    cr_expect_eq(second("train --resume --second-steps 8"), 0, "it went on with other weights");
    cr_expect(began_anew);
    cr_expect(there("second-checkpoint.safetensors.old"), "what it was is lost");
}

/* Can a third stage on the first's weights be used with the second? */
static bool second_fits(void) {
    Params p = {0};
    char *path = first_weights();
    Tensor *w = param(scope(&p, "layer"), "b", INIT_CONSTANT, -1, SHAPE(3));
    parse("train");
    Run *run = run_start(&cli, (RunSettings){.columns = "loss", .stage = "third"});
    run_trained_on(run, path);
    bool fits = run_load_stage(run, "second", &p);
    cr_expect_eq(w->x[0] != -1, fits, "loaded, or not");
    run_params(run, "");
    common.steps = 0;
    run_finish(run);
    params_free(&p);
    free(path);
    return fits;
}

/* Do weights say what they were trained on? Those of a first stage do not. */
Test(stages, weights_say_what_they_were_trained_on) {
    new_folder();
    first("train");
    cr_expect(!second_fits(), "it is not there");
    second("train");
    cr_expect(second_fits());
    replace_first_weights();
    cr_expect(!second_fits(), "it was trained on others");
    char *path = path_join(folder, "second-weights.safetensors"), *one = first_weights();
    cr_assert_eq(rename(one, path), 0);
    replace_first_weights();
    cr_expect(second_fits(), "what does not say is taken to fit");
    free(path), free(one);
}

/* Does a batch of rows hold what the batch's numbers stand for? */
Test(stages, rows_of_a_table_follow_the_order_of_the_batch) {
    new_folder();
    parse("train");
    static const int table[5 * 2] = {0, 1, 10, 11, 20, 21, 30, 31, 40, 41};
    Run *run = run_start(&cli, (RunSettings){.columns = "loss"});
    run_params(run, "");
    Loader *l = run_order(run, 5, 3);
    while (run_next(run)) {
        loader_next(l);
        const int *rows = loader_rows(l, &run->tape, 2, table);
        for (int i = 0; i < 6; i++)
            cr_assert_eq(rows[i], 10 * l->index[i / 2] + i % 2, "step %d", (int)run->step);
    }
    run_finish(run);
}

/* The options of a first stage: those before a name, as the user gave them, and no others */
Test(stages, weights_of_a_first_stage_remember_its_options_alone) {
    new_folder();
    parse("train --seed 9 --second-steps 2");
    Cli part = cli_before(&cli, "second-steps");
    int n = 0, last = 0;
    for (const Option *o = part.options; o->name; o++, n++)
        last += !strcmp(o->name, "second-steps");
    cr_expect(n == (int)(sizeof options / sizeof *options) - 2 && !last, "%d options", n);
    cr_expect(cli_given(&part, "seed") && part.options[1].u == &common.seed);
}
