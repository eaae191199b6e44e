/* nets_sd1.c — the U-Net of Stable Diffusion, 859,520,964 parameters, on a latent of 16x16: a step of
 * drawing one picture, with the text and without it, so a batch of two. 64x64 has sixteen times as
 * many positions. */
#include "../../chapters/ldm/ldm.h"
#include "../../chapters/ldm/published.h"
#include "nets.h"

enum { SIDE = 16, CHANNELS = 4, TOKENS = 77, AT = 500, SMALL_WIDTH = 64 };

typedef struct {
    LdmUNet net;
    const real *x, *context;
    double *time;
    int width;                   /* of the context */
} Net;

static void build(Training *t) {
    Net *n = net_alloc(t, sizeof *n);
    PublishedLdm sd1;
    published_ldm("sd1", &sd1);
    if (t->small) sd1.unet.width = SMALL_WIDTH;
    n->width = sd1.unet.context;
    n->net = ldm_unet_new(&t->params[0], sd1.unet);
    net_wake(t);
    n->x = input_uniform(t, "x", -1, 1, SHAPE(t->batch, SIDE, SIDE, CHANNELS));
    n->context = input_uniform(t, "context", -1, 1, SHAPE(t->batch, TOKENS, n->width));
    n->time = arena_get(&t->input.arena, (size_t)t->batch * sizeof *n->time);
    for (int b = 0; b < t->batch; b++) n->time[b] = AT;
    t->tape.no_grad = true;
}

static double step(Training *t) {
    const Net *n = t->net;
    Tensor *x = t_input(&t->tape, n->x, SHAPE(t->batch, SIDE, SIDE, CHANNELS));
    Tensor *text = t_input(&t->tape, n->context, SHAPE(t->batch, TOKENS, n->width));
    const Tensor *eps = ldm_unet(&n->net, x, n->time, NULL, (Context){.tokens = text});
    return k_sum_squares(eps->len, eps->x);
}

const NetKind net_sd1 = {"sd1", "Stable Diffusion, 16x16", 2, true, build, step};
