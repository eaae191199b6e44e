/* official.c — weights under the names of the papers' official code. */
#include "nn/official.h"

#include "base/file.h"
#include "base/memory.h"
#include "io/half.h"
#include "tensor/half.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ----------------------------------------------------------------------------------- */

/* the official name for ours, if the row fits */
static bool translate(const OfficialName *row, const char *ours, char *official, size_t room) {
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

static bool find_row(const OfficialMap *map, const char *ours, char *official, size_t room) {
    for (const OfficialName *row = map->rows; row && row->ours; row++)
        if (translate(row, ours, official, room)) return true;
    return false;
}

/* of tensor w, whose name ends with `ending` in a file; `whole`: the name is the tensor's */
static OfficialPlace place_of(const OfficialMap *map, const Tensor *w, bool *whole) {
    OfficialPlace at = {0};
    const char *dot = strrchr(w->name, '.');
    char layer[160] = "";
    *whole = find_row(map, w->name, at.layer, sizeof at.layer);
    if (*whole || !dot) return at;
    snprintf(layer, sizeof layer, "%.*s", (int)(dot - w->name), w->name);
    if (map->locate && map->locate(map->design, layer, &at)) return at;
    if (!find_row(map, layer, at.layer, sizeof at.layer)) memcpy(at.layer, layer, sizeof layer);
    return at;
}

/* the entry's name is the official one, with `letter` for its * */
static void rename_entry(Entry *e, const OfficialPlace *at, bool whole, char letter) {
    if (!*at->layer) return;             /* no layer's: called as ours */
    char *name = whole ? text_format("%s", at->layer)
                       : text_format("%s.%s", at->layer, strrchr(e->name, '.') + 1);
    char *hole = strchr(name, '*');
    if (hole) *hole = letter;
    free(e->name);
    e->name = name;
}

/* ---- tensors --------------------------------------------------------------------------------- */

static int outputs(const Tensor *w) {
    return w->shape[w->rank - 1];
}

int official_tensors(const OfficialMap *map, Tensor *w, OfficialTensor tensors[OFFICIAL_TENSORS]) {
    bool whole;
    OfficialPlace at = place_of(map, w, &whole);
    int n = strchr(at.layer, '*') ? OFFICIAL_TENSORS : 1, size = outputs(w) / n;
    for (int i = 0; i < n; i++) {
        OfficialTensor *p = &tensors[i];
        *p = (OfficialTensor){.part = *w, .w = w, .first = i * size, .heads = at.heads,
                             .parts = at.parts ? at.parts : 3};
        p->part.shape[w->rank - 1] = size;
        p->part.len = w->len / (size_t)n;
        p->entry = entry_of("", &p->part);
        rename_entry(&p->entry, &at, whole, "qkv"[i]);
    }
    return n;
}

bool official_fits(const OfficialTensor *p, const StTensor *t) {
    int rank = p->part.rank, their_rank = t->rank;
    while (their_rank > rank && t->shape[their_rank - 1] == 1) their_rank--;
    if (their_rank == 0) return p->part.len == 1;
    return their_rank == rank &&
           !memcmp(t->shape, p->entry.shape, (size_t)rank * sizeof *t->shape);
}

/* the output of w that is the file's output i */
static int column(const OfficialTensor *p, int i) {
    if (!p->heads) return p->first + i;
    int C = outputs(&p->part) / p->parts, d = C / p->heads;
    return i / d % p->parts * C + i / (p->parts * d) * d + i % d;
}

void official_scatter(const OfficialTensor *p, const real *numbers, real *whole) {
    int outs = outputs(&p->part), width = outputs(p->w);
    size_t rows = p->part.len / (size_t)outs;
    for (size_t r = 0; r < rows; r++)
        for (int j = 0; j < outs; j++) whole[r * (size_t)width + (size_t)column(p, j)] = *numbers++;
}

void official_gather(const OfficialTensor *p, const real *whole, real *numbers) {
    int outs = outputs(&p->part), width = outputs(p->w);
    size_t rows = p->part.len / (size_t)outs;
    for (size_t r = 0; r < rows; r++)
        for (int j = 0; j < outs; j++) *numbers++ = whole[r * (size_t)width + (size_t)column(p, j)];
}

/* ---- a user's file --------------------------------------------------------------------------- */

/* what is wrong, of one kind: how many, and the first few */
typedef struct {
    int count;
    char names[360];
} Complaint;

__attribute__((format(printf, 2, 3)))
static void complain(Complaint *c, const char *format, ...) {
    enum { NAMED = 3 };
    size_t n = strlen(c->names);
    va_list args;
    if (c->count++ >= NAMED) return;
    if (n) n += (size_t)snprintf(c->names + n, sizeof c->names - n, ", ");
    va_start(args, format);
    if (n < sizeof c->names) vsnprintf(c->names + n, sizeof c->names - n, format, args);
    va_end(args);
}

typedef struct {
    Safetensors file;
    const char *path, *prefix;
    const OfficialMap *map;
    bool *used;                          /* (file.count) */
    Complaint missing, shape, surplus;
} Reading;

static void remove_dots(char *name) {
    char *to = name;
    for (; *name; name++)
        if (*name != '.') *to++ = *name;
    *to = 0;
}

/* what the file has of it, or NULL and a complaint */
static const StTensor *find(Reading *r, const OfficialTensor *p) {
    char *name = text_format("%s%s", r->prefix, p->entry.name);
    if (r->map->without_dots) remove_dots(name + strlen(r->prefix));
    const StTensor *t = safetensors_find(&r->file, name);
    char theirs[ST_SHAPE], ours[ST_SHAPE];
    free(name);
    if (!t) {
        complain(&r->missing, "%s", p->entry.name);
        return NULL;
    }
    r->used[t - r->file.tensors] = true;
    if (official_fits(p, t) && safetensors_is_float(t->type)) return t;
    complain(&r->shape, "%s is %s %s, here %s", p->entry.name, safetensors_type(t->type),
             safetensors_shape(t->rank, t->shape, theirs),
             safetensors_shape(p->part.rank, p->entry.shape, ours));
    return NULL;
}

/* the numbers of a tensor that is kept in half precision */
static void narrow(const Tensor *w, const real *x) {
    for (size_t i = 0; i < w->len; i++) {
        if (fabs((double)x[i]) >= 65520)
            fail("%s: %g is too large for half precision", w->name, (double)x[i]);
        halves_of(w)[i] = half_from_float((float)x[i]);
    }
}

/* fill: put the numbers into w; otherwise only look whether they are there */
static void read_tensor(Reading *r, Tensor *w, bool fill) {
    OfficialTensor tensors[OFFICIAL_TENSORS];
    int n = official_tensors(r->map, w, tensors);
    real *all = fill && halves_of(w) ? memory_new(w->len, sizeof *all, "%s", w->name) : w->x;
    for (int i = 0; i < n; i++) {
        const StTensor *t = find(r, &tensors[i]);
        real *x = fill && t ? memory_new(t->len, sizeof *x, "%s", w->name) : NULL;
        if (x) {
            entry_get(&tensors[i].entry, t, x);
            if (!k_all_finite(t->len, x))
                fail("%s: %s is not finite", r->path, tensors[i].entry.name);
            official_scatter(&tensors[i], x, all);
        }
        free(x);
        free(tensors[i].entry.name);
    }
    if (all == w->x) return;
    narrow(w, all);
    free(all);
}

static bool is_ignored(const OfficialMap *map, const char *name) {
    for (const char *const *i = map->ignored; i && *i; i++) {
        size_t n = strlen(*i);
        bool begins = n && (*i)[n - 1] == '*';
        if (begins ? !strncmp(*i, name, n - 1) : !strcmp(*i, name)) return true;
    }
    return false;
}

static void find_surplus(Reading *r) {
    size_t n = strlen(r->prefix);
    for (int i = 0; i < r->file.count; i++) {
        const char *name = r->file.tensors[i].name;
        if (r->used[i] || strncmp(name, r->prefix, n)) continue;
        if (is_ignored(r->map, name + n) || is_batch_counter(name)) continue;
        complain(&r->surplus, "%s", name + n);
    }
}

/* adds " 2 missing (a, b)", behind a comma if something stands there */
static void describe(char **all, const Complaint *c, const char *what) {
    if (!c->count) return;
    char *longer = text_format("%s%s %d %s (%s%s)", *all, **all ? "," : "", c->count, what,
                               c->names, c->count > 3 ? ", ..." : "");
    free(*all);
    *all = longer;
}

static void refuse(const Reading *r) {
    char *all = text_format("%s", "");
    describe(&all, &r->missing, "missing");
    describe(&all, &r->shape, "of another shape");
    describe(&all, &r->surplus, "left over");
    fail("%s: these are no weights of this network: tensors%s", r->path, all);
}

void official_load(const char *path, const char *prefix, const OfficialMap *map, Params *p) {
    Reading r = {.file = safetensors_open(path), .path = path, .prefix = prefix, .map = map};
    r.used = memory_new((size_t)r.file.count, sizeof *r.used, "%s", path);
    for (int i = 0; i < p->count; i++) read_tensor(&r, p->list[i], false);
    find_surplus(&r);
    if (r.missing.count || r.shape.count || r.surplus.count) refuse(&r);
    for (int i = 0; i < p->count; i++) read_tensor(&r, p->list[i], true);
    free(r.used);
    safetensors_close(&r.file);
}
