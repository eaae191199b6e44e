#include "models.h"

#include "codes.h"
#include "eval/scores.h"
#include "train/checkpoint.h"
#include "base/file.h"
#include "train/results.h"
#include "settings.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

Fashion load_data(void) {
    Fashion data = fashion_load(o.common.data);
    int testing = data.test.count, validation = data.validation.count;
    if (testing < SCORE_MINIMUM || validation < COLUMNS)
        fail("%s: %d images for testing and %d for training; at least %d and %d are needed",
             o.common.data, testing, data.train.count + validation, SCORE_MINIMUM, 10 * COLUMNS);
    return data;
}

double variance_of(const Images *set) {
    double variance = pixel_variance((size_t)set->count * PIXELS, set->pixels);
    if (variance == 0) fail("%s: all pixels are the same", o.common.data);
    return variance;
}

real *new_images(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * PIXELS * sizeof(real));
}

/* ---- networks -------------------------------------------------------------------------------- */

Vqvae new_autoencoder(Params *p) {
    return vqvae_new(p, (Design){.channels = 1, .hidden = o.hidden, .residual = o.residual,
                                 .codes = o.codes, .dim = o.dim,
                                 .decay = strcmp(o.codebook, "ema") ? 0 : o.decay});
}

Prior new_prior(Params *p) {
    return prior_new(p, (PriorDesign){.codes = o.codes, .classes = SCORE_CLASSES, .width = o.width,
                                      .layers = o.layers, .head = o.head});
}

Vqvae load_autoencoder(Params *params) {
    char *path = path_join(o.common.out, "autoencoder-weights.safetensors");
    checkpoint_options(path, &cli, false);
    Vqvae v = new_autoencoder(params);
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", params}}});
    free(path);
    return v;
}

Model load_model(void) {
    Model m = {0};
    char *path = weights_path(&o.common);
    checkpoint_options(path, &cli, false);
    m.autoencoder = new_autoencoder(&m.of_autoencoder);
    m.prior = new_prior(&m.of_prior);
    checkpoint_load(path, &(Checkpoint){.cli = &cli,
                                        .params = {{"autoencoder.", &m.of_autoencoder},
                                                   {"prior.", &m.of_prior}}});
    free(path);
    return m;
}

void model_free(Model *m) {
    params_free(&m->of_autoencoder), params_free(&m->of_prior);
}

/* ---- pictures as codes ----------------------------------------------------------------------- */

Coded code_first(Arena *arena, const Vqvae *v, const Images *set, int n) {
    if (n > set->count) n = set->count;
    Coded c = {n, arena_get(arena, (size_t)n * sizeof(int)),
               arena_get(arena, (size_t)n * POSITIONS * sizeof(int)), new_images(arena, n),
               new_images(arena, n)};
    images_get(set, n, NULL, 0, 1, c.x, c.labels);
    encode_all(v, n, c.x, c.codes);
    decode_all(v, n, c.codes, c.rebuilt);
    return c;
}

double squared_error(const Coded *c) {
    size_t n = (size_t)c->n * PIXELS;
    return k_sum_squared_difference(n, c->x, c->rebuilt) / (double)n;
}

int *times_chosen(Arena *arena, const Coded *c) {
    int *times = arena_get(arena, (size_t)o.codes * sizeof *times);
    memset(times, 0, (size_t)o.codes * sizeof *times);
    codebook_count(c->n * POSITIONS, c->codes, times);
    return times;
}

Maps maps_of(Arena *arena, const Vqvae *v, const Images *set) {
    enum { AT_ONCE = 1000 };
    size_t n = (size_t)set->count;
    Maps m = {set->count, arena_get(arena, n * POSITIONS * sizeof(int)),
              arena_get(arena, n * sizeof(int))};
    Arena piece = {0};
    real *x = new_images(&piece, AT_ONCE);
    for (int i = 0; i < m.n; i += AT_ONCE) {
        int count = m.n - i < AT_ONCE ? m.n - i : AT_ONCE;
        Images part = images_part(set, i, count);
        images_get(&part, count, NULL, 0, 1, x, m.labels + i);
        encode_all(v, count, x, m.codes + (size_t)i * POSITIONS);
    }
    arena_free(&piece);
    return m;
}

double first_nats(const Prior *p, const Maps *m, int n) {
    return prior_nats(p, n < m->n ? n : m->n, MAP, MAP, m->codes, m->labels);
}
