/* test_run.c — what surrounds a training loop: log, record, resuming, Ctrl-C, progress. */
#include "testing.h"

#include "data/sha256.h"
#include "train/checkpoint.h"
#include "base/file.h"
#include "io/json.h"
#include "train/run.h"
#include "train/runlog.h"
#include "train/timesteps.h"
#include "base/progress.h"
#include "stops.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

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
    cli = (Cli){.program = "toy", .common = &common, .options = options,
                .commands = (const Command[]){{"train", "", NULL}, {0}}};
    argv[0] = "build/toy";
    strcpy(copy, words);
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
    argv[argc] = NULL;
    cli_parse(&cli, argc, argv);
}

/* Programs started in the background inherit ignored signals; these tests send them. */
static void new_folder(void) {
    signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL), signal(SIGHUP, SIG_DFL);
    strcpy(folder, temporary_folder());
}

static struct {
    int stop_at, nan_at, stop_twice, signal, log_every;
    bool partner;                /* a second network is trained */
    const char *data, *trained_on;
} plan;

/* a text that stands for the pictures of a step */
static void save_picture(const Run *run, const Tensor *w) {
    char *path = run_path(run, "picture"), text[40];
    snprintf(text, sizeof text, "step %d: %.9g", (int)run->step + 1, (double)w->x[0]);
    file_write(path, text, strlen(text));
    free(path);
}

/* another network, with an optimiser of its own */
static void add_partner(Run *run) {
    Params *p = run_params(run, "partner.");
    param(scope(p, "layer"), "w", INIT_NORMAL, 1, SHAPE(2));
    run_adam(run, "adam.partner", p, (Adam){ADAM_DEFAULTS});
}

static int train(const char *words) {
    parse(words);
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,extra", .save_every = 4,
                                             .log_every = plan.log_every,
                                             .stage = plan.trained_on ? "second" : NULL});
    if (plan.trained_on) run_trained_on(run, plan.trained_on);
    run_data(run, "data", plan.data ? plan.data : "none");
    Params *params = run_params(run, "");
    Tensor *w = param(scope(params, "layer"), "w", INIT_NORMAL, 1, SHAPE(2, 3));
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    if (plan.partner)
        add_partner(run);
    Loader *order = run_order(run, 7, 2);
    Rng *noise = run_rng(run, "noise");
    while (run_next(run)) {
        real target[6];
        loader_next(order);
        rng_normal(noise, 6, target);
        target[0] += (real)order->index[0];
        Tensor *loss = t_mse(t_use(&run->tape, w), t_input(&run->tape, target, SHAPE(2, 3)));
        if (run->step + 1 == plan.stop_at) raise(plan.signal ? plan.signal : SIGINT);
        if (run->step + 1 == plan.stop_at && plan.stop_twice) raise(SIGINT);
        run_value(run, "loss", run->step + 1 == plan.nan_at ? (double)NAN : (double)loss->x[0]);
        if (run->step % 3 == 0) run_value(run, "extra", 0.5);
        minimise(adam, loss, common.lr);
        if (run_saves(run)) save_picture(run, w);
    }
    return run_finish(run);
}

static void train_it(void *words) {
    exit(train(words));
}

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
    Run *run = run_start(&cli, (RunSettings){.columns = "loss", .log_every = 2});
    run_params(run, "");
    for (int i = 1; run_next(run); i++) run_value(run, "loss", i);
    run_finish(run);
    char log[1000];
    without_seconds(text_of("log.csv"), log);
    cr_assert_str_eq(log, "step,loss\n2,1.5\n4,3.5\n5,5\n");
}

/* is every third step one of every three, and the last one, too? */
Test(run, evaluates_every_so_many_steps_and_at_the_end) {
    new_folder();
    parse("train --steps 7");
    Run *run = run_start(&cli, (RunSettings){.columns = "loss"});
    run_params(run, "");
    while (run_next(run)) {
        int step = (int)run->step + 1;
        cr_assert_eq(run_every(run, 3), step == 3 || step == 6 || step == 7, "step %d", step);
    }
    run_finish(run);
}

/* Where a step is evaluated or saved, are the averages in the weights' place, until it ends? Are
 * they what is passed on, and the weights what training goes on with? */
Test(run, evaluates_and_passes_on_the_averages) {
    new_folder();
    parse("train --steps 4");
    Run *run = run_start(&cli, (RunSettings){.columns = "loss", .save_every = 2});
    Params *params = run_params(run, "");
    Tensor *w = param(scope(params, "layer"), "w", INIT_CONSTANT, 1, SHAPE(1));
    Optimizer *sgd = run_sgd(run, "sgd", params, (Sgd){0});
    run_ema(run, sgd, 0.5);
    real average = 0;
    while (run_next(run)) {
        cr_assert_eq(w->x[0], 1 - (real)run->step, "the weights themselves, one less a step");
        minimise(sgd, t_sum(t_use(&run->tape, w)), 1);
        cr_assert_eq(w->x[0], -(real)run->step);
        if (run_every(run, 3)) cr_assert_gt(w->x[0], -(real)run->step, "an average lags behind");
        if (run_saves(run)) average = w->x[0];
    }
    cr_assert_eq(w->x[0], -3);
    cr_assert_gt(average, -3);
    run_finish(run);
    Params read = {0};
    Tensor *v = param(scope(&read, "layer"), "w", INIT_CONSTANT, 0, SHAPE(1));
    char *path = path_join(folder, "weights.safetensors");
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", &read}}});
    cr_assert_float_eq(v->x[0], average, 1e-3);
    free(path);
    params_free(&read);
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
                             "peak_memory_bytes", "vector_bytes"};
    for (int i = 0; i < 6; i++)
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

/* Options that an earlier stage's weights bring after run_start are in the record; no name is there
 * twice. */
Test(run, records_options_as_they_are_when_training_begins) {
    new_folder();
    parse("train --steps 1 --lr 0.5");
    Run *run = run_start(&cli, (RunSettings){.columns = "loss"});
    run_params(run, "");
    common.lr = 0.125;
    while (run_next(run)) continue;
    run_finish(run);
    cJSON *record = cJSON_Parse(text_of("run.json"));
    cr_assert_eq(cJSON_GetObjectItem(cJSON_GetObjectItem(record, "options"), "lr")->valuedouble,
                 0.125);
    for (const cJSON *a = record->child; a; a = a->next)
        for (const cJSON *b = a->next; b; b = b->next)
            cr_assert_str_neq(a->string, b->string);
    cJSON_Delete(record);
}

/* is each value in the column of its quarter of the timesteps, and is that the mean of all there? */
Test(run, values_are_logged_by_quarter_of_the_timesteps) {
    static const int t[4] = {0, 2, 5, 9};
    static const double value[4] = {1, 2, 3, 4};
    new_folder();
    parse("train --steps 1");
    Run *run = run_start(&cli, (RunSettings){.columns = "loss_1,loss_2,loss_3,loss_4"});
    run_params(run, "");
    while (run_next(run)) log_by_quarter(run, "loss", 10, 4, t, value);
    run_finish(run);
    cr_assert(strstr(text_of("log.csv"), ",1.5,,3,4\n"), "%s", text_of("log.csv"));
}

Test(run, timesteps_are_drawn_evenly) {
    enum { T = 5, N = 1000 };
    int times[T] = {0};
    Arena arena = {0};
    Rng rng = rng_new(1, "times");
    const int *t = uniform_timesteps(&arena, &rng, T, N);
    for (int i = 0; i < N; i++) {
        cr_assert(t[i] >= 0 && t[i] < T, "%d", t[i]);
        times[t[i]]++;
    }
    for (int k = 0; k < T; k++) cr_expect(abs(times[k] - N / T) < 60, "%d: %d times", k, times[k]);
    arena_free(&arena);
}

/* a run that starts anew, twice: is what was there kept under other names, and said? */
Test(run, sets_earlier_runs_aside) {
    char text[2000];
    new_folder();
    train("train");
    const char *first = text_of("log.csv");
    cr_assert_eq(output_of("train --steps 3", text, sizeof text), 0);
    cr_assert(strstr(text, "kept as checkpoint.safetensors.old, log.csv.old"), "%s", text);
    const char *second = text_of("log.csv");
    cr_assert_eq(output_of("train --steps 1", text, sizeof text), 0);
    cr_assert(strstr(text, "checkpoint.safetensors.old2"), "%s", text);
    cr_assert_str_eq(text_of("log.csv.old"), first);
    cr_assert_str_eq(text_of("log.csv.old2"), second);
    text_of("checkpoint.safetensors.old");
    text_of("weights.safetensors.old");
}

typedef struct {
    const char *words;
    long most;                              /* bytes of any file */
} FullDisk;

static void train_on_full_disk(void *at) {
    const FullDisk *disk = at;
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)disk->most, (rlim_t)disk->most});
    exit(train(disk->words));
}

/* names and checksums of what is in the folder, to be freed */
static char *state_of_folder(void) {
    struct dirent **e;
    char *state = text_format("%s", ""), sum[SHA256_TEXT];
    int n = scandir(folder, &e, NULL, alphasort);
    for (int i = 0; i < n; free(e[i++])) {
        if (e[i]->d_name[0] == '.') continue;
        char *path = path_join(folder, e[i]->d_name), *earlier = state;
        file_sha256(path, sum);
        state = text_format("%s%s %s\n", earlier, e[i]->d_name, sum);
        free(path), free(earlier);
    }
    free(e);
    return state;
}

static void interrupt_run(void) {
    new_folder();
    plan.stop_at = 5;
    cr_assert_eq(train("train"), 130);
    plan.stop_at = 0;
}

/* A new run that cannot start for want of space, wherever in its log or its record the disk is full:
 * is every file of the interrupted one as it was, and none beside them; does that one go on? */
Test(run, a_start_on_a_full_disk_leaves_the_earlier_run) {
    char said[4096], *before, *after;
    FullDisk disk = {"train --steps 20", 0};
    interrupt_run();
    before = state_of_folder();
    for (;; disk.most += 25) {
        int status = stop_and_listen(train_on_full_disk, &disk, said);
        after = state_of_folder();
        if (strstr(after, ".old")) break;              /* it has started */
        const char *file = disk.most < 24 ? "log.csv" : "run.json";     /* 24: the names of columns */
        cr_assert(status == 1 && strstr(said, "cannot be written: File too large") &&
                  strstr(said, file) && !strchr(said, '\n')[1], "%ld bytes: status %d: %s",
                  disk.most, status, said);
        cr_assert_str_eq(after, before, "%ld bytes", disk.most);
        free(after);
    }
    cr_assert_gt(disk.most, 500, "of the log and the record");
    free(before), free(after);
    interrupt_run();
    disk.most = 100;
    expect_stop(1, "run.json: cannot be written", train_on_full_disk, &disk);
    cr_assert_eq(train("train --resume"), 0);
    cr_assert(strstr(text_of("log.csv"), "\n10,"));
}

/* two trainings in one folder: is the second refused, and does it say who is there? */
Test(run, one_training_in_a_folder_at_a_time) {
    char says[100];
    new_folder();
    parse("train");
    Run *run = run_start(&cli, (RunSettings){.columns = "loss"});
    snprintf(says, sizeof says, "process %ld is training in this folder", (long)getpid());
    expect_stop(1, says, train_it, "train");
    run_params(run, "");
    run_finish(run);
    cr_assert_eq(train("train"), 0);
}

/* are files that a killed process has left half-written removed, and those of a living one kept? */
Test(run, removes_what_killed_programs_left) {
    char dead[2][60], living[60], dated[60];
    long last = 0;
    new_folder();
    for (int i = 0; i < 2; i++) {           /* the first one stays a zombie */
        siginfo_t ended;
        pid_t child = fork();
        if (child == 0) _exit(0);
        waitid(P_PID, (id_t)child, &ended, WEXITED | (i ? 0 : WNOWAIT));
        snprintf(dead[i], sizeof dead[i], "weights.safetensors.0.%ld.tmp", last = (long)child);
        put_text(dead[i], "half");
    }
    snprintf(living, sizeof living, "samples.png.0.%ld.tmp", (long)getppid());
    put_text(living, "half"), put_text("notes.tmp", "the user's");
    snprintf(dated, sizeof dated, "notes.%ld.tmp", last);              /* a process that has ended */
    put_text(dated, "the user's");
    train("train");
    for (int i = 0; i < 2; i++) {
        char *path = path_join(folder, dead[i]);
        cr_assert_neq(access(path, F_OK), 0, "%s", dead[i]);
        free(path);
    }
    text_of(living), text_of("notes.tmp"), text_of(dated);
}

/* ---- going on --------------------------------------------------------------------------------- */

/* interrupted and resumed: are checkpoint, log and picture the same, bit for bit, as those of a run
 * that was not? With rows of one step, and of three, of which one is cut in two. */
static void check_resumed(int log_every, int signal_number) {
    char whole[1000], parts[1000], first[32], *one, *two;
    size_t n, m;
    new_folder();
    memset(&plan, 0, sizeof plan);
    plan.log_every = log_every;
    cr_assert_eq(train("train"), 0);
    without_seconds(text_of("log.csv"), whole);
    const char *picture = text_of("picture");
    strcpy(first, folder);
    new_folder();
    plan.stop_at = 5, plan.signal = signal_number;
    cr_assert_eq(train("train"), 128 + signal_number);
    cr_assert_eq(strncmp(text_of("picture"), "step 5:", 7), 0);
    plan.stop_at = 0;
    cr_assert_eq(train("train --resume"), 0);
    without_seconds(text_of("log.csv"), parts);
    cr_assert_str_eq(parts, whole);
    cr_assert_str_eq(text_of("picture"), picture);
    one = path_join(first, "checkpoint.safetensors"),
    two = path_join(folder, "checkpoint.safetensors");
    const uint8_t *a = file_map(one, &n), *b = file_map(two, &m);
    cr_assert(n == m && memcmp(a, b, n) == 0);
    file_unmap(a, n), file_unmap(b, m);
    free(one), free(two);
}

Test(run, resumes_bit_for_bit) {
    check_resumed(1, SIGINT);
    check_resumed(3, SIGTERM);
    check_resumed(4, SIGHUP);
}

/* does a signal that the parent had ignored, as nohup does, stay ignored? */
Test(run, ignored_signals_stay_ignored) {
    new_folder();
    signal(SIGHUP, SIG_IGN);
    plan.stop_at = 5, plan.signal = SIGHUP;
    cr_assert_eq(train("train"), 0);
}

static void train_unheard(void *words) {
    int ends[2];
    if (pipe(ends) || close(ends[0]) || dup2(ends[1], STDERR_FILENO) < 0) abort();
    plan.stop_at = 5;                    /* and says so */
    exit(train(words));
}

/* Nobody reads what a training says any more (`train 2>&1 | head`): does it go on,
 * and save what it has when it is stopped? */
Test(run, goes_on_when_nobody_listens) {
    char said[4096];
    new_folder();
    cr_assert_eq(stop_and_listen(train_unheard, "train", said), 130);
    cr_assert(strstr(text_of("run.json"), "\"interrupted\""));
}

/* other data under the same name: refused, unless --data says so */
Test(run, resumes_with_the_same_data_only) {
    new_folder();
    plan.data = "0123456789abcdef0";
    train("train --steps 4");
    plan.data = "fedcba98765432100";
    expect_stop(1, "was trained on other data, data was 0123456789abcdef...", train_it,
                "train --resume --steps 8");
    char said[2000];
    cr_assert_eq(output_of("train --resume --steps 8 --data elsewhere", said, sizeof said), 0);
    cr_expect(strstr(said, "was trained on other data, data was 0123456789abcdef...; it goes on"),
              "%s", said);
    cr_assert_eq(output_of("train --resume --steps 9 --data elsewhere", said, sizeof said), 0);
    cr_expect(!strstr(said, "other data"), "%s", said);
}

/* first-weights.safetensors, which a second stage can build on */
static void train_base(const char *words) {
    char *weights = path_join(folder, "weights.safetensors");
    free((char *)plan.trained_on);
    plan.trained_on = NULL;
    train(words);
    plan.trained_on = path_join(folder, "first-weights.safetensors");
    cr_assert_eq(rename(weights, plan.trained_on), 0);
    free(weights);
}

/* A stage on other weights than it was trained on: does it say so and start anew? */
Test(run, a_stage_starts_anew_on_other_weights) {
    char text[2000];
    new_folder();
    train_base("train --steps 1");
    train("train --steps 4");
    cr_assert_eq(output_of("train --resume --steps 8", text, sizeof text), 0);
    cr_assert_str_eq(text, "");
    train_base("train --steps 1 --seed 2");
    cr_assert_eq(output_of("train --resume --steps 2", text, sizeof text), 0);
    cr_assert(strstr(text, "was trained on other weights than"), "%s", text);
    text_of("second-checkpoint.safetensors.old");
}

/* A stage that builds on weights of other data is refused, too, unless --data says so. */
Test(run, a_stage_has_the_data_of_what_it_builds_on) {
    char text[2000];
    new_folder();
    plan.data = "0123456789abcdef0";
    train_base("train --steps 1");
    plan.data = "fedcba98765432100";
    expect_stop(1, "first-weights.safetensors: was trained on other data, data was 0123456789abcdef",
                train_it, "train --steps 4");
    cr_assert_eq(output_of("train --steps 4 --data elsewhere", text, sizeof text), 0);
    cr_expect(strstr(text, "weights.safetensors: was trained on other data"), "%s", text);
    cr_assert_eq(output_of("train --resume --steps 8", text, sizeof text), 0);
    cr_expect(!strstr(text, "other data"), "its own checkpoint knows: %s", text);
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
    cr_assert_not_null(strstr(text_of("log.csv"), "nonsense"), "nothing has changed yet");
    runlog_commit(&l);
    cr_assert_eq(l.seconds, 0.4);
    runlog_row(&l, 4, 0.6, 1, (double[]){7});
    runlog_close(&l);
    without_seconds(text_of("log.csv"), log);
    cr_assert_str_eq(log, "step,loss\n1,5\n2,4\n3,3\n4,7\n");
    put_text("log.csv", "step,sec");
    l = runlog_open(path, "loss", true, 3);
    runlog_commit(&l);
    runlog_close(&l);
    cr_assert_str_eq(text_of("log.csv"), "step,seconds,loss\n");
    free(path);
}

/* is a log read that a spreadsheet saved, with its ends of lines, and written with ours? */
Test(run, goes_on_from_a_log_with_other_ends_of_lines) {
    char log[1000];
    new_folder();
    parse("train");
    char *path = path_join(folder, "log.csv");
    put_text("log.csv", "step,seconds,loss\r\n1,0.1,5\r\n2,0.25,4\r\n4,0.5,2\r\n");
    RunLog l = runlog_open(path, "loss", true, 3);
    runlog_commit(&l);
    runlog_row(&l, 4, 0.6, 1, (double[]){7});
    runlog_close(&l);
    cr_assert_null(strchr(text_of("log.csv"), '\r'));
    without_seconds(text_of("log.csv"), log);
    cr_assert_str_eq(log, "step,loss\n1,5\n2,4\n4,7\n");
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

/* A run that had ended, asked to go on, leaves its record and its log as they are; one whose record
 * was not written any more writes it. */
Test(run, an_ended_run_keeps_its_record) {
    char command[200];
    new_folder();
    train("train");
    snprintf(command, sizeof command, "cd %s && echo >>run.json && "
             "cp run.json kept.json && cp log.csv kept.csv", folder);
    cr_assert_eq(system(command), 0);
    train("train --resume --quiet");
    snprintf(command, sizeof command, "cd %s && cmp run.json kept.json && cmp log.csv kept.csv && "
             "sed -i s/finished/running/ run.json", folder);
    cr_assert_eq(system(command), 0);
    train("train --resume --quiet");
    snprintf(command, sizeof command, "grep -q finished %s/run.json", folder);
    cr_assert_eq(system(command), 0);
}

/* Is training that begins with an earlier run's weights where that run ended, and does it begin
 * anew with everything else? Weights that are not all that is trained are refused. */
Test(run, begins_with_the_weights_it_is_given) {
    char words[200], text[2000];
    new_folder();
    cr_assert_eq(train("train"), 0);
    char *weights = path_join(folder, "weights.safetensors");
    new_folder();
    snprintf(words, sizeof words, "train --steps 1 --lr 0 --init %s", weights);
    cr_assert_eq(train(words), 0);
    char *copy = path_join(folder, "weights.safetensors");
    size_t n[2];
    const uint8_t *bytes[2] = {file_map(weights, n), file_map(copy, n + 1)};
    enum { W = 2 * 3 * 2 };                  /* bytes of the only tensor, at the end of a file */
    cr_expect_arr_eq(bytes[0] + n[0] - W, bytes[1] + n[1] - W, W);
    file_unmap(bytes[0], n[0]), file_unmap(bytes[1], n[1]);
    char *checkpoint = path_join(folder, "checkpoint.safetensors");
    Safetensors s = safetensors_open(checkpoint);
    cr_expect_str_eq(safetensors_metadata(&s, "state.step"), "1");
    cr_expect_str_eq(safetensors_metadata(&s, "state.adam.step"), "1");
    safetensors_close(&s);
    snprintf(words, sizeof words, "train --resume --init %s", weights);
    cr_expect_eq(output_of(words, text, sizeof text), 2);
    cr_expect(strstr(text, "--resume has weights to go on with"), "%s", text);
    plan.partner = true;
    snprintf(words, sizeof words, "train --init %s", weights);
    cr_expect_eq(output_of(words, text, sizeof text), 1);
    cr_expect(strstr(text, "are not all that is trained here"), "%s", text);
    plan.partner = false, plan.trained_on = weights;
    cr_expect_eq(output_of(words, text, sizeof text), 2);
    cr_expect(strstr(text, "--stage NAME"), "%s", text);
    free(weights), free(copy), free(checkpoint);
}

/* ---- stopping --------------------------------------------------------------------------------- */

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
    expect_stop(1, "step 3: loss is nan, training stopped; a program built with CHECK=1", train_it, "train");
    cr_assert_not_null(strstr(text_of("run.json"), "\"not finite\""));
}

/* ---- progress --------------------------------------------------------------------------------- */

/* is the last step always printed, and nothing with --quiet? */
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
