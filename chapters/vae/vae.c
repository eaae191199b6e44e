#include "vae.h"

#include <math.h>
#include <string.h>

/* ---- networks -------------------------------------------------------------------------------- */

Architecture architecture_named(const char *config) {
    if (!strcmp(config, "aevb")) return AEVB_2013;
    if (!strcmp(config, "kingma")) return KINGMA_2014;
    if (!strcmp(config, "pytorch")) return PYTORCH_EXAMPLE;
    return CONVOLUTIONAL;
}

Likelihood likelihood_named(const char *name) {
    return !strcmp(name, "gaussian") ? GAUSSIAN : BERNOULLI;
}

/* Hidden layers: the paper starts from N(0, 0.01), Kingma's later program from N(0, 1/fan_in). */
static Scope start(const Vae *v, Scope s, int fan_in) {
    if (v->architecture == PYTORCH_EXAMPLE) return s;
    double deviation = v->architecture == AEVB_2013 ? 0.1 : 1 / sqrt(fan_in);
    return with_init(s, (LayerInit){WEIGHTS_NORMAL, .scale = deviation});
}

/* log sigma^2 of the posterior. sigma is 1 at first, as the prior's. */
static Linear logvar_new(const Vae *v, Scope s, int features) {
    if (v->architecture != PYTORCH_EXAMPLE) s = zero_init(s);
    return linear_new(s, features, v->code, true);
}

static void dense_new(Vae *v, Scope s, int layers, int hidden) {
    v->layers = layers;
    for (int i = 0; i < layers; i++) {
        int x = i ? hidden : PIXELS + v->classes, z = i ? hidden : v->code + v->classes;
        v->encoder[i] = linear_new(start(v, sub(s, "encoder.%d", i), x), x, hidden, true);
        v->decoder[i] = linear_new(start(v, sub(s, "decoder.%d", i), z), z, hidden, true);
    }
    v->mu = linear_new(sub(s, "encoder.mu"), hidden, v->code, true);
    v->logvar = logvar_new(v, sub(s, "encoder.logvar"), hidden);
    v->out = linear_new(sub(s, "decoder.out"), hidden, PIXELS, true);
}

/* 28x28x1 -> 14x14x32 -> 7x7x64 -> 256 -> mu, logvar, and back. 4x4 kernels at stride 2 cover every
 * pixel equally often. No batch normalisation: an image's posterior must not depend on its
 * neighbours. */
static void convolutional_new(Vae *v, Scope s) {
    enum { C0 = 16, C1 = 32, C2 = 64, FEATURES = 256, MAP = 7 * 7 * C2 };
    v->down[0] = conv2d_new(sub(s, "encoder.down.0"), 1, C1, 4, 2, 1, true);
    v->down[1] = conv2d_new(sub(s, "encoder.down.1"), C1, C2, 4, 2, 1, true);
    v->features = linear_new(sub(s, "encoder.features"), MAP + v->classes, FEATURES, true);
    v->mu = linear_new(sub(s, "encoder.mu"), FEATURES, v->code, true);
    v->logvar = logvar_new(v, sub(s, "encoder.logvar"), FEATURES);
    v->from_code = linear_new(sub(s, "decoder.code"), v->code + v->classes, FEATURES, true);
    v->from_features = linear_new(sub(s, "decoder.features"), FEATURES, MAP, true);
    v->up[0] = conv_transpose2d_new(sub(s, "decoder.up.0"), C2, C1, 4, 2, 1, true);
    v->up[1] = conv_transpose2d_new(sub(s, "decoder.up.1"), C1, C0, 4, 2, 1, true);
    v->refine = conv2d_new(sub(s, "decoder.out"), C0, 1, 3, 1, 1, true);
}

Vae vae_new(Params *p, Architecture architecture, Likelihood likelihood, int code, int classes) {
    Vae v = {.architecture = architecture, .likelihood = likelihood, .code = code,
             .classes = classes};
    Scope s = scope(p, "%s", "");
    switch (architecture) {
    case CONVOLUTIONAL: convolutional_new(&v, s); break;
    case AEVB_2013: dense_new(&v, s, 1, 500); break;
    case KINGMA_2014: dense_new(&v, s, 2, 500); break;
    case PYTORCH_EXAMPLE: dense_new(&v, s, 1, 400); break;
    }
    if (likelihood == GAUSSIAN)
        v.log_sigma = param(s, "decoder.log_sigma", INIT_CONSTANT, -1, SHAPE(1));
    return v;
}

/* h (B,n) beside the labels' one-hot vectors: (B,n+classes) */
static Tensor *with_label(const Vae *v, Tensor *h, const int *labels) {
    if (!v->classes) return h;
    return t_concat(h, one_hot(h->tape, h->shape[0], labels, v->classes), -1);
}

static Tensor *activation(const Vae *v, Tensor *h) {
    switch (v->architecture) {
    case AEVB_2013: return t_tanh(h);
    case KINGMA_2014: return t_softplus(h);
    case PYTORCH_EXAMPLE: return t_relu(h);
    default: return t_silu(h);
    }
}

Posterior encode(const Vae *v, Tensor *x, const int *labels) {
    Tensor *h = x;
    if (v->architecture == CONVOLUTIONAL) {
        h = activation(v, conv2d(&v->down[0], h));              /* (B,14,14,32) */
        h = activation(v, conv2d(&v->down[1], h));              /* (B,7,7,64) */
    }
    h = with_label(v, t_reshape(h, SHAPE(x->shape[0], -1)), labels);
    if (v->architecture == CONVOLUTIONAL) h = activation(v, linear(&v->features, h));
    for (int i = 0; i < v->layers; i++) h = activation(v, linear(&v->encoder[i], h));
    Tensor *mu = linear(&v->mu, h);
    return (Posterior){mu, linear(&v->logvar, h)};
}

Tensor *reparameterize(Posterior q, Rng *rng) {
    Tensor *eps = t_input(q.mu->tape, NULL, q.mu->rank, q.mu->shape);
    rng_normal(rng, eps->len, eps->x);
    Tensor *sigma = t_exp(t_scale(q.logvar, 0.5));
    return t_add(q.mu, t_mul(sigma, eps));
}

Tensor *decode(const Vae *v, Tensor *z, const int *labels) {
    Tensor *h = with_label(v, z, labels);
    if (v->architecture != CONVOLUTIONAL) {
        for (int i = 0; i < v->layers; i++) h = activation(v, linear(&v->decoder[i], h));
        return t_reshape(linear(&v->out, h), SHAPE(-1, IMAGE, IMAGE, 1));
    }
    h = activation(v, linear(&v->from_code, h));
    h = activation(v, linear(&v->from_features, h));
    h = t_reshape(h, SHAPE(h->shape[0], 7, 7, -1));
    h = activation(v, conv_transpose2d(&v->up[0], h));          /* (B,14,14,32) */
    h = activation(v, conv_transpose2d(&v->up[1], h));          /* (B,28,28,16) */
    return conv2d(&v->refine, h);
}

Tensor *mean_image(Tensor *logits) {
    return t_sigmoid(logits);
}

/* ---- the evidence lower bound ---------------------------------------------------------------- */

/* BERNOULLI: sum over pixels of x log p + (1-x) log(1-p), from logits.
 * GAUSSIAN: -784 (log sigma + log(2 pi)/2) - |x - mean|^2 / (2 sigma^2). A plain squared error would
 * be sigma^2 = 1/2, far wider than the errors of pixels are, and the KL would dominate. */
Tensor *log_likelihood(const Vae *v, Tensor *logits, Tensor *x) {
    if (v->likelihood == BERNOULLI) return t_scale(t_bce_logits(logits, x), -PIXELS);
    Tensor *log_sigma = t_use(x->tape, v->log_sigma);
    Tensor *precision = t_exp(t_scale(log_sigma, -2));
    Tensor *half_square = t_scale(t_mse(mean_image(logits), x), 0.5);
    Tensor *nats = t_add(t_mul(half_square, precision), t_add_scalar(log_sigma, log(2 * M_PI) / 2));
    return t_scale(nats, -PIXELS);
}

/* -1/2 sum_j (1 + log sigma_j^2 - mu_j^2 - sigma_j^2): Kingma & Welling 2013, appendix B */
Tensor *kl_divergence(Posterior q) {
    Tensor *squares = t_add(t_square(q.mu), t_exp(q.logvar));
    Tensor *terms = t_add_scalar(t_sub(q.logvar, squares), 1);
    return t_scale(t_sum(terms), -0.5 / q.mu->shape[0]);
}

void observe(const Vae *v, size_t pixels, const real *grey, Rng *rng, real *x) {
    rng_uniform(rng, pixels, x);
    for (size_t i = 0; i < pixels; i++) {
        if (v->likelihood == BERNOULLI) x[i] = x[i] < grey[i] ? 1 : 0;
        else x[i] = (grey[i] * 255 + x[i]) / 256;
    }
}

/* ---- many images, no gradients --------------------------------------------------------------- */

enum { AT_ONCE = 256 };

/* images from the i-th on that go through the network together, and their labels */
static int batch_size(int n, int i) {
    return n - i < AT_ONCE ? n - i : AT_ONCE;
}

static const int *labels_from(const int *labels, int i) {
    return labels ? labels + i : NULL;
}

void encode_all(const Vae *v, int n, const real *x, const int *labels, real *mu, real *logvar) {
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        tape_reset(&t);
        size_t at = (size_t)i * (size_t)v->code;
        int m = batch_size(n, i);
        Tensor *images = t_input(&t, x + (size_t)i * PIXELS, SHAPE(m, IMAGE, IMAGE, 1));
        Posterior q = encode(v, images, labels_from(labels, i));
        memcpy(mu + at, q.mu->x, q.mu->len * sizeof(real));
        if (logvar) memcpy(logvar + at, q.logvar->x, q.logvar->len * sizeof(real));
    }
    tape_free(&t);
}

void decode_all(const Vae *v, int n, const real *z, const int *labels, real *images) {
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        tape_reset(&t);
        size_t at = (size_t)i * (size_t)v->code;
        Tensor *codes = t_input(&t, z + at, SHAPE(batch_size(n, i), v->code));
        Tensor *x = mean_image(decode(v, codes, labels_from(labels, i)));
        memcpy(images + (size_t)i * PIXELS, x->x, x->len * sizeof(real));
    }
    tape_free(&t);
}

Elbo elbo_all(const Vae *v, int n, const real *x, const int *labels, Rng *rng) {
    Tape t = {.no_grad = true};
    Elbo sum = {0};
    for (int i = 0; i < n; i += AT_ONCE) {
        tape_reset(&t);
        int m = batch_size(n, i);
        Tensor *images = t_input(&t, x + (size_t)i * PIXELS, SHAPE(m, IMAGE, IMAGE, 1));
        Posterior q = encode(v, images, labels_from(labels, i));
        Tensor *logits = decode(v, reparameterize(q, rng), labels_from(labels, i));
        sum.log_likelihood += m * (double)log_likelihood(v, logits, images)->x[0];
        sum.kl += m * (double)kl_divergence(q)->x[0];
    }
    tape_free(&t);
    return (Elbo){sum.log_likelihood / n, sum.kl / n};
}

double image_log_likelihood(const Vae *v, const real *logits, const real *x) {
    if (v->likelihood == BERNOULLI) return -k_sum_bce_logits(PIXELS, logits, x);
    double log_sigma = (double)v->log_sigma->x[0];
    real mean[PIXELS];
    k_sigmoid(PIXELS, logits, 0, 0, mean);
    return -PIXELS * (log_sigma + log(2 * M_PI) / 2) -
           k_sum_squared_difference(PIXELS, mean, x) / 2 * exp(-2 * log_sigma);
}

/* log p(z) - log q(z|x) = sum_j (log sigma_j^2 + eps_j^2 - z_j^2) / 2 with z = mu + sigma eps */
static double prior_over_posterior(int code, const real *logvar, const real *eps, const real *z) {
    double sum = 0;
    for (int j = 0; j < code; j++)
        sum += (double)logvar[j] + (double)eps[j] * (double)eps[j] - (double)z[j] * (double)z[j];
    return sum / 2;
}

/* log (1/K sum exp(w)) */
static double log_mean_exp(int K, const double *w) {
    double most = w[0], sum = 0;
    for (int k = 1; k < K; k++) most = fmax(most, w[k]);
    for (int k = 0; k < K; k++) sum += exp(w[k] - most);
    return most + log(sum / K);
}

/* the K log weights of one image x with posterior mu, logvar */
static void log_weights(const Vae *v, const real *x, const int *label, const real *mu,
                        const real *logvar, int K, Rng *rng, double *w) {
    int D = v->code;
    Tape t = {.no_grad = true};
    for (int k = 0; k < K; k += AT_ONCE) {
        int m = batch_size(K, k), labels[AT_ONCE];
        tape_reset(&t);
        Tensor *eps = t_input(&t, NULL, SHAPE(m, D)), *z = t_input(&t, NULL, SHAPE(m, D));
        rng_normal(rng, eps->len, eps->x);
        for (int i = 0; i < m * D; i++)
            z->x[i] = mu[i % D] + (real)exp((double)logvar[i % D] / 2) * eps->x[i];
        for (int i = 0; i < m; i++) labels[i] = label ? *label : 0;
        Tensor *logits = decode(v, z, labels);
        for (int i = 0; i < m; i++)
            w[k + i] = image_log_likelihood(v, logits->x + i * PIXELS, x) +
                       prior_over_posterior(D, logvar, eps->x + i * D, z->x + i * D);
    }
    tape_free(&t);
}

double importance_weighted(const Vae *v, int n, const real *x, const int *labels, int K, Rng *rng) {
    size_t D = (size_t)v->code;
    Arena arena = {0};
    real *mu = arena_get(&arena, (size_t)n * D * sizeof *mu);
    real *logvar = arena_get(&arena, (size_t)n * D * sizeof *logvar);
    double *w = arena_get(&arena, (size_t)K * sizeof *w), sum = 0;
    encode_all(v, n, x, labels, mu, logvar);
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)i;
        log_weights(v, x + at * PIXELS, labels_from(labels, i), mu + at * D, logvar + at * D, K,
                    rng, w);
        sum += log_mean_exp(K, w);
    }
    arena_free(&arena);
    return sum / n;
}

/* ---- codes ----------------------------------------------------------------------------------- */

void code_use(int n, int code, const real *mu, const real *logvar, double *kl, double *variance) {
    for (int j = 0; j < code; j++) {
        double sum = 0, mean = 0, squares = 0;
        for (int i = 0; i < n; i++) mean += (double)mu[i * code + j] / n;
        for (int i = 0; i < n; i++) {
            double m = (double)mu[i * code + j], lv = (double)logvar[i * code + j];
            sum += 0.5 * (m * m + exp(lv) - 1 - lv);
            squares += (m - mean) * (m - mean);
        }
        kl[j] = sum / n;
        variance[j] = squares / n;
    }
}

int active_units(int code, const double *variance) {
    int active = 0;
    for (int j = 0; j < code; j++) active += variance[j] > 0.01;
    return active;
}

/* the z with P(N(0,1) < z) = p, by bisection: it is called a few dozen times */
static double normal_quantile(double p) {
    double low = -10, high = 10;
    for (int i = 0; i < 60; i++) {
        double z = (low + high) / 2;
        if (0.5 * erfc(-z / sqrt(2)) < p) low = z;
        else high = z;
    }
    return (low + high) / 2;
}

void manifold_codes(int side, real *codes) {
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            codes[2 * (i * side + j)] = (real)normal_quantile((j + 0.5) / side);
            codes[2 * (i * side + j) + 1] = (real)normal_quantile((side - i - 0.5) / side);
        }
}
