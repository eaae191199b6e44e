#define _GNU_SOURCE   /* vasprintf */
#include "train/run.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/processes.h"
#include "data/sha256.h"
#include "train/divided.h"
#include "train/record.h"
#include "train/run_state.h"

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

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t caught;

static void on_signal(int number) {
    static const char text[] = "\nstopping after this step; once more stops at once\n";
    caught = number;
    for (int i = 0; i < 3; i++) signal(stop_signals[i], SIG_DFL);
    if (process_rank()) return;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) return;   /* nothing to be done then */
}

/* from the first step on; before it a signal ends the program. One that the parent had ignored (as
 * nohup does) stays ignored. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    caught = 0;
    for (int i = 0; i < 3; i++)
        if (!sigaction(stop_signals[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaction(stop_signals[i], &action, NULL);
}

static void release_signals(void) {
    for (int i = 0; i < 3; i++) {
        struct sigaction before;
        if (!sigaction(stop_signals[i], NULL, &before) && before.sa_handler == on_signal)
            signal(stop_signals[i], SIG_DFL);
    }
}

/* ---- start ----------------------------------------------------------------------------------- */

char *run_path(const Run *r, const char *format, ...) {
    const RunState *s = r->state;
    va_list args;
    va_start(args, format);
    char *name, *path;
    if (vasprintf(&name, format, args) < 0) fail("out of memory");
    va_end(args);
    path = s->settings.stage ? text_format("%s/%s-%s", s->folder, s->settings.stage, name)
                             : path_join(s->folder, name);
    free(name);
    return path;
}

static int64_t total_steps(const RunState *s) {
    return s->settings.steps ? *s->settings.steps : s->cli->common->steps;
}

/* the number of a column; how many there are when `name` is NULL */
static int column_index(const RunState *s, const char *name) {
    int k = 0;
    for (const char *p = s->settings.columns; ; k++) {
        size_t n = strcspn(p, ",");
        if (name && strlen(name) == n && strncmp(p, name, n) == 0) return k;
        if (!p[n]) break;
        p += n + 1;
    }
    if (name) die("run: log.csv has the columns %s, none is called %s", s->settings.columns, name);
    return k + 1;
}

static void save_text(RunState *s, const char *name, const char *value) {
    if (s->saved_texts == CHECKPOINT_TEXTS) die("run: more than %d texts", CHECKPOINT_TEXTS);
    s->saved.texts[s->saved_texts++] = (CheckpointText){name, value};
}

static void save_number(RunState *s, CheckpointNumber n) {
    if (s->saved_numbers == CHECKPOINT_NUMBERS) die("run: more than %d numbers", CHECKPOINT_NUMBERS);
    s->saved.numbers[s->saved_numbers++] = n;
}

static void check_init(const RunState *s) {
    if (s->cli->common->resume)
        usage_error("--init: --resume has weights to go on with, those of its checkpoint");
    if (s->settings.stage && !run_folder_is_asked_for(s))
        usage_error("--init: is for one stage: add --stage NAME");
}

Run *run_start(Cli *cli, RunSettings settings) {
    Run *r = memory_new(1, sizeof *r, "a run");
    RunState *s = memory_new(1, sizeof *s, "a run");
    *s = (RunState){.settings = settings, .cli = cli, .writes = process_rank() == 0, .lock = -1};
    s->micro.count = cli->common->micro > 1 ? cli->common->micro : 1;
    processes_apart(true);                     /* process 0 evaluates */
    r->state = s;
    if (!cli->common->resume) run_micro_check(s);
    if (cli->common->init) check_init(s);
    if (cli->common->threads) threads_set(cli->common->threads);
    signal(SIGXFSZ, SIG_IGN);     /* a file at its size limit: an error like a full disk */
    signal(SIGPIPE, SIG_IGN);     /* nobody reads what is said any more: training goes on */
    s->folder = text_format("%s", cli->common->out);
    s->checkpoint = run_path(r, "checkpoint.safetensors");
    if (s->writes) run_folder_open(s);
    r->resumed = cli->common->resume && run_folder_resumes(s);
    r->random = !r->resumed && !cli->common->init;
    if (cli->common->init) checkpoint_options(cli->common->init, cli, false);
    s->micro.count = cli->common->micro > 1 ? cli->common->micro : 1;
    run_micro_check(s);                        /* a checkpoint may have brought it */
    s->parts = arena_get(&r->arena, (size_t)process_count() * sizeof *s->parts);
    memset(s->parts, 0, (size_t)process_count() * sizeof *s->parts);
    s->record = record_new(cli);
    json_text(s->record, "commit", BUILD_COMMIT);
    json_text(s->record, "flags", BUILD_FLAGS);
    s->saved.cli = cli;
    save_number(s, (CheckpointNumber){"step", .i = &r->step});
    for (int k = 0, n = column_index(s, NULL); k < n; k++) {    /* of a row that is not full yet */
        save_number(s, (CheckpointNumber){arena_text(&r->arena, "log.%d.sum", k), .d = &s->sum[k]});
        save_number(s, (CheckpointNumber){arena_text(&r->arena, "log.%d.count", k),
                                          .i = &s->measured[k], .optional = true});
    }
    s->start = seconds_now();
    return r;
}

const CommonOptions *run_options(const Run *r) {
    return r->state->cli->common;
}

static bool says_trained_on(const char *file, const char *sum) {
    char *said = checkpoint_text(file, "trained_on");
    bool same = !said || !strcmp(said, sum);
    free(said);
    return same;
}

void run_trained_on(Run *r, const char *path) {
    RunState *s = r->state;
    s->trained_on = arena_get(&r->arena, SHA256_TEXT);
    s->base = arena_text(&r->arena, "%s", path);
    if (run_folder_renames(s, path))
        fail("%s: is renamed when this training begins; copy it, and name the copy", path);
    file_sha256(path, s->trained_on);
    save_text(s, "trained_on", s->trained_on);
    if (!r->resumed || says_trained_on(s->checkpoint, s->trained_on)) return;
    fprintf(stderr, "%s: was trained on other weights than %s holds now; this stage starts anew\n",
            s->checkpoint, path);
    r->resumed = false, r->random = true;
}

bool run_load_stage(Run *r, const char *stage, Params *p) {
    const RunState *s = r->state;
    char *path = text_format("%s/%s-weights.safetensors", s->folder, stage);
    bool there = access(path, F_OK) == 0, fits = there && says_trained_on(path, s->trained_on);
    if (there && !fits)
        fprintf(stderr, "%s: was trained on other weights than this stage; it is left out until "
                        "--stage %s is trained again\n", path, stage);
    if (fits) checkpoint_load(path, &(Checkpoint){.cli = s->cli, .params = {{"", p}}});
    free(path);
    return fits;
}

/* ---- what is registered ---------------------------------------------------------------------- */

void run_state(Run *r, const char *prefix, Params *p) {
    RunState *s = r->state;
    if (s->saved_params == CHECKPOINT_PARAMS) die("run: more than %d Params", CHECKPOINT_PARAMS);
    s->saved.params[s->saved_params++] = (CheckpointParams){prefix, p, NULL};
}

/* moments and averages: made when they are needed, or read */
static void save_like(Run *r, const char *prefix, Params *p, const Params *like) {
    run_state(r, prefix, p);
    r->state->saved.params[r->state->saved_params - 1].like = like;
}

void run_counter(Run *r, const char *name, uint64_t *counter) {
    save_number(r->state, (CheckpointNumber){name, .u = counter});
}

Params *run_params(Run *r, const char *prefix) {
    RunState *s = r->state;
    if (s->params_count == RUN_PARAMS) die("run_params: more than %d", RUN_PARAMS);
    Params *p = &s->params[s->params_count++];
    p->seed = s->cli->common->seed;
    run_state(r, prefix, p);
    return p;
}

static Optimizer *new_optimizer(Run *r, Params *p) {
    RunState *s = r->state;
    if (s->optimizer_count == RUN_OPTIMIZERS) die("run: more than %d optimisers", RUN_OPTIMIZERS);
    Optimizer *o = &s->optimizers[s->optimizer_count++];
    o->params = p;
    o->sum.micro = &s->micro;
    return o;
}

Optimizer *run_adam(Run *r, const char *name, Params *p, Adam settings) {
    Optimizer *o = new_optimizer(r, p);
    o->adam = settings;
    save_like(r, arena_text(&r->arena, "%s.m.", name), &o->adam.m, p);
    save_like(r, arena_text(&r->arena, "%s.v.", name), &o->adam.v, p);
    save_number(r->state, (CheckpointNumber){arena_text(&r->arena, "%s.step", name),
                                             .i = &o->adam.step});
    return o;
}

Optimizer *run_sgd(Run *r, const char *name, Params *p, Sgd settings) {
    Optimizer *o = new_optimizer(r, p);
    o->plain = true;
    o->sgd = settings;
    save_like(r, arena_text(&r->arena, "%s.", name), &o->sgd.velocity, p);
    return o;
}

void run_ema(Run *r, Optimizer *o, double decay) {
    RunState *s = r->state;
    if (s->averaged) die("run_ema: there is one already");
    s->ema.decay = decay;
    s->averaged = o;
    o->ema = &s->ema;
    save_like(r, "ema.", &s->ema.average, o->params);
    save_number(s, (CheckpointNumber){"ema.step", .i = &s->ema.step});
}

Rng *run_rng_as(Run *r, const char *name, const char *saved) {
    RunState *s = r->state;
    if (s->stream_count == RUN_STREAMS) die("run_rng: more than %d streams", RUN_STREAMS);
    Rng *rng = &s->streams[s->stream_count];
    *rng = rng_new(s->cli->common->seed, name);
    s->stream_of[s->stream_count++] = rng->stream;
    run_counter(r, saved, &rng->next);
    return rng;
}

Rng *run_rng(Run *r, const char *name) {
    return run_rng_as(r, name, name);
}

Loader *run_order(Run *r, int count, int size) {
    RunState *s = r->state;
    if (s->loader_count == RUN_LOADERS) die("run_loader: more than %d", RUN_LOADERS);
    Loader *l = &s->loaders[s->loader_count++];
    l->order = batches_new(count, s->cli->common->seed);
    l->size = size;
    l->micro = &s->micro;
    l->index = arena_get(&r->arena, (size_t)size * sizeof *l->index);
    l->labels = arena_get(&r->arena, (size_t)size * sizeof *l->labels);
    run_counter(r, s->loader_count > 1 ? arena_text(&r->arena, "batches.%d", s->loader_count)
                                       : "batches", &l->order.next);
    return l;
}

Loader *run_loader(Run *r, const Images *images) {
    Loader *l = run_order(r, images->count, run_part(r, r->state->cli->common->batch));
    l->images = images;
    return l;
}

/* Batch after batch, and of each one part after part: a step sees the same images, whatever --micro */
void loader_next(Loader *l) {
    uint64_t part = l->calls++ * (uint64_t)l->micro->count + (uint64_t)l->micro->index;
    if (l->micro->count > 1) l->order.next = l->first + part * (uint64_t)l->size;
    batches_next(&l->order, l->size, l->index);
    for (int i = 0; l->images && i < l->size; i++)
        l->labels[i] = l->images->labels[l->index[i]];
}

int *loader_rows(const Loader *l, Tape *t, int width, const int *table) {
    size_t n = (size_t)width;
    int *rows = arena_get(&t->arena, (size_t)l->size * n * sizeof *rows);
    for (int i = 0; i < l->size; i++)
        memcpy(rows + (size_t)i * n, table + (size_t)l->index[i] * n, n * sizeof *rows);
    return rows;
}

Tensor *loader_images(Loader *l, Tape *t, double low, double high) {
    const Images *m = l->images;
    loader_next(l);
    Tensor *x = t_input(t, NULL, SHAPE(l->size, m->height, m->width, m->channels));
    images_get(m, l->size, l->index, low, high, x->x, NULL);
    return x;
}

void run_weights(Run *r, Weights w) {
    RunState *s = r->state;
    if (s->file_count == RUN_FILES) die("run_weights: more than %d files", RUN_FILES);
    s->files[s->file_count++] = w;
}

/* ---- the record ------------------------------------------------------------------------------ */

void run_record(Run *r, const char *key, double value) {
    json_number(r->state->record, key, value);
}

void run_data(Run *r, const char *name, const char *checksum) {
    RunState *s = r->state;
    json_text(s->record, name, checksum);
    char *key = arena_text(&r->arena, "data.%s", name);
    save_text(s, key, arena_text(&r->arena, "%s", checksum));
    const char *earlier = r->resumed ? s->checkpoint : s->base;
    char *before = earlier ? checkpoint_text(earlier, key) : NULL;
    bool other = before && strcmp(before, checksum), wanted = cli_given(s->cli, "data");
    if (other && !wanted)
        fail("%s: was trained on other data, %s was %.16s... and is %.16s...; --data DIR says where "
             "to go on with", earlier, name, before, checksum);
    if (other) notice("note: %s: was trained on other data, %s was %.16s...; it goes on with "
                      "those of --data", earlier, name, before);
    free(before);
}

void run_fashion(Run *r, const Fashion *data) {
    for (int i = 0; i < 4; i++) run_data(r, fashion_files[i], data->file[i].sha256);
}

const Fashion *run_load_fashion(Run *r, int training, int testing) {
    RunState *s = r->state;
    s->fashion = fashion_load_least(s->cli->common->data, training, testing);
    run_fashion(r, &s->fashion);
    return &s->fashion;
}

void run_image_set(Run *r, const ImageSet *data) {
    if (data->is_fashion) run_fashion(r, &data->fashion);
    else run_data(r, "data", data->captioned.source);
}

static double wall_seconds(const RunState *s) {
    return s->wall + seconds_now() - s->start;
}

/* the share of this part's time that went into exchanges with other processes */
static double waiting_share(const RunState *s) {
    return (processes_waited() - s->waited) / fmax(seconds_now() - s->start, 1e-9);
}

static void describe(const Run *r, const char *status) {
    RunState *s = r->state;
    json_text(s->record, "status", status);
    json_number(s->record, "steps_done", (double)r->step);
    json_number(s->record, "resumed_from", (double)s->first);
    json_number(s->record, "wall_seconds", round(1e3 * wall_seconds(s)) / 1e3);
    if (process_count() > 1) {
        json_number(s->record, "processes", process_count());
        json_number(s->record, "waiting_share", waiting_share(s));
    }
    json_number(s->record, "peak_memory_bytes", peak_memory());
    json_number(s->record, "tape_bytes", (double)tape_peak(&r->tape));
}

static void save_record(const Run *r, const char *status) {
    if (!r->state->writes || r->state->had_ended) return;
    char *path = run_path(r, "run.json");
    describe(r, status);
    json_save(path, r->state->record);
    free(path);
}

/* Does its record say that it finished, and nothing is left to do? Then log and record stay. */
static bool had_ended(const Run *r) {
    if (!r->resumed || r->step < total_steps(r->state)) return false;
    char *path = run_path(r, "run.json");
    size_t length = 0;
    const uint8_t *text = access(path, R_OK) ? NULL : file_map(path, &length);
    cJSON *record = text ? cJSON_ParseWithLength((const char *)text, length) : NULL;
    const char *status = cJSON_GetStringValue(cJSON_GetObjectItem(record, "status"));
    double steps = cJSON_GetNumberValue(cJSON_GetObjectItem(record, "steps_done"));
    bool ended = status && !strcmp(status, "finished") && steps == (double)r->step;
    if (text) file_unmap(text, length);
    cJSON_Delete(record), free(path);
    return ended;
}

/* ---- saving ---------------------------------------------------------------------------------- */

static void use_averages(RunState *s, bool use) {
    if (!s->averaged || s->averages_in_use == use) return;
    if (use) divided_bring(&s->ema.average);
    if (s->writes) ema_swap(&s->ema, s->averaged->params);
    if (!use) divided_forget(&s->ema.average);
    s->averages_in_use = use;
}

/* the averages instead of the weights they are of */
static void save_weights(const Run *r, Weights w) {
    const RunState *s = r->state;
    Checkpoint c = {.cli = w.cli ? w.cli : s->cli};
    memcpy(c.texts, s->saved.texts, sizeof c.texts);
    memcpy(c.params, w.params, sizeof w.params);
    for (CheckpointParams *p = c.params; p->params; p++)
        if (s->averaged && p->params == s->averaged->params) p->params = &r->state->ema.average;
    char *path = w.file ? path_join(s->folder, w.file) : run_path(r, "weights.safetensors");
    checkpoint_save_half(path, &c);
    free(path);
}

/* Weights first: a run is as far as its checkpoint says, weights and all. */
static void save(const Run *r) {
    RunState *s = r->state;
    if (!s->file_count) save_weights(r, (Weights){.params = {{"", s->saved.params[0].params, NULL}}});
    for (int i = 0; i < s->file_count; i++) save_weights(r, s->files[i]);
    checkpoint_save(s->checkpoint, &s->saved);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void open_files(Run *r) {
    RunState *s = r->state;
    char *path = run_path(r, "log.csv");
    s->log = runlog_open(path, s->settings.columns, r->resumed, r->step);
    s->wall = s->log.seconds;
    s->start = seconds_now();
    describe(r, "running");
    char *record_path = run_path(r, "run.json");
    AtomicFile record = json_file(record_path, s->record);
    if (!r->resumed || r->step < total_steps(s))     /* not earlier: a run that cannot start, for */
        run_folder_set_aside(s, r->resumed);         /* want of space, must lose nothing */
    runlog_commit(&s->log);
    file_commit(&record);
    free(path), free(record_path);
}

static bool is_listed(const CheckpointParams *list, const Params *p) {
    while (list->params && list->params != p) list++;
    return list->params;
}

/* --init: fills what this run has of the last file that it passes on; a stage that it builds on stays
 * as it is. All that an optimiser changes must be in that file. */
static void start_from(const RunState *s) {
    const char *path = s->cli->common->init;
    Checkpoint c = {.cli = s->cli};
    const CheckpointParams whole[] = {{"", s->saved.params[0].params, NULL}, {0}};
    const CheckpointParams *list = s->file_count ? s->files[s->file_count - 1].params : whole;
    int n = 0;
    for (const CheckpointParams *p = list; p->params; p++)
        if (is_listed(s->saved.params, p->params)) c.params[n++] = *p;
    for (int i = 0; i < s->optimizer_count; i++)
        if (!is_listed(list, s->optimizers[i].params))
            fail("%s: weights that are passed on are not all that is trained here; --resume goes on "
                 "from a checkpoint, which has all", path);
    if (n == 1)
        checkpoint_load_stage(path, s->cli, c.params[0].prefix, c.params[0].params);
    else checkpoint_load(path, &c);
}

/* everything is registered: the checkpoint is read, the files are made */
static void begin(Run *r) {
    RunState *s = r->state;
    for (int i = 0; i < s->optimizer_count; i++)
        if (s->micro.count > 1) sum_prepare(&s->optimizers[i].sum, s->optimizers[i].params);
    if (r->resumed) checkpoint_load(s->checkpoint, &s->saved);
    else if (s->cli->common->init) start_from(s);
    record_options(s->record, s->cli);
    s->started = true;
    s->first = r->step;
    s->start = seconds_now(), s->waited = processes_waited();
    run_agree(r);                              /* and all have read it */
    s->had_ended = s->writes && had_ended(r);
    if (s->writes && !s->had_ended) open_files(r);
    progress_start(&s->progress, s->settings.stage ? s->settings.stage : "train", r->step,
                   total_steps(s), s->cli->common->quiet || !s->writes);
    catch_signals();
}

static bool is_due(const Run *r, int64_t every) {
    int64_t step = r->step + r->state->under_way;
    return step == total_steps(r->state) || step % every == 0;
}

bool run_every(Run *r, int64_t steps) {
    RunState *s = r->state;
    bool due = is_due(r, steps) && run_micro_is_last(s);
    if (due) use_averages(s, true);      /* together: they come to process 0 */
    due &= s->writes;
    s->evaluating |= due;
    return due;
}

static void decide(Run *r) {
    RunState *s = r->state;
    int64_t tenth = total_steps(s) / 10;
    if (s->decided) return;
    s->decided = true;
    s->stopping = caught;
    processes_share(&s->stopping, sizeof s->stopping);
    s->saving = s->stopping ||
                is_due(r, s->settings.save_every ? s->settings.save_every : tenth ? tenth : 1);
}

bool run_saves(Run *r) {
    RunState *s = r->state;
    if (!run_micro_is_last(s)) return false;
    decide(r);
    if (!s->saving) return false;
    use_averages(s, true);
    s->evaluating |= s->writes;
    return s->writes;
}

void run_value(Run *r, const char *column, double value) {
    RunState *s = r->state;
    int k = column_index(s, column);
    if (k >= RUNLOG_COLUMNS) die("run: more than %d columns", RUNLOG_COLUMNS);
    if (!isfinite(value)) {
        progress_clear(&s->progress);
        save_record(r, "not finite");
        fail("step %lld: %s is %g, training stopped; a program built with CHECK=1 stops where it "
             "begins", (long long)r->step + 1, column, value);
    }
    run_micro_value(s, k, value);
}

void run_log(Run *r, const char *column, const Tensor *scalar) {
    if (scalar->len != 1) die("run_log: %s: %s is no scalar", column, t_describe(scalar));
    run_value(r, column, (double)scalar->x[0]);
}

void run_minimise(Run *r, Optimizer *o, Tensor *loss, double lr) {
    run_log(r, "loss", loss);
    last_backward(o, loss);
    run_value(r, "gradient", grad_norm(o->params));
    optimizer_step(o, lr);
}

/* "loss 0.1234  kl 12.3" of the means since the last row, for as many as there is room */
static void make_note(RunState *s, int columns) {
    size_t n = 0;
    const char *name = s->settings.columns;
    char note[sizeof s->note] = "";
    if (process_count() > 1)
        n = (size_t)snprintf(note, sizeof note, "waiting %.0f %%", 100 * waiting_share(s));
    for (int k = 0; k < columns; k++, name += strcspn(name, ",") + 1) {
        char part[64];
        if (!s->measured[k]) continue;
        int length = snprintf(part, sizeof part, "%s%.*s %.4g", n ? "  " : "",
                              (int)strcspn(name, ","), name, s->sum[k] / (double)s->measured[k]);
        if (length >= (int)sizeof part || n + (size_t)length >= sizeof note) break;
        n = (size_t)(stpcpy(note + n, part) - note);
    }
    if (n) strcpy(s->note, note);
}

static void log_means(Run *r, int columns) {
    RunState *s = r->state;
    double mean[RUNLOG_COLUMNS];
    for (int k = 0; k < columns; k++) {
        mean[k] = s->measured[k] ? s->sum[k] / (double)s->measured[k] : NAN;
        s->sum[k] = 0, s->measured[k] = 0;
    }
    if (s->writes) runlog_row(&s->log, r->step, wall_seconds(s), columns, mean);
}

static void end_step(Run *r) {
    RunState *s = r->state;
    int columns = column_index(s, NULL);
    decide(r);
    use_averages(s, false);
    r->step++;
    s->under_way = s->evaluating = false;
    run_micro_end(r);
    make_note(s, columns);
    if (is_due(r, s->settings.log_every ? s->settings.log_every : 1)) log_means(r, columns);
    if (s->saving) save(r);
    progress_update(&s->progress, r->step, s->note);
}

bool run_next(Run *r) {
    RunState *s = r->state;
    if (!s->started) begin(r);
    bool same_step = s->under_way && run_micro_next(r);
    if (!same_step) {
        if (s->under_way) end_step(r);
        s->decided = false;
        s->under_way = r->step < total_steps(s) && !s->stopping;
        if (s->under_way) run_micro_first(r);
    }
    if (s->under_way) tape_reset(&r->tape);
    return s->under_way;
}

/* ---- end ------------------------------------------------------------------------------------- */

/* The command that goes on: options of this call alone must be repeated, the checkpoint knows the
 * others. */
static void print_resume(const RunState *s) {
    char *path = shell_quote(s->cli->path), *folder = shell_quote(s->folder), text[CLI_TEXT];
    fprintf(stderr, "to go on: %s %s --resume --out %s", path, s->cli->command, folder);
    for (const Option *o = s->cli->options; o->name; o++) {
        bool said = strcmp(o->name, "out") == 0 || strcmp(o->name, "resume") == 0 ||
                    strcmp(o->name, "init") == 0;
        if (!o->given || o->keep != KEEP_NOT || o->list || said) continue;
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
    const RunState *s = r->state;
    char time[32];
    format_time(wall_seconds(s), time);
    if (s->stopping) {
        fprintf(stderr, "interrupted at step %lld of %lld\n", (long long)r->step,
                (long long)total_steps(s));
        print_resume(s);
    } else if (r->step == s->first && r->resumed) {
        fprintf(stderr, "%s: has %lld steps already; --steps N with a larger N goes on\n",
                s->checkpoint, (long long)r->step);
    } else if (!s->cli->common->quiet) {
        fprintf(stderr, "%lld steps in %s, peak memory %.0f MiB; results are in %s\n",
                (long long)r->step, time, peak_memory() / 1048576, s->folder);
    }
}

int run_finish(Run *r) {
    RunState *s = r->state;
    if (!s->started) begin(r);
    progress_end(&s->progress, r->step, s->note);
    save_record(r, s->stopping ? "interrupted" : "finished");
    if (s->writes) say_result(r), runlog_close(&s->log);
    release_signals();
    run_folder_close(s);
    processes_wait();                          /* what later stages read is written */
    processes_apart(false);
    int status = s->stopping ? 128 + s->stopping : 0;
    for (int i = 0; i < s->optimizer_count; i++) {
        adam_free(&s->optimizers[i].adam), sgd_free(&s->optimizers[i].sgd);
        sum_free(&s->optimizers[i].sum);
    }
    for (int i = 0; i < s->params_count; i++) params_free(&s->params[i]);
    for (int i = 0; i < s->loader_count; i++) batches_free(&s->loaders[i].order);
    ema_free(&s->ema), fashion_free(&s->fashion);
    cJSON_Delete(s->record);
    free(s->folder), free(s->checkpoint);
    tape_free(&r->tape), arena_free(&r->arena);
    free(s), free(r);
    return status;
}
