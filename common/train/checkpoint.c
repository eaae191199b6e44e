#include "train/checkpoint.h"

#include "nn/entry.h"
#include "base/file.h"
#include "io/half.h"
#include "io/safetensors.h"
#include "nn/optim.h"
#include "train/divided.h"
#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static Entries list_entries(const Checkpoint *c) {
    Entries l = {0};
    for (const CheckpointParams *p = c->params; p->params; p++)
        entries_add(&l, p->prefix, p->params);
    return l;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void convert(StType type, const real *x, size_t n, uint8_t *bytes) {
    for (size_t i = 0; i < n; i++) {
        float f = (float)x[i];
        double d = x[i];
        uint16_t h = type == ST_F16 ? half_from_float(f) : 0;
        if (type == ST_F64) memcpy(bytes + 8 * i, &d, 8);
        else if (type == ST_F32) memcpy(bytes + 4 * i, &f, 4);
        else memcpy(bytes + 2 * i, &h, 2);
    }
}

static void fill(const StOutput *out, uint8_t *bytes) {
    const Entry *e = out->source;
    const Tensor *w = e->tensor;
    const real *x = divided_get(w);
    if (!x) return;                                         /* nothing of this is written here */
    real *turned = e->turned ? memory_new(w->len, sizeof *turned, "%s", w->name) : NULL;
    if (turned) k_permute(w->shape, e->order, x, turned, false);
    convert(out->type, turned ? turned : x, w->len, bytes);
    free(turned);
    divided_free(w, x);
}

/* CRC-32 of all tensors' numbers, as they lie in memory, in the order of the list. Those of other
 * processes are read from `file`, or brought here if that is NULL. */
static unsigned long checksum(const Checkpoint *c, const Safetensors *file) {
    unsigned long sum = crc32_z(0, NULL, 0);
    for (const CheckpointParams *p = c->params; p->params; p++)
        for (int i = 0; i < p->params->count; i++) {
            Tensor *w = p->params->list[i];
            const real *x = !file ? divided_get(w) : w->x ? w->x : entry_new(file, p->prefix, w);
            if (x) sum = crc32_z(sum, (const unsigned char *)x, w->len * sizeof *x);
            divided_free(w, x);
        }
    return sum;
}

/* key, text, key, text, ..., NULL: chapter, kept options, numbers; all owned. Options that may
 * differ when training goes on are left out of weights that are passed on: they may hold a path. */
static char **list_metadata(const Checkpoint *c, bool pass_on) {
    int options = 0, n = 0;
    while (c->cli->options[options].name) options++;
    size_t most = 4 + (size_t)options + CHECKPOINT_NUMBERS + CHECKPOINT_TEXTS;
    char **m = memory_new(2 * most + 1, sizeof *m, "%zu texts", most), text[CLI_TEXT];
    m[n++] = text_format("format");              /* which layout: read by Python libraries */
    m[n++] = text_format("pt");
    m[n++] = text_format("chapter");
    m[n++] = text_format("%s", c->cli->program);
    for (const Option *o = c->cli->options; o->name; o++) {
        bool kept = cli_kept(c->cli, o) && !(pass_on && o->keep == KEEP_DEFAULT);
        const char *value = kept ? cli_text(o, text) : NULL;
        if (!value) continue;
        m[n++] = text_format("option.%s", o->name);
        m[n++] = text_format("%s", value);
    }
    for (const CheckpointNumber *k = c->numbers; k->name; k++) {
        m[n++] = text_format("state.%s", k->name);
        m[n++] = k->i ? text_format("%" PRId64, *k->i) : k->u ? text_format("%" PRIu64, *k->u) :
                 text_format("%a", *k->d);
    }
    for (const CheckpointText *k = c->texts; k->name; k++) {
        m[n++] = text_format("%s", k->name);
        m[n++] = text_format("%s", k->text);
    }
    if (!pass_on) {
        m[n++] = text_format("checksum");
        m[n++] = text_format("%08lx", checksum(c, NULL));
    }
    return m;
}

static StType full_precision(void) {
    return sizeof(real) == 8 ? ST_F64 : ST_F32;
}

/* Buffers (a batch normalisation's running statistics) keep full precision: they are few, and a
 * variance may be larger or smaller than half precision can hold. */
static StType type_of(const Tensor *w, bool half) {
    return half && !w->is_buffer ? ST_F16 : full_precision();
}

/* half: weights to pass on, without what concerns the run that made them */
static void save(const char *path, const Checkpoint *c, bool half) {
    Entries l = list_entries(c);
    StOutput *out = memory_new((size_t)l.count, sizeof *out, "%s", path);
    for (int i = 0; i < l.count; i++) {
        Entry *e = &l.list[i];
        out[i] = (StOutput){.name = e->name, .type = type_of(e->tensor, half),
                            .rank = e->tensor->rank, .source = e, .fill = fill};
        memcpy(out[i].shape, e->shape, sizeof e->shape);
    }
    char **metadata = list_metadata(c, half);
    safetensors_write(path, out, l.count, (const char *const *)metadata);
    for (char **m = metadata; *m; m++) free(*m);
    free(metadata);
    free(out);
    entries_free(&l);
}

void checkpoint_save(const char *path, const Checkpoint *c) {
    save(path, c, false);
}

void checkpoint_save_half(const char *path, const Checkpoint *c) {
    for (const CheckpointParams *p = c->params; p->params; p++) {
        for (int i = 0; i < p->params->count; i++) {
            const Tensor *w = p->params->list[i];
            if (type_of(w, true) != ST_F16) continue;
            const real *x = divided_get(w);
            for (size_t j = 0; x && j < w->len; j++) {
                if (fabs((double)x[j]) < 65520) continue;
                fail("%s: not saved: %s%s holds %g%s", path, p->prefix, w->name, (double)x[j],
                     isfinite(x[j]) ? ", half precision ends at 65504" : "");
            }
            divided_free(w, x);
        }
    }
    save(path, c, true);
}

/* ---- reading --------------------------------------------------------------------------------- */

void checkpoint_options(const char *path, Cli *cli, bool resume) {
    Safetensors s = safetensors_open(path);
    made_by(&s, path, cli->program);
    const char *config = safetensors_metadata(&s, "option.config");
    if (config) cli_adopt(cli, path, "config", config, resume);
    for (const Option *o = cli->options; o->name; o++) {
        char *key = text_format("option.%s", o->name);
        const char *value = safetensors_metadata(&s, key);
        if (value && strcmp(o->name, "config") != 0) cli_adopt(cli, path, o->name, value, resume);
        free(key);
    }
    safetensors_close(&s);
}

/* moments and averages that the file has and that are not there yet */
static void make_like(const Safetensors *s, const Checkpoint *c) {
    for (const CheckpointParams *p = c->params; p->params; p++) {
        if (!p->like || p->params->count) continue;
        for (int i = 0; i < s->count; i++) {
            if (strncmp(s->tensors[i].name, p->prefix, strlen(p->prefix)) == 0) {
                params_like(p->params, p->like, 0);
                break;
            }
        }
    }
}

static void read_number(const Safetensors *s, const char *path, const CheckpointNumber *k) {
    const int64_t most_counted = 1000000000000000;
    char *key = text_format("state.%s", k->name), *end = NULL;
    const char *text = safetensors_metadata(s, key);
    if (!text && !k->optional && !k->d)
        fail("%s: has no %s: these are weights, training cannot go on from them", path, key);
    if (text) {
        double d = strtod(text, &end);
        errno = 0;
        int64_t i = k->i ? strtoll(text, &end, 10) : 0;
        uint64_t u = k->u ? strtoull(text, &end, 10) : 0;
        bool in_range = i >= 0 && i <= most_counted && isfinite(d);
        if (errno || end == text || *end || !in_range || (k->u && strchr(text, '-')))
            fail("%s: %s is '%s', which no training has counted; the file is damaged", path, key,
                 text);
        if (k->i) *k->i = i;
        else if (k->u) *k->u = u;
        else *k->d = d;
    }
    free(key);
}

/* A training checkpoint says what its numbers' checksum is. It holds for the type it was saved in. */
static void check_sum(const Safetensors *s, const char *path, const Checkpoint *c) {
    const char *said = safetensors_metadata(s, "checksum");
    char here[24];
    snprintf(here, sizeof here, "%08lx", checksum(c, s));
    bool same_type = s->count && s->tensors[0].type == full_precision();
    if (said && same_type && c->numbers[0].name && strcmp(said, here))
        fail("%s: its tensors' checksum is %s, they were saved with %s; the file is damaged", path,
             here, said);
}

void checkpoint_load(const char *path, const Checkpoint *c) {
    Safetensors s = safetensors_open(path);
    made_by(&s, path, c->cli->program);
    make_like(&s, c);
    Entries l = list_entries(c);
    entries_check(&l, &s, path);
    for (const CheckpointNumber *k = c->numbers; k->name; k++) read_number(&s, path, k);
    entries_read(&l, &s, path);
    check_sum(&s, path, c);
    entries_free(&l);
    safetensors_close(&s);
}

void checkpoint_load_stage(const char *path, const Cli *cli, const char *prefix, Params *p) {
    Safetensors s = safetensors_open(path);
    Entries l = {0};
    bool all = false;
    for (int i = 0; *prefix && i < s.count; i++)
        all |= !strncmp(s.tensors[i].name, prefix, strlen(prefix));
    made_by(&s, path, cli->program);
    entries_add(&l, all ? prefix : "", p);
    if (all) entries_check_part(&l, &s, path);
    else entries_check(&l, &s, path);
    entries_read(&l, &s, path);
    entries_free(&l);
    safetensors_close(&s);
}

char *checkpoint_text(const char *path, const char *name) {
    Safetensors s = safetensors_open(path);
    const char *text = safetensors_metadata(&s, name);
    char *copy = text ? text_format("%s", text) : NULL;
    safetensors_close(&s);
    return copy;
}

void checkpoint_same(const char *path, const char *name, const char *sha256, const char *what) {
    char *said = checkpoint_text(path, name);
    if (!said) fail("%s: does not say which %s it was trained with; train it again", path, what);
    if (strcmp(said, sha256))
        fail("%s: was trained with another %s (sha256 %.16s...) than the one that is read now "
             "(%.16s...); train it again", path, what, said, sha256);
    free(said);
}
