#include "draw.h"

#include "settings.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

void check_keep(void) {
    if (o.keep < 1 && !garments())
        usage_error("--keep: the classifier knows garments alone; not --config %s",
                    o.common.config);
}

void draw(const Pictures *d, const Models *m, int n, const int *labels, Rng *rng, real *x) {
    Arena arena = {0};
    int N = bottom_codes(d), *top = NULL, *bottom = new_ints(&arena, n * N);
    if (o.levels == 2) {
        top = new_ints(&arena, n * N / 4);
        snail_sample(&m->prior[TOP], n, NULL, labels, o.temperature, rng, top);
    }
    snail_sample(&m->prior[BOTTOM], n, top, labels, o.temperature, rng, bottom);
    rebuild(d, &m->autoencoder, 0, n, top, bottom, x);
    arena_free(&arena);
}

void draw_best(const Pictures *d, const Models *m, const Judge *judge, int n,
                      const int *labels, Rng *rng, real *x) {
    int tries = (int)ceil(1 / o.keep);
    size_t len = (size_t)picture_len(d);
    Arena arena = {0};
    real *all = new_pictures(&arena, d, n * tries), *p;
    real *grey = arena_get(&arena, (size_t)(n * tries) * FASHION_PIXELS * sizeof *grey);
    size_t numbers = (size_t)(n * tries * judge->net.features);
    real *features = arena_get(&arena, numbers * sizeof *features);
    int *asked = new_ints(&arena, n * tries), *taken = new_ints(&arena, n * tries);
    p = arena_get(&arena, (size_t)(n * tries) * FASHION_CLASSES * sizeof *p);
    for (int i = 0; i < n * tries; i++) asked[i] = labels[i % n], taken[i] = 0;
    draw(d, m, n * tries, asked, rng, all);
    garments_of(d, n * tries, all, grey);
    judge_look(judge, n * tries, grey, features, p);
    for (int i = 0; i < n; i++) {
        int best = -1;
        for (int k = 0; k < n * tries; k++) {
            if (taken[k] || asked[k] != labels[i]) continue;
            real sure = p[k * FASHION_CLASSES + labels[i]];
            if (best < 0 || sure > p[best * FASHION_CLASSES + labels[i]]) best = k;
        }
        taken[best] = 1;
        memcpy(x + (size_t)i * len, all + (size_t)best * len, len * sizeof *x);
    }
    arena_free(&arena);
}
