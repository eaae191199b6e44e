/* mpi_published.c — one picture through two published networks, on one thread: the computation
 * that SCALE.md's predictions for them start from. Prints
 *     network,parameters,forward,training,largest
 *   forward    seconds of a forward pass without gradients, the second one
 *   training   of a forward and a backward pass, the second ones; empty for the U-Net of Stable
 *              Diffusion, of which weights and gradients alone take 7 GB
 *   largest    numbers of the largest parameter, which travels whole (nn/gradient_sum.h) */
#include "../../chapters/iddpm/iddpm.h"
#include "../../chapters/ldm/ldm.h"
#include "../../chapters/ldm/published.h"
#include "base/progress.h"
#include "nn/class_unet.h"

#include <stdio.h>

enum { TOKENS = 77, LATENT = 64 };
static const double at = 500;

typedef struct {
    ClassUNet iddpm;
    LdmUNet sd1;
    int side, channels, context;
} Net;

static Tensor *output(const Net *n, Tape *t) {
    Tensor *x = t_input(t, NULL, SHAPE(1, n->side, n->side, n->channels));
    k_fill(x->len, (real)0.5, x->x);
    if (!n->context) return class_unet(&n->iddpm, x, &at, NULL);
    Tensor *text = t_input(t, NULL, SHAPE(1, TOKENS, n->context));
    k_fill(text->len, (real)0.5, text->x);
    return ldm_unet(&n->sd1, x, &at, NULL, (Context){.tokens = text});
}

static double second_pass(const Net *n, bool train) {
    Tape t = {.no_grad = !train};
    double start = 0;
    for (int i = 0; i < 2; i++) {
        tape_reset(&t);
        start = seconds_now();
        Tensor *y = output(n, &t);
        if (train) backward(t_mean(t_mul(y, y)));
    }
    double taken = seconds_now() - start;
    tape_free(&t);
    return taken;
}

static size_t largest(const Params *p) {
    size_t n = 0;
    for (int i = 0; i < p->count; i++)
        if (p->list[i]->len > n) n = p->list[i]->len;
    return n;
}

int main(void) {
    Params p = {.seed = 1}, q = {.seed = 1};
    ModelConfig c = model_config("imagenet64");
    Net n = {.iddpm = class_unet_new(&p, c.unet, c.classes), .side = c.side, .channels = c.unet.in};
    threads_set(1);
    double forward = second_pass(&n, false);
    printf("iddpm imagenet64,%zu,%.3f,%.3f,%zu\n", params_count(&p), forward,
           second_pass(&n, true), largest(&p));
    params_free(&p);
    PublishedLdm m;
    published_ldm("sd1", &m);
    n = (Net){.sd1 = ldm_unet_new(&q, m.unet), .side = LATENT, .channels = m.unet.in,
              .context = m.unet.context};
    printf("sd1,%zu,%.3f,,%zu\n", params_count(&q), second_pass(&n, false), largest(&q));
    params_free(&q);
    return 0;
}
