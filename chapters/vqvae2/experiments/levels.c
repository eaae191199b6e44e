#include "levels.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PARTS_MEASURED = 3, MOST = 2000 };

static const char *const part_names[] = {"train", "validation", "test"};
static const Images *part(const ImageSet *d, int k) {
    return k == 0 ? &d->train : k == 1 ? &d->validation : &d->test;
}

__attribute__((format(printf, 2, 3))) static void say(const Cli *cli, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (!cli->common->quiet) vprintf(format, args);
    va_end(args);
}

/* ---- the autoencoder ------------------------------------------------------------------------- */

static void measure_errors(const Cli *cli, const ImageSet *d, const Vqvae2 *v, int k,
                           const Codes *c, cJSON *row) {
    static const char *const names[] = {"both", "top_only", "bottom_only"};
    for (int levels = 0; levels < (v->c.levels == 2 ? 3 : 1); levels++) {
        double error = relative_error(d, v, part(d, k), c, (Levels)levels);
        json_number(row, names[levels], error);
        say(cli, "%-10s  %-11s  error / variance %.4f\n", part_names[k], names[levels], error);
    }
}

static void measure_use(const Cli *cli, const Vqvae2 *v, int k, const Codes *c, cJSON *row) {
    int K = v->c.codes;
    Arena arena = {0};
    for (int s = v->c.levels == 2 ? TOP : BOTTOM; s <= BOTTOM; s++) {
        const int *times = times_chosen(&arena, v, c, s);
        double perplexity = codebook_perplexity(K, times);
        json_number(row, arena_text(&arena, "perplexity_%s", stage_names[s]), perplexity);
        json_number(row, arena_text(&arena, "codes_used_%s", stage_names[s]), codes_used(K, times));
        say(cli, "%-10s  %-11s  %d of %d codes used, perplexity %.1f\n", part_names[k],
            stage_names[s], codes_used(K, times), K, perplexity);
    }
    arena_free(&arena);
}

void report_autoencoder(const Cli *cli, const ImageSet *d, const Vqvae2 *v, cJSON *metrics) {
    int positions = d->size * d->size / 16;
    if (v->c.levels == 2) positions += positions / 4;
    json_number(metrics, "variance", image_set_variance(d));
    json_number(metrics, "bits_per_picture", log2(v->c.codes) * positions);
    for (int k = 0; k < PARTS_MEASURED; k++) {
        Arena arena = {0};
        Codes c = encode_set(&arena, d, v, part(d, k), MOST);
        cJSON *row = json_object();
        json_number(row, "pictures", c.n);
        measure_errors(cli, d, v, k, &c, row);
        measure_use(cli, v, k, &c, row);
        json_item(metrics, part_names[k], row);
        arena_free(&arena);
    }
}

/* ---- the priors ------------------------------------------------------------------------------ */

/* the codes with the top of another image of the same class, where there is one */
static Codes with_other_tops(Arena *arena, const Codes *c) {
    Codes other = *c;
    size_t N = (size_t)c->positions[TOP];
    other.z[TOP] = arena_get(arena, (size_t)c->n * N * sizeof(int));
    for (int i = 0; i < c->n; i++) {
        int j = (i + 1) % c->n;
        while (j != i && c->labels[j] != c->labels[i]) j = (j + 1) % c->n;
        memcpy(other.z[TOP] + (size_t)i * N, c->z[TOP] + (size_t)j * N, N * sizeof(int));
    }
    return other;
}

static void measure_nats(const Cli *cli, const Model *m, int k, const Codes *c, cJSON *row) {
    Arena arena = {0};
    double bottom = nats_per_code(m, BOTTOM, c), total = c->positions[BOTTOM] * bottom;
    json_number(row, "nats_bottom", bottom);
    say(cli, "%-10s  bottom %.3f", part_names[k], bottom);
    if (m->autoencoder.c.levels == 2) {
        Codes other = with_other_tops(&arena, c);
        double top = nats_per_code(m, TOP, c), exchanged = nats_per_code(m, BOTTOM, &other);
        total += c->positions[TOP] * top;
        json_number(row, "nats_top", top);
        json_number(row, "nats_bottom_of_another_top", exchanged);
        say(cli, "  top %.3f  bottom with another picture's top %.3f", top, exchanged);
    }
    json_number(row, "code_bits_per_picture", total / log(2));
    say(cli, "  %.1f bits a picture\n", total / log(2));
    arena_free(&arena);
}

void report_priors(const Cli *cli, const ImageSet *d, const Model *m, cJSON *metrics) {
    double uniform = log(m->autoencoder.c.codes);
    json_number(metrics, "uniform_nats", uniform);
    say(cli, "\nnats a code (uniform: %.3f)\n", uniform);
    for (int k = 0; k < PARTS_MEASURED; k++) {
        Arena arena = {0};
        Codes c = encode_set(&arena, d, &m->autoencoder, part(d, k), MOST);
        measure_nats(cli, m, k, &c, cJSON_GetObjectItem(metrics, part_names[k]));
        arena_free(&arena);
    }
}
