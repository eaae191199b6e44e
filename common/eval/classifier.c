#include "eval/classifier.h"

#include "data/sha256.h"
#include "train/checkpoint.h"
#include "base/file.h"

#include <string.h>

/* ---- the network ----------------------------------------------------------------------------- */

Classifier classifier_new(Params *p) {
    enum { C0 = 32, C1 = 64 };
    Scope s = scope(p, "%s", "");
    Classifier c;
    c.conv[0] = conv2d_new(sub(s, "conv.0"), 1, C0, 3, 1, 1, true);
    c.conv[1] = conv2d_new(sub(s, "conv.1"), C0, C1, 3, 1, 1, true);
    c.features = linear_new(sub(s, "features"), 7 * 7 * C1, SCORE_FEATURES, true);
    c.classes = linear_new(sub(s, "classes"), SCORE_FEATURES, SCORE_CLASSES, true);
    for (int i = 0; i < 2; i++) {
        Tensor *w = c.conv[i].w;
        init_kaiming_normal(w, 9 * w->shape[2], p->seed);
        init_constant(c.conv[i].b, 0);
    }
    return c;
}

/* Pooled before the rectifier, which gives the same numbers with a quarter of the work. */
Tensor *classifier_features(const Classifier *c, Tensor *x) {
    Tensor *h = t_relu(t_max_pool2(conv2d(&c->conv[0], x)));        /* (B,14,14,32) */
    h = t_relu(t_max_pool2(conv2d(&c->conv[1], h)));                /* (B,7,7,64) */
    return linear(&c->features, t_reshape(h, SHAPE(x->shape[0], -1)));
}

Tensor *classifier_logits(const Classifier *c, Tensor *h) {
    return linear(&c->classes, t_relu(h));
}

/* ---- frozen ---------------------------------------------------------------------------------- */

Frozen frozen_load(const char *path) {
    static const Cli made_by = {.program = "classifier"};
    Frozen f = {0};
    f.net = classifier_new(&f.params);
    checkpoint_load(path, &(Checkpoint){.cli = &made_by, .params = {{"", &f.params}}});
    params_freeze(&f.params, true);
    size_t length;
    const uint8_t *bytes = file_map(path, &length);
    sha256(bytes, length, f.sha256);
    file_unmap(bytes, length);
    return f;
}

void frozen_free(Frozen *f) {
    params_free(&f->params);
}

void frozen_apply(const Frozen *f, int n, const real *x, real *features, real *probabilities) {
    enum { AT_ONCE = 256 };
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        tape_reset(&t);
        Tensor *images = t_input(&t, x + (size_t)i * SCORE_PIXELS,
                                 SHAPE(m, SCORE_SIDE, SCORE_SIDE, 1));
        Tensor *h = classifier_features(&f->net, images);
        Tensor *p = t_softmax(classifier_logits(&f->net, h));
        if (features) memcpy(features + (size_t)i * SCORE_FEATURES, h->x, h->len * sizeof(real));
        if (probabilities) {
            memcpy(probabilities + (size_t)i * SCORE_CLASSES, p->x, p->len * sizeof(real));
        }
    }
    tape_free(&t);
}

int most_probable(const real *probabilities) {
    int best = 0;
    for (int k = 1; k < SCORE_CLASSES; k++) {
        if (probabilities[k] > probabilities[best]) best = k;
    }
    return best;
}
