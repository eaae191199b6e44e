/* bench_steps.c — whole training steps (forward, backward, Adam) and a sampling step (forward
 * without gradients, and the sampler's arithmetic) against PyTorch's, and against ONNX Runtime's
 * where the step can be exported.
 *
 *   bench_steps [time] [--net NAME] [--threads 1,2] [--rounds 5] [--peak GFLOPS] [--csv FILE]
 *               [--memory FILE] [--python PROGRAM] [--twin SCRIPT] [--onnx SCRIPT]
 *   bench_steps check [--net NAME]    same weights and batch on both sides: same losses and
 *                                     gradient norms for four steps? (when sampling, same sums of
 *                                     squares of x, which take the losses' place)
 *   bench_steps worker NAME THREADS   used by `time`
 *
 * For each network and number of threads, `time` starts one process of this program, one of PyTorch
 * per memory layout and one of ONNX Runtime, and lets them take turns at running steps, so that whatever else the
 * machine does hits all alike. The first step of a turn is not counted: caches are cold and other
 * processes' threads may still be spinning. Medians over all counted steps.
 *
 * Workers of one thread stay on one processor, all on the same. Those of several are timed once more
 * beside a program that never waits. Each worker runs one network only, so its peak of resident memory
 * is that network's.
 *
 * A step's floating-point operations are two per multiply-add of its matrix products, convolutions
 * and attentions: forward, and again for each operand that takes a gradient (none in sampling). */
#define _GNU_SOURCE            /* pipe2, sched_setaffinity */
#include "train/checkpoint.h"
#include "nets.h"
#include "base/error.h"
#include "base/progress.h"
#include "median.h"

#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_TIMES = 4096, MAX_WORKERS = 4, MAX_TURN = 30, CHECK_STEPS = 4 };
enum { NO_TORCH = 3, NO_PYTHON = 127 };      /* the twin's exit status */

static struct {
    const char *net, *threads, *csv, *memory, *python, *twin, *onnx;
    int rounds;
    double peak;                  /* of one thread, GFLOP/s; 0: not known */
} o = {.threads = "1,2", .csv = "build/bench.csv", .memory = "build/bench_memory.csv",
       .python = "/usr/bin/python3", .twin = "tests/bench/torch_steps.py",
       .onnx = "tests/bench/onnx_steps.js", .rounds = 5};

/* ---- worker: runs steps when told to --------------------------------------------------------- */

/* most memory this process has had resident, MB */
static double resident_peak(void) {
    char line[200];
    double kb = NAN;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lf", &kb) == 1) break;
    if (f) fclose(f);
    return kb / 1024;
}

/* Answers "run K" with K times in ms, "memory" with the peak and what it was at the start in MB. */
static int worker(const char *name, int threads) {
    double at_start = resident_peak();
    const NetKind *kind = net_find(name);
    if (!kind) usage_error("bench_steps: no network is called %s", name);
    threads_set(threads);
    Training t;
    training_start(&t, kind, kind->batch, false);
    training_step(&t);
    printf("ready %zu %.0f ours -\n", training_count(&t), t.macs);
    fflush(stdout);
    char line[100];
    while (fgets(line, sizeof line, stdin)) {
        int steps;
        if (sscanf(line, "run %d", &steps) == 1) {
            training_step(&t);
            for (int i = 0; i < steps; i++) {
                double start = seconds_now();
                training_step(&t);
                printf("%.4f ", 1e3 * (seconds_now() - start));
            }
        } else {
            printf("%.1f %.1f", resident_peak(), at_start);
        }
        printf("\n");
        fflush(stdout);
    }
    training_free(&t);
    return 0;
}

/* ---- the other end of a worker --------------------------------------------------------------- */

typedef struct {
    pid_t pid;
    FILE *to, *from;
    char version[64], blas[64];   /* PyTorch's, and what multiplies its matrices */
    const char *layout;
    size_t params;
    double macs, ms[MAX_TIMES], peak, base;   /* MB */
    int n;
} Worker;

/* a worker of one thread, and whatever threads its libraries start, stay on one processor */
static void stay_on_one_processor(void) {
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all)) return;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all)) continue;
        CPU_SET(i, &one);
        break;
    }
    sched_setaffinity(0, sizeof one, &one);
}

static void become(char *const *argv, int in, int out, int threads) {
    char number[12];
    if (threads == 1) stay_on_one_processor();
    snprintf(number, sizeof number, "%d", threads);
    setenv("OMP_NUM_THREADS", number, 1);          /* PyTorch's loops and oneDNN */
    setenv("OPENBLAS_NUM_THREADS", number, 1);     /* its matrix products */
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execvp(argv[0], argv);
    _exit(NO_PYTHON);
}

/* false: it ended instead of saying that it is ready */
static bool worker_start(Worker *w, char *const *argv, int threads) {
    int to[2], from[2];
    char line[300];
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) fail("bench_steps: no pipe");
    w->pid = fork();
    if (w->pid < 0) fail("bench_steps: no process for %s", argv[0]);
    if (w->pid == 0) become(argv, to[0], from[1], threads);
    close(to[0]);
    close(from[1]);
    w->to = fdopen(to[1], "w");
    w->from = fdopen(from[0], "r");
    return fgets(line, sizeof line, w->from) &&
           sscanf(line, "ready %zu %lf %63s %63s", &w->params, &w->macs, w->version, w->blas) == 4;
}

/* its exit status */
static int worker_end(Worker *w) {
    int status = 0;
    fclose(w->to);
    fclose(w->from);
    waitpid(w->pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* one turn; false: the worker has gone */
static bool worker_turn(Worker *w, int steps) {
    fprintf(w->to, "run %d\n", steps);
    fflush(w->to);
    for (int i = 0; i < steps; i++) {
        double ms;
        if (fscanf(w->from, "%lf", &ms) != 1) return false;
        if (w->n < MAX_TIMES) w->ms[w->n++] = ms;
    }
    return true;
}

static void worker_memory(Worker *w) {
    fprintf(w->to, "memory\n");
    fflush(w->to);
    if (fscanf(w->from, "%lf %lf", &w->peak, &w->base) != 2) w->peak = w->base = NAN;
}

static double median_of(Worker *w) {
    return median(w->n, w->ms);
}

/* ---- time ------------------------------------------------------------------------------------ */

static FILE *append_to(const char *path, const char *header) {
    FILE *f = fopen(path, "a");
    if (!f) fail("bench_steps: cannot write %s; its folder must be there", path);
    fseek(f, 0, SEEK_END);
    if (ftell(f) == 0) fprintf(f, "%s\n", header);
    return f;
}

#define CSV_HEADER "name,kind,threads,ours_ms,peer,peer_ms,ratio,gflops,peak_fraction"

static void report_time(const NetKind *k, int threads, Worker *ours, Worker *peer) {
    FILE *f = append_to(o.csv, CSV_HEADER);
    double ms = median_of(ours), gflops = 2e-6 * ours->macs / ms;
    fprintf(f, "%s,step,%d,%.4f,", k->name, threads, ms);
    printf("%-24s %d  %8.2f ms %6.1f GFLOP/s", k->title, threads, ms, gflops);
    if (peer) {
        double theirs = median_of(peer);
        fprintf(f, "%s %s,%.4f,%.3f,", peer->version, peer->layout, theirs, theirs / ms);
        printf("  %8.2f ms  %5.2fx  %-13s", theirs, theirs / ms, peer->layout);
    } else {
        fprintf(f, ",,,");
    }
    fprintf(f, "%.2f,", gflops);
    if (o.peak > 0) fprintf(f, "%.3f", gflops / (o.peak * threads));
    fprintf(f, "\n");
    fclose(f);
}

/* PyTorch twice: the whole process, and what it has grown by since `import torch` */
static void report_memory(const NetKind *k, int threads, const Worker *ours, const Worker *peer) {
    FILE *f = append_to(o.memory, "name,threads,ours_mb,peer,peer_mb,peer_import_mb,"
                                  "peer_increase_mb,ratio,increase_ratio");
    fprintf(f, "%s,%d,%.1f,", k->name, threads, ours->peak);
    printf("   %6.0f MB", ours->peak);
    if (peer) {
        double increase = peer->peak - peer->base;
        fprintf(f, "%s %s,%.1f,%.1f,%.1f,%.3f,%.3f", peer->version, peer->layout, peer->peak,
                peer->base, increase, peer->peak / ours->peak, increase / ours->peak);
        printf("  %6.0f MB + %.0f MB  %5.2fx", increase, peer->base, increase / ours->peak);
    } else {
        fprintf(f, ",,,,,");
    }
    fprintf(f, "\n");
    fclose(f);
    printf("\n");
    fflush(stdout);
}

static bool start_ours(Worker *w, const NetKind *k, int threads) {
    char number[12];
    snprintf(number, sizeof number, "%d", threads);
    *w = (Worker){.layout = "channels_last"};
    return worker_start(w, (char *[]){"/proc/self/exe", "worker", (char *)k->name, number, NULL},
                        threads);
}

/* false: there is no PyTorch */
static bool start_peer(Worker *w, const NetKind *k, int threads, const char *layout) {
    char number[12], batch[12];
    snprintf(number, sizeof number, "%d", threads);
    snprintf(batch, sizeof batch, "%d", k->batch);
    *w = (Worker){.layout = layout};
    char *argv[] = {(char *)o.python, (char *)o.twin, "worker", (char *)k->name,
                    batch,            number,         (char *)layout, NULL};
    if (worker_start(w, argv, threads)) return true;
    int status = worker_end(w);
    if (status != NO_TORCH && status != NO_PYTHON)
        fail("bench_steps: %s: PyTorch's side has ended with status %d", k->name, status);
    return false;
}

/* Steps that torch_steps.py can export: those of sampling, but for the prior, whose cache grows */
static bool is_exported(const NetKind *k) {
    return k == &net_unet_sample || k == &net_sd1;
}

/* A step as a graph, in files of a folder of its own */
typedef struct {
    char folder[40], path[60];
} Graph;

/* weights: a file, or NULL: random ones. false: there is no PyTorch to export it. */
static bool export_step(Graph *g, const NetKind *k, int batch, const char *weights) {
    char command[900];
    strcpy(g->folder, "/tmp/bench_steps.XXXXXX");
    if (!mkdtemp(g->folder)) fail("bench_steps: cannot write to /tmp");
    snprintf(g->path, sizeof g->path, "%s/step.onnx", g->folder);
    snprintf(command, sizeof command, "'%s' '%s' export %s %d '%s' %s", o.python, o.twin, k->name,
             batch, g->path, weights ? weights : "");
    return system(command) == 0;
}

static void remove_graph(const Graph *g) {
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", g->folder);
    if (system(command)) fprintf(stderr, "%s: is left over\n", g->folder);
}

/* false: there is no ONNX Runtime */
static bool start_onnx(Worker *w, const NetKind *k, int threads) {
    Graph g;
    char number[12];
    snprintf(number, sizeof number, "%d", threads);
    *w = (Worker){.layout = "graph"};
    bool there = export_step(&g, k, k->batch, NULL) &&
                 worker_start(w, (char *[]){"node", (char *)o.onnx, "worker", g.path, number, NULL},
                              threads);
    remove_graph(&g);
    int status = there || !w->to ? 0 : worker_end(w);
    if (status && status != NO_TORCH && status != NO_PYTHON)
        fail("bench_steps: %s: ONNX Runtime's side has ended with status %d", k->name, status);
    return there;
}

static void turn(const NetKind *k, Worker *w, int steps) {
    if (!worker_turn(w, steps))
        fail("bench_steps: %s: the worker with layout %s has ended", k->name, w->layout);
}

/* Turns of about half a second, everyone equally many of them */
static void take_turns(const NetKind *k, Worker *w, int n) {
    int steps[MAX_WORKERS];
    for (int i = 0; i < n; i++) {
        turn(k, &w[i], 1);
        steps[i] = (int)fmin(fmax(500 / w[i].ms[0], 1), MAX_TURN);
        w[i].n = 0;                          /* that one was for orientation */
    }
    for (int round = 0; round < o.rounds; round++)
        for (int i = 0; i < n; i++) turn(k, &w[i], steps[i]);
}

static void describe_peer(const Worker *peer) {
    static bool said;
    if (said) return;
    said = true;
    if (!peer) {
        printf("PyTorch is missing from %s (Debian: apt-get install python3-torch): our times "
               "alone\n\n", o.python);
    } else {
        printf("peer: %s, matrix products by %s%s\n\n", peer->version, peer->blas,
               strcmp(peer->blas, "reference-blas") ? "" : ", which is SLOW: no fair comparison");
    }
    printf("%-24s %s  %11s %14s  %11s  %6s  %-13s   %9s  %s\n", "network", "t", "ours", "",
           "PyTorch", "ratio", "its layout", "ours", "PyTorch + import, ratio without import");
}

/* A step beside one program that never waits, on as many processors as before: of two threads on two
 * processors, each program's share is 2/3 of them. */
static void time_shared(const NetKind *k, int threads, Worker *ours) {
    double quiet = median_of(ours);
    int steps = (int)fmin(fmax(500 / quiet, 1), MAX_TURN);
    pid_t busy = fork();
    if (busy < 0) fail("bench_steps: no process for a busy program");
    for (volatile double x = 0; busy == 0;) x = x + 1;
    ours->n = 0;
    for (int round = 0; round < o.rounds; round++) turn(k, ours, steps);
    kill(busy, SIGKILL);
    waitpid(busy, NULL, 0);
    double ms = median_of(ours);
    FILE *f = append_to(o.csv, CSV_HEADER);
    fprintf(f, "%s,shared,%d,%.4f,ours alone,%.4f,%.3f,,\n", k->name, threads, ms, quiet, quiet / ms);
    fclose(f);
    printf("%-24s %d  %8.2f ms, %.2f times its quiet time\n", "  beside a busy program", threads, ms,
           ms / quiet);
    fflush(stdout);
}

static void time_network(const NetKind *k, int threads) {
    static Worker w[MAX_WORKERS];
    int n = 1;
    if (!start_ours(&w[0], k, threads)) fail("bench_steps: the worker for %s has ended", k->name);
    n += start_peer(&w[n], k, threads, "contiguous");
    if (n > 1 && k->convolutional) n += start_peer(&w[n], k, threads, "channels_last");
    int torch = n - 1;
    describe_peer(torch ? &w[1] : NULL);
    if (torch && is_exported(k)) n += start_onnx(&w[n], k, threads);
    for (int i = 1; i < n; i++)
        if (w[i].params != w[0].params)
            fail("bench_steps: %s has %zu parameters here and %zu in PyTorch", k->name, w[0].params,
                 w[i].params);
    take_turns(k, w, n);
    Worker *peer = torch > 0 ? &w[1] : NULL, *runtime = n > 1 + torch ? &w[n - 1] : NULL;
    if (torch > 1 && median_of(&w[2]) < median_of(&w[1])) peer = &w[2];
    for (int i = 0; i < n; i++) worker_memory(&w[i]);
    report_time(k, threads, &w[0], peer);
    report_memory(k, threads, &w[0], peer);
    if (runtime) report_time(k, threads, &w[0], runtime), report_memory(k, threads, &w[0], runtime);
    if (threads > 1) time_shared(k, threads, &w[0]);
    for (int i = 0; i < n; i++) worker_end(&w[i]);
}

/* A busy machine hits both sides, but not alike: two threads then wait for each other. */
static void warn_if_busy(void) {
    double load = 0, limit = 0.3;
    if (getloadavg(&load, 1) == 1 && load > limit)
        printf("load average %.1f: other programs are running; times, above all those of several\n"
               "threads, mean little\n\n", load);
}

static int time_all(void) {
    signal(SIGPIPE, SIG_IGN);          /* a worker that ends is noticed when it is read */
    warn_if_busy();
    for (const NetKind *const *k = net_kinds; *k; k++) {
        if (o.net && strcmp(o.net, (*k)->name) != 0) continue;
        for (const char *s = o.threads; *s; s += strcspn(s, ","), s += *s == ',')
            time_network(*k, atoi(s));
    }
    printf("\nwritten: %s, %s\n", o.csv, o.memory);
    return 0;
}

/* ---- check ----------------------------------------------------------------------------------- */

/* With Adam's own eps of 1e-8 even a gradient that is nothing but rounding error makes a full step,
 * in a direction that says nothing. */
static const double check_eps = 1e-5;

/* weights and batch, in a file that the twin reads */
static void save(Training *t, const char *path) {
    static Option none[] = {{0}};
    static const Cli cli = {.program = "bench_steps", .options = none};
    Checkpoint all = {.cli = &cli, .params = {{"", &t->params[0]}, {"", &t->params[1]}}};
    all.params[2] = (CheckpointParams){"", &t->input};
    checkpoint_save(path, &all);
}

static double difference(double a, double b) {
    return fabs(a - b) / fmax(fmax(fabs(a), fabs(b)), 1e-30);
}

/* The twin prints its number of parameters, then loss and gradient norm of each step. */
static bool compare(Training *t, FILE *twin) {
    const double tolerance = 1e-5;        /* of losses; ten times that of gradients */
    size_t params = 0;
    double loss, norm, worst_loss = 0, worst_norm = 0, first = 0, last = 0;
    if (fscanf(twin, "params %zu", &params) != 1) return false;
    for (int i = 0; i < CHECK_STEPS; i++) {
        if (fscanf(twin, " loss %lf norm %lf", &loss, &norm) != 2) return false;
        last = training_step(t);
        if (i == 0) first = last;
        worst_loss = fmax(worst_loss, difference(last, loss));
        worst_norm = fmax(worst_norm, difference(training_grad_norm(t), norm));
    }
    bool same = params == training_count(t) && worst_loss < tolerance &&
                worst_norm < 10 * tolerance;
    printf("%-11s %9zu parameters (PyTorch %9zu), loss %.6f -> %.6f: off by %.1e, gradient norms "
           "by %.1e: %s\n", t->kind->name, training_count(t), params, first, last, worst_loss,
           worst_norm, same ? "same" : "DIFFERENT");
    return same;
}

static bool check_network(const NetKind *k, const char *layout) {
    char path[] = "/tmp/bench_steps.XXXXXX", command[600];
    int file = mkstemp(path);
    if (file < 0) fail("bench_steps: cannot write to /tmp");
    close(file);
    Training t;
    training_start(&t, k, 4, true);
    t.adam[0].eps = t.adam[1].eps = check_eps;
    save(&t, path);
    snprintf(command, sizeof command, "'%s' '%s' check %s %d '%s' %d %g %s", o.python, o.twin,
             k->name, t.batch, path, CHECK_STEPS, check_eps, layout);
    FILE *twin = popen(command, "r");
    bool same = twin && compare(&t, twin);
    int status = twin ? pclose(twin) : -1;
    unlink(path);
    training_free(&t);
    if (WIFEXITED(status) && (WEXITSTATUS(status) == NO_TORCH || WEXITSTATUS(status) == NO_PYTHON))
        fail("bench_steps: PyTorch is missing from %s: nothing to compare with", o.python);
    if (!same) printf("%-11s NOT CONFIRMED against PyTorch's %s\n", k->name, layout);
    return same;
}

/* the same weights and input in ONNX Runtime */
static bool check_exported(const NetKind *k) {
    char path[] = "/tmp/bench_steps.XXXXXX", command[600];
    int file = mkstemp(path), status = -1;
    Graph g;
    if (file < 0) fail("bench_steps: cannot write to /tmp");
    close(file);
    Training t;
    training_start(&t, k, 4, true);
    save(&t, path);
    bool same = export_step(&g, k, t.batch, path);
    snprintf(command, sizeof command, "node '%s' check '%s' %d", o.onnx, g.path, CHECK_STEPS);
    FILE *twin = same ? popen(command, "r") : NULL;
    same = twin && compare(&t, twin);
    if (twin) status = pclose(twin);
    unlink(path), remove_graph(&g);
    training_free(&t);
    bool missing = WIFEXITED(status) && (WEXITSTATUS(status) == NO_TORCH ||
                                         WEXITSTATUS(status) == NO_PYTHON);
    if (missing) printf("%-11s ONNX Runtime is missing: not compared (make setup-bench)\n", k->name);
    else if (!same) printf("%-11s NOT CONFIRMED against ONNX Runtime\n", k->name);
    return same || missing;
}

static int check_all(void) {
    bool all = true;
    for (const NetKind *const *k = net_kinds; *k; k++) {
        if (o.net && strcmp(o.net, (*k)->name) != 0) continue;
        all &= check_network(*k, "contiguous");
        if ((*k)->convolutional) all &= check_network(*k, "channels_last");
        if (is_exported(*k)) all &= check_exported(*k);
    }
    return !all;
}

/* ---- command line ---------------------------------------------------------------------------- */

static void parse(int argc, char **argv) {
    enum { NET, THREADS, CSV, MEMORY, PYTHON, TWIN, ONNX, ROUNDS, PEAK };
    static const struct option options[] = {
        {"net", 1, 0, NET},       {"threads", 1, 0, THREADS}, {"csv", 1, 0, CSV},
        {"memory", 1, 0, MEMORY}, {"python", 1, 0, PYTHON},   {"twin", 1, 0, TWIN},
        {"onnx", 1, 0, ONNX},     {"rounds", 1, 0, ROUNDS}, {"peak", 1, 0, PEAK},       {0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case NET: o.net = optarg; break;
        case THREADS: o.threads = optarg; break;
        case CSV: o.csv = optarg; break;
        case MEMORY: o.memory = optarg; break;
        case PYTHON: o.python = optarg; break;
        case TWIN: o.twin = optarg; break;
        case ONNX: o.onnx = optarg; break;
        case ROUNDS: o.rounds = atoi(optarg); break;
        case PEAK: o.peak = atof(optarg); break;
        default: exit(2);
        }
    }
    if (o.net && !net_find(o.net)) usage_error("bench_steps: no network is called %s", o.net);
    if (o.rounds < 1) usage_error("bench_steps: --rounds %d; at least 1", o.rounds);
}

int main(int argc, char **argv) {
    const char *command = argc > 1 && argv[1][0] != '-' ? argv[1] : "time";
    if (!strcmp(command, "worker") && argc == 4) return worker(argv[2], atoi(argv[3]));
    parse(argc, argv);
    if (!strcmp(command, "check")) return check_all();
    if (strcmp(command, "time") != 0) usage_error("bench_steps: time, check, not %s", command);
    return time_all();
}
