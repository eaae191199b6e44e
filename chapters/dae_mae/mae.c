#include "mae.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* ---- networks -------------------------------------------------------------------------------- */

static MaeShape vit(int patch, int width, int depth, int heads) {
    return (MaeShape){.side = 224, .channels = 3, .patch = patch, .width = width, .depth = depth,
                      .heads = heads, .decoder_width = 512, .decoder_depth = 8,
                      .decoder_heads = 16, .mlp_ratio = 4, .eps = 1e-6};
}

MaeShape mae_shape_named(const char *config) {
    if (!strcmp(config, "vit-b16")) return vit(16, 768, 12, 12);
    if (!strcmp(config, "vit-l16")) return vit(16, 1024, 24, 16);
    if (!strcmp(config, "vit-h14")) return vit(14, 1280, 32, 16);
    return (MaeShape){.side = 28, .channels = 1, .patch = 4, .width = 128, .depth = 4, .heads = 4,
                      .decoder_width = 64, .decoder_depth = 2, .decoder_heads = 4, .mlp_ratio = 4,
                      .eps = 1e-6};
}

static int grid_of(const MaeShape *s) {
    return s->side / s->patch;
}

int patches_of(const MaeShape *s) {
    return grid_of(s) * grid_of(s);
}

int patch_numbers(const MaeShape *s) {
    return s->patch * s->patch * s->channels;
}

/* Linear layers as the authors start them; for qkv, fan_out is that of the three together. */
static const LayerInit xavier = {WEIGHTS_XAVIER, .zero_bias = true};

static Transformer blocks_new(Scope s, int depth, int width, int heads, const MaeShape *shape) {
    TransformerConfig d = {.width = width, .depth = depth, .heads = heads, .eps = shape->eps,
                           .hidden = (int)(width * shape->mlp_ratio), .activation = GELU};
    return transformer_new(with_init(s, xavier), &d);
}

static Tensor *positions_new(Scope s, const char *name, int grid, int width) {
    Tensor *table = buffer(s, name, 0, SHAPE(1, 1 + grid * grid, width));
    sin_cos_positions(grid, width, table->x);
    return table;
}

static void check_shape(const MaeShape *s) {
    if (s->side % s->patch || s->width % s->heads || s->decoder_width % s->decoder_heads ||
        s->width % 4 || s->decoder_width % 4)
        die("mae: %d pixels in patches of %d, width %d for %d heads, decoder %d for %d: each must "
            "be a multiple, and widths of 4", s->side, s->patch, s->width, s->heads,
            s->decoder_width, s->decoder_heads);
}

Encoder encoder_new(Params *p, MaeShape shape) {
    check_shape(&shape);
    Scope top = {.params = p};
    Encoder e = {.shape = shape};
    int k = shape.patch, width = shape.width;
    /* Glorot's bound for the linear map of a patch that it is */
    LayerInit linear_map = {WEIGHTS_UNIFORM, .scale = sqrt(6.0 / (patch_numbers(&shape) + width))};
    e.cls_token = param(top, "cls_token", INIT_NORMAL, 0.02, SHAPE(1, 1, width));
    e.pos_embed = positions_new(top, "pos_embed", grid_of(&shape), width);
    if (shape.mask_tokens_in_encoder)
        e.mask_token = param(top, "mask_token", INIT_NORMAL, 0.02, SHAPE(1, 1, width));
    e.patch_embed = conv2d_new(with_init(scope(p, "patch_embed.proj"), linear_map), shape.channels,
                               width, k, k, 0, true);
    e.blocks = blocks_new(scope(p, "blocks"), shape.depth, width, shape.heads, &shape);
    e.norm = layer_norm_new(scope(p, "norm"), width, shape.eps);
    return e;
}

Mae mae_new(Params *p, MaeShape shape) {
    Scope top = {.params = p};
    Mae a = {.shape = shape, .encoder = encoder_new(p, shape)};
    int width = shape.decoder_width;
    a.decoder_embed = linear_new(with_init(scope(p, "decoder_embed"), xavier), shape.width, width,
                                 true);
    if (!shape.mask_tokens_in_encoder)
        a.mask_token = param(top, "mask_token", INIT_NORMAL, 0.02, SHAPE(1, 1, width));
    a.decoder_pos_embed = positions_new(top, "decoder_pos_embed", grid_of(&shape), width);
    a.decoder_blocks = blocks_new(scope(p, "decoder_blocks"), shape.decoder_depth, width,
                                  shape.decoder_heads, &shape);
    a.decoder_norm = layer_norm_new(scope(p, "decoder_norm"), width, shape.eps);
    a.decoder_pred = linear_new(with_init(scope(p, "decoder_pred"), xavier), width,
                                patch_numbers(&shape), true);
    return a;
}

size_t parameters_with_tables(const Params *p) {
    size_t n = 0;
    for (int i = 0; i < p->count; i++) n += p->list[i]->len;
    return n;
}

void sin_cos_positions(int grid, int width, real *table) {
    int quarter = width / 4;
    k_fill((size_t)width, 0, table);
    for (int place = 0; place < grid * grid; place++) {
        real *row = table + (size_t)(1 + place) * (size_t)width;
        for (int i = 0; i < quarter; i++) {
            double omega = pow(10000, -i / (double)quarter);
            int column = place % grid, line = place / grid;
            row[i] = (real)sin(column * omega);
            row[quarter + i] = (real)cos(column * omega);
            row[2 * quarter + i] = (real)sin(line * omega);
            row[3 * quarter + i] = (real)cos(line * omega);
        }
    }
}

/* ---- masks ----------------------------------------------------------------------------------- */

static Mask mask_new(Arena *a, int B, int N, int keep) {
    size_t bytes = (size_t)B * (size_t)N * sizeof(int);
    return (Mask){B, N, keep, arena_get(a, bytes), arena_get(a, bytes)};
}

/* order: the patches 0..n-1 by rising noise; equal ones by number */
static void argsort(int n, const real *noise, int *order) {
    for (int i = 0; i < n; i++) {
        int j = i;
        for (; j > 0 && noise[order[j - 1]] > noise[i]; j--) order[j] = order[j - 1];
        order[j] = i;
    }
}

Mask mask_from_noise(Arena *a, int B, int N, double ratio, const real *noise) {
    Mask m = mask_new(a, B, N, (int)(N * (1 - ratio)));
    if (m.keep < 1) die("mask_from_noise: of %d patches none is left at a ratio of %g", N, ratio);
    for (int b = 0; b < B; b++) {
        int *shuffle = m.shuffle + b * N, *restore = m.restore + b * N;
        argsort(N, noise + b * N, shuffle);
        for (int i = 0; i < N; i++) restore[shuffle[i]] = i;
    }
    return m;
}

Mask mask_random(Arena *a, int B, int N, double ratio, Rng *rng) {
    real *noise = arena_get(a, (size_t)B * (size_t)N * sizeof *noise);
    rng_uniform(rng, (size_t)B * (size_t)N, noise);
    return mask_from_noise(a, B, N, ratio, noise);
}

Mask mask_nothing(Arena *a, int B, int N) {
    Mask m = mask_new(a, B, N, N);
    for (int i = 0; i < B * N; i++) m.shuffle[i] = m.restore[i] = i % N;
    return m;
}

/* rows of (B*N, .) that hold the patches shuffle[from..to-1] of each image; on the tape */
static int *rows_of(Tape *t, const Mask *m, int from, int to) {
    int n = to - from;
    int *rows = arena_get(&t->arena, (size_t)m->images * (size_t)n * sizeof *rows);
    for (int b = 0; b < m->images; b++)
        for (int i = 0; i < n; i++)
            rows[b * n + i] = b * m->patches + m->shuffle[b * m->patches + from + i];
    return rows;
}

/* ---- patches --------------------------------------------------------------------------------- */

/* With channels last, a patch's row is patch * C numbers side by side: four axes are enough to move
 * rows of patches, (B*grid, patch, grid, patch*C) -> (B*grid, grid, patch, patch*C). */
Tensor *patchify(Tensor *images, int patch) {
    int B = images->shape[0], grid = images->shape[1] / patch, row = patch * images->shape[3];
    Tensor *rows = t_reshape(images, SHAPE(B * grid, patch, grid, row));
    rows = t_permute(rows, 4, (int[]){0, 2, 1, 3});
    return t_reshape(rows, SHAPE(B, grid * grid, patch * row));
}

Tensor *unpatchify(Tensor *patches, int patch, int side) {
    int B = patches->shape[0], grid = side / patch, row = patches->shape[2] / patch;
    Tensor *rows = t_reshape(patches, SHAPE(B * grid, grid, patch, row));
    rows = t_permute(rows, 4, (int[]){0, 2, 1, 3});
    return t_reshape(rows, SHAPE(B, side, side, row / patch));
}

Tensor *normalise_patches(Tensor *patches) {
    int K = patches->shape[2];
    Tensor *centred = t_sub(patches, t_mean_axis(patches, -1));
    Tensor *variance = t_scale(t_sum_axis(t_square(centred), -1), 1.0 / (K - 1));
    return t_div(centred, t_sqrt(t_add_scalar(variance, 1e-6)));
}

/* ---- the autoencoder ------------------------------------------------------------------------- */

/* x (B,extra+keep,D), tokens of the visible patches behind `extra` others -> (B,extra+N,D): each
 * patch's token back at its place, the mask token wherever a patch is missing */
static Tensor *unshuffle(Tensor *x, Tensor *mask_token, const Mask *m, int extra) {
    int B = m->images, N = m->patches, seen = extra + m->keep, all = extra + N, D = x->shape[2];
    int *rows = arena_get(&x->tape->arena, (size_t)B * (size_t)all * sizeof *rows);
    for (int b = 0; b < B; b++) {
        for (int i = 0; i < extra; i++) rows[b * all + i] = b * seen + i;
        for (int i = 0; i < N; i++) {
            int place = m->restore[b * N + i];
            rows[b * all + extra + i] = place < m->keep ? b * seen + extra + place : B * seen;
        }
    }
    Tensor *token = t_reshape(t_use(x->tape, mask_token), SHAPE(1, D));
    Tensor *table = t_concat(t_reshape(x, SHAPE(B * seen, D)), token, 0);
    return t_reshape(t_gather_rows(table, rows, B * all), SHAPE(B, all, D));
}

/* patches (B,N,K) -> (B,keep,D): the visible ones through the linear map, without positions */
static Tensor *embed_visible(const Encoder *e, Tensor *patches, const Mask *m) {
    Tape *t = patches->tape;
    int K = patches->shape[2], D = e->shape.width, *rows = rows_of(t, m, 0, m->keep);
    Tensor *seen = t_gather_rows(t_reshape(patches, SHAPE(-1, K)), rows, m->images * m->keep);
    Tensor *w = t_reshape(t_use(t, e->patch_embed.w), SHAPE(K, D));
    return t_reshape(t_linear(seen, w, e->patch_embed.b), SHAPE(m->images, m->keep, D));
}

/* each visible patch's own row of the table: (B*keep,D) */
static Tensor *visible_positions(const Encoder *e, Tape *t, const Mask *m) {
    int n = m->images * m->keep, *rows = rows_of(t, m, 0, m->keep);
    for (int i = 0; i < n; i++) rows[i] = 1 + rows[i] % m->patches;
    return t_gather_rows(t_reshape(t_use(t, e->pos_embed), SHAPE(-1, e->shape.width)), rows, n);
}

/* Patches get their positions, then most are hidden: taking both for visible patches only comes to
 * the same, and is less work. */
static Tensor *visible_tokens(const Encoder *e, Tensor *patches, const Mask *m) {
    Tensor *x = embed_visible(e, patches, m);
    Tensor *positions = visible_positions(e, patches->tape, m);
    return t_add(x, t_reshape(positions, SHAPE(m->images, m->keep, e->shape.width)));
}

/* the ablation: all patches' places, hidden ones with a mask token */
static Tensor *all_tokens(const Encoder *e, Tensor *patches, const Mask *m) {
    Tensor *x = unshuffle(embed_visible(e, patches, m), e->mask_token, m, 0);
    return t_add(x, t_slice(t_use(patches->tape, e->pos_embed), 1, 1, m->patches));
}

Tensor *encode(const Encoder *e, Tensor *patches, const Mask *m) {
    Tape *t = patches->tape;
    Tensor *x = e->shape.mask_tokens_in_encoder ? all_tokens(e, patches, m)
                                                : visible_tokens(e, patches, m);
    Tensor *cls = t_add(t_use(t, e->cls_token), t_slice(t_use(t, e->pos_embed), 1, 0, 1));
    x = t_concat(token_of_each(t, cls, m->images), x, 1);
    x = transformer(&e->blocks, x, (Attention){0});
    return layer_norm(&e->norm, x);
}

Tensor *decode(const Mae *a, Tensor *latent, const Mask *m) {
    Tensor *x = linear(&a->decoder_embed, latent);
    if (!a->shape.mask_tokens_in_encoder) x = unshuffle(x, a->mask_token, m, 1);
    x = t_add(x, a->decoder_pos_embed);
    x = transformer(&a->decoder_blocks, x, (Attention){0});
    x = linear(&a->decoder_pred, layer_norm(&a->decoder_norm, x));
    return t_slice(x, 1, 1, m->patches);                    /* not the class token */
}

Tensor *masked_error(Tensor *prediction, Tensor *target, const Mask *m) {
    int K = target->shape[2], hidden = m->patches - m->keep, n = m->images * hidden;
    int *rows = rows_of(prediction->tape, m, m->keep, m->patches);
    Tensor *ours = t_gather_rows(t_reshape(prediction, SHAPE(-1, K)), rows, n);
    Tensor *theirs = t_gather_rows(t_reshape(target, SHAPE(-1, K)), rows, n);
    return t_mse(ours, theirs);
}

MaePass mae_forward(const Mae *a, Tensor *images, const Mask *m, bool norm_targets) {
    MaePass pass = {.patches = patchify(images, a->shape.patch)};
    pass.latent = encode(&a->encoder, pass.patches, m);
    pass.prediction = decode(a, pass.latent, m);
    Tensor *target = norm_targets ? normalise_patches(pass.patches) : pass.patches;
    pass.loss = masked_error(pass.prediction, target, m);
    return pass;
}

/* of one token: qkv 3 D^2, out D^2, the MLP twice ratio D^2; scores and their use: 2 tokens D */
double encoder_multiply_adds(const MaeShape *s, int patches) {
    double D = s->width, tokens = 1 + patches;
    return s->depth * tokens * ((4 + 2 * s->mlp_ratio) * D * D + 2 * tokens * D);
}

/* ---- what the encoder is for ----------------------------------------------------------------- */

ImageFeatures image_features(const Encoder *e, Tensor *images) {
    int B = images->shape[0], N = patches_of(&e->shape), D = e->shape.width;
    Mask all = mask_nothing(&images->tape->arena, B, N);
    Tensor *x = encode(e, patchify(images, e->shape.patch), &all);
    Tensor *cls = t_reshape(t_slice(x, 1, 0, 1), SHAPE(B, D));
    Tensor *mean = t_reshape(t_mean_axis(t_slice(x, 1, 1, N), 1), SHAPE(B, D));
    return (ImageFeatures){mean, cls};
}

/* The head starts near zero, so that its gradient hardly changes the encoder at first. */
MaeClassifier mae_classifier_new(Params *p, MaeShape shape, int classes) {
    MaeClassifier c = {.encoder = encoder_new(p, shape)};
    LayerInit near_zero = {WEIGHTS_NORMAL, .scale = 2e-5, .zero_bias = true};
    c.head = linear_new(with_init(scope(p, "head"), near_zero), shape.width, classes, true);
    return c;
}

Tensor *classify(const MaeClassifier *c, Tensor *images) {
    return linear(&c->head, image_features(&c->encoder, images).mean);
}

/* ---- many images, without gradients ---------------------------------------------------------- */

enum { AT_ONCE = 128 };

/* p: predictions of normalised patches, brought back by the true patches t */
static void denormalise(int patches, int K, const real *t, real *p) {
    for (int i = 0; i < patches; i++, t += K, p += K) {
        double mean = k_sum((size_t)K, t) / K, squares = 0;
        for (int j = 0; j < K; j++) squares += ((double)t[j] - mean) * ((double)t[j] - mean);
        double deviation = sqrt(squares / (K - 1) + 1e-6);
        for (int j = 0; j < K; j++) p[j] = (real)((double)p[j] * deviation + mean);
    }
}

/* Visible patches of `shown` become the true ones of `from`, hidden ones grey if that is asked for;
 * returns the sum of squared errors of `shown` in hidden patches. */
static double paste_visible(const Mask *m, int K, const real *from, real *shown, bool grey) {
    double sum = 0;
    for (int i = 0; i < m->images * m->patches; i++) {
        real *patch = shown + (size_t)i * (size_t)K;
        const real *truth = from + (size_t)i * (size_t)K;
        bool seen = m->restore[i] < m->keep;
        if (!seen) sum += k_sum_squared_difference((size_t)K, patch, truth);
        if (seen) memcpy(patch, truth, (size_t)K * sizeof *patch);
        else if (grey) k_fill((size_t)K, 0, patch);
    }
    return sum;
}

static void put_images(const Mae *a, Tensor *patches, real *to) {
    Tensor *x = unpatchify(patches, a->shape.patch, a->shape.side);
    memcpy(to, x->x, x->len * sizeof *to);
}

void imagenet_scale(size_t n, real *x, bool back) {
    static const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
    for (size_t i = 0; i < n; i++) {
        double m = mean[i % 3], d = deviation[i % 3], value = (double)x[i];
        x[i] = (real)(back ? value * d + m : (value - m) / d);
    }
}

double reconstruct(const Mae *a, int n, const real *images, double ratio, uint64_t seed,
                   bool norm_targets, real *masked, real *predicted) {
    const MaeShape *s = &a->shape;
    int N = patches_of(s), K = patch_numbers(s), hidden = 0;
    size_t size = (size_t)N * (size_t)K;
    double sum = 0;
    Rng rng = rng_new(seed, "reconstruct");
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        size_t at = (size_t)i * size;
        tape_reset(&t);
        Tensor *x = t_input(&t, images + at, SHAPE(B, s->side, s->side, s->channels));
        Mask m = mask_random(&t.arena, B, N, ratio, &rng);
        hidden += B * (N - m.keep);
        Tensor *patches = patchify(x, s->patch);
        Tensor *p = decode(a, encode(&a->encoder, patches, &m), &m);
        if (norm_targets) denormalise(B * N, K, patches->x, p->x);
        sum += paste_visible(&m, K, patches->x, p->x, false);
        if (predicted) put_images(a, p, predicted + at);
        if (!masked) continue;
        paste_visible(&m, K, patches->x, p->x, true);
        put_images(a, p, masked + at);
    }
    tape_free(&t);
    return sum / 4 / ((double)hidden * K);          /* [-1,1] is twice as long as [0,1] */
}
