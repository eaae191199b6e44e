/* test_programs.c — what all chapters' programs have in common: the command line, the folder of a
 * run, data, resuming, threads. */
#include "trainings.h"

PROGRAM_SUITE(programs);

/* A training that must be refused; it would be short, if it were not. */
static void refuse_training(const Row *r, const char *more, int status, const char *says) {
    char stages[sizeof r->stages], arguments[800];
    int at = snprintf(arguments, sizeof arguments, "train %s %s", r->fast, more);
    strcpy(stages, r->stages);
    for (char *s = strtok(stages, " "); s; s = strtok(NULL, " "))
        at += snprintf(arguments + at, sizeof arguments - (size_t)at, " --%s 1", s);
    expect_refusal(r->chapter, arguments, status, says);
}

/* ---- the command line ------------------------------------------------------------------------ */

/* A chapter that is finished, which its text shows, has all four commands; one that is begun may
 * do without eval and info. */
static bool has_all_commands(const Row *r) {
    char path[100];
    snprintf(path, sizeof path, "chapters/%s/README.md", r->chapter);
    return access(path, F_OK) == 0;
}

/* "  -s, --seed": no letter stands for two options of a command */
static void letters_are_different(const char *chapter, const char *help) {
    int times[128] = {0};
    for (const char *p = help; (p = strstr(p, "\n  -")); p++)
        cr_expect(!times[p[4] & 127]++, "%s: -%c stands for two options:\n%s", chapter, p[4], help);
    cr_expect(times['h'] == 1, "%s: no -h", chapter);
}

/* Does --help name the options and commands that every program has, and does the program know every
 * option and command that --help names? */
EACH_CHAPTER(programs, help_names_every_option) {
    static const char *const common[] = {
        "--config", "--seed", "--steps", "--batch", "--lr", "--threads", "--out", "--weights",
        "--data", "--resume", "--quiet", "--help", "\n  train ", "\n  sample ", "\n  eval ",
        "\n  info "};
    char help[TEXT], of_command[TEXT], arguments[200], said[2000];
    int named = 0;
    cr_assert_eq(wait_for(start(r->chapter, "--help")), 0, "%s", r->chapter);
    read_text("out", help);
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        cr_expect(strstr(help, common[i]) || (i > 13 && !has_all_commands(r)),
                  "%s --help does not name %s", r->chapter, common[i]);
    for (const char *p = help; (p = strstr(p, "--")); p += 2) {
        bool begins = p - help > 6 && (!strncmp(p - 6, "      ", 6) || !strncmp(p - 2, ", ", 2));
        if (!begins) continue;
        int n = 2 + (int)strspn(p + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");
        snprintf(arguments, sizeof arguments, "train --batch 0 %.*s", n, p);
        int status = run_program(r->chapter, arguments, said);
        bool is_help = n == 6 && !strncmp(p, "--help", 6);
        cr_expect(status == (is_help ? 0 : 2) && !strstr(said, "unknown"), "%s %s: %s", r->chapter,
                  arguments, said);
        named++;
    }
    cr_expect(named >= 12, "%s --help names %d options", r->chapter, named);
    for (const char *p = strstr(help, "\ncommands:\n") + 10; p[1] == ' '; p = strchr(p + 1, '\n')) {
        snprintf(arguments, sizeof arguments, "%.*s --help", (int)strcspn(p + 3, " "), p + 3);
        cr_expect_eq(wait_for(start(r->chapter, arguments)), 0, "%s: %s", r->chapter, arguments);
        read_text("out", of_command);
        letters_are_different(r->chapter, of_command);
    }
}

/* Whatever is asked: one line, status 2, nothing made? */
EACH_CHAPTER(programs, what_makes_no_sense_is_refused) {
    static const char *const trainings[][2] = {
        {"--no-such-option 3", "--no-such-option"}, {"surplus", "surplus"},
        {"--batch 0", "--batch"},                   {"--batch ten", "--batch"},
        {"--lr fast", "--lr"},                      {"--lr nan", "--lr"},
        {"--seed -1", "--seed"},                    {"--threads 1000", "--threads"},
        {"--config vgg", "vgg"},                    {"--weights w", "--weights"},
    };
    expect_refusal(r->chapter, "", 2, "command");
    expect_refusal(r->chapter, "paint --out %s/x", 2, "paint");
    expect_refusal(r->chapter, "sample --resume --out %s/x", 2, "--resume");
    expect_refusal(r->chapter, "train --out %s/x --steps -1", 2, "--steps");
    expect_refusal(r->chapter, "train --out %s/x --steps 1.5", 2, "--steps");
    expect_refusal(r->chapter, "train --out %s/x --steps", 2, "--steps");
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        char more[100];
        snprintf(more, sizeof more, "%s --out %%s/x", trainings[i][0]);
        refuse_training(r, more, 2, trainings[i][1]);
    }
    cr_expect(!file_there("x"), "%s: a folder was made", r->chapter);
}

/* Does a program do the same wherever it is called, and whether the dynamic loader is named or not? */
static void expect_same_anywhere(const char *name) {
    static const char *const loaders[] = {"/lib64/ld-linux-x86-64.so.2",
                                          "/lib/ld-linux-aarch64.so.1"};
    char here[4096];
    cr_assert(getcwd(here, sizeof here));
    cr_assert_eq(shell("%s info >%s/here", program(name), folder), 0, "%s info", name);
    cr_assert_eq(shell("cd / && %s/%s info >%s/elsewhere", here, program(name), folder), 0);
    cr_expect(same_file("here", "elsewhere"), "%s info, from another folder", name);
    for (int i = 0; i < 2; i++) {
        if (access(loaders[i], X_OK)) continue;
        cr_assert_eq(shell("cd / && %s %s/%s info >%s/loaded", loaders[i], here, program(name),
                           folder), 0, "%s info, by %s", name, loaders[i]);
        cr_expect(same_file("here", "loaded"), "%s info, by %s", name, loaders[i]);
    }
}

EACH_CHAPTER(programs, programs_run_from_anywhere) {
    if (has_all_commands(r)) expect_same_anywhere(r->chapter);
}

Test(programs, tools_run_from_anywhere) {
    static const char *const tools[] = {"classifier", "caption_evaluator", "clip", "tokenizer"};
    for (int i = 0; i < 4 && is_wanted("tools"); i++) expect_same_anywhere(tools[i]);
}

#if defined _OPENMP && !defined __clang__
/* GCC's runtime says how long its threads spin. */
Test(programs, waiting_threads_soon_sleep_unless_the_user_wants_otherwise) {
    static const char *const settings[] = {"-u OMP_WAIT_POLICY", "OMP_WAIT_POLICY=active",
                                           "-u OMP_WAIT_POLICY GOMP_SPINCOUNT=7"};
    for (int i = 0; i < 3 && is_wanted("tools"); i++) {
        char said[TEXT];
        shell("env -u GOMP_SPINCOUNT %s OMP_DISPLAY_ENV=VERBOSE %s --help 2>&1 | grep SPINCOUNT >%s/said",
              settings[i], program("clip"), folder);
        read_text("said", said);
        cr_expect(!!strstr(said, i == 2 ? "'7'" : "'1000'") == (i != 1), "%s: %s", settings[i],
                  said);
    }
}
#endif

EACH_CHAPTER(programs, what_cannot_be_written_is_said) {
    static const char *const printing[] = {"info >/dev/full", "info >&-", "--help >/dev/full"};
    for (int i = has_all_commands(r) ? 0 : 2; i < 3; i++) {
        char said[TEXT];
        int status = shell("%s %s 2>%s/err", program(r->chapter), printing[i], folder);
        read_text("err", said);
        char *end = strchr(said, '\n');
        cr_expect(status == 1 && end && !end[1] && strstr(said, "standard output"),
                  "%s %s: status %d: %s", r->chapter, printing[i], status, said);
    }
    few_images();
    refuse_training(r, "--data %s --out %s/stderr/x", 1, "stderr");
}

/* ---- data and weights ------------------------------------------------------------------------ */

static void write_bytes(const char *name, const void *bytes, size_t n) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, n, f) == n && !fclose(f), "%s", path);
}

/* Images of 14x14 pixels, a file that ends too early, an empty one, something else; fewer labels
 * than images; hardly any images; none */
EACH_CHAPTER(programs, data_that_do_not_fit_are_refused) {
    static const uint8_t labels[199], small[16 + 200 * 14 * 14] =
        {0, 0, 8, 3, 0, 0, 0, 200, 0, 0, 0, 14, 0, 0, 0, 14};
    static const char other[] = "P6 28 28 255";
    const struct {
        const void *bytes;
        size_t n;
    } images[] = {{small, sizeof small}, {small, 300}, {"", 0}, {other, sizeof other}};
    few_images();
    for (int i = 0; i < 4; i++) {
        write_bytes(fashion_files[0], images[i].bytes, images[i].n);
        refuse_training(r, "--data %s --out %s/x", 1, fashion_files[0]);
    }
    few_images();
    write_idx(fashion_files[1], labels, sizeof labels, 1);
    refuse_training(r, "--data %s --out %s/x", 1, "199 labels");
    refuse_training(r, "--data %s/nothing --out %s/x", 1, "nothing");
    char said[2000];
    few_garments(40, 4);                    /* said after a note that it is not Fashion-MNIST */
    cr_expect_eq(run_program(r->chapter, "train --steps 1 --data %s --out %s/x", said), 1, "%s",
                 said);
    cr_expect(strstr(said, "are needed"), "%s: %s", r->chapter, said);
}

EACH_CHAPTER(programs, weights_of_others_are_refused) {
    static const char *const commands[] = {"sample", "eval"};
    const char *other = strcmp(r->chapter, "ae") ? "ae" : "vae";
    char arguments[300], says[40];
    snprintf(says, sizeof says, "was made by %s", other);
    for (int i = 0; i < (has_all_commands(r) ? 2 : 1); i++) {
        snprintf(arguments, sizeof arguments, "%s --weights notebooks-data/%s/weights.safetensors "
                 "--out %%s/x", commands[i], other);
        expect_refusal(r->chapter, arguments, 1, says);
        snprintf(arguments, sizeof arguments, "%s --weights %%s/none.safetensors --out %%s/x",
                 commands[i]);
        expect_refusal(r->chapter, arguments, 1, "none.safetensors");
        snprintf(arguments, sizeof arguments, "%s --weights %%s/stderr --out %%s/x", commands[i]);
        expect_refusal(r->chapter, arguments, 1, "stderr");
        snprintf(arguments, sizeof arguments, "%s --out %%s/x", commands[i]);
        expect_refusal(r->chapter, arguments, 1, "weights.safetensors");
        snprintf(arguments, sizeof arguments, "%s --weights tests/golden/dcgan_g.safetensors "
                 "--out %%s/x", commands[i]);
        expect_refusal(r->chapter, arguments, 1, "dcgan_g.safetensors");
    }
}

/* the chapter's committed weights in the test's folder, as `name`, after `more` was put in front of
 * their list of tensors; *data: where the numbers begin. false: there are none */
static uint8_t *committed_weights(const char *chapter, const char *more, size_t *n, size_t *data) {
    char path[200];
    snprintf(path, sizeof path, "notebooks-data/%s/weights.safetensors", chapter);
    if (access(path, R_OK)) return NULL;
    size_t length = strlen(more), list = 0;
    const uint8_t *bytes = file_map(path, n);
    uint8_t *copy = malloc(*n + length + 8);
    for (int i = 8; i-- > 0;) list = list << 8 | bytes[i];
    *data = 8 + list + length;
    memcpy(copy, bytes, 9), memcpy(copy + 9, more, length);
    memcpy(copy + 9 + length, bytes + 9, *n - 9);
    list += length;
    for (int i = 0; i < 8; i++) copy[i] = (uint8_t)(list >> 8 * i);
    file_unmap(bytes, *n);
    *n += length;
    return copy;
}

/* Numbers that are not finite: are they found before pictures are ruined? */
EACH_CHAPTER(programs, weights_that_are_not_finite_are_refused) {
    size_t n, data;
    uint8_t *w = committed_weights(r->chapter, "", &n, &data);
    if (!w) return;
    memset(w + data, 255, 4);                /* NaN in half and in single precision */
    write_bytes("nan.safetensors", w, n);
    free(w);
    expect_refusal(r->chapter, "sample --weights %s/nan.safetensors --out %s/x", 1, "is -nan; no");
}

/* PyTorch's batch normalisations count batches, in files that are exported from there. */
Test(programs, a_count_of_batches_among_the_weights_is_left_out) {
    static const char sample[] = "sample -q --weights %s/w.safetensors --out %s/pictures";
    char more[200];
    size_t n, data;
    if (!is_wanted("gan")) return;
    uint8_t *w = committed_weights("gan", "", &n, &data);
    write_bytes("w.safetensors", w, n);
    RUN("gan", sample);
    cr_assert_eq(shell("mv %s/pictures %s/without", folder, folder), 0);
    snprintf(more, sizeof more, "\"norm.0.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],"
             "\"data_offsets\":[%zu,%zu]},", n - data, n - data + 8);
    free(w);
    w = committed_weights("gan", more, &n, &data);
    memset(w + n, 0, 8), w[n] = 7;
    write_bytes("w.safetensors", w, n + 8);
    free(w);
    RUN("gan", sample);
    cr_expect(same_file("pictures/samples.png", "without/samples.png"));
}

/* Results of another folder's files, in another: are they those of here? */
Test(programs, scores_are_the_same_from_anywhere) {
    static const char eval[] = "eval -q --samples 20 --weights";
    char here[4096];
    cr_assert(getcwd(here, sizeof here));
    if (!is_wanted("gan")) return;
    few_images();
    cr_assert_eq(shell("cp notebooks-data/gan/weights.safetensors %s/w; %s %s %s/w --data %s "
                       "--out %s/a 2>%s/err", folder, program("gan"), eval, folder, folder, folder,
                       folder), 0);
    cr_assert_eq(shell("cd %s && %s/%s %s w --data . --out b 2>err", folder, here, program("gan"),
                       eval), 0);
    cr_expect(same_file("a/classes.csv", "b/classes.csv") && file_there("b/metrics.json"));
}

/* ---- training -------------------------------------------------------------------------------- */

/* Waits until a training in `in` has begun, or ended. */
static void wait_for_start(const char *in) {
    Name names[MOST_FILES];
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, in);
    for (int i = 0; i < 200000; i++) {
        int n = access(path, F_OK) ? 0 : files_of(in, names);
        while (n-- > 0)
            if (ends_with(names[n], "run.json")) return;
        usleep(1000);
    }
    cr_assert_fail("%s: no training has begun", path);
}

/* Interrupts a training of n steps in its course. Returns its status: 130, or 0 if it was over
 * already, or -SIGINT if it had not begun to listen. */
static int interrupt(const Row *r, int n, int milliseconds) {
    cr_assert_eq(shell("rm -rf %s/resumed", folder), 0);
    pid_t child = start_training(r, n, "resumed", "--threads 1");
    wait_for_start("resumed");
    usleep(1000 * (unsigned)milliseconds);
    kill(child, SIGINT);
    return wait_for(child);
}

/* Ctrl-C at some step, then --resume, with one thread; the same never stopped, with two: the same in
 * every file? If not, the second comparison tells which of the two it is. Another seed: other
 * weights? */
EACH_ROW(programs, a_resumed_run_equals_one_that_was_never_stopped) {
    char said[TEXT];
    int n = 3, wait = 0, status;
    few_images();
    while ((status = interrupt(r, n, wait)) != 130) {
        cr_assert(n < 10000 && wait < 1000, "%s: status %d", r->chapter, status);
        if (status == 0) n *= 3;
        else wait += 10;
    }
    read_text("err", said);
    cr_expect(strstr(said, "to go on:") && strstr(said, "--resume"), "%s: %s", r->chapter, said);
    train(r, 0, "resumed", "--resume --threads 1");
    train(r, n, "straight", "--threads 2");
    expect_same_training(r, "straight", "resumed");
    if (differs) {
        train(r, n, "one-thread", "--threads 1");
        expect_same_training(r, "straight", "one-thread");
    }
    train(r, n, "seed2", "--seed 2");
    cr_expect(!same_file("straight/weights.safetensors", "seed2/weights.safetensors"),
              "%s: the seed", r->chapter);
}

/* A step, then another: does --resume take a larger --steps? And does it say so if there is
 * nothing to go on from? (The first stage of several then begins.) */
EACH_CHAPTER(programs, a_run_goes_on_beyond_its_end) {
    char said[TEXT];
    few_images();
    bool staged = strchr(r->stages, ' ');
    if (!staged)
        refuse_training(r, "--resume --out %s/x", 1, "nothing to go on from");
    train(r, 1, "run", "");
    train(r, 2, "run", "--resume");
    cr_assert_eq(wait_for(start_training(r, 2, "run", "--resume")), 0);
    read_text("err", said);
    cr_expect(strstr(said, "steps already"), "%s: %s", r->chapter, said);
}

/* One training in a folder at a time: is the second one refused, and the first one left alone? */
EACH_CHAPTER(programs, a_second_training_in_the_folder_is_refused) {
    few_images();
    pid_t child = start_training(r, 4000, "run", "");
    wait_for_start("run");
    kill(child, SIGSTOP);
    refuse_training(r, "--data %s --out %s/run", 1, "is training in this folder");
    kill(child, SIGKILL);
    cr_assert_eq(wait_for(child), -SIGKILL);
    train(r, 1, "run", "");                  /* the lock went with the process */
}

/* Does a start that fails change nothing? A new training in the same folder: are the earlier ones'
 * files kept, and named? */
EACH_CHAPTER(programs, an_earlier_run_is_kept) {
    char said[TEXT];
    Name names[MOST_FILES], log = "";
    char old[sizeof log + 16];
    few_images();
    train(r, 1, "run", "");
    cr_assert_eq(shell("cp -r %s/run %s/copy", folder, folder), 0);
    cr_assert_eq(wait_for(start_training(r, 1, "run", "--data nothing")), 1);
    expect_same_training(r, "copy", "run");
    for (int n = files_of("run", names); n-- > 0;)
        if (ends_with(names[n], "log.csv")) strcpy(log, names[n]);
    cr_assert_eq(shell("cp %s/run/%s %s/first", folder, log, folder), 0);
    for (int k = 1; k <= 2; k++) {
        train(r, 1, "run", "");
        read_text("err", said);
        snprintf(old, sizeof old, k == 1 ? "%s.old" : "%s.old%d", log, k);
        cr_expect(strstr(said, old) && strstr(said, "weights.safetensors.old"), "%s: %s",
                  r->chapter, said);
    }
    snprintf(old, sizeof old, "run/%s.old", log);
    cr_expect(same_file("first", old), "%s: %s is not the first run's", r->chapter, old);
}

/* Is it said, in one line, before anything is made? */
EACH_ROW(programs, what_needs_whole_batches_says_so) {
    if (!only_stage(r)) return;
    few_images();
    refuse_training(r, "--micro 3 --data %s --out %s/x", 2, "--micro 3: ");
    cr_expect(!file_there("x"), "%s: a folder was made", r->chapter);
}
