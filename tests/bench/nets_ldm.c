/* nets_ldm.c — U-Nets of chapters/ldm on latents of 16x16, with text: a training step of ours, at its
 * default size; and Stable Diffusion's, 859,520,964 parameters, in a step of drawing one picture with
 * the text and without it, so a batch of two. There 64x64 has sixteen times as many positions. */
#include "../../chapters/ldm/condition.h"
#include "../../chapters/ldm/ldm.h"
#include "../../chapters/ldm/published.h"
#include "nets.h"

enum { SIDE = 16 };

typedef struct {
    LdmUNet net;
    const real *x, *target, *context;
    double *time;
    int channels, tokens, width;    /* of latents; of the context */
} Net;

static void inputs(Training *t, Net *n) {
    net_wake(t);
    n->x = input_uniform(t, "x", -1, 1, SHAPE(t->batch, SIDE, SIDE, n->channels));
    n->context = input_uniform(t, "context", -1, 1, SHAPE(t->batch, n->tokens, n->width));
}

static Tensor *eps(Training *t) {
    const Net *n = t->net;
    Tensor *x = t_input(&t->tape, n->x, SHAPE(t->batch, SIDE, SIDE, n->channels));
    Tensor *text = t_input(&t->tape, n->context, SHAPE(t->batch, n->tokens, n->width));
    return ldm_unet(&n->net, x, n->time, NULL, (Context){.tokens = text});
}

/* ---- ours, trained --------------------------------------------------------------------------- */

enum { CHANNELS = 3, WIDTH = 32, TIMES = 1000 };

static void ldm_build(Training *t) {
    Net *n = net_alloc(t, sizeof *n);
    n->channels = CHANNELS, n->tokens = TEXT_TOKENS, n->width = CONTEXT_WIDTH;
    n->net = ldm_unet_new(&t->params[0], ldm_unet_config(SIDE, CHANNELS, 0, WIDTH, n->width));
    inputs(t, n);
    n->target = input_normal(t, "target", SHAPE(t->batch, SIDE, SIDE, CHANNELS));
    n->time = input_times(t, TIMES);
}

static double ldm_step(Training *t) {
    const Net *n = t->net;
    Tensor *y = eps(t);
    return descend(t, 0, t_mse(y, t_input(&t->tape, n->target, y->rank, y->shape)), 5e-4);
}

const NetKind net_ldm = {"ldm", "Latent diffusion, 16x16, 24 tokens", 16, true, ldm_build, ldm_step};

/* ---- Stable Diffusion's ---------------------------------------------------------------------- */

enum { SD1_TOKENS = 77, AT = 500, SMALL_WIDTH = 64 };

static void sd1_build(Training *t) {
    Net *n = net_alloc(t, sizeof *n);
    PublishedLdm sd1;
    published_ldm("sd1", &sd1);
    if (t->small) sd1.unet.width = SMALL_WIDTH;
    n->channels = sd1.unet.in, n->tokens = SD1_TOKENS, n->width = sd1.unet.context;
    n->net = ldm_unet_new(&t->params[0], sd1.unet);
    inputs(t, n);
    n->time = arena_get(&t->input.arena, (size_t)t->batch * sizeof *n->time);
    for (int b = 0; b < t->batch; b++) n->time[b] = AT;
    t->tape.no_grad = true;
}

static double sd1_step(Training *t) {
    const Tensor *y = eps(t);
    return k_sum_squares(y->len, y->x);
}

const NetKind net_sd1 = {"sd1", "Stable Diffusion, 16x16", 2, true, sd1_build, sd1_step};
