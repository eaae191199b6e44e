/* nets_mae.c — a masked autoencoder (He et al. 2021) on 28x28 grey images: patches of 4x4, three
 * quarters hidden, 6 encoder blocks that see the 12 visible patches and a class token, 2 decoder
 * blocks that see all 49; 192 wide, 3 heads; squared error on the hidden patches. AdamW. */
#include "nets.h"

#include <math.h>
#include <string.h>

enum { SIDE = 28, PATCH = 4, GRID = SIDE / PATCH, PATCHES = GRID * GRID };
enum { VISIBLE = PATCHES / 4, HIDDEN = PATCHES - VISIBLE };
enum { CHANNELS = 192, HEADS = 3, DEEP = 6, SHALLOW = 2, PIXELS = PATCH * PATCH };

typedef struct {
    Conv2d embed;
    Tensor *class_token, *mask_token;        /* (1,192) */
    Transformer encoder, decoder;
    LayerNorm encoder_norm, decoder_norm;
    Linear to_decoder, to_pixels;
    const real *images, *positions;          /* positions (49,192), fixed */
    int *visible, *hidden;                   /* rows of (B*49, .) that are seen, and not */
    int *restore;                            /* for each of the decoder's B*50 tokens: its row among
                                                the encoder's B*13, or B*13 for the mask token */
} Mae;

/* Sine and cosine of the column in the first half, of the row in the second. */
static const real *position_table(Training *t) {
    real *table = input_buffer(t, "positions", SHAPE(PATCHES, CHANNELS));
    for (int p = 0; p < PATCHES; p++) {
        for (int i = 0; i < CHANNELS / 4; i++) {
            double frequency = pow(1e-4, i / (CHANNELS / 4.0));
            real *row = table + p * CHANNELS + i;
            row[0] = (real)sin(p % GRID * frequency);
            row[CHANNELS / 4] = (real)cos(p % GRID * frequency);
            row[CHANNELS / 2] = (real)sin(p / GRID * frequency);
            row[CHANNELS / 4 * 3] = (real)cos(p / GRID * frequency);
        }
    }
    return table;
}

/* Every image hides its own patches: the first 12 of a shuffle are seen. */
static void shuffle(Training *t, Mae *m) {
    int B = t->batch, order[PATCHES];
    real *orders = input_buffer(t, "order", SHAPE(B, PATCHES));
    Rng r = rng_new(t->input.seed, "order");
    m->visible = arena_get(&t->input.arena, (size_t)(B * VISIBLE) * sizeof(int));
    m->hidden = arena_get(&t->input.arena, (size_t)(B * HIDDEN) * sizeof(int));
    m->restore = arena_get(&t->input.arena, (size_t)(B * (PATCHES + 1)) * sizeof(int));
    for (int b = 0; b < B; b++) {
        rng_permutation(&r, PATCHES, order);
        int *restore = m->restore + b * (PATCHES + 1), first = b * (VISIBLE + 1);
        restore[0] = first;                  /* the class token */
        for (int i = 0; i < PATCHES; i++) {
            int row = b * PATCHES + order[i];
            if (i < VISIBLE) m->visible[b * VISIBLE + i] = row;
            else m->hidden[b * HIDDEN + i - VISIBLE] = row;
            restore[1 + order[i]] = i < VISIBLE ? first + 1 + i : B * (VISIBLE + 1);
            orders[b * PATCHES + i] = (real)order[i];
        }
    }
}

#define VIT .width = CHANNELS, .heads = HEADS, .eps = 1e-6, .activation = GELU

static void build(Training *t) {
    Mae *m = net_alloc(t, sizeof *m);
    Params *p = &t->params[0];
    Scope top = {.params = p};
    t->adam[0] = (Adam){.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.05,
                        .decay_matrices_only = true};
    m->embed = conv2d_new(scope(p, "embed"), 1, CHANNELS, PATCH, PATCH, 0, true);
    m->class_token = param(top, "class_token", INIT_NORMAL, .02, SHAPE(1, CHANNELS));
    m->mask_token = param(top, "mask_token", INIT_NORMAL, .02, SHAPE(1, CHANNELS));
    m->encoder = transformer_new(scope(p, "encoder"), &(TransformerConfig){VIT, .depth = DEEP});
    m->encoder_norm = layer_norm_new(scope(p, "encoder_norm"), CHANNELS, 1e-6);
    m->to_decoder = linear_new(scope(p, "to_decoder"), CHANNELS, CHANNELS, true);
    m->decoder = transformer_new(scope(p, "decoder"), &(TransformerConfig){VIT, .depth = SHALLOW});
    m->decoder_norm = layer_norm_new(scope(p, "decoder_norm"), CHANNELS, 1e-6);
    m->to_pixels = linear_new(scope(p, "to_pixels"), CHANNELS, PIXELS, true);
    m->images = input_uniform(t, "images", 0, 1, SHAPE(t->batch, SIDE, SIDE, 1));
    m->positions = position_table(t);
    shuffle(t, m);
}

/* (B,28,28,1) -> (B*49,16): with one channel, four axes are enough to cut an image up */
static Tensor *patchify(Tensor *x) {
    int B = x->shape[0];
    Tensor *rows = t_reshape(x, SHAPE(B * GRID, PATCH, GRID, PATCH));
    return t_reshape(t_permute(rows, 4, (int[]){0, 2, 1, 3}), SHAPE(B * PATCHES, PIXELS));
}

/* images (B,28,28,1) -> (B*13,192): the class token and what is made of the visible patches */
static Tensor *encode(const Mae *m, Tensor *images) {
    int B = images->shape[0];
    Tensor *x = t_reshape(conv2d(&m->embed, images), SHAPE(B, PATCHES, CHANNELS));
    x = t_add(x, t_input(x->tape, m->positions, SHAPE(PATCHES, CHANNELS)));
    x = t_gather_rows(t_reshape(x, SHAPE(-1, CHANNELS)), m->visible, B * VISIBLE);
    Tensor *token = t_input(x->tape, NULL, SHAPE(B, 1, CHANNELS));
    k_fill(token->len, 0, token->x);
    token = t_add(token, m->class_token);                           /* B times */
    x = t_concat(token, t_reshape(x, SHAPE(B, VISIBLE, CHANNELS)), 1);
    x = transformer(&m->encoder, x, (Attention){0});
    return t_reshape(layer_norm(&m->encoder_norm, x), SHAPE(-1, CHANNELS));
}

/* (B*13,192) -> (B*49,16): mask tokens go where patches are missing, all at their positions */
static Tensor *decode(const Mae *m, Tensor *x, int B) {
    x = t_concat(linear(&m->to_decoder, x), t_use(x->tape, m->mask_token), 0);
    x = t_gather_rows(x, m->restore, B * (PATCHES + 1));
    Tensor *positions = t_input(x->tape, NULL, SHAPE(PATCHES + 1, CHANNELS));
    k_fill(CHANNELS, 0, positions->x);                              /* the class token has none */
    memcpy(positions->x + CHANNELS, m->positions, PATCHES * CHANNELS * sizeof(real));
    x = t_add(t_reshape(x, SHAPE(B, PATCHES + 1, CHANNELS)), positions);
    x = transformer(&m->decoder, x, (Attention){0});
    x = linear(&m->to_pixels, layer_norm(&m->decoder_norm, x));
    return t_reshape(t_slice(x, 1, 1, PATCHES), SHAPE(B * PATCHES, PIXELS));
}

static double step(Training *t) {
    const Mae *m = t->net;
    int n = t->batch * HIDDEN;
    Tensor *images = t_input(&t->tape, m->images, SHAPE(t->batch, SIDE, SIDE, 1));
    Tensor *y = decode(m, encode(m, images), t->batch);
    Tensor *target = t_gather_rows(patchify(images), m->hidden, n);
    return descend(t, 0, t_mse(t_gather_rows(y, m->hidden, n), target), 1e-3);
}

const NetKind net_mae = {"mae", "MAE 6+2 blocks, 192 wide", 128, false, build, step};
