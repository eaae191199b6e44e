#include "condition_picture.h"

#include <string.h>

enum { SIDE = SCENE_SIDE, PIXELS = SIDE * SIDE };

/* a colour for each label: the ground, then the classes */
static void label_colour(int label, real *rgb) {
    static const uint8_t colours[SCENE_LABELS][3] = {
        {240, 240, 240}, {214, 39, 40}, {31, 119, 180}, {44, 160, 44}, {255, 127, 14},
        {148, 103, 189}, {140, 86, 75}, {227, 119, 194}, {127, 127, 127}, {188, 189, 34},
        {23, 190, 207}};
    for (int c = 0; c < 3; c++) rgb[c] = (real)(colours[label][c] / 127.5 - 1);
}

static void draw_map(const uint8_t *map, real *x) {
    for (int k = 0; k < PIXELS; k++) label_colour(map[k], x + 3 * k);
}

/* in the garment's colour */
static void draw_box(const Garment *g, real *x) {
    real rgb[3];
    for (int c = 0; c < 3; c++) rgb[c] = (real)(wardrobe_palette[g->colour][c] / 127.5 - 1);
    int bottom = g->box.top + g->box.height - 1, right = g->box.left + g->box.width - 1;
    for (int i = g->box.top; i <= bottom; i++)
        for (int j = g->box.left; j <= right; j++)
            if (i == g->box.top || i == bottom || j == g->box.left || j == right)
                memcpy(x + (i * SIDE + j) * 3, rgb, sizeof rgb);
}

static void draw_boxes(const Scene *s, real *x) {
    for (int k = 0; k < 3 * PIXELS; k++) x[k] = 1;
    for (int g = 0; g < s->count; g++) draw_box(&s->garment[g], x);
}

static void draw_hole(const real *image, const uint8_t *hole, real *x) {
    for (int k = 0; k < 3 * PIXELS; k++) x[k] = hole[k / 3] ? 0 : image[k];
}

/* means over f x f pixels, each as large a square again */
static void draw_small(const real *image, int f, real *x) {
    for (int k = 0; k < 3 * PIXELS; k++) {
        int i = k / 3 / SIDE / f * f, j = k / 3 % SIDE / f * f;
        double sum = 0;
        for (int u = 0; u < f * f; u++)
            sum += (double)image[((i + u / f) * SIDE + j + u % f) * 3 + k % 3];
        x[k] = (real)(sum / (f * f));
    }
}

void condition_picture(Condition kind, const Pictures *p, int i, int factor, real *x) {
    const real *image = p->images + (size_t)i * PIXELS * 3;
    switch (kind) {
    case LAYOUT: draw_boxes(&p->scenes[i], x); break;
    case SEMANTIC: draw_map(p->map + (size_t)i * PIXELS, x); break;
    case INPAINT: draw_hole(image, p->hole + (size_t)i * PIXELS, x); break;
    case SUPER_RESOLUTION: draw_small(image, factor, x); break;
    default: memcpy(x, image, 3 * PIXELS * sizeof *x);
    }
}

void save_conditions(const Cli *cli, char *path, Condition kind, int factor, const Pictures *p,
                     const real *x) {
    enum { MOST = 12 };
    Arena arena = {0};
    int n = p->n < MOST ? p->n : MOST;
    size_t row = (size_t)n * PIXELS * 3;
    real *all = arena_get(&arena, 3 * row * sizeof *all);
    for (int i = 0; i < n; i++)
        condition_picture(kind, p, i, factor, all + (size_t)i * PIXELS * 3);
    memcpy(all + row, x, row * sizeof *all);
    memcpy(all + 2 * row, p->images, row * sizeof *all);
    const char **below = arena_get(&arena, (size_t)(3 * n) * sizeof *below);
    for (int i = 0; i < 3 * n; i++) below[i] = i < 2 * n ? "" : p->captions[i - 2 * n];
    Grid g = colour_grid(3 * n, SIDE, n, is_attended(kind) ? below : NULL);
    g.row_labels = "given|drawn|scene";
    save_grid(cli, path, all, g);
    arena_free(&arena);
}
