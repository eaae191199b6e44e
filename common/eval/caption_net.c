#include "eval/caption_net.h"

#include <math.h>

/* parts of a cell's outputs, and of the scene's */
enum { AT_CLASS = 1, AT_COLOUR = AT_CLASS + WARDROBE_CLASSES,
       AT_BOX = AT_COLOUR + WARDROBE_COLOURS, SHOWN = WARDROBE_CLASSES + WARDROBE_COLOURS };

/* ---- the network ----------------------------------------------------------------------------- */

CaptionNet caption_net_new(Params *p) {
    static const int width[6] = {3, 24, 40, 64, 96, 96};
    Scope s = scope(p, "%s", "");
    Scope before_relu = with_init(s, (LayerInit){WEIGHTS_KAIMING, .zero_bias = true});
    CaptionNet c;
    for (int i = 0; i < 5; i++) {
        int kernel = i ? 3 : 4, stride = i ? 1 : 2;
        c.conv[i] = conv2d_new(sub(before_relu, "conv.%d", i), width[i], width[i + 1], kernel,
                               stride, 1, true);
    }
    c.cells = conv2d_new(sub(s, "cells"), width[5], CELL_OUTPUTS, 1, 1, 0, true);
    c.features = linear_new(sub(s, "features"), 4 * 4 * width[5], CAPTION_FEATURES, true);
    c.scene = linear_new(sub(s, "scene"), CAPTION_FEATURES, SHOWN + RELATIONS, true);
    return c;
}

CaptionOutput caption_net(const CaptionNet *c, Tensor *x) {
    Tensor *h = t_relu(conv2d(&c->conv[0], x));                     /* (B,32,32,24) */
    h = t_relu(t_max_pool2(conv2d(&c->conv[1], h)));                /* (B,16,16,40) */
    h = t_relu(t_max_pool2(conv2d(&c->conv[2], h)));                /* (B,8,8,64) */
    h = t_relu(conv2d(&c->conv[3], h));
    h = t_relu(conv2d(&c->conv[4], h));                             /* (B,8,8,96) */
    CaptionOutput y = {.cells = conv2d(&c->cells, h)};
    Tensor *pooled = t_avg_pool2(h);                                /* (B,4,4,96) */
    y.features = linear(&c->features, t_reshape(pooled, SHAPE(x->shape[0], -1)));
    y.scene = linear(&c->scene, t_relu(y.features));
    return y;
}

/* ---- crops ----------------------------------------------------------------------------------- */

enum { CROP = 32 };

const ClassifierConfig garment_classifier = {
    .height = CROP, .width = CROP, .channels = 3, .filters = {24, 48, 96}, .features = 64,
    .classes = WARDROBE_CLASSES};

real garment_crop_side(real height, real width) {
    real side = (height > width ? height : width) * (real)1.1;
    return side < 8 ? 8 : side > 2 * NET_SIDE ? 2 * NET_SIDE : side;
}

/* the two pixels beside a place, and how far it is from the first to the second */
static void between(real place, int *low, int *high, real *part) {
    real inside = place < 0 ? 0 : place > NET_SIDE - 1 ? NET_SIDE - 1 : place;
    *low = (int)inside;
    *high = *low + 1 < NET_SIDE ? *low + 1 : *low;
    *part = inside - (real)*low;
}

void garment_crop(const real *picture, real y, real x, real side, real *crop) {
    const real half = (real)0.5;
    for (int k = 0; k < CROP * CROP; k++) {
        int i0, i1, j0, j1;
        real u, v;
        real down = ((real)(k / CROP) + half - CROP / 2) * side / CROP - half;
        real right = ((real)(k % CROP) + half - CROP / 2) * side / CROP - half;
        between(y + down, &i0, &i1, &u);
        between(x + right, &j0, &j1, &v);
        for (int c = 0; c < 3; c++) {
            real top = picture[(i0 * NET_SIDE + j0) * 3 + c] * (1 - v) +
                       picture[(i0 * NET_SIDE + j1) * 3 + c] * v;
            real bottom = picture[(i1 * NET_SIDE + j0) * 3 + c] * (1 - v) +
                          picture[(i1 * NET_SIDE + j1) * 3 + c] * v;
            crop[k * 3 + c] = top * (1 - u) + bottom * u;
        }
    }
}

/* ---- what it should say ---------------------------------------------------------------------- */

/* Targets of a batch; arrays on the tape, as leaves. */
typedef struct {
    Tensor *here, *box, *box_mask, *shown;     /* (B,8,8,1), (B,8,8,4), the same, (B,20) */
    int *class, *colour, *relation;            /* (B*64), -1 where no garment is; (B) */
} Targets;

static Tensor *zeros(Tape *t, int rank, const int *shape) {
    Tensor *x = t_input(t, NULL, rank, shape);
    k_fill(x->len, 0, x->x);
    return x;
}

static void set_garment(Targets *t, int i, const Garment *g) {
    real y = (real)(2 * g->box.top + g->box.height) / (2 * CELL);    /* its middle, in cells */
    real x = (real)(2 * g->box.left + g->box.width) / (2 * CELL);
    int row = y < CELLS ? (int)y : CELLS - 1, column = x < CELLS ? (int)x : CELLS - 1;
    int cell = (i * CELLS + row) * CELLS + column;
    const real box[4] = {y - row, x - column, (real)g->box.height / CELL,
                         (real)g->box.width / CELL};
    t->here->x[cell] = 1;
    t->class[cell] = g->class;
    t->colour[cell] = g->colour;
    for (int k = 0; k < 4; k++) t->box->x[4 * cell + k] = box[k], t->box_mask->x[4 * cell + k] = 1;
    t->shown->x[i * SHOWN + g->class] = t->shown->x[i * SHOWN + WARDROBE_CLASSES + g->colour] = 1;
}

static Targets targets_new(Tape *tape, int n, const Scene *scenes) {
    int cells = n * CELLS * CELLS;
    int *numbers = arena_get(&tape->arena, (2 * (size_t)cells + (size_t)n) * sizeof *numbers);
    Targets t = {.here = zeros(tape, SHAPE(n, CELLS, CELLS, 1)),
                 .class = numbers, .colour = numbers + cells, .relation = numbers + 2 * cells};
    t.box = zeros(tape, SHAPE(n, CELLS, CELLS, 4));
    t.box_mask = zeros(tape, SHAPE(n, CELLS, CELLS, 4));
    t.shown = zeros(tape, SHAPE(n, SHOWN));
    for (int k = 0; k < 2 * cells; k++) numbers[k] = -1;
    for (int i = 0; i < n; i++) {
        for (int g = 0; g < scenes[i].count; g++) set_garment(&t, i, &scenes[i].garment[g]);
        t.relation[i] = (int)scenes[i].relation;
    }
    return t;
}

/* The relation that a picture shows, described from either garment: RIGHT_OF is LEFT_OF exchanged. */
static void fold_relations(int n, int *relation) {
    for (int i = 0; i < n; i++) {
        if (relation[i] == RIGHT_OF) relation[i] = LEFT_OF;
        if (relation[i] == BELOW) relation[i] = ABOVE;
    }
}

Tensor *caption_loss(const CaptionOutput *y, int n, const Scene *scenes) {
    /* each loss is a mean; the weights make the one of few cells, and of boxes, count */
    const double here_weight = 20, box_weight = 20, shown_weight = 4;
    Tape *tape = y->cells->tape;
    Targets t = targets_new(tape, n, scenes);
    fold_relations(n, t.relation);
    Tensor *loss = t_scale(t_bce_logits(t_slice(y->cells, -1, 0, 1), t.here), here_weight);
    Tensor *class = t_slice(y->cells, -1, AT_CLASS, WARDROBE_CLASSES);
    loss = t_add(loss, t_cross_entropy(class, t.class));
    Tensor *colour = t_slice(y->cells, -1, AT_COLOUR, WARDROBE_COLOURS);
    loss = t_add(loss, t_cross_entropy(colour, t.colour));
    Tensor *box = t_mul(t_slice(y->cells, -1, AT_BOX, 4), t.box_mask);
    loss = t_add(loss, t_scale(t_l1(box, t.box), box_weight));
    Tensor *shown = t_bce_logits(t_slice(y->scene, -1, 0, SHOWN), t.shown);
    loss = t_add(loss, t_scale(shown, shown_weight));
    return t_add(loss, t_cross_entropy(t_slice(y->scene, -1, SHOWN, RELATIONS), t.relation));
}
