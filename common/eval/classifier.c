#include "eval/classifier.h"

#include "base/processes.h"
#include "data/sha256.h"
#include "nn/entry.h"

#include <string.h>

/* ---- the network ----------------------------------------------------------------------------- */

const ClassifierConfig classifier_fashion = {
    .height = 28, .width = 28, .channels = 1, .filters = {32, 64}, .features = 64, .classes = 10};
const ClassifierConfig classifier_emoji = {
    .height = 32, .width = 32, .channels = 3, .filters = {32, 64, 96}, .features = 64,
    .classes = 99};

static int layers_of(const ClassifierConfig *c) {
    int n = 0;
    while (n < CLASSIFIER_LAYERS && c->filters[n]) n++;
    return n;
}

Classifier classifier_new(Params *p, const ClassifierConfig *config) {
    Scope s = scope(p, "%s", "");
    Scope before_relu = with_init(s, (LayerInit){WEIGHTS_KAIMING, .zero_bias = true});
    Classifier c = {.config = *config};
    int channels = config->channels, layers = layers_of(config);
    for (int i = 0; i < layers; i++) {
        c.conv[i] = conv2d_new(sub(before_relu, "conv.%d", i), channels, config->filters[i], 3, 1,
                               1, true);
        channels = config->filters[i];
    }
    int area = (config->height >> layers) * (config->width >> layers);
    c.features = linear_new(sub(s, "features"), area * channels, config->features, true);
    c.classes = linear_new(sub(s, "classes"), config->features, config->classes, true);
    return c;
}

/* Pooled before the rectifier, which gives the same numbers with a quarter of the work. */
Tensor *classifier_features(const Classifier *c, Tensor *x) {
    int layers = layers_of(&c->config);
    for (int i = 0; i < layers; i++) x = t_relu(t_max_pool2(conv2d(&c->conv[i], x)));
    return linear(&c->features, t_reshape(x, SHAPE(x->shape[0], -1)));
}

Tensor *classifier_logits(const Classifier *c, Tensor *h) {
    return linear(&c->classes, t_relu(h));
}

/* ---- frozen ---------------------------------------------------------------------------------- */

Frozen frozen_load(const char *path, const ClassifierConfig *config) {
    Frozen f = {0};
    f.net = classifier_new(&f.params, config);
    Entries e = {0};
    entries_add(&e, "", &f.params);
    weights_read(path, "classifier", &e);
    params_freeze(&f.params, true);
    file_sha256(path, f.sha256);
    return f;
}

void frozen_free(Frozen *f) {
    params_free(&f->params);
}

enum { AT_ONCE = 256 };

/* a row for each picture, from the processes that computed it */
static void collect(int n, int columns, real *rows) {
    size_t each = (size_t)columns * sizeof *rows;
    processes_collect(rows, (size_t)n * each, AT_ONCE * each);
}

void frozen_apply(const Frozen *f, int n, const real *x, real *features, real *probabilities) {
    const ClassifierConfig *c = &f->net.config;
    size_t picture = (size_t)c->height * (size_t)c->width * (size_t)c->channels;
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        if (!processes_own(i / AT_ONCE)) continue;
        tape_reset(&t);
        Tensor *images = t_input(&t, x + (size_t)i * picture,
                                 SHAPE(m, c->height, c->width, c->channels));
        Tensor *h = classifier_features(&f->net, images);
        Tensor *p = t_softmax(classifier_logits(&f->net, h));
        if (features) memcpy(features + (size_t)(i * c->features), h->x, h->len * sizeof(real));
        if (probabilities) {
            memcpy(probabilities + (size_t)(i * c->classes), p->x, p->len * sizeof(real));
        }
    }
    if (features) collect(n, c->features, features);
    if (probabilities) collect(n, c->classes, probabilities);
    tape_free(&t);
}

static void apply(const void *net, int n, const real *x, real *features, real *probabilities) {
    frozen_apply(net, n, x, features, probabilities);
}

FeatureNet frozen_net(const Frozen *f) {
    const ClassifierConfig *c = &f->net.config;
    FeatureNet n = {.height = c->height, .width = c->width, .channels = c->channels,
                    .features = c->features, .classes = c->classes, .net = f, .apply = apply};
    memcpy(n.sha256, f->sha256, sizeof n.sha256);
    return n;
}

int most_probable(int classes, const real *probabilities) {
    int best = 0;
    for (int k = 1; k < classes; k++) {
        if (probabilities[k] > probabilities[best]) best = k;
    }
    return best;
}
