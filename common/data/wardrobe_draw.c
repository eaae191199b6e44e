/* wardrobe_draw.c — scenes as pixels. In whole numbers throughout, so that every machine draws the
 * same bytes. */
#include "data/wardrobe.h"

#include "base/error.h"

#include <string.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE, MOST = 64, ONE = 256,
       GROUND = 4,                    /* of 255: up to here Fashion-MNIST is background */
       BRIGHT = 92 };                 /* percent of a garment's pixels that are darker than white */

/* ---- cutting out ----------------------------------------------------------------------------- */

/* A garment without its background, 28x28. */
typedef struct {
    uint8_t shade[PIXELS];            /* 0 its darkest folds, 255 its brightest */
    uint8_t alpha[PIXELS];            /* 255 where it is, less at its edge */
} Cutout;

static uint8_t more(uint8_t a, uint8_t b) { return a > b ? a : b; }
static uint8_t less(uint8_t a, uint8_t b) { return a < b ? a : b; }

/* The largest, or the smallest, of a pixel and its eight neighbours; outside is 0: rows, then
 * columns. */
#define NINE(name, of)                                                                           \
    static void name(const uint8_t *x, uint8_t *out) {                                           \
        uint8_t wide[SIDE + 2] = {0}, row[SIDE + 2][SIDE] = {0};                                 \
        for (int i = 0; i < SIDE; i++) {                                                         \
            memcpy(wide + 1, x + i * SIDE, SIDE);                                                \
            for (int j = 0; j < SIDE; j++)                                                       \
                row[i + 1][j] = of(of(wide[j], wide[j + 1]), wide[j + 2]);                       \
        }                                                                                        \
        for (int i = 0; i < SIDE; i++)                                                           \
            for (int j = 0; j < SIDE; j++)                                                       \
                out[i * SIDE + j] = of(of(row[i][j], row[i + 1][j]), row[i + 2][j]);             \
    }
NINE(largest_of_nine, more)
NINE(smallest_of_nine, less)

/* Where the garment is: what is not black, and small black spots inside of it. Larger ones, as in
 * the handle of a bag, show the ground. */
static void find_garment(const uint8_t *x, uint8_t *inside) {
    uint8_t bright[PIXELS], grown[PIXELS], closed[PIXELS];
    for (int k = 0; k < PIXELS; k++) bright[k] = x[k] > GROUND ? 255 : 0;
    largest_of_nine(bright, grown);
    smallest_of_nine(grown, closed);
    for (int k = 0; k < PIXELS; k++) inside[k] = bright[k] | closed[k];
}

/* the grey below which so many percent of the garment's pixels are */
static int percentile(const uint8_t *x, const uint8_t *inside, int percent) {
    int count[256] = {0}, n = 0, sum = 0;
    for (int k = 0; k < PIXELS; k++) {
        if (!inside[k]) continue;
        count[x[k]]++;
        n++;
    }
    for (int v = 0; v < 256; v++) {
        sum += count[v];
        if (sum * 100 >= n * percent) return v;
    }
    return 255;
}

static int least(int a, int b) {
    return a < b ? a : b;
}

/* A pixel at the edge is a garment's grey mixed with the black behind it. What the brightest of its
 * neighbours has, and at least half of white, is taken for the garment's; the pixel's share of it
 * says how much of the pixel the garment covers. */
static void cut_out(const uint8_t *x, Cutout *c) {
    uint8_t inside[PIXELS], core[PIXELS], brightest[PIXELS];
    find_garment(x, inside);
    smallest_of_nine(inside, core);
    largest_of_nine(x, brightest);
    int white = percentile(x, inside, BRIGHT);
    if (white < 40) white = 40;
    for (int k = 0; k < PIXELS; k++) {
        int grey = core[k] ? x[k] : brightest[k] > white / 2 ? brightest[k] : white / 2;
        c->alpha[k] = (uint8_t)(core[k] ? 255 : inside[k] ? 255 * least(x[k], grey) / grey : 0);
        c->shade[k] = (uint8_t)least(255, 240 * grey / white);
    }
}

/* ---- to size --------------------------------------------------------------------------------- */

/* Four pixels and their weights, which add up to 256, for each of `side` pixels: Catmull and Rom's
 * cubic through the middles of the pixels. */
typedef struct {
    int first[MOST], weight[MOST][4];
} Taps;

static void cubic_taps(int side, Taps *t) {
    for (int i = 0; i < side; i++) {
        int place = ((2 * i + 1) * SIDE * ONE / side - ONE) / 2;      /* in 1/256 of a pixel */
        int whole = (place + 4 * ONE) / ONE - 4, x = place - whole * ONE;
        int64_t y = x, squared = y * y, cubed = squared * y, unit = (int64_t)ONE * ONE;
        t->first[i] = whole - 1;
        t->weight[i][0] = (int)((-cubed + 2 * ONE * squared - unit * y) / (2 * unit));
        t->weight[i][2] = (int)((-3 * cubed + 4 * ONE * squared + unit * y) / (2 * unit));
        t->weight[i][3] = (int)((cubed - ONE * squared) / (2 * unit));
        t->weight[i][1] = ONE - t->weight[i][0] - t->weight[i][2] - t->weight[i][3];
    }
}

/* x (28,28) with a frame of four zeros to y (side,side); the weights of both passes make 2^16 */
static void resize(const Taps *t, int side, const int32_t *x, int32_t *y) {
    enum { ROW = SIDE + 8 };
    int32_t half[MOST * ROW];                          /* (side,28+8): rows are done */
    for (int i = 0; i < side; i++) {
        const int *w = t->weight[i];
        const int32_t *r = x + (t->first[i] + 4) * ROW;
        for (int j = 0; j < ROW; j++) {
            half[i * ROW + j] = w[0] * r[j] + w[1] * r[ROW + j] + w[2] * r[2 * ROW + j] +
                                w[3] * r[3 * ROW + j];
        }
    }
    for (int j = 0; j < side; j++) {
        const int *w = t->weight[j];
        const int32_t *r = half + t->first[j] + 4;
        for (int i = 0; i < side; i++, r += ROW) {
            y[i * side + j] = (w[0] * r[0] + w[1] * r[1] + w[2] * r[2] + w[3] * r[3]) >> 16;
        }
    }
}

/* The cutout at `side` pixels: shade is averaged with alpha as its weight, so that no background
 * gets into it; alpha is made steeper, as it is about as wide as an edge was. */
static void enlarge(const Cutout *c, int side, uint8_t *shade, uint8_t *alpha) {
    enum { ROW = SIDE + 8 };
    int32_t a[ROW * ROW] = {0}, s[ROW * ROW] = {0}, big_a[MOST * MOST], big_s[MOST * MOST];
    Taps taps = {0};
    for (int k = 0; k < PIXELS; k++) {
        int to = (k / SIDE + 4) * ROW + k % SIDE + 4;
        a[to] = c->alpha[k];
        s[to] = c->alpha[k] * c->shade[k] / 8;
    }
    cubic_taps(side, &taps);
    resize(&taps, side, a, big_a);
    resize(&taps, side, s, big_s);
    for (int k = 0; k < side * side; k++) {
        int solid = big_a[k] < 0 ? 0 : big_a[k], value = solid ? 8 * big_s[k] / solid : 0;
        int steep = 2 * solid - 112;
        shade[k] = (uint8_t)(value < 0 ? 0 : least(255, value));
        alpha[k] = (uint8_t)(steep < 0 ? 0 : least(255, steep));
    }
}

/* ---- colours --------------------------------------------------------------------------------- */

const uint8_t wardrobe_palette[WARDROBE_COLOURS][3] = {
    {217, 37, 42},  {247, 131, 24}, {255, 219, 36}, {42, 160, 70},  {34, 199, 199},
    {40, 92, 214},  {126, 58, 186}, {252, 146, 200}, {126, 74, 34}, {144, 144, 144}};

/* what becomes of each grey: multiplied into the colour from 35 % of its brightness on, then the
 * lightest screened towards white */
static void tint_table(int colour, uint8_t table[256][3]) {
    enum { BASE = 35, HIGHLIGHT_FROM = 190, HIGHLIGHT = 110 };
    for (int v = 0; v < 256; v++) {
        int percent = BASE * 255 + (100 - BASE) * v;                 /* of 100 * 255 */
        int over = v > HIGHLIGHT_FROM ? v - HIGHLIGHT_FROM : 0;
        int light = HIGHLIGHT * over * over / ((255 - HIGHLIGHT_FROM) * (255 - HIGHLIGHT_FROM));
        for (int c = 0; c < 3; c++) {
            int multiplied = wardrobe_palette[colour][c] * percent / (100 * 255);
            table[v][c] = (uint8_t)(255 - (255 - multiplied) * (255 - light) / 255);
        }
    }
}

/* ---- a scene --------------------------------------------------------------------------------- */

typedef struct {
    int size;
    uint8_t *pixels, *map, *mask;
} Canvas;

static void grow_box(Garment *g, int i, int j) {
    int bottom = g->box.top + g->box.height, right = g->box.left + g->box.width;
    if (!g->box.height) g->box.top = i, g->box.left = j, bottom = i, right = j;
    if (i < g->box.top) g->box.top = i;
    if (j < g->box.left) g->box.left = j;
    g->box.height = (i + 1 > bottom ? i + 1 : bottom) - g->box.top;
    g->box.width = (j + 1 > right ? j + 1 : right) - g->box.left;
}

static void draw_garment(const Canvas *v, const uint8_t *image, Garment *g, int which) {
    uint8_t shade[MOST * MOST], alpha[MOST * MOST], tint[256][3];
    Cutout c;
    cut_out(image, &c);
    enlarge(&c, g->side, shade, alpha);
    tint_table(g->colour, tint);
    memset(&g->box, 0, sizeof g->box);
    for (int k = 0; k < g->side * g->side; k++) {
        int i = g->top + k / g->side, j = g->left + k % g->side, a = alpha[k];
        if (!a || i < 0 || j < 0 || i >= v->size || j >= v->size) continue;
        int pixel = i * v->size + j;
        uint8_t *p = v->pixels + 3 * pixel;
        for (int n = 0; n < 3; n++) {
            p[n] = (uint8_t)((a * tint[shade[k]][n] + (255 - a) * p[n] + 127) / 255);
        }
        grow_box(g, i, j);
        if (a < 128) continue;
        if (v->map) v->map[pixel] = (uint8_t)(1 + g->class);
        if (v->mask) v->mask[pixel] = (uint8_t)(1 + which);
    }
}

void wardrobe_draw(const Wardrobe *w, Part part, Scene *s, uint8_t *pixels, uint8_t *map,
                   uint8_t *mask) {
    int n = w->size * w->size;
    const Canvas v = {w->size, pixels, map, mask};
    for (int k = 0; k < 3 * n; k++) pixels[k] = s->ground[k % 3];
    if (map) memset(map, 0, (size_t)n);
    if (mask) memset(mask, 0, (size_t)n);
    for (int i = 0; i < s->count; i++) {
        Garment *g = &s->garment[i];
        if (g->side < 1 || g->side > MOST) die("wardrobe_draw: a garment of %d pixels", g->side);
        if (g->image < 0 || g->image >= w->garments[part]->count) {
            die("wardrobe_draw: garment %d of %d", g->image, w->garments[part]->count);
        }
        draw_garment(&v, w->garments[part]->pixels + (size_t)g->image * PIXELS, g, i);
    }
}
