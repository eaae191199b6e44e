#include "guidance.h"

#include "eval/feature_net.h"
#include "nn/resize.h"
#include "nn/unet_config.h"

#include <stdio.h>
#include <string.h>

/* ---- networks -------------------------------------------------------------------------------- */

/* levels of networks for images of this side; those for 512 begin with half the width, so that
 * their embedding is 8 widths */
static void set_sizes(UNetConfig *c, int side) {
    if (side == 64) unet_levels(c, 1, 2, 3, 4);
    else if (side == 128) unet_levels(c, 1, 1, 2, 3, 4);
    else if (side == 256) unet_levels(c, 1, 1, 2, 2, 4, 4);
    else {
        unet_levels(c, 1, 2, 2, 4, 4, 8, 8);
        c->style.emb = 4 * c->width;
        c->width /= 2;
    }
    unet_attend_at(c, side, 32, 8);
}

/* 28x28 -> 14x14 -> 7x7 grey pixels, attention at the last two with heads of 16 channels */
static UNetConfig small_unet(void) {
    UNetConfig c = adm_family(32, 1);
    c.in = 1, c.out = 2, c.head_channels = 16;
    unet_levels(&c, 1, 2, 2);
    unet_attend_at(&c, 28, 14, 7);
    return c;
}

static int side_of(const char *config) {
    int side = 28;
    sscanf(config, "%*[a-z]%d", &side);
    return strcmp(config, "default") ? side : 28;
}

ModelConfig model_config(const char *config) {
    bool small = !strcmp(config, "default"), enlarges = !strncmp(config, "upsample", 8);
    int side = side_of(config);
    ModelConfig m = {.unet = small_unet(), .side = side, .linear = side > 64,
                     .qkv_first = side == 64};
    if (small) return m;
    m.classes = strcmp(config, "imagenet256-uncond") ? 1000 : 0;
    m.unet = adm_family(side == 64 || enlarges ? 192 : 256, side == 64 ? 3 : 2);
    if (enlarges) {
        m.low_side = side / 4, m.unet.in = 6;
        unet_levels(&m.unet, 1, 1, 2, 2, 4, 4);
        unet_attend_at(&m.unet, side, 32, 8);
    } else set_sizes(&m.unet, side);
    if (side == 128 || (enlarges && side == 256)) m.unet.heads = 4, m.unet.head_channels = 0;
    return m;
}

NoiseSchedule model_schedule(const ModelConfig *c) {
    return c->linear ? schedule_linear(TIMESTEPS, 1e-4, 0.02) : schedule_cosine(TIMESTEPS);
}

UNetConfig classifier_config(const char *config) {
    int side = side_of(config);
    if (!strcmp(config, "default")) {
        UNetConfig c = small_unet();
        c.out = 10;
        return c;
    }
    UNetConfig c = adm_family(128, side == 64 ? 4 : 2);
    c.out = 1000;
    set_sizes(&c, side);
    return c;
}

/* ---- the classifier -------------------------------------------------------------------------- */

NoisyClassifier noisy_classifier_new(Params *p, UNetConfig c, int side) {
    NoisyClassifier n = {.time = unet_time_new(p, &c)};
    n.net = unet_classifier_new(p, c, side);
    return n;
}

Tensor *class_logits(const NoisyClassifier *c, Tensor *xt, const double *time) {
    return unet_classifier(&c->net, xt, time_embedding(&c->time, xt->tape, time, xt->shape[0]));
}

void class_is_right(const Tensor *logits, const int *label, double *right) {
    int B = logits->shape[0], K = logits->shape[1];
    for (int b = 0; b < B; b++)
        right[b] = most_probable(K, logits->x + (size_t)b * (size_t)K) == label[b];
}

Tensor *class_log_probability(Tensor *logits, const int *label) {
    int B = logits->shape[0], K = logits->shape[1];
    Tensor *all = t_reshape(t_log_softmax(logits), SHAPE(B * K, 1));
    int *row = arena_get(&logits->tape->arena, (size_t)B * sizeof *row);
    for (int b = 0; b < B; b++) row[b] = b * K + label[b];
    return t_gather_rows(all, row, B);
}

/* ---- what steers ----------------------------------------------------------------------------- */

static Tensor *log_probability_at(const Guide *self, const Step *at, Tensor *xt) {
    const ClassGuide *g = (const ClassGuide *)self;
    Tensor *logits = class_logits(g->net, xt, step_times(at));
    return class_log_probability(logits, g->label + at->first);
}

ClassGuide class_guide(const NoisyClassifier *net, const int *label, Tape *tape) {
    return (ClassGuide){{log_probability_at, tape}, net, label};
}

/* ---- enlarging ------------------------------------------------------------------------------- */

static Tensor *enlarged_at(const void *network, const Step *at, Tensor *xt) {
    const Enlarging *m = network;
    int side = m->low_side, C = at->channels, first = at->first;
    size_t size = (size_t)(side * side * C);
    Tensor *low = t_input(xt->tape, m->low + (size_t)first * size, SHAPE(at->n, side, side, C));
    Tensor *x = t_concat(xt, resize_bilinear(low, at->height, at->width), 3);
    return class_unet(m->net, x, step_times(at), m->label ? m->label + first : NULL);
}

NetworkDenoiser enlarging_denoiser(const Enlarging *m) {
    return network_denoiser(enlarged_at, m, (Parameterization){PREDICT_NOISE, LEARNED_RANGE});
}
