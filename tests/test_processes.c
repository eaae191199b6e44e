/* test_processes.c — trainings and programs of several processes: the same files as one, memory that
 * is divided, an end when one is killed. `make test-mpi` runs these tests; it sets $MPIRUN. */
#include "trainings.h"

#include "kernels/kernels.h"

#include <time.h>

static void begin(void) {
    cr_assert(getenv("MPIRUN"), "`make test-mpi` runs these tests");
    make_folder();
}

TestSuite(processes, .init = begin, .fini = after_each_test);

/* ---- calling them ---------------------------------------------------------------------------- */

/* the row with batches of so many */
static Row in_batches_of(const Row *r, int n) {
    Row row = *r;
    const char *from = r->fast;
    char *to = row.fast, as[16];
    snprintf(as, sizeof as, "batch %d", n);
    while (*from) {
        bool batch = !strncmp(from, "batch ", 6);
        if (batch) from += 6, from += strspn(from, "0123456789"), to = stpcpy(to, as);
        else *to++ = *from++;
    }
    *to = 0;
    if (!strstr(row.fast, "--batch")) strcat(strcat(row.fast, " --"), as);
    return row;
}

/* starts P processes of `build/CHAPTER arguments` */
static pid_t start_processes(const char *chapter, int P, const char *arguments) {
    char command[1600];
    if (P == 1) return start(chapter, arguments);
    snprintf(command, sizeof command, "exec %s -n %d %s %s >%s/out 2>%s/err", getenv("MPIRUN"), P,
             program(chapter), arguments, folder, folder);
    return start_shell(command);
}

static pid_t start_shared(const Row *r, int P, int n, const char *out, const char *more) {
    char arguments[1000];
    train_arguments(arguments, r, n, out, more);
    return start_processes(r->chapter, P, arguments);
}

static void expect_success(const char *chapter, int P, const char *arguments) {
    char said[TEXT];
    int status = wait_for(start_processes(chapter, P, arguments));
    read_text("err", said);
    cr_assert_eq(status, 0, "%s %s: %d processes: status %d: %s", chapter, arguments, P, status,
                 said);
}

static void train_shared(const Row *r, int P, int n, const char *out, const char *more) {
    char arguments[1000];
    train_arguments(arguments, r, n, out, more);
    expect_success(r->chapter, P, arguments);
}

/* ---- the same as one process ----------------------------------------------------------------- */

/* Six micro-batches by one process, two and three: the same files, bit for bit? */
EACH_ROW(processes, train_the_same_weights) {
    static const char *const out[] = {"", "one", "two", "three"};
    const char *stage = only_stage(r);
    char more[60] = "--threads 1 --micro 6";
    Row six = in_batches_of(r, 6);
    if (stage && !*stage) return;            /* what_needs_whole_batches_says_so */
    few_images();
    if (stage) {
        train(&six, 1, "one", "--threads 1");
        cr_assert_eq(shell("cd %s; cp -r one two; cp -r one three", folder), 0);
        snprintf(more, sizeof more, "--threads 1 --micro 6 --stage %s", stage);
    }
    for (int P = 1; P <= 3; P++) train_shared(&six, P, 2, out[P], more);
    expect_same_training(&six, "one", "two"), expect_same_training(&six, "one", "three");
}

/* Processes of several threads: the same as one of one? */
EACH_CHAPTER(processes, of_several_threads) {
    if (strcmp(r->chapter, "ddpm")) return;
    Row four = in_batches_of(r, 4);
    few_images();
    train_shared(&four, 1, 2, "one", "--micro 4 --threads 1");
    train_shared(&four, 2, 2, "two", "--micro 4 --threads 2");
    train_shared(&four, 4, 2, "four", "--micro 4 --threads 1");
    expect_same_training(&four, "one", "two"), expect_same_training(&four, "one", "four");
}

/* a number of a record in the test's folder */
static double recorded(const char *file, const char *key) {
    char said[TEXT], quoted[60];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    read_text(file, said);
    const char *at = strstr(said, quoted);
    cr_assert(at, "%s: no %s: %s", file, key, said);
    return atof(at + strlen(quoted));
}

/* Of two processes each has the moments of half the parameters, and sums of half the gradients: is
 * the peak of the first one, which has all averages when it evaluates, as much smaller than that of
 * one process alone, but for what MPI and sending take? */
EACH_CHAPTER(processes, divide_the_memory) {
    enum { HALVES = 3 };                     /* of both moments, and of the sums */
    Row large = *r;
    if (strcmp(r->chapter, "dalle")) return;
    strcpy(large.fast, "--width 4 --codes 16 --batch 2 --prior-batch 2 --prior-width 512 "
                       "--prior-depth 6 --prior-heads 8");
    few_images();
    for (int P = 1; P <= 2; P++)
        train_shared(&large, P, 1, P == 1 ? "one" : "two", "--threads 1 --micro 2");
    double half = recorded("one/prior-run.json", "parameters") * sizeof(float) / 2;
    double less = recorded("one/prior-run.json", "peak_memory_bytes") -
                  recorded("two/prior-run.json", "peak_memory_bytes");
    expect_same_training(&large, "one", "two");          /* of many rounds of the exchange */
    cr_expect(less > 0.7 * HALVES * half, "%.1f MB less, of %.1f", less / 1e6, HALVES * half / 1e6);
}

/* what makes `sample` fast, with pictures for two groups (diffusion/drawing.h) */
static const struct {
    const char *chapter, *options;
} sampling[] = {{"dalle", "-n 2 --best-of 66 --prompt 'a red bag' --prompt 'a coat'"},
                {"ddpm", "--steps 2 -n 18"},
                {"iddpm", "--respace 2 -n 18"},
                {"guidance", "--respace 2 -n 18"},
                {"cfg", "--respace 2 --upsampler-respace 2 -n 18"},
                {"dalle2", "--prior none --respace 2 -n 33 -p 'a dress'"},
                {"ldm", "--steps 2 --pictures 33"}};

/* One process draws, and two do: the same files, bit for bit? And the scores of ddpm's samples? */
EACH_CHAPTER(processes, draw_the_same_pictures) {
    static const char *const out[] = {"", "one", "two"};
    char arguments[600], scoring[600];
    const char *options = "";
    for (size_t i = 0; i < sizeof sampling / sizeof *sampling; i++)
        if (!strcmp(r->chapter, sampling[i].chapter)) options = sampling[i].options;
    few_images();
    train(r, 1, "trained", "--threads 1");
    snprintf(arguments, sizeof arguments, "sample -q --threads 1 --data %s --out %s/run %s", folder,
             folder, options);
    snprintf(scoring, sizeof scoring, "eval -q --threads 1 --data %s --out %s/run --steps 2 "
             "--samples 34 --bound 18", folder, folder);
    for (int P = 1; P <= 2; P++) {
        cr_assert_eq(shell("cp -r %s/trained %s/run", folder, folder), 0);
        expect_success(r->chapter, P, arguments);
        if (!strcmp(r->chapter, "ddpm")) {
            expect_success(r->chapter, P, scoring);
            cr_assert_eq(shell("sed -i /seconds_a_picture/d %s/run/metrics.json", folder), 0);
        }
        cr_assert_eq(shell("mv %s/run %s/%s", folder, folder, out[P]), 0);
    }
    cr_expect(shell("diff -rq %s/trained %s/one >/dev/null", folder, folder), "nothing was drawn");
    expect_same_training(r, "one", "two");
}

/* ---- when one is killed ---------------------------------------------------------------------- */

/* the process of this rank that mpirun `parent` has started, once it has; 0: the job is over */
static pid_t process_of(pid_t parent, int rank) {
    char command[200];
    int pid = 0;
    snprintf(command, sizeof command, "for p in $(pgrep -P %d); do tr '\\0' '\\n' "
             "</proc/$p/environ | grep -qx OMPI_COMM_WORLD_RANK=%d && echo $p; done 2>&-",
             (int)parent, rank);
    siginfo_t ended = {0};
    while (!pid && !waitid(P_PID, (id_t)parent, &ended, WEXITED | WNOHANG | WNOWAIT) &&
           !ended.si_pid) {
        FILE *f = popen(command, "r");
        if (f && fscanf(f, "%d", &pid) != 1) pid = 0;
        if (f) pclose(f);
        usleep(10000);
    }
    return pid;
}

/* mpirun ends the others, but does not wait for one that is still writing: at most a minute */
static void expect_end_of(const pid_t p[3]) {
    cr_expect_eq(shell("for i in $(seq 600); do ps -o stat= -p %d,%d,%d | grep -q '^[^Z]' || "
                       "exit 0; sleep 0.1; done; exit 1", (int)p[0], (int)p[1], (int)p[2]), 0,
                 "the job is over, a process is not");
}

/* Is one line said of the death, with the rank? */
static void expect_one_line_of(int rank, int status) {
    char said[TEXT], who[40];
    int lines = 0;
    snprintf(who, sizeof who, " rank %d with PID", rank);
    read_text("err", said);
    for (const char *p = said; (p = strstr(p, "signal 9")); p++) lines++;
    cr_expect(status == 128 + SIGKILL && lines == 1 && strstr(said, who),
              "process %d was killed; status %d: %s", rank, status, said);
}

typedef struct {
    int rank, microseconds;      /* which of three processes, and how long after its start */
    int on;                      /* how many processes then go on */
} Kill;

/* Does the job end, is the last checkpoint whole, and is the end reached from there the same? false:
 * the job was over before */
static bool kill_and_resume(const Row *r, Kill k) {
    cr_assert_eq(shell("rm -rf %s/killed", folder), 0);
    pid_t job = start_shared(r, 3, 12, "killed", "--threads 1 --micro 6");
    pid_t all[3];
    for (int i = 0; i < 3; i++) all[i] = process_of(job, i);
    usleep((unsigned)k.microseconds);
    bool hit = all[k.rank] && !kill(all[k.rank], SIGKILL);
    int status = wait_for(job);
    if (hit) expect_end_of(all);
    if (status) expect_one_line_of(k.rank, status);
    if (file_there("killed/checkpoint.safetensors")) {
        train_shared(r, k.on, 0, "killed", "--resume --threads 1");
    } else {
        train_shared(r, k.on, 12, "killed", "--threads 1 --micro 6");
        cr_assert_eq(shell("rm -f %s/killed/*.old", folder), 0);
    }
    expect_same_training(r, "straight", "killed");
    return status != 0;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Every rank in turn is killed, three times or $KILLS, at a random moment ($SEED) of as long as a job
 * takes. When the job was over by then, another kill is tried. */
EACH_CHAPTER(processes, go_on_when_one_was_killed) {
    const char *kills = getenv("KILLS"), *given = getenv("SEED");
    unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL);
    int wanted = kills ? atoi(kills) : 3, hits = 0;
    Row six = in_batches_of(r, 6);
    if (strcmp(r->chapter, "ae")) return;
    few_images();
    double start = now();
    train_shared(&six, 3, 12, "straight", "--threads 1 --micro 6");
    uint32_t microseconds = (uint32_t)(1e6 * (now() - start));
    Rng rng = rng_new(seed, "kills");
    int first = (int)rng_below(&rng, 3);
    for (int k = 0; k < 2 * wanted && hits < wanted; k++)
        hits += kill_and_resume(&six, (Kill){(first + hits) % 3,
                                             (int)rng_below(&rng, microseconds), 1 + k % 3});
    cr_expect(wanted > 0 && hits == wanted, "%d kills hit a job, of %d wanted", hits, wanted);
    cr_expect(!differs, "SEED=%u", seed);
}

/* ---- hosts ----------------------------------------------------------------------------------- */

/* No host has the emoji yet, and two processes share one: does each draw and read its own? */
EACH_CHAPTER(processes, begin_without_a_cache) {
    const char *run = getenv("MPIRUN");
    char call[700], said[TEXT];
    if (strcmp(r->chapter, "cfg")) return;
    few_images();
    char *path = realpath(program(r->chapter), NULL);
    cr_assert(path);
    snprintf(call, sizeof call, "%s train -q --stage base --threads 1 --micro 3 --batch 3 --steps 1 "
             "--emoji 0.5 --preview 0 --validation 4 --data %s --out %s/run", path, folder, folder);
    free(path);
    int status = shell("mkdir %s/a %s/b; %s -wdir %s/a -n 1 %s : -wdir %s/b -n 2 %s 2>%s/err",
                       folder, folder, run, folder, call, folder, call, folder);
    read_text("err", said);
    cr_expect_eq(status, 0, "status %d: %s", status, said);
    cr_expect(same_file("a/build/data/emoji-64.safetensors", "b/build/data/emoji-64.safetensors"));
    cr_expect(shell("find %s -name '*.tmp' | grep .", folder), "a half-written file is left");
}

/* Are two hosts that differ in this found before the first step, and named? What each runs, as
 * mpirun takes it. */
static void expect_named(const char *what, const char *first, const char *second) {
    char said[TEXT], says[60];
    snprintf(says, sizeof says, ": its %s (sha256 ", what);
    cr_expect_neq(shell("cd %s && %s %s : %s 2>err", folder, getenv("MPIRUN"), first, second), 0,
                  "%s", what);
    read_text("err", said);
    cr_expect(strstr(said, "process 1 on ") && strstr(said, says), "%s: %s", what, said);
}

EACH_CHAPTER(processes, that_differ_are_named) {
    static const char options[] = "train -q --micro 2 --batch 6 --steps 3 --out x --data";
    if (strcmp(r->chapter, "ae")) return;
    char one[1000], other[1100], again[1100], *ae = realpath(program("ae"), NULL);
    few_images();
    cr_assert_eq(shell("cd %s && mkdir x other a b && cp *ubyte* other && cp %s ae && echo >>ae && "
                       "printf X | dd conv=notrunc of=other/%s bs=1 seek=500 2>/dev/null", folder,
                       ae, fashion_files[0]), 0);
    snprintf(one, sizeof one, "-n 1 %s %s .", ae, options);
    snprintf(other, sizeof other, "%s --lr 0.5", one);
    expect_named("options", one, other);
    snprintf(other, sizeof other, "-n 1 %s %s other", ae, options);
    expect_named("data", one, other);
    snprintf(other, sizeof other, "-n 1 ./ae %s .", options);
    expect_named("program", one, other);
    cr_expect(!file_there("x/checkpoint.safetensors"));
    for (int k = 1; k <= 2; k++)             /* a step, or two: a host has another checkpoint */
        cr_assert_eq(shell("cd %s/%c && %s %s .. --steps %d 2>../err", folder, "ab"[k - 1], ae,
                           options, k), 0);
    snprintf(one, sizeof one, "-wdir a -n 1 %s %s .. --resume", ae, options);
    snprintf(again, sizeof again, "-wdir b -n 1 %s %s .. --resume", ae, options);
    expect_named("weights", one, again);
    free(ae);
}
