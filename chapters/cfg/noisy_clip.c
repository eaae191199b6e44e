#include "noisy_clip.h"

ClipImage noisy_clip_new(Params *p, int side, int timesteps) {
    ClipConfig c = clip_small(side, 1);
    c.image.timesteps = timesteps;
    return clip_image_new(scope(p, "image"), c.image, c.dim);
}

/* ---- training -------------------------------------------------------------------------------- */

static bool is_right(const real *logits, int B, int i, const int *group) {
    for (int j = 0; j < B; j++)
        if (group[j] != group[i] && logits[j] >= logits[i]) return false;
    return true;
}

Tensor *noisy_clip_loss(const FrozenClip *clip, Tensor *image, Tensor *text, const int *group,
                        double *right) {
    Tensor *logits = clip_logits(&clip->net, image, text);
    int B = logits->shape[0];
    for (int i = 0; i < B && right; i++)
        right[i] = is_right(logits->x + (size_t)i * (size_t)B, B, i, group);
    return clip_loss(logits, group);
}

/* ---- guidance -------------------------------------------------------------------------------- */

static Tensor *fit_at(const Guide *self, const Step *at, Tensor *xt) {
    const ClipGuide *g = (const ClipGuide *)self;
    Arena *arena = &xt->tape->arena;
    int D = g->net->proj->shape[1], *t = arena_get(arena, (size_t)at->n * sizeof *t);
    for (int i = 0; i < at->n; i++) t[i] = at->schedule->step[at->t];
    Tensor *image = clip_normalise(clip_image(g->net, xt, t));
    Tensor *text = t_input(xt->tape, g->text + (size_t)at->first * (size_t)D, SHAPE(at->n, D));
    return t_scale(t_sum_axis(t_mul(image, text), 1), g->scale);
}

ClipGuide clip_guide(const ClipImage *net, const real *text, double scale, Tape *tape) {
    return (ClipGuide){{fit_at, tape}, net, text, scale};
}
