#include "codes.h"

#include "../vqvae.h"
#include "eval/eigen.h"
#include "io/csv.h"

#include <math.h>
#include <string.h>

int *times_chosen(Arena *arena, const Codebook *c, int n, const int *codes) {
    int *times = arena_get(arena, (size_t)c->count * sizeof *times);
    memset(times, 0, (size_t)c->count * sizeof *times);
    codebook_count(n * POSITIONS, codes, times);
    return times;
}

/* mean (D) and covariance (D,D) of the codes, each counted as often as it was chosen; all alike if
 * none ever was */
static void moments(const Codebook *c, const int *times, double *mean, double *covariance) {
    int D = c->dim;
    double n = 0, all_alike = codes_used(c->count, times) == 0;
    memset(mean, 0, (size_t)D * sizeof *mean);
    memset(covariance, 0, (size_t)D * (size_t)D * sizeof *covariance);
    for (int k = 0; k < c->count; k++) n += times[k] + all_alike;
    for (int k = 0; k < c->count; k++)
        for (int i = 0; i < D; i++)
            mean[i] += (times[k] + all_alike) / n * (double)c->table->x[k * D + i];
    for (int k = 0; k < c->count; k++)
        for (int i = 0; i < D; i++)
            for (int j = 0; j < D; j++)
                covariance[i * D + j] += (times[k] + all_alike) / n *
                                         ((double)c->table->x[k * D + i] - mean[i]) *
                                         ((double)c->table->x[k * D + j] - mean[j]);
}

double project_codes(const Codebook *c, const int *times, int axes, double *places) {
    size_t D = (size_t)c->dim;
    Arena arena = {0};
    double *mean = arena_get(&arena, 2 * D * sizeof *mean), *values = mean + D;
    double *covariance = arena_get(&arena, 2 * D * D * sizeof *covariance);
    double *directions = covariance + D * D, all = 0, kept = 0;
    moments(c, times, mean, covariance);
    symmetric_eigen(c->dim, covariance, values, directions);
    memset(places, 0, (size_t)c->count * (size_t)axes * sizeof *places);
    for (size_t a = 0; a < D; a++) {
        all += values[a];
        if (a >= (size_t)axes) continue;
        kept += values[a];
        for (size_t k = 0; k < (size_t)c->count; k++)
            for (size_t i = 0; i < D; i++)
                places[k * (size_t)axes + a] +=
                    ((double)c->table->x[k * D + i] - mean[i]) * directions[a * D + i];
    }
    arena_free(&arena);
    return all > 0 ? kept / all : 1;
}

real *code_colours(Arena *arena, const Codebook *c, const int *times) {
    int K = c->count;
    double *places = arena_get(arena, 3 * (size_t)K * sizeof *places);
    real *rgb = arena_get(arena, 3 * (size_t)K * sizeof *rgb);
    project_codes(c, times, 3, places);
    for (int k = 0; k < K; k++)
        for (int axis = 0; axis < 3; axis++) {
            int rank = 0;
            for (int i = 0; i < K; i++) rank += places[3 * i + axis] < places[3 * k + axis];
            rgb[3 * k + axis] = (real)rank / (real)(K > 1 ? K - 1 : 1);
        }
    return rgb;
}

double save_codebook(const char *folder, const Codebook *c, const int *times) {
    Arena arena = {0};
    double *plane = arena_get(&arena, 2 * (size_t)c->count * sizeof *plane);
    double share = project_codes(c, times, 2, plane);
    const real *rgb = code_colours(&arena, c, times);
    AtomicFile f = csv_create(folder, "codebook.csv", "code,x,y,times,colour");
    for (int k = 0; k < c->count; k++) {
        int colour = 0;
        for (int i = 0; i < 3; i++)
            colour = colour * 256 + (int)lround(255 * (double)rgb[3 * k + i]);
        fprintf(f.stream, "%d,%.5g,%.5g,%d,%d\n", k, plane[2 * k], plane[2 * k + 1], times[k],
                colour);
    }
    file_commit(&f);
    arena_free(&arena);
    return share;
}

void draw_maps(int n, const int *codes, const real *rgb, real *pictures) {
    const int square = IMAGE / MAP;
    for (int i = 0; i < n * PIXELS; i++) {
        int image = i / PIXELS, y = i % PIXELS / IMAGE / square, x = i % IMAGE / square;
        int code = codes[image * POSITIONS + y * MAP + x];
        memcpy(pictures + 3 * (size_t)i, rgb + 3 * code, 3 * sizeof *rgb);
    }
}

void in_colour(size_t n, const real *grey, real *rgb) {
    for (size_t i = 0; i < 3 * n; i++) rgb[i] = grey[i / 3];
}
