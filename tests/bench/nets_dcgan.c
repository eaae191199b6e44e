/* nets_dcgan.c — the DCGAN authors' conditional 28x28 pair (Newmu/dcgan_code, mnist): the label
 * enters every layer, batch normalisation has no gain and shift, layers have no biases. Generator
 * 6,820,538 and discriminator 6,688,202 parameters.
 *
 * One step: the discriminator sees a real and a fake batch and descends, then the generator
 * descends through the new discriminator, whose own weights take no gradient then. Both sides
 * leave out the authors' L2 penalty of 2.5e-5. */
#include "nets.h"

enum { CODE = 100, CLASSES = 10, UNITS = 1024, SIDE = 28 };

typedef struct {
    Linear fc1, fc2;
    ConvTranspose2d deconv1, deconv2;
    BatchNorm norm1, norm2, norm3;
} Generator;

typedef struct {
    Conv2d conv1, conv2;
    Linear fc1, fc2;
    BatchNorm norm2, norm3;
} Discriminator;

typedef struct {
    Generator g;
    Discriminator d;
    const real *images, *z;
    real *labels;                 /* (B,10) one-hot */
} Dcgan;

static BatchNorm norm_new(Scope s, int channels) {
    return batch_norm_plain_new(s, channels, 0.1, 1e-5);
}

static Tensor *norm(const BatchNorm *n, Tensor *x) {
    return batch_norm(n, x, true);
}

static Generator generator_new(Params *p) {
    Generator g;
    Scope s = scope(p, "g");
    g.fc1 = linear_new(sub(s, "fc1"), CODE + CLASSES, UNITS, false);
    g.norm1 = norm_new(sub(s, "norm1"), UNITS);
    g.fc2 = linear_new(sub(s, "fc2"), UNITS + CLASSES, 7 * 7 * 128, false);
    g.norm2 = norm_new(sub(s, "norm2"), 7 * 7 * 128);
    g.deconv1 = conv_transpose2d_new(sub(s, "deconv1"), 128 + CLASSES, 64, 5, 2, 2, false);
    g.norm3 = norm_new(sub(s, "norm3"), 64);
    g.deconv2 = conv_transpose2d_new(sub(s, "deconv2"), 64 + CLASSES, 1, 5, 2, 2, false);
    /* 7 -> 14 -> 28: twice the size needs one row and one column more than 2 off each side */
    g.deconv1.pad.bottom = g.deconv1.pad.right = 1;
    g.deconv2.pad.bottom = g.deconv2.pad.right = 1;
    return g;
}

static Discriminator discriminator_new(Params *p) {
    Discriminator d;
    Scope s = scope(p, "d");
    d.conv1 = conv2d_new(sub(s, "conv1"), 1 + CLASSES, 64, 5, 2, 2, false);
    d.conv2 = conv2d_new(sub(s, "conv2"), 64 + CLASSES, 128, 5, 2, 2, false);
    d.norm2 = norm_new(sub(s, "norm2"), 128);
    d.fc1 = linear_new(sub(s, "fc1"), 7 * 7 * 128 + CLASSES, UNITS, false);
    d.norm3 = norm_new(sub(s, "norm3"), UNITS);
    d.fc2 = linear_new(sub(s, "fc2"), UNITS + CLASSES, 1, false);
    return d;
}

static void build(Training *t) {
    Dcgan *n = net_alloc(t, sizeof *n);
    n->g = generator_new(&t->params[0]);
    n->d = discriminator_new(&t->params[1]);
    t->adam[0].beta1 = t->adam[1].beta1 = 0.5;
    n->images = input_uniform(t, "images", 0, 1, SHAPE(t->batch, SIDE, SIDE, 1));
    n->z = input_uniform(t, "z", -1, 1, SHAPE(t->batch, CODE));
    n->labels = input_buffer(t, "labels", SHAPE(t->batch, CLASSES));
    for (int b = 0; b < t->batch; b++) n->labels[b * CLASSES + b % CLASSES] = 1;
}

/* x with the label as ten more features, or ten more constant maps */
static Tensor *with_label(Tensor *x, Tensor *label) {
    if (x->rank == 2) return t_concat(x, label, -1);
    int B = x->shape[0], H = x->shape[1], W = x->shape[2];
    Tensor *maps = t_input(x->tape, NULL, SHAPE(B, H, W, CLASSES));
    k_spread_axis(B, H * W, CLASSES, 1, label->x, maps->x, false);
    return t_concat(x, maps, -1);
}

/* z (B,100), label (B,10) -> logits of the pixels (B,28,28,1) */
static Tensor *generator(const Generator *g, Tensor *z, Tensor *label) {
    Tensor *h = t_relu(norm(&g->norm1, linear(&g->fc1, with_label(z, label))));
    h = t_relu(norm(&g->norm2, linear(&g->fc2, with_label(h, label))));
    h = t_reshape(h, SHAPE(-1, 7, 7, 128));
    h = norm(&g->norm3, conv_transpose2d(&g->deconv1, with_label(h, label)));
    h = t_relu(h);
    return conv_transpose2d(&g->deconv2, with_label(h, label));
}

/* x (B,28,28,1), label (B,10) -> logits (B,1) */
static Tensor *discriminator(const Discriminator *d, Tensor *x, Tensor *label) {
    Tensor *h = t_leaky_relu(conv2d(&d->conv1, with_label(x, label)), 0.2);
    h = norm(&d->norm2, conv2d(&d->conv2, with_label(h, label)));
    h = t_reshape(t_leaky_relu(h, 0.2), SHAPE(x->shape[0], -1));
    h = norm(&d->norm3, linear(&d->fc1, with_label(h, label)));
    h = t_leaky_relu(h, 0.2);
    return linear(&d->fc2, with_label(h, label));
}

/* -log s(sign * logit), mean: what one that should say "real" (+1) or "fake" (-1) pays */
static Tensor *should_say(Tensor *logits, int sign) {
    return t_mean(t_softplus(t_scale(logits, -sign)));
}

static double step(Training *t) {
    const Dcgan *n = t->net;
    Tensor *real_images = t_input(&t->tape, n->images, SHAPE(t->batch, SIDE, SIDE, 1));
    Tensor *z = t_input(&t->tape, n->z, SHAPE(t->batch, CODE));
    Tensor *label = t_input(&t->tape, n->labels, SHAPE(t->batch, CLASSES));
    Tensor *fake = t_sigmoid(generator(&n->g, z, label));
    Tensor *on_real = should_say(discriminator(&n->d, real_images, label), 1);
    Tensor *on_fake = should_say(discriminator(&n->d, t_detach(fake), label), -1);
    double loss_d = descend(t, 1, t_add(on_real, on_fake), 2e-4);

    params_freeze(&t->params[1], true);
    double loss_g = descend(t, 0, should_say(discriminator(&n->d, fake, label), 1), 2e-4);
    params_freeze(&t->params[1], false);
    return loss_d + loss_g;
}

const NetKind net_dcgan = {"dcgan", "DCGAN 28x28", 128, true, build, step};
