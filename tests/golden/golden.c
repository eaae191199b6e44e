/* golden FILE... — does our code give what the papers' official code gave? One line a file; exit
 * status 1 if any file fails. */
#include "golden.h"

#include "io/entry.h"
#include "io/file.h"
#include "tensor/error.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern const GoldenModel golden_gan[], golden_dae_mae[];
static const GoldenModel *const chapters[] = {golden_gan, golden_dae_mae};

static const double tolerance = 1e-4;

/* ---- the file -------------------------------------------------------------------------------- */

/* a tensor of the file by the parts of its name, marked as seen; NULL if there is none */
static const StTensor *look(Golden *g, const char *group, const char *name) {
    char *whole = text_format("%s%s", group, name);
    const StTensor *t = safetensors_find(&g->file, whole);
    free(whole);
    if (t) g->seen[t - g->file.tensors] = true;
    return t;
}

static const StTensor *need(Golden *g, const char *group, const char *name, size_t len) {
    const StTensor *t = look(g, group, name);
    if (!t) fail("%s: has no %s%s, which our %s needs", g->path, group, name, g->model->model);
    if (t->len != len || !safetensors_is_float(t->type))
        fail("%s: %s%s holds %zu numbers (%s), ours %zu", g->path, group, name, t->len,
             safetensors_type(t->type), len);
    return t;
}

bool golden_holds(const Golden *g, const char *prefix) {
    for (int i = 0; i < g->file.count; i++)
        if (!strncmp(g->file.tensors[i].name, prefix, strlen(prefix))) return true;
    return false;
}

int golden_int(const Golden *g, const char *key, int otherwise) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(g->config, key);
    if (!value) return otherwise;
    if (!cJSON_IsNumber(value) || value->valuedouble != value->valueint || value->valueint < 1)
        fail("%s: %s in its configuration is no whole number above 0", g->path, key);
    return value->valueint;
}

double golden_number(const Golden *g, const char *key, double otherwise) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(g->config, key);
    if (!value) return otherwise;
    if (!cJSON_IsNumber(value)) fail("%s: %s in its configuration is no number", g->path, key);
    return value->valuedouble;
}

bool golden_flag(const Golden *g, const char *key, bool otherwise) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(g->config, key);
    if (!value) return otherwise;
    if (!cJSON_IsBool(value))
        fail("%s: %s in its configuration is neither true nor false", g->path, key);
    return cJSON_IsTrue(value);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void remember(GoldenWorst *worst, double error, const char *group, const char *name) {
    if (isnan(worst->error) || error <= worst->error) return;    /* NaN is the worst of all */
    worst->error = error;
    snprintf(worst->name, sizeof worst->name, "%s%s", group, name);
}

/* |ours - theirs| / scale; scale 0: / |theirs|, and where that is 0 the difference itself */
static double relative_error(size_t n, const real *ours, const real *theirs, double scale) {
    double difference = sqrt(k_sum_squared_difference(n, ours, theirs));
    if (scale == 0) scale = sqrt(k_sum_squares(n, theirs));
    return scale > 0 ? difference / scale : difference;
}

/* ---- names and layout ------------------------------------------------------------------------ */

/* the layer's official name for ours, if the row fits */
static bool translate(const GoldenName *row, const char *ours, char *official, size_t room) {
    int number[4], count = 0, used = 0;
    const char *p = row->ours;
    for (; *p && *ours; p++) {
        if (p[0] == '%' && isdigit((unsigned char)*ours) && count < 4) {
            number[count++] = (int)strtol(ours, (char **)&ours, 10);
            p++;
        } else if (*p != *ours++) return false;
    }
    if (*p || *ours) return false;
    if (count && row->times) number[0] = row->times * number[0] + row->plus;
    size_t n = 0;
    for (p = row->official; *p && n + 12 < room; p++) {
        if (*p == '%') n += (size_t)snprintf(official + n, room - n, "%d", number[used++]), p++;
        else official[n++] = *p;
    }
    official[n] = 0;
    return true;
}

/* where w stands in the file, under its official name: ours, if no row fits */
static Entry official_entry(const Golden *g, Tensor *w) {
    Entry e = entry_of("", w);
    char *dot = strrchr(e.name, '.'), layer[200];
    if (!dot) return e;                  /* no layer's: a token, a table */
    *dot = 0;
    for (const GoldenName *row = g->model->names; row->ours; row++) {
        if (!translate(row, e.name, layer, sizeof layer)) continue;
        char *name = text_format("%s.%s", layer, dot + 1);
        free(e.name);
        e.name = name;
        return e;
    }
    *dot = '.';
    return e;
}

static void check_shape(const Golden *g, const Entry *e, const StTensor *t, const char *group) {
    char theirs[ST_SHAPE], ours[ST_SHAPE];
    int rank = e->tensor->rank;
    if (t->rank == rank && !memcmp(t->shape, e->shape, (size_t)rank * sizeof *t->shape)) return;
    fail("%s: %s%s is %s, ours %s; does the configuration say all?", g->path, group, e->name,
         safetensors_shape(t->rank, t->shape, theirs), safetensors_shape(rank, e->shape, ours));
}

void golden_load(Golden *g) {
    for (int i = 0; i < g->params.count; i++) {
        Tensor *w = g->params.list[i];
        Entry e = official_entry(g, w);
        const StTensor *t = need(g, "weight.", e.name, w->len);
        check_shape(g, &e, t, "weight.");
        entry_get(&e, t, w->x);
        free(e.name);
    }
}

/* of images (B,C,H,W) to ours (B,H,W,C) */
static const int to_last[4] = {0, 2, 3, 1};

static void sizes_of(const StTensor *t, int shape[4]) {
    for (int i = 0; i < 4; i++) shape[i] = i < t->rank ? (int)t->shape[i] : 1;
}

/* numbers of t as ours: images turned */
static real *get_turned(Golden *g, const StTensor *t) {
    real *x = arena_get(&g->tape.arena, t->len * sizeof *x);
    real *turned = arena_get(&g->tape.arena, t->len * sizeof *x);
    safetensors_get(t, x);
    if (t->rank != 4) return x;
    int shape[4];
    sizes_of(t, shape);
    k_permute(shape, to_last, x, turned, false);
    return turned;
}

Tensor *golden_input(Golden *g, const char *name) {
    const StTensor *t = look(g, "in.", name);
    if (!t || !safetensors_is_float(t->type) || t->rank < 1 || t->rank > 4)
        fail("%s: has no in.%s, which our %s needs", g->path, name, g->model->model);
    int shape[4], turned[4];
    sizes_of(t, shape);
    for (int i = 0; i < 4; i++) turned[i] = shape[t->rank == 4 ? to_last[i] : i];
    if (g->inputs == GOLDEN_INPUTS) die("golden: more than %d inputs", GOLDEN_INPUTS);
    g->input_name[g->inputs] = name;
    return g->input[g->inputs++] = t_variable(&g->tape, get_turned(g, t), t->rank, turned);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void add_to_loss(Golden *g, Tensor *y, const StTensor *cotangent) {
    real *c = get_turned(g, cotangent);
    Tensor *part = t_sum(t_mul(y, t_input(&g->tape, c, y->rank, y->shape)));
    g->loss = g->loss ? t_add(g->loss, part) : part;
    g->loss_scale += sqrt(k_sum_squares(y->len, y->x) * k_sum_squares(y->len, c));
}

void golden_output(Golden *g, const char *name, Tensor *y) {
    const StTensor *theirs = need(g, "out.", name, y->len);
    remember(&g->outputs, relative_error(y->len, y->x, get_turned(g, theirs), 0), "out.", name);
    bool is_main = !strcmp(name, "main");
    const StTensor *cotangent = look(g, is_main ? "in.cotangent" : "in.cotangent.",
                                     is_main ? "" : name);
    if (is_main && !cotangent) fail("%s: has no in.cotangent", g->path);
    if (cotangent && cotangent->len != y->len)
        fail("%s: the cotangent of %s has another size than out.%s", g->path, name, name);
    if (cotangent) add_to_loss(g, y, cotangent);
}

void golden_integers(Golden *g, const char *name, const int *ours, size_t n) {
    const StTensor *t = look(g, "out.", name);
    if (!t || t->len != n || t->type != ST_I64)
        fail("%s: has no out.%s of %zu whole numbers, which our %s computes", g->path, name, n,
             g->model->model);
    for (size_t i = 0; i < n; i++) {
        int64_t theirs;
        memcpy(&theirs, t->data + i * sizeof theirs, sizeof theirs);
        if (theirs != ours[i]) remember(&g->outputs, 1, "out.", name);
    }
}

static bool is_zero_by_mathematics(const Golden *g, const char *name) {
    const cJSON *item;
    cJSON_ArrayForEach(item, g->zero_gradients)
        if (cJSON_IsString(item) && !strcmp(item->valuestring, name)) return true;
    return false;
}

static void compare_gradient(Golden *g, const char *group, const char *name, const Tensor *w,
                             const real *theirs, double scale) {
    Tape t = {0};
    Tensor *zero = t_input(&t, NULL, w->rank, w->shape);
    k_fill(zero->len, 0, zero->x);
    const real *ours = w->has_grad ? w->g : zero->x;
    remember(&g->gradients, relative_error(w->len, ours, theirs, scale), group, name);
    tape_free(&t);
}

/* of all grad. tensors: what those that are zero by mathematics are measured by */
static double gradients_norm(Golden *g) {
    double sum = 0;
    for (int i = 0; i < g->file.count; i++) {
        const StTensor *t = &g->file.tensors[i];
        if (strncmp(t->name, "grad.", 5) || !safetensors_is_float(t->type)) continue;
        real *x = arena_get(&g->tape.arena, t->len * sizeof *x);
        safetensors_get(t, x);
        sum += k_sum_squares(t->len, x);
    }
    return sqrt(sum);
}

static void compare_gradients(Golden *g) {
    backward(g->loss);
    double all = gradients_norm(g);
    for (int i = 0; i < g->params.count; i++) {
        Tensor *w = g->params.list[i];
        if (!w->wants_grad) continue;
        Entry e = official_entry(g, w);
        const StTensor *t = need(g, "grad.", e.name, w->len);
        check_shape(g, &e, t, "grad.");
        real *theirs = arena_get(&g->tape.arena, t->len * sizeof *theirs);
        entry_get(&e, t, theirs);
        bool zero = is_zero_by_mathematics(g, e.name);
        compare_gradient(g, "grad.", e.name, w, theirs, zero ? all : 0);
        free(e.name);
    }
    for (int k = 0; k < g->inputs; k++) {
        const StTensor *t = look(g, "grad.in.", g->input_name[k]);
        if (t)
            compare_gradient(g, "grad.in.", g->input_name[k], g->input[k], get_turned(g, t), 0);
    }
}

/* out.after.: running statistics and the like */
static void compare_buffers(Golden *g) {
    for (int i = 0; i < g->params.count; i++) {
        Tensor *w = g->params.list[i];
        Entry e = official_entry(g, w);
        const StTensor *t = look(g, "out.after.", e.name);
        if (t) {
            check_shape(g, &e, t, "out.after.");
            real *theirs = arena_get(&g->tape.arena, t->len * sizeof *theirs);
            entry_get(&e, t, theirs);
            remember(&g->outputs, relative_error(w->len, w->x, theirs, 0), "out.after.", e.name);
        }
        free(e.name);
    }
}

static void compare_loss(Golden *g) {
    const StTensor *t = look(g, "out.", "L");
    real theirs;
    if (!t) return;
    safetensors_get(t, &theirs);
    /* terms of both signs cancel: measured by the product of the norms that bounds it */
    remember(&g->outputs, fabs((double)(g->loss->x[0] - theirs)) / g->loss_scale, "out.", "L");
}

/* nothing the official code said may be left uncompared; counters of batches say nothing */
static void check_all_seen(const Golden *g) {
    for (int i = 0; i < g->file.count; i++) {
        const char *name = g->file.tensors[i].name;
        if (!g->seen[i] && !strstr(name, "num_batches_tracked"))
            fail("%s: has %s, which our %s does not know", g->path, name, g->model->model);
    }
}

/* ---- one file -------------------------------------------------------------------------------- */

static const GoldenModel *find_model(const char *path, const Safetensors *file) {
    const char *name = safetensors_metadata(file, "model");
    if (!name) fail("%s: is no golden file: its metadata name no model", path);
    for (size_t i = 0; i < sizeof chapters / sizeof *chapters; i++)
        for (const GoldenModel *m = chapters[i]; m->model; m++)
            if (!strcmp(m->model, name)) return m;
    fail("%s: the model %s is not known here", path, name);
}

static cJSON *parse(const Golden *g, const char *key, bool (*is)(const cJSON *)) {
    const char *text = safetensors_metadata(&g->file, key);
    cJSON *value = text ? cJSON_Parse(text) : NULL;
    if (text && (!value || !is(value))) fail("%s: its %s cannot be read", g->path, key);
    return value;
}

static bool is_object(const cJSON *v) { return cJSON_IsObject(v); }
static bool is_array(const cJSON *v) { return cJSON_IsArray(v); }

static void golden_open(Golden *g, const char *path) {
    *g = (Golden){.path = path, .file = safetensors_open(path)};
    g->model = find_model(path, &g->file);
    g->config = parse(g, "config", is_object);
    g->zero_gradients = parse(g, "mathematically_zero_grads", is_array);
    g->seen = calloc((size_t)g->file.count + 1, sizeof *g->seen);
    if (!g->seen) fail("out of memory");
}

static void golden_close(Golden *g) {
    cJSON_Delete(g->config);
    cJSON_Delete(g->zero_gradients);
    free(g->seen);
    params_free(&g->params);
    tape_free(&g->tape);
    safetensors_close(&g->file);
}

static bool check_file(const char *path) {
    Golden g;
    golden_open(&g, path);
    g.model->run(&g);
    compare_gradients(&g);
    compare_buffers(&g);
    compare_loss(&g);
    check_all_seen(&g);
    bool good = g.outputs.error <= tolerance && g.gradients.error <= tolerance;
    printf("%s: %s: outputs differ by %.2g (%s), gradients by %.2g (%s): %s\n", path,
           g.model->model, g.outputs.error, g.outputs.name, g.gradients.error, g.gradients.name,
           good ? "ok" : "MORE THAN 1e-4");
    fflush(stdout);
    golden_close(&g);
    return good;
}

/* in a process of its own, so that a file that cannot be read does not end the others' checks */
static bool check_apart(const char *path) {
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) fail("no process for %s", path);
    if (child == 0) exit(check_file(path) ? 0 : 1);
    int status;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv) {
    threads_sleep_when_waiting(argv);
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr, "golden: which files? golden FILE.safetensors...\n");
        return 2;
    }
    bool good = true;
    for (int i = 1; i < argc; i++) good = check_apart(argv[i]) && good;
    return good ? 0 : 1;
}
