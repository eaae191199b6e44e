#include "models.h"

#include "eval/scores.h"
#include "base/file.h"
#include "io/picture.h"
#include "train/results.h"
#include "settings.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* ---- networks -------------------------------------------------------------------------------- */

static Vqvae2 new_autoencoder(Params *p) {
    return vqvae2_new(p, (Vqvae2Config){.levels = o.levels, .channels = garments() ? 1 : 3,
                                        .width = o.width, .res_blocks = 2, .res_channels = 32,
                                        .codes = o.codes, .dim = o.dim});
}

/* The bottom is told the top's codes, at its own size, by a network of its own; without a top it
 * attends in the top's place. Both are told the class. */
static Snail new_prior(Params *p, int stage) {
    bool both = !strcmp(o.attention, "both"), top = stage == TOP;
    int size = side() / (top ? 8 : 4);
    bool first = top || o.levels == 1;            /* nothing above it to be told */
    return snail_new(p, (SnailConfig){.height = size, .width = size, .codes = o.codes,
                                      .channels = o.prior_channels, .kernel = 3,
                                      .blocks = 2, .res_blocks = top ? 2 : 3,
                                      .res_channels = o.prior_channels * 3 / 4,
                                      .attention = first ? strcmp(o.attention, "none") : both,
                                      .dropout = 0.1, .condition_channels = 32,
                                      .condition_blocks = first ? 0 : 2,
                                      .condition_kernel = 3, .condition_codes = o.codes,
                                      .classes = o.classes, .previous = true});
}

void models_free(Models *m) {
    for (int s = 0; s < STAGES; s++) params_free(&m->params[s]);
}

void build(Models *m, int stage) {
    if (stage == AUTOENCODER) m->autoencoder = new_autoencoder(&m->params[stage]);
    else m->prior[stage] = new_prior(&m->params[stage], stage);
}

char *weights_of(const char *stage) {
    return text_format("%s/%s%sweights.safetensors", o.common.out, stage, *stage ? "-" : "");
}

void load_autoencoder(Models *m, const char *path) {
    Cli c = autoencoder_cli();
    char *own = weights_of("autoencoder");
    path = path ? path : own;
    checkpoint_options(path, &c, false);
    build(m, AUTOENCODER);
    checkpoint_load(path, &(Checkpoint){.cli = &c, .params = {{"", &m->params[AUTOENCODER]}}});
    free(own);
}

Checkpoint together(Models *m) {
    Checkpoint c = {.cli = &cli, .params = {{"autoencoder.", &m->params[AUTOENCODER]}}};
    c.params[1] = (CheckpointParams){"bottom.", &m->params[BOTTOM], NULL};
    if (o.levels == 2) c.params[2] = (CheckpointParams){"top.", &m->params[TOP], NULL};
    return c;
}

void load_all(Models *m) {
    char *path = weights_path(&o.common);
    checkpoint_options(path, &cli, false);
    for (int s = 0; s < STAGES; s++)
        if (has_stage(s)) build(m, s);
    Checkpoint c = together(m);
    checkpoint_load(path, &c);
    free(path);
}

/* ---- pictures and their codes ---------------------------------------------------------------- */

real *new_pictures(Arena *arena, const Pictures *d, int n) {
    return arena_get(arena, (size_t)n * (size_t)picture_len(d) * sizeof(real));
}

int *new_ints(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * sizeof(int));
}

int bottom_codes(const Pictures *d) { return d->side * d->side / 16; }

void load_data(Pictures *d) {
    pictures_load(d, garments(), o.common.data);
    if (d->validation->count < COLUMNS || d->test->count < SCORE_MINIMUM)
        fail("%s: %d pictures for validation and %d for testing; at least %d and %d are needed",
             o.common.data, d->validation->count, d->test->count, COLUMNS, SCORE_MINIMUM);
    if (d->classes > o.classes)
        fail("the data have %d classes; --classes %d is too few", d->classes, o.classes);
}

Coded code_first(Arena *arena, const Pictures *d, const Vqvae2 *v, const Images *set, int n) {
    n = n < set->count ? n : set->count;
    int N = bottom_codes(d);
    Coded c = {n, new_ints(arena, n), new_ints(arena, n * N / 4), new_ints(arena, n * N),
               new_pictures(arena, d, n)};
    pictures_get(d, set, n, NULL, c.x, c.labels);
    encode_all(v, n, d->side, d->side, c.x, c.top, c.bottom);
    return c;
}

void save_grid(char *path, const Pictures *d, const real *x, int rows, int columns) {
    picture_save(path, x,
                 (Grid){.count = rows * columns, .height = d->side, .width = d->side,
                        .channels = d->channels, .columns = columns,
                        .enlarge = d->side < 64 ? 2 : 1, .low = -1, .high = 1}, cli.line);
    free(path);
}

void rebuild(const Pictures *d, const Vqvae2 *v, int kind, int n, const int *top,
             const int *bottom, real *x) {
    decode_all(v, n, d->side, d->side, kind < 2 ? top : NULL, kind % 2 ? NULL : bottom, x);
}

void picture_of_reconstructions(char *path, const Pictures *d, const Vqvae2 *v,
                                const Images *set) {
    Arena arena = {0};
    int n = set->count < COLUMNS ? set->count : COLUMNS, rows = o.levels == 2 ? 4 : 2;
    int *index = new_ints(&arena, n), N = bottom_codes(d);
    size_t row = (size_t)n * (size_t)picture_len(d);
    real *x = new_pictures(&arena, d, rows * n);
    int *top = new_ints(&arena, n * N / 4), *bottom = new_ints(&arena, n * N);
    for (int i = 0; i < n; i++) index[i] = (int)((int64_t)i * set->count / n);
    pictures_get(d, set, n, index, x, NULL);
    encode_all(v, n, d->side, d->side, x, top, bottom);
    for (int k = 0; k + 1 < rows; k++)
        rebuild(d, v, k, n, top, bottom, x + (size_t)(k + 1) * row);
    save_grid(path, d, x, rows, n);
    arena_free(&arena);
}

/* ---- what codes cost ------------------------------------------------------------------------- */

int *codes_of(const Coded *c, int stage) { return stage == TOP ? c->top : c->bottom; }
int *told(const Coded *c, int stage) {
    return stage == BOTTOM && o.levels == 2 ? c->top : NULL;
}

double mean_nats(const Snail *s, int n, const int *codes, const int *top, const int *labels) {
    int N = s->c.height * s->c.width;
    double nats[POSITIONS], sum = 0;
    snail_nats(s, n, codes, top, labels, nats);
    for (int i = 0; i < N; i++) sum += nats[i] / N;
    return sum;
}

double nats_of(const Snail *s, int stage, const Coded *c) {
    return mean_nats(s, c->n, codes_of(c, stage), told(c, stage), c->labels);
}
