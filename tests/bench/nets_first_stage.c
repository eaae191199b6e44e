/* nets_first_stage.c — a training step of chapters/ldm's first stage at its default size: KL,
 * f = 4, 64x64 RGB. The autoencoder descends on L1, perceptual distance, discriminator by the
 * adaptive weight and KL, then the discriminator on its hinge loss, as in train_autoencoder.c once
 * the discriminator has joined. Autoencoder 952,799 and discriminator 167,841 parameters. */
#include "../../chapters/ldm/first_stage_loss.h"
#include "nets.h"

/* Small: at 64x64 so many numbers pass through rectifiers that some lie within rounding of 0. Their
 * gradients then differ between two sides that are both right, and with them all later steps. */
enum { SIDE = 64, SMALL_SIDE = 16, FACTOR = 4, LATENT = 3 };

typedef struct {
    FirstStage net;
    PatchGan discriminator;
    Classifier features;
    FirstStageLoss loss;
    int side;
    const real *x;
} Net;

/* The classifier's convolutions, which are all that the distance asks for. They are not trained, so
 * they lie with the input. */
static Classifier frozen_features(Params *input) {
    Classifier c = {.config = classifier_emoji};
    const int *filters = c.config.filters;
    for (int i = 0, in = 3; i < CLASSIFIER_LAYERS && filters[i]; in = filters[i++])
        c.conv[i] = conv2d_new(scope(input, "input.conv.%d", i), in, filters[i], 3, 1, 1, true);
    params_freeze(input, true);
    return c;
}

static Rng noise(void) {
    return rng_new(1, "noise");
}

static void build(Training *t) {
    Net *n = net_alloc(t, sizeof *n);
    n->side = t->small ? SMALL_SIDE : SIDE;
    int B = t->batch, h = n->side / FACTOR;
    for (int i = 0; i < 2; i++) t->adam[i].beta1 = 0.5, t->adam[i].beta2 = 0.9;
    n->net = first_stage_new(&t->params[0], (FirstStageConfig){
        .channels = 3, .width = 32, .levels = 3, .multiplier = {1, 2, 2}, .blocks = 1,
        .z = LATENT, .embed = LATENT, .groups = 8});
    n->discriminator = patchgan_new(&t->params[1], (PatchGanConfig){
        .channels = 3, .width = 32, .layers = 2});
    n->features = frozen_features(&t->input);
    n->loss = (FirstStageLoss){.features = &n->features, .perceptual = 0.2,
                               .discriminator = &n->discriminator,
                               .discriminator_params = &t->params[1], .weight = 0.5, .kl = 1e-6};
    n->x = input_uniform(t, "x", -1, 1, SHAPE(B, n->side, n->side, 3));
    Rng rng = noise();                               /* what first_stage_pass draws */
    rng_normal(&rng, (size_t)(B * h * h * LATENT),
               input_buffer(t, "noise", SHAPE(B, h, h, LATENT)));
}

/* The autoencoder's loss is a sum over a picture's numbers. Here it is divided by them: Adam's
 * steps stay the same, and the eps of `check` is above the gradients' rounding errors. Returned is
 * the sum of both losses, KL without its weight of 1e-6: with it a wrong one would not be seen. */
static double step(Training *t) {
    const Net *n = t->net;
    const PatchGan *d = &n->discriminator;
    double numbers = n->side * n->side * 3;
    Rng rng = noise();
    Tensor *x = t_input(&t->tape, n->x, SHAPE(t->batch, n->side, n->side, 3));
    FirstStagePass p = first_stage_pass(&n->net, &n->loss, x, &rng);
    descend(t, 0, t_scale(p.loss, 1 / numbers), 5e-4);

    Tensor *hinge = hinge_loss(patchgan(d, x, true), patchgan(d, p.reconstruction, true));
    double loss_d = descend(t, 1, hinge, 1e-4);
    return p.l1 + n->loss.perceptual * p.perceptual +
           (p.lambda * p.adversarial + p.latent) / numbers + loss_d;
}

const NetKind net_first_stage = {"first_stage", "First stage 64x64, GAN", 6, true, build, step};
