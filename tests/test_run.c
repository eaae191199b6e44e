/* test_run.c — what surrounds a training loop: log, record, resuming, Ctrl-C, progress. */
#include "testing.h"

#include "data/batches.h"
#include "train/checkpoint.h"
#include "base/file.h"
#include "io/json.h"
#include "train/run.h"
#include "nn/optim.h"
#include "stops.h"

#include <math.h>
#include <signal.h>

SUITE(run);

/* ---- a small chapter: fits one row of weights to random targets --------------------------------- */

static CommonOptions common;
static Option options[] = {COMMON_OPTIONS(common, "default"), {0}};
static Cli cli;
static char folder[32];

static void parse(const char *words) {
    static char copy[500];
    static char *argv[32];
    int argc = 1;
    common = (CommonOptions){.seed = 3,
                             .steps = 10,
                             .batch = 2,
                             .lr = 0.1,
                             .config = "default",
                             .out = folder,
                             .quiet = true};
    cli = (Cli){.program = "toy", .options = options};
    argv[0] = "build/toy";
    strcpy(copy, words);
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
    argv[argc] = NULL;
    cli_parse(&cli, argc, argv);
}

static void new_folder(void) {
    strcpy(folder, temporary_folder());
}

static struct { int stop_at, nan_at, stop_twice; } plan;

static int train(const char *words) {
    parse(words);
    Run run = {.columns = "loss,extra", .save_every = 4};
    run_start(&run, &cli, &common);
    run_record(&run, "data", "none");
    Params params = {.seed = common.seed};
    Tensor *w = param(scope(&params, "layer"), "w", INIT_NORMAL, 1, SHAPE(2, 3));
    Adam adam = {ADAM_DEFAULTS};
    Batches batches = batches_new(7, common.seed);
    Rng noise = rng_new(common.seed, "noise");
    Tape tape = {0};
    Checkpoint all = {
        .cli = &cli,
        .params = {{"", &params}, {"adam.m.", &adam.m, &params}, {"adam.v.", &adam.v, &params}},
        .numbers = {{"step", .i = &run.step},
                    {"adam.step", .i = &adam.step},
                    {"batches", .u = &batches.next},
                    {"noise", .u = &noise.next}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &all);
    while (run_next(&run)) {
        tape_reset(&tape);
        int index[2];
        real target[6];
        batches_next(&batches, 2, index);
        rng_normal(&noise, 6, target);
        target[0] += (real)index[0];
        Tensor *loss = t_mse(t_use(&tape, w), t_input(&tape, target, SHAPE(2, 3)));
        params_zero_grad(&params);
        backward(loss);
        adam_step(&adam, &params, common.lr, 1);
        if (run.step + 1 == plan.stop_at) raise(SIGINT);
        if (run.step + 1 == plan.stop_at && plan.stop_twice) raise(SIGINT);
        run_value(&run, "loss", run.step + 1 == plan.nan_at ? (double)NAN : (double)loss->x[0]);
        if (run.step % 3 == 0) run_value(&run, "extra", 0.5);
        run_step(&run);
        if (run_save_due(&run)) checkpoint_save(run.checkpoint, &all);
    }
    int status = run_finish(&run);
    params_free(&params);
    adam_free(&adam);
    batches_free(&batches);
    tape_free(&tape);
    return status;
}

static void train_it(void *words) {
    exit(train(words));
}

/* a file of the run as text; kept for the rest of the test */
static const char *text_of(const char *name) {
    static char text[4][8192];
    static int next;
    char *path = path_join(folder, name), *to = text[next++ % 4];
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    cr_assert_lt(n, sizeof text[0]);
    memcpy(to, bytes, n);
    to[n] = 0;
    file_unmap(bytes, n);
    free(path);
    return to;
}

static void put_text(const char *name, const char *text) {
    char *path = path_join(folder, name);
    file_write(path, text, strlen(text));
    free(path);
}

/* the log without its seconds, which differ from run to run */
static void without_seconds(const char *log, char *out) {
    for (int column = 0; *log; log++) {
        if (*log == ',' || *log == '\n') column = *log == ',' ? column + 1 : 0;
        if (column != 1 || *log == '\n') *out++ = *log;
    }
    *out = 0;
}

/* ---- log and record --------------------------------------------------------------------------- */

/* is there a header, one row a step, and an empty cell where nothing was measured? */
Test(run, writes_one_row_a_step) {
    new_folder();
    cr_assert_eq(train("train"), 0);
    const char *log = text_of("log.csv");
    int rows = 0, empty = 0;
    cr_assert_eq(strncmp(log, "step,seconds,loss,extra\n1,", 26), 0, "%s", log);
    for (const char *p = log; *p; p++) rows += *p == '\n', empty += p[0] == ',' && p[1] == '\n';
    cr_assert(rows == 11 && empty == 6, "%s", log);
}

/* do rows of several steps hold the means? */
Test(run, writes_means_over_log_every_steps) {
    new_folder();
    parse("train --steps 5");
    Run run = {.columns = "loss", .log_every = 2};
    run_start(&run, &cli, &common);
    for (int i = 1; run_next(&run); i++) {
        run_value(&run, "loss", i);
        run_step(&run);
    }
    run_finish(&run);
    char log[1000];
    without_seconds(text_of("log.csv"), log);
    cr_assert_str_eq(log, "step,loss\n2,1.5\n4,3.5\n5,5\n");
}

/* is run_due true of the same steps before run_step, where values are measured, and after it, where
 * files are written? */
Test(run, is_due_at_the_same_steps_before_and_after_run_step) {
    new_folder();
    parse("train --steps 7");
    Run run = {.columns = "loss"};
    run_start(&run, &cli, &common);
    while (run_next(&run)) {
        bool before = run_due(&run, 3);
        run_step(&run);
        cr_assert_eq(run_due(&run, 3), before);
        cr_assert_eq(before, run.step == 3 || run.step == 6 || run.step == 7, "step %d",
                     (int)run.step);
    }
    run_finish(&run);
}

/* does run.json say what was run, on what, and how it ended? */
Test(run, records_what_was_run) {
    new_folder();
    train("train --lr 0.25 --seed 18446744073709551615");
    cJSON *record = cJSON_Parse(text_of("run.json"));
    const char *texts[] = {"chapter", "command", "started", "commit", "compiler",
                           "flags",   "real",    "cpu",     "status", "data"};
    for (int i = 0; i < 10; i++)
        cr_assert(cJSON_IsString(cJSON_GetObjectItem(record, texts[i])), "%s", texts[i]);
    const char *numbers[] = {"threads", "steps_done", "resumed_from", "wall_seconds",
                             "peak_memory_bytes"};
    for (int i = 0; i < 5; i++)
        cr_assert(cJSON_IsNumber(cJSON_GetObjectItem(record, numbers[i])), "%s", numbers[i]);
    const cJSON *values = cJSON_GetObjectItem(record, "options");
    for (Option *o = options; o->name; o++)
        cr_assert_eq(cJSON_HasObjectItem(values, o->name), cli_applies(o, "train"), "%s", o->name);
    cr_assert(!cJSON_HasObjectItem(values, "weights"), "an option of other commands");
    cr_assert_eq(cJSON_GetObjectItem(values, "lr")->valuedouble, 0.25);
    cr_assert_str_eq(cJSON_GetObjectItem(values, "seed")->valuestring, "18446744073709551615");
    cr_assert_str_eq(cJSON_GetObjectItem(record, "status")->valuestring, "finished");
    cJSON_Delete(record);
}

/* a run that starts anew: are the log and the checkpoint that were there kept aside? */
Test(run, sets_an_earlier_run_aside) {
    new_folder();
    train("train");
    const char *first = text_of("log.csv");
    train("train --steps 3");
    cr_assert_str_eq(text_of("log.csv.old"), first);
    text_of("checkpoint.safetensors.old");
}

/* ---- going on --------------------------------------------------------------------------------- */

/* interrupted and resumed: are checkpoint and log the same, bit for bit, as those of a run that was
 * not? */
Test(run, resumes_bit_for_bit) {
    char whole[1000], parts[1000], first[32], *one, *two;
    size_t n, m;
    new_folder();
    cr_assert_eq(train("train"), 0);
    without_seconds(text_of("log.csv"), whole);
    strcpy(first, folder);
    new_folder();
    plan.stop_at = 5;
    cr_assert_eq(train("train"), 128 + SIGINT);
    plan.stop_at = 0;
    cr_assert_eq(train("train --resume"), 0);
    without_seconds(text_of("log.csv"), parts);
    cr_assert_str_eq(parts, whole);
    one = path_join(first, "checkpoint.safetensors"),
    two = path_join(folder, "checkpoint.safetensors");
    const uint8_t *a = file_map(one, &n), *b = file_map(two, &m);
    cr_assert(n == m && memcmp(a, b, n) == 0);
    file_unmap(a, n), file_unmap(b, m);
    free(one), free(two);
}

/* after a crash: are rows beyond the checkpoint dropped, and half a line? */
Test(run, drops_rows_beyond_the_checkpoint) {
    char log[1000];
    new_folder();
    parse("train");
    char *path = path_join(folder, "log.csv");
    put_text("log.csv",
             "step,seconds,loss\n1,0.1,5\n2,0.25,4\nnonsense\n1,0.3,9\n3,0.4,3\n4,0.5,2\n5,0.");
    RunLog l = runlog_open(path, "loss", true, 3);
    cr_assert_eq(l.seconds, 0.4);
    runlog_row(&l, 4, 0.6, 1, (double[]){7});
    runlog_close(&l);
    without_seconds(text_of("log.csv"), log);
    cr_assert_str_eq(log, "step,loss\n1,5\n2,4\n3,3\n4,7\n");
    put_text("log.csv", "step,sec");
    l = runlog_open(path, "loss", true, 3);
    runlog_close(&l);
    cr_assert_str_eq(text_of("log.csv"), "step,seconds,loss\n");
    free(path);
}

static void open_log(void *path) {
    runlog_open(path, "loss,kl", true, 3);
}

/* is a log with other columns refused, and --resume where there is nothing to resume? */
Test(run, refuses_to_go_on_from_something_else) {
    new_folder();
    expect_stop(1, "checkpoint.safetensors: not found, so there is nothing to go on from", train_it,
                "train --resume");
    put_text("log.csv", "step,seconds,loss\n");
    char *path = path_join(folder, "log.csv");
    expect_stop(1,
                "log.csv: has the columns step,seconds,loss, this run writes step,seconds,loss,kl",
                open_log, path);
    free(path);
    train("train");
    expect_stop(2, "--lr 7 contradicts", train_it, "train --resume --lr 7");
    expect_stop(2, "--seed 9 contradicts", train_it, "train --resume --seed 9");
    expect_stop(0, "has 10 steps already; --steps N with a larger N goes on", train_it,
                "train --resume");
    cr_assert_eq(train("train --resume --steps 12"), 0, "more steps may be asked for");
}

/* ---- stopping --------------------------------------------------------------------------------- */

/* what a child process says on stderr while training; its exit status */
static int output_of(const char *words, char *text, size_t size) {
    int result;
    FILE *f = tmpfile();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        in_child = true;
        dup2(fileno(f), STDERR_FILENO);
        exit(train(words));
    }
    waitpid(child, &result, 0);
    rewind(f);
    text[fread(text, 1, size - 1, f)] = 0;
    fclose(f);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -WTERMSIG(result);
}

/* Ctrl-C: is the checkpoint saved, the command that goes on printed, and the status that of an
 * interrupted program? */
Test(run, prints_the_command_that_goes_on) {
    char text[2000], expected[200], *path;
    new_folder();
    plan.stop_at = 6;
    cr_assert_eq(output_of("train --threads 1 --lr 0.5", text, sizeof text), 130);
    snprintf(
        expected, sizeof expected,
        "interrupted at step 6 of 10\nto go on: build/toy train --resume --out %s --threads 1\n",
        folder);
    cr_assert(strstr(text, expected), "%s", text);
    path = path_join(folder, "checkpoint.safetensors");
    cr_assert_eq(access(path, F_OK), 0);
    free(path);
}

/* does a second Ctrl-C end the program at once? */
Test(run, stops_at_once_at_the_second_signal) {
    char text[2000];
    new_folder();
    plan.stop_at = 2, plan.stop_twice = 1;
    cr_assert_eq(output_of("train", text, sizeof text), -SIGINT);
}

/* does a loss that is not finite end the run with one line and a record of it? */
Test(run, stops_when_the_loss_is_not_finite) {
    new_folder();
    plan.nan_at = 3;
    expect_stop(1, "step 3: loss is nan, training stopped; try a smaller --lr", train_it, "train");
    cr_assert_not_null(strstr(text_of("run.json"), "\"not finite\""));
}

/* ---- progress --------------------------------------------------------------------------------- */

/* is the last step always told, and nothing with --quiet? */
Test(run, tells_how_far_it_is_unless_quiet) {
    char text[2000];
    new_folder();
    cr_assert_eq(output_of("train", text, sizeof text), 0);
    cr_assert_str_eq(text, "");
    Progress p;
    FILE *f = tmpfile();
    int kept = dup(STDERR_FILENO);
    dup2(fileno(f), STDERR_FILENO);
    progress_start(&p, "sample", 0, 4, false);
    for (int i = 1; i <= 4; i++) progress_update(&p, p.done + 1, "");
    cr_expect_eq(p.done, 4, "steps are counted, whether they are shown or not: %lld",
                 (long long)p.done);
    progress_end(&p, 4, "loss 0.5");
    dup2(kept, STDERR_FILENO);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    cr_assert_eq(strncmp(text, "sample 4/4 (100 %)  loss 0.5  ", 30), 0, "%s", text);
    cr_assert(strchr(text, '\n') == text + strlen(text) - 1, "one line: %s", text);
}

/* are rates and times readable at every scale? */
Test(run, formats_rates_and_times) {
    char text[32];
    format_rate(12.345, text);
    cr_assert_str_eq(text, "12.3 steps/s");
    format_rate(0.25, text);
    cr_assert_str_eq(text, "4 s/step");
    format_time(59.6, text);
    cr_assert_str_eq(text, "1:00");
    format_time(3723, text);
    cr_assert_str_eq(text, "1:02:03");
    format_time(-1, text);
    cr_assert_str_eq(text, "0:00");
}
