#include "diffusion/labelled.h"

static Tensor *output_at(const void *network, const Step *at, Tensor *xt) {
    const Labelled *m = network;
    return class_unet(m->net, xt, step_times(at), m->label ? m->label + at->first : NULL);
}

NetworkDenoiser labelled_denoiser(const Labelled *m, Variance v) {
    return network_denoiser(output_at, m, (Parameterization){PREDICT_NOISE, v});
}

const Denoiser *clipped_labelled(LabelledDenoiser *d, Labelled model, Variance v) {
    d->model = model;
    d->network = labelled_denoiser(&d->model, v);
    d->clipped = clipped_denoiser(&d->network.denoiser);
    return &d->clipped.denoiser;
}

int *labels_in_turn(Arena *arena, int n, int class, int classes) {
    int *label = arena_get(arena, (size_t)n * sizeof *label);
    for (int i = 0; i < n; i++) label[i] = class >= 0 ? class : i % classes;
    return label;
}
