#include "ae.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

/* ---- networks -------------------------------------------------------------------------------- */

Architecture architecture_named(const char *config) {
    if (!strcmp(config, "hinton2006")) return HINTON_2006;
    if (!strcmp(config, "linear")) return LINEAR;
    return CONVOLUTIONAL;
}

/* Logistic units have slope 1/4 at 0, so weights four times Glorot & Bengio's keep the size of
 * signals and gradients through the eight layers. The paper has pretraining instead. */
static Linear logistic_new(Scope s, int in, int out) {
    LayerInit init = {WEIGHTS_NORMAL, .scale = 4 * sqrt(2.0 / (in + out)), .zero_bias = true};
    return linear_new(with_init(s, init), in, out, true);
}

static void hinton2006_new(Autoencoder *a, Scope s) {
    const int sizes[] = {PIXELS, 1000, 500, 250, a->code};
    a->layers = 4;
    for (int i = 0; i < 4; i++) {
        a->encoder[i] = logistic_new(sub(s, "encoder.%d", i), sizes[i], sizes[i + 1]);
        a->decoder[i] = logistic_new(sub(s, "decoder.%d", i), sizes[4 - i], sizes[3 - i]);
    }
}

static void linear_autoencoder_new(Autoencoder *a, Scope s) {
    a->layers = 1;
    a->encoder[0] = linear_new(sub(s, "encoder.0"), PIXELS, a->code, true);
    a->decoder[0] = linear_new(sub(s, "decoder.0"), a->code, PIXELS, true);
}

/* 28x28x1 -> 14x14x32 -> 7x7x64 -> 256 -> code, and back. 4x4 kernels at stride 2 cover every pixel
 * equally often, in both directions: no checkerboard. */
static void convolutional_new(Autoencoder *a, Scope s) {
    enum { C0 = 16, C1 = 32, C2 = 64, FEATURES = 256, MAP = 7 * 7 * C2 };
    a->down[0] = conv2d_new(sub(s, "encoder.down.0"), 1, C1, 4, 2, 1, true);
    a->down[1] = conv2d_new(sub(s, "encoder.down.1"), C1, C2, 4, 2, 1, true);
    a->features = linear_new(sub(s, "encoder.features"), MAP, FEATURES, true);
    a->to_code = linear_new(sub(s, "encoder.code"), FEATURES, a->code, true);
    a->from_code = linear_new(sub(s, "decoder.code"), a->code, FEATURES, true);
    a->from_features = linear_new(sub(s, "decoder.features"), FEATURES, MAP, true);
    a->up[0] = conv_transpose2d_new(sub(s, "decoder.up.0"), C2, C1, 4, 2, 1, true);
    a->up[1] = conv_transpose2d_new(sub(s, "decoder.up.1"), C1, C0, 4, 2, 1, true);
    a->out = conv2d_new(sub(s, "decoder.out"), C0, 1, 3, 1, 1, true);
}

Autoencoder autoencoder_new(Params *p, Architecture architecture, int code) {
    Autoencoder a = {.architecture = architecture, .code = code};
    Scope s = scope(p, "%s", "");
    switch (architecture) {
    case CONVOLUTIONAL: convolutional_new(&a, s); break;
    case HINTON_2006: hinton2006_new(&a, s); break;
    case LINEAR: linear_autoencoder_new(&a, s); break;
    }
    return a;
}

/* The code layer is linear: with logistic or rectified units half of its range would be lost. */
static Tensor *dense_encode(const Autoencoder *a, Tensor *x) {
    Tensor *h = t_reshape(x, SHAPE(-1, PIXELS));
    for (int i = 0; i < a->layers; i++) {
        h = linear(&a->encoder[i], h);
        if (i < a->layers - 1) h = t_sigmoid(h);
    }
    return h;
}

static Tensor *dense_decode(const Autoencoder *a, Tensor *h) {
    for (int i = 0; i < a->layers; i++) {
        h = linear(&a->decoder[i], h);
        if (i < a->layers - 1) h = t_sigmoid(h);
    }
    return t_reshape(h, SHAPE(-1, IMAGE, IMAGE, 1));
}

Tensor *encode(const Autoencoder *a, Tensor *x) {
    if (a->architecture != CONVOLUTIONAL) return dense_encode(a, x);
    Tensor *h = t_silu(conv2d(&a->down[0], x));                /* (B,14,14,32) */
    h = t_silu(conv2d(&a->down[1], h));                        /* (B,7,7,64) */
    h = t_reshape(h, SHAPE(x->shape[0], -1));
    h = t_silu(linear(&a->features, h));
    return linear(&a->to_code, h);
}

Tensor *decode_logits(const Autoencoder *a, Tensor *h) {
    if (a->architecture != CONVOLUTIONAL) return dense_decode(a, h);
    h = t_silu(linear(&a->from_code, h));
    h = t_silu(linear(&a->from_features, h));
    h = t_reshape(h, SHAPE(h->shape[0], 7, 7, -1));
    h = t_silu(conv_transpose2d(&a->up[0], h));                /* (B,14,14,32) */
    h = t_silu(conv_transpose2d(&a->up[1], h));                /* (B,28,28,16) */
    return conv2d(&a->out, h);
}

Tensor *decode(const Autoencoder *a, Tensor *h) {
    Tensor *logits = decode_logits(a, h);
    return a->architecture == LINEAR ? logits : t_sigmoid(logits);
}

/* ---- losses ---------------------------------------------------------------------------------- */

Tensor *squared_error(Tensor *reconstruction, Tensor *x) {
    return t_scale(t_mse(reconstruction, x), PIXELS);
}

Tensor *cross_entropy(Tensor *logits, Tensor *x) {
    return t_scale(t_bce_logits(logits, x), PIXELS);
}

/* ---- after training -------------------------------------------------------------------------- */

enum { AT_ONCE = 256 };

void encode_all(const Autoencoder *a, int n, const real *images, real *codes) {
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        tape_reset(&t);
        Tensor *h = encode(a, t_input(&t, images + (size_t)i * PIXELS, SHAPE(m, IMAGE, IMAGE, 1)));
        memcpy(codes + (size_t)i * (size_t)a->code, h->x, h->len * sizeof(real));
    }
    tape_free(&t);
}

void decode_all(const Autoencoder *a, int n, const real *codes, real *images) {
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        tape_reset(&t);
        Tensor *x = decode(a, t_input(&t, codes + (size_t)i * (size_t)a->code, SHAPE(m, a->code)));
        memcpy(images + (size_t)i * PIXELS, x->x, x->len * sizeof(real));
    }
    tape_free(&t);
}

void reconstruct_all(const Autoencoder *a, int n, const real *images, real *reconstructions) {
    Arena arena = {0};
    real *codes = arena_get(&arena, (size_t)n * (size_t)a->code * sizeof *codes);
    encode_all(a, n, images, codes);
    decode_all(a, n, codes, reconstructions);
    arena_free(&arena);
}

double mean_squared_error_per_image(int n, const real *a, const real *b) {
    return k_sum_squared_difference((size_t)n * PIXELS, a, b) / n;
}

void code_statistics(int n, int code, const real *codes, real *mean, real *deviation) {
    for (int j = 0; j < code; j++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < n; i++) sum += (double)codes[(size_t)i * (size_t)code + (size_t)j];
        double m = sum / n;
        for (int i = 0; i < n; i++) {
            double d = (double)codes[(size_t)i * (size_t)code + (size_t)j] - m;
            squares += d * d;
        }
        mean[j] = (real)m;
        deviation[j] = (real)sqrt(squares / n);
    }
}

void random_codes(int n, int code, const real *mean, const real *deviation, Rng *rng, real *codes) {
    size_t len = (size_t)n * (size_t)code;
    rng_normal(rng, len, codes);
    for (size_t i = 0; mean && i < len; i++)
        codes[i] = mean[i % (size_t)code] + deviation[i % (size_t)code] * codes[i];
}
