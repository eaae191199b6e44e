/* nets_glide.c — the base of GLIDE that chapters/cfg trains: 32x32 RGB and captions of up to 32
 * tokens, read by a transformer of its own (nn/text_unet.h). The target of all six channels, eps and
 * the variance's, is drawn: what the losses cost is little beside the network. */
#include "../../chapters/cfg/glide.h"
#include "nets.h"

enum { VOCABULARY = 1514, TIMES = 1000, SHORTEST = 6, LENGTHS = 16 };

typedef struct {
    Glide net;
    const real *xt, *target;
    const int *text;
    uint8_t *there;
    double *time;
} Net;

/* Captions of 6 to 21 tokens; behind them nothing is. */
static uint8_t *lengths(Training *t, int length) {
    uint8_t *there = arena_get(&t->input.arena, (size_t)(t->batch * length));
    for (int i = 0; i < t->batch * length; i++)
        there[i] = i % length < SHORTEST + i / length % LENGTHS;
    return there;
}

static void build(Training *t) {
    Net *n = net_alloc(t, sizeof *n);
    GlideConfig c = glide_config("base", VOCABULARY);
    int B = t->batch, side = c.side;
    n->net = glide_new(&t->params[0], c);
    net_wake(t);
    n->xt = input_uniform(t, "xt", -1, 1, SHAPE(B, side, side, 3));
    n->target = input_normal(t, "target", SHAPE(B, side, side, 6));
    n->time = input_times(t, TIMES);
    n->text = input_index(t, "text", VOCABULARY, B * c.text.length);
    n->there = lengths(t, c.text.length);
}

static double step(Training *t) {
    const Net *n = t->net;
    int B = t->batch, side = n->net.config.side;
    Tensor *xt = t_input(&t->tape, n->xt, SHAPE(B, side, side, 3));
    TextFeatures text = text_unet_read(&n->net.net, &t->tape, n->text, n->there, B);
    Tensor *y = glide_output(&n->net, xt, n->time, text, (GlideInput){0});
    return descend(t, 0, t_mse(y, t_input(&t->tape, n->target, y->rank, y->shape)), 5e-4);
}

const NetKind net_glide = {"glide", "GLIDE 32x32, 32 tokens", 32, true, build, step};
