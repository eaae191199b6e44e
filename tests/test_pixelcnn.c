/* test_pixelcnn.c — gradients, causality, sampling against the full pass, samples as the network's
 * distribution has them. */
#include "nn/pixelcnn.h"
#include "testing.h"

#include <math.h>

SUITE(pixelcnn);

static const PixelCnnConfig small = {.codes = 5, .classes = 3, .width = 4, .layers = 4, .head = 6};
enum { MAP = 7, POSITIONS = MAP * MAP };
static const int some_labels[3] = {2, 0, 1};

static void some_codes(int n, int *codes) {
    Rng rng = rng_new(3, "codes");
    for (int i = 0; i < n; i++) codes[i] = (int)rng_below(&rng, 5);
}

#ifdef REAL_DOUBLE
static Tensor *loss_of(Tape *t, void *context) {
    int codes[2 * 4 * 5];
    some_codes(40, codes);
    const PixelCnn *p = context;
    Tensor *logits = pixelcnn_logits(p, pixelcnn_embed(p, t, codes, 2, 4, 5), some_labels);
    return pixelcnn_loss(logits, codes);
}

Test(pixelcnn, gradients) {
    Params p = {.seed = 4};
    PixelCnn net = pixelcnn_new(&p, small);
    move_params(&p, 0.2);
    double error = gradient_error(&p, loss_of, &net, 12);
    cr_expect(error <= 1e-6, "relative error %g", error);
    params_free(&p);
}
#endif

/* The logits at (i,j), weighed at random, as a function of all embedded codes: no gradient may
 * reach (i,j) or any later place, and some must reach every earlier one. The blind spot of the
 * first PixelCNN would be zeros at the upper right. */
Test(pixelcnn, a_code_depends_on_all_codes_before_it_and_on_no_other) {
    enum { N = POSITIONS };
    Params p = {.seed = 4};
    PixelCnn net = pixelcnn_new(&p, small);
    move_params(&p, 0.2);
    int codes[N], C = small.width;
    some_codes(N, codes);
    for (int at = 0; at < N; at++) {
        Tape t = {0};
        Tensor *e = pixelcnn_embed(&net, &t, codes, 1, MAP, MAP);
        Tensor *x = t_variable(&t, e->x, e->rank, e->shape);
        Tensor *logits = t_reshape(pixelcnn_logits(&net, x, some_labels), SHAPE(N, 5));
        Tensor *weights = t_input(&t, NULL, SHAPE(1, 5));
        test_values("weights", -1, 1, 5, weights->x);
        params_zero_grad(&p);
        backward(t_sum(t_mul(t_slice(logits, 0, at, 1), weights)));
        for (int k = 0; k < N; k++) {
            double norm = k_sum_squares((size_t)C, x->g + k * C);
            cr_expect(k < at ? norm > 0 : norm == 0, "code %d and code %d: %g", at, k, norm);
        }
        tape_free(&t);
    }
    params_free(&p);
}

/* Do labels matter, everywhere, from the first code on? */
Test(pixelcnn, the_class_reaches_every_code) {
    Params p = {.seed = 4};
    PixelCnn net = pixelcnn_new(&p, small);
    int codes[2 * POSITIONS];
    some_codes(POSITIONS, codes);
    memcpy(codes + POSITIONS, codes, POSITIONS * sizeof *codes);
    Tape t = {.no_grad = true};
    Tensor *y = pixelcnn_logits(&net, pixelcnn_embed(&net, &t, codes, 2, MAP, MAP), some_labels);
    for (int i = 0; i < POSITIONS; i++)
        cr_expect(memcmp(y->x + i * 5, y->x + (POSITIONS + i) * 5, 5 * sizeof(real)), "code %d", i);
    tape_free(&t);
    params_free(&p);
}

/* Position by position, what is kept from before must give the full pass's logits, on maps that are
 * not square as well. */
Test(pixelcnn, sampling_with_a_cache_equals_the_full_pass) {
    enum { B = 3 };
    static const int sizes[][2] = {{7, 7}, {4, 5}, {5, 2}, {1, 6}, {6, 1}};
    Params p = {.seed = 4};
    PixelCnn net = pixelcnn_new(&p, small);
    move_params(&p, 0.2);
    for (int s = 0; s < 5; s++) {
        int H = sizes[s][0], W = sizes[s][1], N = H * W, codes[B * 49], last[B] = {0};
        some_codes(B * N, codes);
        Tape t = {.no_grad = true};
        Tensor *embedded = pixelcnn_embed(&net, &t, codes, B, H, W);
        Tensor *full = pixelcnn_logits(&net, embedded, some_labels);
        PixelCnnCache c;
        pixelcnn_cache_start(&c, &net, B, H, W, some_labels);
        for (int at = 0; at < N; at++) {
            Tensor *y = pixelcnn_next(&c, last);
            for (int b = 0; b < B; b++) {
                last[b] = codes[b * N + at];
                for (int k = 0; k < 5; k++)
                    cr_assert_float_eq(y->x[b * 5 + k], full->x[(b * N + at) * 5 + k], 1e-5,
                                       "%d x %d, code %d", H, W, at);
            }
        }
        pixelcnn_cache_free(&c);
        tape_free(&t);
    }
    params_free(&p);
}

/* Drawn codes must have the probabilities of the model: maps of 1 x 2 codes are few enough to be
 * counted. At a low temperature the likeliest code wins. */
Test(pixelcnn, samples_have_the_models_probabilities) {
    enum { N = 20000, K = 5 };
    Params p = {.seed = 4};
    PixelCnn net = pixelcnn_new(&p, small);
    move_params(&p, 0.3);
    static int labels[N], codes[2 * N], cold[2 * N];
    for (int i = 0; i < N; i++) labels[i] = 1;
    Rng rng = rng_new(1, "samples");
    pixelcnn_sample(&net, N, 1, 2, labels, 1, &rng, codes);
    pixelcnn_sample(&net, 50, 1, 2, labels, 0.01, &rng, cold);
    Tape t = {.no_grad = true};
    int pairs[2 * K] = {0, 0, 1, 0, 2, 0, 3, 0, 4, 0};
    Tensor *y = t_softmax(pixelcnn_logits(&net, pixelcnn_embed(&net, &t, pairs, K, 1, 2), labels));
    double times[K][K] = {0};
    for (int i = 0; i < N; i++) times[codes[2 * i]][codes[2 * i + 1]]++;
    int likeliest = 0;
    for (int a = 0; a < K; a++) {
        if (y->x[a] > y->x[likeliest]) likeliest = a;
        for (int b = 0; b < K; b++) {
            double want = (double)(y->x[a] * y->x[(2 * a + 1) * K + b]);
            cr_expect_float_eq(times[a][b] / N, want, 0.015, "%d %d: %g, not %g", a, b,
                               times[a][b] / N, want);
        }
    }
    for (int i = 0; i < 50; i++) cr_expect_eq(cold[2 * i], likeliest);
    tape_free(&t);
    params_free(&p);
}
