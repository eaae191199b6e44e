/* test_ae.c — gradients, the paper's sizes, PCA, a few images by heart, the program. */
#include "ae.h"
#include "data/fashion.h"
#include "eval/eigen.h"
#include "nn/optim.h"
#include "eval/pca.h"
#include "programs.h"

#include <math.h>

SUITE(ae);

/* ---- networks -------------------------------------------------------------------------------- */

static const Architecture architectures[] = {CONVOLUTIONAL, HINTON_2006, LINEAR};
static const char *const names[] = {"default", "hinton2006", "linear"};

/* Is it the network of the paper, to the last weight? 784-1000-500-250-30 and back, with biases. */
Test(ae, hinton2006_has_the_published_number_of_parameters) {
    Params p = {0};
    autoencoder_new(&p, architecture_named("hinton2006"), 30);
    cr_assert_eq(params_count(&p), 2837314, "%zu", params_count(&p));
    params_free(&p);
}

Test(ae, every_network_maps_images_to_codes_and_back) {
    for (int i = 0; i < 3; i++) {
        Params p = {.seed = 1};
        Tape t = {.no_grad = true};
        Autoencoder a = autoencoder_new(&p, architectures[i], 16);
        Tensor *x = t_input(&t, NULL, SHAPE(3, IMAGE, IMAGE, 1));
        test_values("image", 0, 1, x->len, x->x);
        Tensor *h = encode(&a, x), *y = decode(&a, h);
        cr_expect(h->rank == 2 && h->shape[0] == 3 && h->shape[1] == 16, "%s: %s", names[i],
                  t_describe(h));
        cr_expect(y->rank == 4 && y->len == x->len && y->shape[3] == 1, "%s: %s", names[i],
                  t_describe(y));
        int negative = 0;
        for (size_t k = 0; k < h->len; k++) negative += h->x[k] < 0;
        cr_expect(negative > 0 && negative < 48, "%s: %d of 48 entries of codes are negative", names[i], negative);
        for (size_t k = 0; k < y->len && architectures[i] != LINEAR; k++)
            cr_assert(y->x[k] >= 0 && y->x[k] <= 1);
        tape_free(&t);
        params_free(&p);
    }
}

#ifdef REAL_DOUBLE
typedef struct {
    Autoencoder net;
    bool cross_entropy;
} Case;

static Tensor *case_loss(Tape *t, void *context) {
    Case *c = context;
    Tensor *x = t_input(t, NULL, SHAPE(2, IMAGE, IMAGE, 1));
    test_values("images", 0, 1, x->len, x->x);
    Tensor *h = encode(&c->net, x);
    return c->cross_entropy ? cross_entropy(decode_logits(&c->net, h), x)
                            : squared_error(decode(&c->net, h), x);
}

/* Do all weights of all networks get the right gradient from both losses? */
Test(ae, gradients_of_every_network_and_loss) {
    for (int i = 0; i < 3; i++)
        for (int loss = 0; loss < 2; loss++) {
            Params p = {.seed = 4};
            Case c = {.net = autoencoder_new(&p, architectures[i], 3), .cross_entropy = loss};
            /* first weights are so small that gradients drown in the rounding of a loss of hundreds */
            for (int k = 0; k < p.count && architectures[i] == CONVOLUTIONAL; k++)
                k_axpy(p.list[k]->len, 3, p.list[k]->x, p.list[k]->x, false);
            double error = gradient_error(&p, case_loss, &c, 4);
            cr_expect(error <= 1e-6, "%s, %s: relative error %g", names[i],
                      loss ? "cross-entropy" : "squared error", error);
            params_free(&p);
        }
}
#endif

/* Are losses sums over pixels and means over images, as the README says? */
Test(ae, losses_are_per_image) {
    Tape t = {0};
    Tensor *x = t_input(&t, NULL, SHAPE(2, IMAGE, IMAGE, 1)),
           *y = t_input(&t, NULL, SHAPE(2, IMAGE, IMAGE, 1));
    k_fill(x->len, (real)0.5, x->x);
    k_fill(y->len, (real)0.25, y->x);
    cr_assert_float_eq(squared_error(y, x)->x[0], PIXELS * 0.0625, 1e-3);
    k_fill(y->len, 0, y->x);
    /* the floor of the cross-entropy against grey 0.5 is its entropy, ln 2 a pixel: not 0 */
    cr_assert_float_eq(cross_entropy(y, x)->x[0], PIXELS * log(2), 1e-2);
    /* log(sigmoid(1000)) would be log(1), and log(1 - sigmoid(1000)) infinite */
    k_fill(y->len, 1000, y->x);
    cr_assert_float_eq(cross_entropy(y, x)->x[0], PIXELS * 500., 1);
    k_fill(y->len, -1000, y->x);
    cr_assert_float_eq(cross_entropy(y, x)->x[0], PIXELS * 500., 1);
    tape_free(&t);
}

/* ---- PCA ------------------------------------------------------------------------------------- */

/* images of six fixed patterns with random strengths that differ by pattern, and a little noise */
static void made_images(int n, real *x) {
    static const double strength[6] = {3, 2, 1.4, 0.8, 0.4, 0.2};
    real patterns[6 * PIXELS], s[6];
    Rng rng = rng_new(11, "made images");
    rng_normal(&rng, 6 * PIXELS, patterns);
    for (int i = 0; i < n; i++) {
        real *image = x + i * PIXELS;
        rng_normal(&rng, PIXELS, image);
        rng_normal(&rng, 6, s);
        for (int j = 0; j < PIXELS; j++) {
            double v = 0.4 + 0.02 * (double)image[j];
            for (int k = 0; k < 6; k++)
                v += 0.1 * strength[k] * (double)s[k] * (double)patterns[k * PIXELS + j];
            image[j] = (real)v;
        }
    }
}

/* Does the subspace iteration find what a full eigenvalue decomposition finds? */
Test(ae, pca_agrees_with_a_full_decomposition) {
    enum { N = 1300, D = 30, K = 4 };                 /* rows are centred 1,000 at a time */
    real x[N * D];
    double cov[D * D] = {0}, mean[D] = {0}, values[D], v[D * D];
    test_values("rows", -1, 1, N * D, x);
    for (int i = 0; i < N * D; i++) x[i] *= (real)(1 + 0.3 * (i % D));
    for (int i = 0; i < N * D; i++) mean[i % D] += (double)x[i] / N;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++)
            for (int k = 0; k < D; k++)
                cov[j * D + k] +=
                    ((double)x[i * D + j] - mean[j]) * ((double)x[i * D + k] - mean[k]) / N;
    symmetric_eigen(D, cov, values, v);
    Pca p = pca_fit(N, D, x, K);
    for (int i = 0; i < K; i++) {
        double dot = 0;
        for (int j = 0; j < D; j++) dot += (double)p.basis[i * D + j] * v[i * D + j];
        cr_assert_float_eq(fabs(dot), 1, 1e-4, "component %d: cosine %g", i, dot);
        cr_assert_float_eq(p.variance[i] / values[i], 1, 1e-4);
    }
    pca_free(&p);
}

/* Is the reconstruction error on the data it was fitted to what the eigenvalues say is left over? */
Test(ae, pca_leaves_the_variance_of_the_other_components) {
    enum { N = 200, K = 3 };
    static real x[N * PIXELS], codes[N * K], y[N * PIXELS];
    made_images(N, x);
    Pca p = pca_fit(N, PIXELS, x, K);
    pca_encode(&p, N, x, codes);
    pca_decode(&p, N, codes, y);
    double left = p.total_variance - p.variance[0] - p.variance[1] - p.variance[2];
    cr_assert_float_eq(mean_squared_error_per_image(N, x, y) / left, 1, 1e-3);
    pca_free(&p);
}

static void train_on(Autoencoder *a, Params *p, int n, const real *x, int steps, double lr,
                     double *last) {
    Tape t = {0};
    Adam adam = {ADAM_DEFAULTS};
    for (int step = 0; step < steps; step++) {
        tape_reset(&t);
        Tensor *images = t_input(&t, x, SHAPE(n, IMAGE, IMAGE, 1));
        Tensor *loss = squared_error(decode(a, encode(a, images)), images);
        params_zero_grad(p);
        backward(loss);
        adam_step(&adam, p, lr * (1 - (double)step / steps), 1);
        *last = (double)loss->x[0];
    }
    tape_free(&t);
    adam_free(&adam);
}

/* Baldi & Hornik 1989: a linear autoencoder with squared error has no local minima but PCA's
 * subspace. Does ours reach PCA's error, and do its decoder's columns span PCA's components? */
Test(ae, a_linear_autoencoder_reaches_pca_error_and_subspace) {
    enum { N = 120, K = 3 };
    static real x[N * PIXELS], codes[N * K], y[N * PIXELS];
    made_images(N, x);
    Pca pca = pca_fit(N, PIXELS, x, K);
    pca_encode(&pca, N, x, codes);
    pca_decode(&pca, N, codes, y);
    double best = mean_squared_error_per_image(N, x, y), reached;

    Params p = {.seed = 2};
    Autoencoder a = autoencoder_new(&p, LINEAR, K);
    train_on(&a, &p, N, x, 3000, 1e-2, &reached);
    cr_assert(reached >= best * 0.9999 && reached <= best * 1.002, "PCA %g, linear autoencoder %g",
              best, reached);

    /* each unit vector of PCA's basis must lie in the span of the decoder's rows: project by least
     * squares, here by Gram-Schmidt on those rows */
    double q[K][PIXELS];
    for (int i = 0; i < K; i++) {
        for (int j = 0; j < PIXELS; j++) q[i][j] = (double)a.decoder[0].w->x[i * PIXELS + j];
        for (int k = 0; k < i; k++) {
            double along = 0;
            for (int j = 0; j < PIXELS; j++) along += q[i][j] * q[k][j];
            for (int j = 0; j < PIXELS; j++) q[i][j] -= along * q[k][j];
        }
        double length = 0;
        for (int j = 0; j < PIXELS; j++) length += q[i][j] * q[i][j];
        for (int j = 0; j < PIXELS; j++) q[i][j] /= sqrt(length);
    }
    for (int c = 0; c < K; c++) {
        double inside = 0;
        for (int i = 0; i < K; i++) {
            double along = 0;
            for (int j = 0; j < PIXELS; j++) along += q[i][j] * (double)pca.basis[c * PIXELS + j];
            inside += along * along;
        }
        cr_assert(inside > 0.998, "component %d lies in the decoder's span to %g", c, inside);
    }
    pca_free(&pca);
    params_free(&p);
}

/* ---- learning -------------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
/* Can the default and the paper's network learn eight images by heart? The mean image leaves
 * about 60. */
Test(ae, eight_images_are_learned_by_heart) {
    static const struct {
        Architecture architecture;
        int steps;
        double lr, bound;
    } runs[] = {{CONVOLUTIONAL, 250, 3e-3, 3}, {HINTON_2006, 250, 2e-3, 6}};
    Fashion data = fashion_load(NULL);
    real x[8 * PIXELS];
    images_get(&data.train, 8, NULL, 0, 1, x, NULL);
    for (int i = 0; i < 2; i++) {
        Params p = {.seed = 1};
        Autoencoder a = autoencoder_new(&p, runs[i].architecture, 8);
        double loss;
        train_on(&a, &p, 8, x, runs[i].steps, runs[i].lr, &loss);
        cr_expect(loss < runs[i].bound, "%s: squared error %g after %d steps, expected under %g",
                  names[i], loss, runs[i].steps, runs[i].bound);
        params_free(&p);
    }
    fashion_free(&data);
}
#endif

/* ---- codes ----------------------------------------------------------------------------------- */

Test(ae, random_codes_have_the_statistics_asked_for) {
    enum { N = 20000 };
    static real codes[N * 2];
    real mean[2] = {3, -1}, deviation[2] = {0.5, 2}, m[2], d[2];
    Rng rng = rng_new(1, "codes");
    random_codes(N, 2, mean, deviation, &rng, codes);
    code_statistics(N, 2, codes, m, d);
    for (int j = 0; j < 2; j++) {
        cr_assert_float_eq(m[j], mean[j], 0.05);
        cr_assert_float_eq(d[j], deviation[j], 0.05);
    }
}

/* ---- the program ----------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
PROGRAM_SUITE(ae_program);

Test(ae_program, trained_weights_give_pictures_and_scores) {
    few_garments(400, 120);
    RUN("ae", "train -q --steps 3 --batch 16 --code 2 --data %s --out %s");
    RUN("ae", "sample -q --weights %s/weights.safetensors --data %s --out %s/pictures");
    RUN("ae", "eval -q --weights %s/weights.safetensors --data %s --out %s/scores");
    static const char *const files[] = {"samples.png",
                                        "log.csv",
                                        "run.json",
                                        "pictures/reconstructions.png",
                                        "pictures/interpolation.png",
                                        "pictures/random_codes.png",
                                        "scores/metrics.json",
                                        "scores/codes.csv"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_expect(file_there(files[i]), "%s is missing or empty", files[i]);
}

/* No comparison with PCA where there is nothing to compare: one line, and no number that is none */
Test(ae_program, black_images_are_refused_by_eval) {
    char message[2000];
    few_garments(200, 40);
    RUN("ae", "train -q --steps 1 --data %s --out %s");
    few_black(200, 40);
    cr_expect_eq(run_program("ae", "eval --data %s --out %s", message), 1, "%s", message);
    cr_expect(strstr(message, "all pixels are the same"), "%s", message);
}

Test(ae_program, bad_input_gets_one_line_and_a_status) {
    expect_refusal("ae", "train --code 0 --out %s/x", 2, "--code");
    expect_refusal("ae", "train --config linear --loss cross-entropy --out %s/x", 2,
                   "--loss squared");
}

/* Weights of another network: named, not half loaded? */
Test(ae_program, weights_of_another_shape_are_refused) {
    RUN("ae", "train -q --steps 1 --batch 8 --code 4 --out %s");
    char message[2000];
    int status = run_program("ae", "sample --weights %s/weights.safetensors --code 5 --out %s/x", message);
    cr_assert(status == 2 || status == 1, "status %d", status);
    cr_assert(strstr(message, "code"), "%s", message);
}
#endif
