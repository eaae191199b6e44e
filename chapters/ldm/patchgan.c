#include "patchgan.h"

#include "base/error.h"

const PatchGanConfig patchgan_published = {.channels = 3, .width = 64, .layers = 3};

static int least(int a, int b) {
    return a < b ? a : b;
}

PatchGan patchgan_new(Params *p, PatchGanConfig c) {
    const LayerInit start = {WEIGHTS_NORMAL, .scale = 0.02, .gain_std = 0.02};
    PatchGan d = {.config = c};
    int in = c.channels;
    if (c.layers < 1 || c.layers > PATCHGAN_LAYERS) die("patchgan: %d layers", c.layers);
    for (int i = 0; i <= c.layers + 1; i++) {
        bool ends = i == 0 || i == c.layers + 1;     /* alone have a bias, and no norm */
        int out = i == c.layers + 1 ? 1 : c.width * least(1 << i, 8);
        Scope down = with_init(scope(p, "down.%d", i), start);
        d.down[i] = conv2d_new(down, in, out, 4, i < c.layers ? 2 : 1, 1, ends);
        if (!ends)
            d.norm[i] = batch_norm_new(with_init(scope(p, "norm.%d", i), start), out, 0.1, 1e-5);
        in = out;
    }
    return d;
}

Tensor *patchgan(const PatchGan *d, Tensor *x, bool training) {
    int last = d->config.layers + 1;
    Tensor *h = t_leaky_relu(conv2d(&d->down[0], x), 0.2);
    for (int i = 1; i < last; i++)
        h = t_leaky_relu(batch_norm(&d->norm[i], conv2d(&d->down[i], h), training), 0.2);
    return conv2d(&d->down[last], h);
}

Tensor *hinge_loss(Tensor *real_logits, Tensor *fake_logits) {
    Tensor *on_real = t_mean(t_relu(t_add_scalar(t_scale(real_logits, -1), 1)));
    Tensor *on_fake = t_mean(t_relu(t_add_scalar(fake_logits, 1)));
    return t_scale(t_add(on_real, on_fake), 0.5);
}

static const OfficialName names[] = {
    {"down.0", "main.0", 0, 0}, {"down.%d", "main.%d", 3, -1}, {"norm.%d", "main.%d", 3, 0}, {0}};

const OfficialMap patchgan_official = {.rows = names};
