#define _GNU_SOURCE   /* vasprintf */
#include "train/run.h"

#include "train/checkpoint.h"
#include "base/file.h"
#include "train/record.h"
#include "kernels/kernels.h"
#include "base/error.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* how this program was built: given by the Makefile */
#ifndef BUILD_FLAGS
#define BUILD_FLAGS "unknown"
#endif
#ifndef BUILD_COMMIT
#define BUILD_COMMIT "unknown"
#endif

/* ---- Ctrl-C ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t caught;

static void on_signal(int number) {
    static const char text[] = "\nstopping after this step; once more stops at once\n";
    caught = number;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) return;   /* nothing to be done then */
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    caught = 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* ---- start ----------------------------------------------------------------------------------- */

char *run_path(const Run *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *name, *path;
    if (vasprintf(&name, format, args) < 0) fail("out of memory");
    va_end(args);
    path = r->name ? text_format("%s/%s-%s", r->folder, r->name, name) : path_join(r->folder, name);
    free(name);
    return path;
}

/* an earlier run's file becomes FILE.old */
static void set_aside(const char *path) {
    char *old = text_format("%s.old", path);
    rename(path, old);                        /* no such file: nothing to set aside */
    free(old);
}

static void check_resume(Run *r) {
    bool there = access(r->checkpoint, F_OK) == 0;
    if (!there && !r->name) {
        fail("%s: not found, so there is nothing to go on from; leave --resume out to start anew",
             r->checkpoint);
    }
    r->resumed = there;
    if (there) checkpoint_options(r->checkpoint, r->cli, true);
}

void run_start(Run *r, Cli *cli, const CommonOptions *o) {
    r->cli = cli;
    r->options = o;
    if (o->threads) threads_set(o->threads);
    catch_signals();
    signal(SIGXFSZ, SIG_IGN);     /* a file at its size limit: an error like a full disk */
    folder_create(o->out);
    r->folder = text_format("%s", o->out);
    r->checkpoint = run_path(r, "checkpoint.safetensors");
    r->weights = run_path(r, "weights.safetensors");
    if (o->resume) check_resume(r);
    r->record = record_new(cli);
    run_record(r, "commit", BUILD_COMMIT);
    run_record(r, "flags", BUILD_FLAGS);
    r->start = seconds_now();
}

/* ---- the record ------------------------------------------------------------------------------ */

void run_record(Run *r, const char *key, const char *text) {
    cJSON_DeleteItemFromObjectCaseSensitive(r->record, key);
    cJSON_AddStringToObject(r->record, key, text);
}

void run_record_number(Run *r, const char *key, double value) {
    cJSON_DeleteItemFromObjectCaseSensitive(r->record, key);
    cJSON_AddNumberToObject(r->record, key, value);
}

static double wall_seconds(const Run *r) {
    return r->wall + seconds_now() - r->start;
}

static void save_record(Run *r, const char *status) {
    char *path = run_path(r, "run.json");
    run_record(r, "status", status);
    run_record_number(r, "steps_done", (double)r->step);
    run_record_number(r, "resumed_from", (double)r->first);
    run_record_number(r, "wall_seconds", round(1e3 * wall_seconds(r)) / 1e3);
    run_record_number(r, "peak_memory_bytes", peak_memory());
    json_save(path, r->record);
    free(path);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static int64_t total_steps(const Run *r) {
    return r->steps ? *r->steps : r->options->steps;
}

/* once the checkpoint has been loaded, and the step is known */
static void begin(Run *r) {
    char *path = run_path(r, "log.csv");
    r->started = true;
    r->first = r->step;
    if (!r->resumed) {                /* not earlier: a run that cannot start must lose nothing */
        set_aside(r->checkpoint);
        set_aside(path);
    }
    r->log = runlog_open(path, r->columns, r->resumed, r->step);
    r->wall = r->log.seconds;
    r->start = seconds_now();
    free(path);
    progress_start(&r->progress, r->name ? r->name : "train", r->step, total_steps(r),
                   r->options->quiet);
    save_record(r, "running");
}

bool run_next(Run *r) {
    if (!r->started) begin(r);
    r->under_way = r->step < total_steps(r) && !r->stopping;
    return r->under_way;
}

/* the number of a column; how many there are when `name` is NULL */
static int column_index(const Run *r, const char *name) {
    int k = 0;
    for (const char *p = r->columns; ; k++) {
        size_t n = strcspn(p, ",");
        if (name && strlen(name) == n && strncmp(p, name, n) == 0) return k;
        if (!p[n]) break;
        p += n + 1;
    }
    if (name) die("run_value: log.csv has the columns %s, none is called %s", r->columns, name);
    return k + 1;
}

void run_value(Run *r, const char *column, double value) {
    int k = column_index(r, column);
    if (k >= RUNLOG_COLUMNS) die("run: more than %d columns", RUNLOG_COLUMNS);
    if (!isfinite(value)) {
        progress_clear(&r->progress);
        save_record(r, "not finite");
        fail("step %lld: %s is %g, training stopped; try a smaller --lr, or build with CHECK=1 to "
             "see where it begins", (long long)r->step + 1, column, value);
    }
    r->sum[k] += value;
    r->measured[k]++;
}

/* "loss 0.1234  kl 12.3" of the means since the last row, for as many as there is room */
static void make_note(Run *r, int columns) {
    size_t n = 0;
    const char *name = r->columns;
    char note[sizeof r->note] = "";
    for (int k = 0; k < columns; k++, name += strcspn(name, ",") + 1) {
        char part[64];
        if (!r->measured[k]) continue;
        int length = snprintf(part, sizeof part, "%s%.*s %.4g", n ? "  " : "",
                              (int)strcspn(name, ","), name, r->sum[k] / r->measured[k]);
        if (length >= (int)sizeof part || n + (size_t)length >= sizeof note) break;
        n = (size_t)(stpcpy(note + n, part) - note);
    }
    if (n) strcpy(r->note, note);
}

static void log_means(Run *r, int columns) {
    double mean[RUNLOG_COLUMNS];
    for (int k = 0; k < columns; k++) {
        mean[k] = r->measured[k] ? r->sum[k] / r->measured[k] : NAN;
        r->sum[k] = r->measured[k] = 0;
    }
    runlog_row(&r->log, r->step, wall_seconds(r), columns, mean);
}

void run_step(Run *r) {
    int columns = column_index(r, NULL);
    r->step++;
    r->under_way = false;
    r->stopping = caught != 0;       /* looked at here alone: saving and stopping go together */
    make_note(r, columns);
    if (run_due(r, r->log_every ? r->log_every : 1)) log_means(r, columns);
    progress_update(&r->progress, r->step, r->note);
}

bool run_due(const Run *r, int64_t every) {
    int64_t step = r->step + r->under_way;
    return step == total_steps(r) || step % every == 0;
}

bool run_save_due(const Run *r) {
    int64_t tenth = total_steps(r) / 10;
    return r->stopping || run_due(r, r->save_every ? r->save_every : tenth ? tenth : 1);
}

/* ---- end ------------------------------------------------------------------------------------- */

/* The command that goes on: options of this call alone must be repeated, the checkpoint knows the
 * others. */
static void print_resume(const Run *r) {
    char *path = shell_quote(r->cli->path), *folder = shell_quote(r->folder), text[CLI_TEXT];
    fprintf(stderr, "to go on: %s %s --resume --out %s", path, r->cli->command, folder);
    for (const Option *o = r->cli->options; o->name; o++) {
        bool said = strcmp(o->name, "out") == 0 || strcmp(o->name, "resume") == 0;
        if (!o->given || o->keep != KEEP_NOT || said) continue;
        fprintf(stderr, " --%s", o->name);
        if (o->b) continue;
        char *value = shell_quote(cli_text(o, text));
        fprintf(stderr, " %s", value);
        free(value);
    }
    fprintf(stderr, "\n");
    free(path);
    free(folder);
}

static void say_result(const Run *r) {
    char time[32];
    format_time(wall_seconds(r), time);
    if (r->stopping) {
        fprintf(stderr, "interrupted at step %lld of %lld\n", (long long)r->step,
                (long long)total_steps(r));
        print_resume(r);
    } else if (r->step == r->first && r->resumed) {
        fprintf(stderr, "%s: has %lld steps already; --steps N with a larger N goes on\n",
                r->checkpoint, (long long)r->step);
    } else if (!r->options->quiet) {
        fprintf(stderr, "%lld steps in %s, peak memory %.0f MiB; results are in %s\n",
                (long long)r->step, time, peak_memory() / 1048576, r->folder);
    }
}

int run_finish(Run *r) {
    if (!r->started) begin(r);
    progress_end(&r->progress, r->step, r->note);
    save_record(r, r->stopping ? "interrupted" : "finished");
    say_result(r);
    runlog_close(&r->log);
    int status = r->stopping ? 128 + caught : 0;
    cJSON_Delete(r->record);
    free(r->folder);
    free(r->checkpoint);
    free(r->weights);
    *r = (Run){0};
    return status;
}
