/* golden [-v] FILE — does our code give what the papers' official code gave? One line, with what comes
 * nearest to its tolerance, -v: a line for each tensor; exit status 1 if not. golden --models lists
 * the models it knows. */
#include "golden.h"
#include "bpe_cases.h"

#include "base/file.h"
#include "base/error.h"
#include "base/memory.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const GoldenModel GOLDEN_PART[];      /* the models this program knows: set by the Makefile */

enum { UNKNOWN_MODEL = 3 };                  /* exit status: another program may know it */

static bool verbose;

/* Ten times what networks differ by: outputs by up to 2e-6, gradients by 1e-5 (the official float32
 * code differs as much from the same in float64). */
static const GoldenTolerance networks[] = {{"grad", 1e-4}, {"", 2e-5}};

/* for the tensor of this whole name */
static double tolerance(const Golden *g, const char *name) {
    const GoldenTolerance *row = g->model->tolerances;
    for (row = row ? row : networks; !strstr(name, row->part); row++) continue;
    return row->tolerance;
}

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

enum { MOST_READ = 256, MOST_OBJECTS = 8 };
struct GoldenRead {
    const cJSON *entry[MOST_READ], *object[MOST_OBJECTS];    /* objects whose entries are asked for */
    int entries, objects;
};

static bool was_read(const Golden *g, const cJSON *item) {
    for (int i = 0; i < g->read->entries; i++)
        if (g->read->entry[i] == item) return true;
    return false;
}

static void mark_read(const Golden *g, const cJSON *item) {
    if (was_read(g, item)) return;
    if (g->read->entries == MOST_READ) fail("%s: its configuration has too many keys", g->path);
    g->read->entry[g->read->entries++] = item;
}

const cJSON *golden_value(const Golden *g, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(g->config, key);
    if (item) mark_read(g, item);
    return item;
}

Golden golden_within(const Golden *g, const char *key) {
    Golden inner = *g;
    inner.config = (cJSON *)golden_value(g, key);
    if (cJSON_IsNull(inner.config)) inner.config = NULL;
    if (inner.config && !cJSON_IsObject(inner.config))
        fail("%s: %s in its configuration is no object", g->path, key);
    if (inner.config && g->read->objects == MOST_OBJECTS) die("golden: too many objects");
    if (inner.config) g->read->object[g->read->objects++] = inner.config;
    return inner;
}

static int whole_number(const Golden *g, const char *key, const cJSON *value, int least) {
    if (!cJSON_IsNumber(value) || value->valuedouble != value->valueint || value->valueint < least)
        fail("%s: %s in its configuration is no whole number from %d on", g->path, key, least);
    return value->valueint;
}

int golden_int(const Golden *g, const char *key, int otherwise) {
    const cJSON *value = golden_value(g, key);
    if (!value || cJSON_IsNull(value) || cJSON_GetNumberValue(value) == -1) return otherwise;
    return whole_number(g, key, value, otherwise == 0 ? 0 : 1);
}

double golden_number(const Golden *g, const char *key, double otherwise) {
    const cJSON *value = golden_value(g, key);
    if (!value) return otherwise;
    if (!cJSON_IsNumber(value)) fail("%s: %s in its configuration is no number", g->path, key);
    return value->valuedouble;
}

bool golden_flag(const Golden *g, const char *key, bool otherwise) {
    const cJSON *value = golden_value(g, key);
    if (!value) return otherwise;
    if (!cJSON_IsBool(value))
        fail("%s: %s in its configuration is neither true nor false", g->path, key);
    return cJSON_IsTrue(value);
}

int golden_list(const Golden *g, const char *key, int room, int *list) {
    const cJSON *item, *value = golden_value(g, key);
    int n = 0;
    if (!cJSON_IsArray(value)) fail("%s: %s in its configuration is no list", g->path, key);
    cJSON_ArrayForEach(item, value) {
        if (n == room || !cJSON_IsNumber(item) || item->valuedouble != item->valueint ||
            item->valueint < 1)
            fail("%s: %s in its configuration is no list of at most %d whole numbers above 0",
                 g->path, key, room);
        list[n++] = item->valueint;
    }
    return n;
}

bool golden_word(const Golden *g, const char *key, const char *word) {
    const cJSON *value = golden_value(g, key);
    return cJSON_IsString(value) && !strcmp(value->valuestring, word);
}

/* is `word` one of the words of `list`? */
static bool has_word(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *p = list; *p; p += strcspn(p, " "), p += strspn(p, " "))
        if (strcspn(p, " ") == n && !strncmp(p, word, n)) return true;
    return false;
}

void golden_indifferent(const Golden *g, const char *keys) {
    const cJSON *item;
    cJSON_ArrayForEach(item, g->config)
        if (has_word(keys, item->string)) mark_read(g, item);
}

static int words(const char *list) {
    int n = 0;
    for (const char *p = list; *p; p += strcspn(p, " "), p += strspn(p, " ")) n++;
    return n;
}

void golden_keys(const Golden *g, const char *where, const cJSON *object, const char *keys) {
    const cJSON *item;
    if (!cJSON_IsObject(object)) fail("%s: %s in its configuration is no object", g->path, where);
    cJSON_ArrayForEach(item, object)
        if (!has_word(keys, item->string))
            fail("%s: our %s does not know what %s of %s in its configuration means", g->path,
                 g->model->model, item->string, where);
    if (cJSON_GetArraySize(object) != words(keys))
        fail("%s: %s in its configuration has not %s, each once", g->path, where, keys);
}

/* also finds the second of two entries with one key */
static void check_all_read(const Golden *g) {
    const cJSON *item;
    for (int i = -1; i < g->read->objects; i++) {
        const cJSON *object = i < 0 ? g->config : g->read->object[i];
        cJSON_ArrayForEach(item, object)
            if (!was_read(g, item))
                fail("%s: our %s does not know what %s in its configuration means", g->path,
                     g->model->model, item->string);
    }
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* of all the one that comes nearest to what it is allowed, or goes furthest beyond */
static void remember_allowed(GoldenWorst *worst, double error, double allowed, const char *name) {
    if (verbose) printf("%8.2g of %6.0g  %s\n", error, allowed, name);
    if (isnan(worst->error)) return;                             /* NaN is the worst of all */
    if (worst->allowed > 0 && error / allowed <= worst->error / worst->allowed) return;
    *worst = (GoldenWorst){.error = error, .allowed = allowed};
    snprintf(worst->name, sizeof worst->name, "%s", name);
}

static void remember(Golden *g, double error, const char *group, const char *name) {
    char *whole = text_format("%s%s", group, name);
    GoldenWorst *worst = strncmp(group, "grad", 4) ? &g->outputs : &g->gradients;
    remember_allowed(worst, error, tolerance(g, whole), whole);
    free(whole);
}

/* |ours - theirs| / scale; scale 0: / |theirs|, and where that is 0 the difference itself */
static double relative_error(size_t n, const real *ours, const real *theirs, double scale) {
    double difference = sqrt(k_sum_squared_difference(n, ours, theirs));
    if (scale == 0) scale = sqrt(k_sum_squares(n, theirs));
    return scale > 0 ? difference / scale : difference;
}

/* ---- names and layout ------------------------------------------------------------------------ */

static int tensors_of(const Golden *g, Tensor *w, OfficialTensor tensors[OFFICIAL_TENSORS]) {
    return official_tensors(&g->map, w, tensors);
}

static void check_shape(const Golden *g, const OfficialTensor *p, const StTensor *t,
                        const char *group) {
    char theirs[ST_SHAPE], ours[ST_SHAPE];
    if (official_fits(p, t)) return;
    fail("%s: %s%s is %s, ours %s; does the configuration say all?", g->path, group, p->entry.name,
         safetensors_shape(t->rank, t->shape, theirs),
         safetensors_shape(p->part.rank, p->entry.shape, ours));
}

/* the tensor's numbers in the file, (rows, its outputs) as ours are */
static real *get_tensor(Golden *g, const OfficialTensor *p, const StTensor *t, const char *group) {
    real *x = arena_get(&g->tape.arena, t->len * sizeof *x);
    check_shape(g, p, t, group);
    entry_get(&p->entry, t, x);
    return x;
}

void golden_load(Golden *g) {
    for (int i = 0; i < g->params.count; i++) {
        Tensor *w = g->params.list[i];
        OfficialTensor tensors[OFFICIAL_TENSORS];
        int n = tensors_of(g, w, tensors);
        for (int k = 0; k < n; k++) {
            OfficialTensor *p = &tensors[k];
            const StTensor *t = need(g, "weight.", p->entry.name, p->part.len);
            official_scatter(p, get_tensor(g, p, t, "weight."), w->x);
            free(p->entry.name);
        }
    }
}

/* of images (B,C,H,W) to ours (B,H,W,C) */
static const int to_last[4] = {0, 2, 3, 1};

static void sizes_of(const StTensor *t, int shape[4]) {
    for (int i = 0; i < 4; i++) shape[i] = i < t->rank ? (int)t->shape[i] : 1;
}

static bool is_turned(const Golden *g, const StTensor *t) {
    return t->rank == 4 && !g->model->channels_last;
}

/* numbers of t as ours: images turned */
static real *get_turned(Golden *g, const StTensor *t) {
    real *x = arena_get(&g->tape.arena, t->len * sizeof *x);
    real *turned = arena_get(&g->tape.arena, t->len * sizeof *x);
    safetensors_get(t, x);
    if (!is_turned(g, t)) return x;
    int shape[4];
    sizes_of(t, shape);
    k_permute(shape, to_last, x, turned, false);
    return turned;
}

static Tensor *leaf(Golden *g, const char *name,
                    Tensor *(*make)(Tape *t, const real *data, int rank, const int *shape)) {
    const StTensor *t = look(g, "in.", name);
    if (!t || !safetensors_is_float(t->type) || t->rank < 1 || t->rank > 4)
        fail("%s: has no in.%s, which our %s needs", g->path, name, g->model->model);
    int shape[4], turned[4];
    sizes_of(t, shape);
    for (int i = 0; i < 4; i++) turned[i] = shape[is_turned(g, t) ? to_last[i] : i];
    return make(&g->tape, get_turned(g, t), t->rank, turned);
}

Tensor *golden_input(Golden *g, const char *name) {
    if (g->inputs == GOLDEN_INPUTS) die("golden: more than %d inputs", GOLDEN_INPUTS);
    g->input_name[g->inputs] = name;
    return g->input[g->inputs++] = leaf(g, name, t_variable);
}

Tensor *golden_given(Golden *g, const char *name) {
    return leaf(g, name, t_input);
}

/* numbers of any type, exactly */
static double number(const StTensor *t, size_t i) {
    double f64;
    int64_t i64;
    float f32;
    switch (t->type) {
    case ST_F64: return memcpy(&f64, t->data + i * sizeof f64, sizeof f64), f64;
    case ST_I64: return memcpy(&i64, t->data + i * sizeof i64, sizeof i64), (double)i64;
    case ST_F32: return memcpy(&f32, t->data + i * sizeof f32, sizeof f32), (double)f32;
    default: return NAN;
    }
}

int golden_numbers(Golden *g, const char *group, const char *name, int room, double *x) {
    const StTensor *t = look(g, group, name);
    if (!t || t->len > (size_t)room)
        fail("%s: has no %s%s of at most %d numbers, which our %s needs", g->path, group, name,
             room, g->model->model);
    for (size_t i = 0; i < t->len; i++) x[i] = number(t, i);
    return (int)t->len;
}

void golden_sizes(const Golden *g, const char *name, int shape[4]) {
    char *whole = text_format("in.%s", name);
    const StTensor *t = safetensors_find(&g->file, whole);
    free(whole);
    if (!t || t->rank > 4)
        fail("%s: has no in.%s, which our %s needs", g->path, name, g->model->model);
    sizes_of(t, shape);
}

static int64_t integer_at(const StTensor *t, size_t i) {
    int64_t x;
    memcpy(&x, t->data + i * sizeof x, sizeof x);
    return x;
}

const int *golden_input_integers(Golden *g, const char *name, int B, int H, int W, int limit) {
    size_t n = (size_t)B * (size_t)H * (size_t)W;
    const StTensor *t = look(g, "in.", name);
    if (!t || t->type != ST_I64 || t->len != n)
        fail("%s: has no in.%s of %zu whole numbers, which our %s needs", g->path, name, n,
             g->model->model);
    int *x = arena_get(&g->tape.arena, n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        x[i] = (int)integer_at(t, i);
        if (integer_at(t, i) < 0 || integer_at(t, i) >= limit)
            fail("%s: in.%s holds a number that is not in 0..%d", g->path, name, limit - 1);
    }
    return x;
}

const uint8_t *golden_mask(Golden *g, const char *name, int B, int N) {
    const int *given = golden_input_integers(g, name, B, N, 1, 2);
    uint8_t *mask = arena_get(&g->tape.arena, (size_t)(B * N));
    for (int i = 0; i < B * N; i++) mask[i] = (uint8_t)given[i];
    return mask;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void add_to_loss(Golden *g, Tensor *y, const StTensor *cotangent) {
    real *c = get_turned(g, cotangent);
    double scale = sqrt(k_sum_squares(y->len, y->x) * k_sum_squares(y->len, c));
    Tensor *part = t_sum(t_mul(y, t_input(&g->tape, c, y->rank, y->shape)));
    g->loss = g->loss ? t_add(g->loss, part) : part;
    g->loss_scale += scale;
}

void golden_output(Golden *g, const char *name, Tensor *y) {
    const StTensor *theirs = need(g, "out.", name, y->len);
    t_keep(y);                           /* other ops may have used it; then it is computed again */
    remember(g, relative_error(y->len, y->x, get_turned(g, theirs), 0), "out.", name);
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
        if (theirs != ours[i]) remember(g, 1, "out.", name);
    }
}

/* |ours - theirs|^2 and |theirs|^2 of the numbers from..to-1 in our order: the last three axes of
 * images, of which there may be a list, with channels last */
typedef struct {
    double difference, size;
} Squares;

static Squares squares_of(const StTensor *t, int from, int to, const double *ours) {
    bool images = t->rank >= 4;
    int C = images ? (int)t->shape[t->rank - 3] : 1;
    int area = images ? (int)(t->shape[t->rank - 2] * t->shape[t->rank - 1])
                      : (int)t->len / (int)t->shape[0];
    Squares s = {0};
    for (int i = from; i < to; i++) {
        int b = i / C / area, c = i % C, at = i / C % area;
        double theirs = number(t, (size_t)((b * C + c) * area + at));
        s.difference += (ours[i] - theirs) * (ours[i] - theirs);
        s.size += theirs * theirs;
    }
    return s;
}

/* The largest error of a row (a picture, an entry of a list) by its own norm; below 1e-4 of the
 * whole's, where float32 resolves little, by that. */
static double row_error(const StTensor *t, int n, const double *ours, double whole) {
    int rows = (int)t->shape[0], length = n / rows;
    double worst = 0;
    for (int b = 0; b < rows; b++) {
        Squares s = squares_of(t, b * length, (b + 1) * length, ours);
        double unit = fmax(sqrt(s.size), 1e-4 * whole);
        worst = fmax(worst, sqrt(s.difference) / (unit > 0 ? unit : 1));
    }
    return worst;
}

/* Two limits: one for the whole tensor, and one for each row, "row of NAME" among the tolerances. One
 * tensor holds terms of the bound whose sizes differ by four orders of magnitude, and the whole's
 * norm sees the largest. */
void golden_compare(Golden *g, const char *name, int n, const double *ours, double scale) {
    const StTensor *t = look(g, "", name);
    if (!t || t->len != (size_t)n)
        fail("%s: has no %s of %d numbers, which our %s gives", g->path, name, n, g->model->model);
    GoldenWorst *worst = strncmp(name, "grad", 4) ? &g->outputs : &g->gradients;
    Squares all = squares_of(t, 0, n, ours);
    double whole = sqrt(all.size);
    bool scale_given = scale > 0;
    if (!scale_given) scale = whole > 0 ? whole : 1;
    remember_allowed(worst, sqrt(all.difference) / scale, tolerance(g, name), name);
    if (scale_given) return;
    char *row = text_format("row of %s", name);
    remember_allowed(worst, row_error(t, n, ours, whole), tolerance(g, row), row);
    free(row);
}

static bool is_zero_by_mathematics(const Golden *g, const char *name) {
    const cJSON *item;
    cJSON_ArrayForEach(item, g->zero_gradients)
        if (cJSON_IsString(item) && !strcmp(item->valuestring, name)) return true;
    return false;
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

/* the tensor's part of w's gradient, (rows, its outputs) */
static real *tensor_gradient(Golden *g, const OfficialTensor *p) {
    real *ours = arena_get(&g->tape.arena, p->part.len * sizeof *ours);
    if (p->w->has_grad) official_gather(p, p->w->g, ours);
    else k_fill(p->part.len, 0, ours);
    return ours;
}

/* `all`: the norm by which gradients that are zero by mathematics are measured */
static void compare_tensor(Golden *g, const OfficialTensor *p, double all) {
    const char *name = p->entry.name;
    int outs = p->part.shape[p->part.rank - 1];
    double scale = is_zero_by_mathematics(g, name) ? all : 0;
    real *ours = tensor_gradient(g, p);
    const StTensor *rows = look(g, "gradrow.", name);
    if (!rows) {
        const StTensor *t = need(g, "grad.", name, p->part.len);
        const real *theirs = get_tensor(g, p, t, "grad.");
        remember(g, relative_error(t->len, ours, theirs, scale), "grad.", name);
        return;
    }
    if (rows->len != (size_t)outs)
        fail("%s: gradrow.%s holds %zu numbers, ours %d", g->path, name, rows->len, outs);
    real *sums = arena_get(&g->tape.arena, (size_t)outs * sizeof *sums);
    real *theirs = arena_get(&g->tape.arena, (size_t)outs * sizeof *theirs);
    safetensors_get(rows, theirs);
    k_sum_axis(1, (int)(p->part.len / (size_t)outs), outs, ours, sums, false);
    remember(g, relative_error(rows->len, sums, theirs, scale), "gradrow.", name);
}

static void compare_gradients(Golden *g) {
    backward(g->loss);
    double all = gradients_norm(g);
    for (int i = 0; i < g->params.count; i++) {
        Tensor *w = g->params.list[i];
        OfficialTensor tensors[OFFICIAL_TENSORS];
        if (!w->wants_grad) continue;
        int n = tensors_of(g, w, tensors);
        for (int k = 0; k < n; k++) {
            compare_tensor(g, &tensors[k], all);
            free(tensors[k].entry.name);
        }
    }
    for (int k = 0; k < g->inputs; k++) {
        const char *name = g->input_name[k];
        const StTensor *t = look(g, "grad.in.", name);
        if (!t) continue;
        double error = relative_error(t->len, g->input[k]->g, get_turned(g, t), 0);
        remember(g, error, "grad.in.", name);
    }
}

/* out.after.: running statistics and the like */
static void compare_buffers(Golden *g) {
    for (int i = 0; i < g->params.count; i++) {
        Tensor *w = g->params.list[i];
        OfficialTensor tensors[OFFICIAL_TENSORS];
        int n = tensors_of(g, w, tensors);
        for (int k = 0; k < n; k++) {
            const OfficialTensor *p = &tensors[k];
            const char *name = p->entry.name;
            const StTensor *t = n == 1 ? look(g, "out.after.", name) : NULL;
            if (t) {
                const real *theirs = get_tensor(g, p, t, "out.after.");
                remember(g, relative_error(w->len, w->x, theirs, 0), "out.after.", name);
            }
            free(tensors[k].entry.name);
        }
    }
}

static void compare_loss(Golden *g) {
    const StTensor *t = look(g, "out.", "L");
    real theirs;
    if (!t) return;
    safetensors_get(t, &theirs);
    /* terms of both signs cancel: measured by the product of the norms that bounds it */
    remember(g, fabs((double)(g->loss->x[0] - theirs)) / g->loss_scale, "out.", "L");
}

/* nothing the official code said may be left uncompared */
static void check_all_seen(const Golden *g) {
    for (int i = 0; i < g->file.count; i++) {
        const char *name = g->file.tensors[i].name;
        if (!g->seen[i] && !is_batch_counter(name))
            fail("%s: has %s, which our %s does not know", g->path, name, g->model->model);
    }
}

/* ---- one file -------------------------------------------------------------------------------- */

static const GoldenModel *find_model(const char *path, const Safetensors *file) {
    const char *name = safetensors_metadata(file, "model");
    if (!name) fail("%s: is no golden file: its metadata name no model", path);
    for (const GoldenModel *m = GOLDEN_PART; m->model; m++)
        if (!strcmp(m->model, name)) return m;
    notice("%s: the model %s is not known here", path, name);
    exit(UNKNOWN_MODEL);
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
    g->map = g->model->map ? *g->model->map : (OfficialMap){.rows = g->model->names};
    g->config = parse(g, "config", is_object);
    g->zero_gradients = parse(g, "mathematically_zero_grads", is_array);
    g->seen = memory_new((size_t)g->file.count, sizeof *g->seen, "%s", path);
    g->read = memory_new(1, sizeof *g->read, "%s", path);
}

static void golden_close(Golden *g) {
    cJSON_Delete(g->config);
    cJSON_Delete(g->zero_gradients);
    free(g->seen);
    free(g->read);
    params_free(&g->params);
    tape_free(&g->tape);
    safetensors_close(&g->file);
}

static int list_models(void) {
    for (const GoldenModel *m = GOLDEN_PART; m->model; m++) puts(m->model);
    return 0;
}

/* the ids of a tokenizer */
static bool check_tokenizer(const char *path) {
    int compared, differ = bpe_cases_differ(path, &compared);
    printf("%s: %d texts, %d differ\n", path, compared, differ < 0 ? compared : differ);
    return differ == 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--models")) return list_models();
    verbose = argc == 3 && !strcmp(argv[1], "-v");
    if (argc != 2 + verbose) usage_error("golden: which file? golden [-v] FILE.safetensors");
    const char *path = argv[argc - 1], *dot = strrchr(path, '.');
    if (dot && !strcmp(dot, ".json")) return !check_tokenizer(path);
    Golden g;
    golden_open(&g, path);
    g.model->run(&g);
    check_all_read(&g);
    if (g.loss) {
        compare_gradients(&g);
        compare_buffers(&g);
        compare_loss(&g);
    }
    check_all_seen(&g);
    bool good = g.outputs.error <= g.outputs.allowed && g.gradients.error <= g.gradients.allowed;
    printf("%s: %s: outputs differ by %.2g of %.0g (%s), gradients by %.2g of %.0g (%s): %s\n",
           g.path, g.model->model, g.outputs.error, g.outputs.allowed, g.outputs.name,
           g.gradients.error, g.gradients.allowed, g.gradients.name, good ? "ok" : "TOO MUCH");
    golden_close(&g);
    return good ? 0 : 1;
}
