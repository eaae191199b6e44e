/* pixelcnn.c — the two stacks, over all positions at once to be trained, and position by position
 * to draw codes. */
#include "nn/pixelcnn.h"

#include "base/error.h"

#include <math.h>

/* ---- network --------------------------------------------------------------------------------- */

static int half_kernel(int layer) {
    return (layer ? PIXELCNN_KERNEL : PIXELCNN_KERNEL_FIRST) / 2;
}

/* a convolution whose kernel is not square; starts as conv2d_new's do */
static Conv2d kernel_new(Scope s, int height, int width, int in, int out) {
    double bound = 1 / sqrt(height * width * in);
    Conv2d l = {.pad = {.stride = 1}};
    l.w = param(s, "w", INIT_UNIFORM, bound, SHAPE(height, width, in, out));
    l.b = param(s, "b", INIT_UNIFORM, bound, SHAPE(out));
    return l;
}

static GatedLayer gated_layer_new(Scope s, int half, int C, int classes) {
    GatedLayer l;
    l.vertical = kernel_new(sub(s, "vertical"), half + 1, 2 * half + 1, C, 2 * C);
    l.horizontal = kernel_new(sub(s, "horizontal"), 1, half + 1, C, 2 * C);
    l.across = linear_new(sub(s, "across"), 2 * C, 2 * C, true);
    l.out = linear_new(sub(s, "out"), C, C, true);
    LayerInit table = {WEIGHTS_NORMAL, .scale = 0.1};
    l.class = embedding_new(with_init(sub(s, "class"), table), classes, 2 * C);
    l.vertical.pad.top = l.vertical.pad.left = l.vertical.pad.right = half;
    l.horizontal.pad.left = half;
    return l;
}

PixelCnn pixelcnn_new(Params *params, PixelCnnConfig c) {
    PixelCnn p = {.config = c};
    Scope s = scope(params, "%s", "");
    if (c.layers < 1 || c.layers > PIXELCNN_LAYERS_MOST) die("pixelcnn: %d layers", c.layers);
    p.code = embedding_new(sub(s, "code"), c.codes, c.width);
    for (int i = 0; i < c.layers; i++)
        p.layer[i] = gated_layer_new(sub(s, "layer.%d", i), half_kernel(i), c.width, c.classes);
    p.head = linear_new(sub(s, "head"), c.width, c.head, true);
    p.logits = linear_new(sub(s, "logits"), c.head, c.codes, true);
    return p;
}

/* tanh(a) sigmoid(b), where a | b (...,2C) is a sum of convolutions and of the class (eq. 4) */
static Tensor *gated(const GatedLayer *l, Tensor *sum, const int *labels) {
    Tensor *class = embedding(&l->class, sum->tape, labels, sum->shape[0]);
    sum = t_add_channel(sum, class);
    int C = sum->shape[3] / 2;
    Tensor *a = t_tanh(t_slice(sum, 3, 0, C));
    Tensor *b = t_sigmoid(t_slice(sum, 3, C, C));
    return t_mul(a, b);
}

static Tensor *output(const PixelCnn *p, Tensor *h) {
    return linear(&p->logits, t_relu(linear(&p->head, t_relu(h))));
}

/* ---- all positions at once ------------------------------------------------------------------- */

Tensor *pixelcnn_embed(const PixelCnn *p, Tape *t, const int *codes, int B, int H, int W) {
    return t_reshape(embedding(&p->code, t, codes, B * H * W), SHAPE(B, H, W, p->config.width));
}

/* one step down (axis 1) or right (axis 2); zeros come in, the last row or column goes */
static Tensor *moved(Tensor *x, int axis) {
    return t_slice(t_pad(x, axis, 1, 0), axis, 0, x->shape[axis]);
}

Tensor *pixelcnn_logits(const PixelCnn *p, Tensor *embedded, const int *labels) {
    Tensor *v = moved(embedded, 1), *h = moved(embedded, 2);
    for (int i = 0; i < p->config.layers; i++) {
        const GatedLayer *l = &p->layer[i];
        Tensor *v_sum = conv2d(&l->vertical, v);
        Tensor *h_sum = t_add(conv2d(&l->horizontal, h), linear(&l->across, v_sum));
        Tensor *out = linear(&l->out, gated(l, h_sum, labels));
        h = i ? t_add(h, out) : out;
        if (i + 1 < p->config.layers) v = gated(l, v_sum, labels);
    }
    return output(p, h);
}

Tensor *pixelcnn_loss(Tensor *logits, const int *codes) {
    int K = logits->shape[3];
    return t_cross_entropy(t_reshape(logits, SHAPE((int)(logits->len / (size_t)K), K)), codes);
}

double pixelcnn_nats(const PixelCnn *p, int n, int H, int W, const int *codes,
                     const int *labels) {
    enum { AT_ONCE = 256 };
    Tape t = {.no_grad = true};
    double sum = 0;
    for (int i = 0; i < n; i += AT_ONCE) {
        tape_reset(&t);
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        const int *maps = codes + (size_t)i * (size_t)(H * W);
        Tensor *logits = pixelcnn_logits(p, pixelcnn_embed(p, &t, maps, B, H, W), labels + i);
        sum += B * (double)pixelcnn_loss(logits, maps)->x[0];
    }
    tape_free(&t);
    return sum / n;
}

/* ---- one position after the other ------------------------------------------------------------ */

void pixelcnn_cache_start(PixelCnnCache *c, const PixelCnn *p, int n, int H, int W,
                          const int *labels) {
    *c = (PixelCnnCache){.net = p, .n = n, .H = H, .W = W, .labels = labels,
                      .tape = {.no_grad = true}};
    int C = p->config.width;
    for (int k = 0; k <= p->config.layers; k++) {
        c->v[k] = feature_map_new(&c->arena, n, H, W, C);
        c->h[k] = feature_map_new(&c->arena, n, H, W, C);
        if (k < p->config.layers) c->across[k] = feature_map_new(&c->arena, n, 1, W, 2 * C);
    }
}

void pixelcnn_cache_free(PixelCnnCache *c) {
    arena_free(&c->arena);
    tape_free(&c->tape);
}

/* a layer's convolution where its window has been cut out with its surroundings */
static Tensor *without_padding(const Conv2d *l, Tensor *x) {
    return t_conv2d(x, l->w, l->b, (ConvPad){.stride = 1});
}

/* row i of the vertical stack, which depends on the rows before it alone */
static void next_row(PixelCnnCache *c, int i) {
    const PixelCnn *p = c->net;
    for (int k = 0; k < p->config.layers; k++) {
        const GatedLayer *l = &p->layer[k];
        int half = half_kernel(k), columns = c->W + 2 * half;
        Tensor *above = feature_map_window(&c->v[k], &c->tape, i - half, -half, half + 1, columns);
        Tensor *v_sum = without_padding(&l->vertical, above);
        feature_map_put(&c->across[k], linear(&l->across, v_sum), 0, 0);
        feature_map_put(&c->v[k + 1], gated(l, v_sum, c->labels), i, 0);
    }
}

/* place (i,j) of the horizontal stack: (n,1,1,C) */
static Tensor *next_place(PixelCnnCache *c, int i, int j) {
    const PixelCnn *p = c->net;
    Tensor *h = NULL;
    for (int k = 0; k < p->config.layers; k++) {
        const GatedLayer *l = &p->layer[k];
        int half = half_kernel(k);
        Tensor *left = feature_map_window(&c->h[k], &c->tape, i, j - half, 1, half + 1);
        Tensor *across = feature_map_window(&c->across[k], &c->tape, 0, j, 1, 1);
        Tensor *h_sum = t_add(without_padding(&l->horizontal, left), across);
        Tensor *out = linear(&l->out, gated(l, h_sum, c->labels));
        h = k ? t_add(h, out) : out;
        feature_map_put(&c->h[k + 1], h, i, j);
    }
    return h;
}

/* the last code: below it for the vertical stack, to its right for the horizontal one */
static void take_code(PixelCnnCache *c, const int *last) {
    int i = (c->next - 1) / c->W, j = (c->next - 1) % c->W;
    Tensor *e = pixelcnn_embed(c->net, &c->tape, last, c->n, 1, 1);
    if (i + 1 < c->H) feature_map_put(&c->v[0], e, i + 1, j);
    if (j + 1 < c->W) feature_map_put(&c->h[0], e, i, j + 1);
}

Tensor *pixelcnn_next(PixelCnnCache *c, const int *last) {
    if (c->next == c->H * c->W) die("pixelcnn_next: all %d codes of the map are there", c->next);
    int i = c->next / c->W, j = c->next % c->W;
    tape_reset(&c->tape);
    if (c->next) take_code(c, last);
    if (j == 0) next_row(c, i);
    Tensor *logits = output(c->net, next_place(c, i, j));
    c->next++;
    return t_reshape(logits, SHAPE(c->n, c->net->config.codes));
}

/* ---- sampling -------------------------------------------------------------------------------- */

/* k with probability p[k], where u is uniform in [0,1) */
static int drawn(int K, const real *p, double u) {
    int k = 0;
    for (double sum = (double)p[0]; k < K - 1 && sum <= u; sum += (double)p[k]) k++;
    return k;
}

void pixelcnn_sample(const PixelCnn *p, int n, int H, int W, const int *labels, double temperature,
                     Rng *rng, int *codes) {
    PixelCnnCache c;
    pixelcnn_cache_start(&c, p, n, H, W, labels);
    int *last = arena_get(&c.arena, (size_t)n * sizeof *last), K = p->config.codes;
    real *u = arena_get(&c.arena, (size_t)n * sizeof *u);
    for (int at = 0; at < H * W; at++) {
        Tensor *probability = t_softmax(t_scale(pixelcnn_next(&c, last), 1 / temperature));
        rng_uniform(rng, (size_t)n, u);
        for (int b = 0; b < n; b++) {
            last[b] = drawn(K, probability->x + (size_t)b * (size_t)K, (double)u[b]);
            codes[(size_t)b * (size_t)(H * W) + (size_t)at] = last[b];
        }
    }
    pixelcnn_cache_free(&c);
}
