/* test_drawing.c — what is done with embeddings, and how networks are asked: arcs, differences,
 * whitening, guidance, candidates, images back to noise. */
#include "dalle2.h"
#include "diffusion/drawing.h"
#include "diffusion/guidance.h"
#include "nn/unet_config.h"
#include "testing.h"

#include <string.h>

SUITE(drawing);

enum { D = 6, N = 3, T = 4, SIDE = 8, VALUES = SIDE * SIDE * 3 };

/* ---- embeddings ------------------------------------------------------------------------------ */

static void some_embeddings(int n, real *z) {
    test_values("embeddings", -1, 1, (size_t)(n * D), z);
    for (int i = 0; i < n; i++) normalise(D, z + i * D);
}

/* Its ends are what it lies between, number by number; the way is along the sphere, at an even
 * pace. */
Test(drawing, slerp_begins_and_ends_exactly) {
    real z[2 * D], y[D], noise[2][100], x[100];
    some_embeddings(2, z);
    for (int end = 0; end < 2; end++) {
        slerp(D, z, z + D, end, y);
        cr_expect_eq(memcmp(y, z + end * D, sizeof y), 0, "end %d", end);
        test_values(end ? "b" : "a", -3, 3, 100, noise[end]);
    }
    double dot = 0;
    for (int d = 0; d < D; d++) dot += (double)z[d] * (double)z[D + d];
    for (double t = 0.1; t < 1; t += 0.2) {
        double along = 0;
        slerp(D, z, z + D, t, y);
        for (int d = 0; d < D; d++) along += (double)y[d] * (double)z[d];
        cr_expect_float_eq(k_sum_squares(D, y), 1, 1e-5, "length at %g", t);
        cr_expect_float_eq(acos(along), t * acos(dot), 1e-3, "angle at %g", t);
    }
    for (int end = 0; end < 2; end++) {
        slerp(100, noise[0], noise[1], end, x);
        cr_expect_eq(memcmp(x, noise[end], sizeof x), 0, "noise, end %d", end);
    }
    slerp(D, z, z, 0.3, y);                                  /* no angle */
    for (int d = 0; d < D; d++) cr_expect_float_eq(y[d], z[d], 1e-6);
}

Test(drawing, a_text_difference_has_length_one_and_points_from_one_to_the_other) {
    const real from[D] = {1, 2, 0, 0, 0, 0}, to[D] = {1, 2, 0, 3, 0, 4};
    const double expected[D] = {0, 0, 0, 0.6, 0, 0.8};
    real y[D];
    text_difference(D, from, to, y);
    for (int d = 0; d < D; d++) cr_expect_float_eq(y[d], expected[d], 1e-6);
}

/* Mean 0 and deviation 1 in each number; and back to the same embedding. */
Test(drawing, whitened_embeddings_come_back) {
    enum { MANY = 50 };
    real z[MANY * D], x[MANY * D];
    Params p = {0};
    Whitening w = whitening_new(&p, D);
    some_embeddings(MANY, z);
    for (int i = 0; i < MANY; i++) z[i * D] += 2, normalise(D, z + i * D);
    whitening_fit(&w, MANY, z);
    whiten(&w, MANY, z, x);
    for (int d = 0; d < D; d++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < MANY; i++) sum += (double)x[i * D + d];
        for (int i = 0; i < MANY; i++) squares += (double)x[i * D + d] * (double)x[i * D + d];
        cr_expect_float_eq(sum / MANY, 0, 1e-5);
        cr_expect_float_eq(squares / MANY, 1, 1e-4);
    }
    unwhiten(&w, MANY, x, x);
    for (int i = 0; i < MANY * D; i++) cr_expect_float_eq(x[i], z[i], 1e-5);
    params_free(&p);
}

/* More components are never further from the embedding, and all of them are it. */
Test(drawing, all_dimensions_are_the_embedding) {
    enum { MANY = 40 };
    ArPriorConfig c = {.tokens = 1, .dim = D, .codes = D, .buckets = 4, .width = 8, .depth = 1,
                       .heads = 1};
    Params p = {.seed = 1};
    ArPrior m = ar_prior_new(&p, c);
    real z[MANY * D], y[D];
    some_embeddings(MANY, z);
    ar_prior_fit(&m, MANY, z, z);
    for (int k = 0; k <= D; k++) {
        double dot = 0;
        few_dimensions(&m, k, z, y);
        for (int d = 0; d < D; d++) dot += (double)z[d] * (double)y[d];
        cr_expect_float_eq(k_sum_squares(D, y), 1, 1e-5);
        if (k == D) cr_expect_float_eq(dot, 1, 1e-5);
        else cr_expect_lt(dot, 0.9999, "%d components", k);
    }
    params_free(&p);
}

/* ---- networks -------------------------------------------------------------------------------- */

/* captions of 2, 4 and 1 tokens */
static CaptionTable some_captions(Arena *a) {
    static const uint8_t mask[N * T] = {1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0};
    CaptionTable t = {.n = N, .length = T, .dim = D,
                      .tokens = arena_get(a, N * T * D * sizeof(real)),
                      .embedding = arena_get(a, N * D * sizeof(real)), .mask = arena_get(a, N * T)};
    test_values("tokens", -1, 1, N * T * D, t.tokens);
    test_values("captions", -1, 1, N * D, t.embedding);
    memcpy(t.mask, mask, sizeof mask);
    return t;
}

static Decoder some_decoder(Params *p) {
    DecoderConfig c = {.unet = adm_family(8, 1), .clip = D, .tokens = 4};
    unet_levels(&c.unet, 1, 2);
    unet_attend_at(&c.unet, SIDE, 4, 4);
    c.unet.head_channels = 8, c.unet.style.groups = 2, c.unet.context = 8;
    Decoder m = decoder_new(p, c);
    move_params(p, 0.1);
    return m;
}

static Prior some_prior(Params *p) {
    Prior m = prior_new(p, (PriorConfig){.tokens = T, .dim = D, .width = 8, .depth = 1,
                                         .heads = 2});
    move_params(p, 0.2);
    return m;
}

/* what a denoiser's network says of images 1 and 2 of three, at scale 1, 0 and `scale` */
static void three_answers(NetworkDenoiser (*at_scale)(void *context, double scale), void *context,
                          double scale, Step at, const real *x, real *answers[3]) {
    const double scales[3] = {1, 0, scale};
    for (int k = 0; k < 3; k++) {
        Tape t = {.no_grad = true};
        at.tape = &t;
        NetworkDenoiser d = at_scale(context, scales[k]);
        Tensor *xt = t_input(&t, x, SHAPE(at.n, at.height, at.width, at.channels));
        Tensor *y = d.output(d.network, &at, xt);
        memcpy(answers[k], y->x, y->len * sizeof *y->x);
        tape_free(&t);
    }
}

static NetworkDenoiser prior_at(void *context, double scale) {
    GuidedPrior *g = context;
    g->scale = scale;
    return guided_prior(g);
}

static NetworkDenoiser decoder_at(void *context, double scale) {
    GuidedDecoder *g = context;
    g->scale = scale;
    return guided_decoder(g);
}

/* Both answers of one batch mixed, each with its own caption; without it all are the same. */
Test(drawing, a_prior_is_guided_by_its_own_captions) {
    Arena a = {0};
    Params p = {.seed = 1};
    Prior m = some_prior(&p);
    CaptionTable text = some_captions(&a);
    NoiseSchedule s = schedule_cosine(20);
    GuidedPrior g = {.net = &m, .text = &text, .each = 2};
    Step at = {.schedule = &s, .t = 12, .first = 3, .n = 2, .height = 1, .width = 1, .channels = D};
    real x[2 * D], y[3][2 * D], *answers[3] = {y[0], y[1], y[2]};
    test_values("x", -1, 1, D, x), memcpy(x + D, x, D * sizeof *x);
    three_answers(prior_at, &g, 3, at, x, answers);
    for (int i = 0; i < 2 * D; i++)
        cr_expect_float_eq(y[2][i], 3 * (double)y[0][i] - 2 * (double)y[1][i], 1e-5);
    cr_expect_neq(memcmp(y[0], y[0] + D, D * sizeof(real)), 0, "embeddings 3 and 4: captions 1, 2");
    for (int i = 0; i < D; i++) cr_expect_float_eq(y[1][i], y[1][D + i], 1e-6);
    schedule_free(&s), arena_free(&a), params_free(&p);
}

Test(drawing, a_decoder_is_guided_by_its_own_embeddings_and_captions) {
    Arena a = {0};
    Params p = {.seed = 1};
    Decoder m = some_decoder(&p);
    CaptionTable text = some_captions(&a);
    NoiseSchedule s = schedule_cosine(20);
    real z[N * D], x[2 * VALUES], *y[3], other[2 * 2 * VALUES];
    some_embeddings(N, z);
    for (int k = 0; k < 3; k++) y[k] = arena_get(&a, 2 * 2 * VALUES * sizeof **y);
    GuidedDecoder g = {.net = &m, .z = z, .text = &text};
    Step at = {.schedule = &s, .t = 12, .first = 1, .n = 2, .height = SIDE, .width = SIDE,
               .channels = 3};
    test_values("x", -1, 1, VALUES, x), memcpy(x + VALUES, x, VALUES * sizeof *x);
    three_answers(decoder_at, &g, 3, at, x, y);
    for (int i = 0; i < 4 * VALUES; i++) {
        double with = (double)y[0][i], without = (double)y[1][i];
        cr_expect_float_eq(y[2][i], i % 6 < 3 ? 3 * with - 2 * without : with, 1e-4);
    }
    memcpy(other, y[0], sizeof other);
    z[0] += 1;                                               /* image 0 is not in the batch */
    three_answers(decoder_at, &g, 3, at, x, y);
    cr_expect_eq(memcmp(other, y[0], sizeof other), 0);
    z[2 * D] += 1;
    three_answers(decoder_at, &g, 3, at, x, y);
    cr_expect_eq(memcmp(other, y[0], sizeof other / 2), 0, "image 1");
    cr_expect_neq(memcmp(other + 2 * VALUES, y[0] + 2 * VALUES, sizeof other / 2), 0, "image 2");
    g.text = NULL;
    three_answers(decoder_at, &g, 3, at, x, y);
    cr_expect_neq(memcmp(other, y[0], sizeof other / 2), 0, "without captions");
    schedule_free(&s), arena_free(&a), params_free(&p);
}

/* Of two draws the one nearer to the text: as if both had been drawn and compared by hand. */
Test(drawing, the_better_of_two_embeddings_is_kept) {
    Arena a = {0};
    Params p = {.seed = 1};
    Prior m = some_prior(&p);
    Whitening w = whitening_new(&p, D);
    CaptionTable text = some_captions(&a);
    NoiseSchedule all = schedule_cosine(1000), s = schedule_respaced(&all, "6");
    real z[N * D], both[2 * N * D];
    EmbeddingDrawing d = {.prior = {.net = &m, .text = &text, .scale = 2}, .whitening = &w,
                          .chain = &s, .seed = 3, .quiet = true};
    draw_embeddings(&d, z);
    GuidedPrior g = {.net = &m, .text = &text, .each = 2, .scale = 2};
    NetworkDenoiser network = guided_prior(&g);
    Sampler sampler = {.denoiser = &network.denoiser, .schedule = &s, .height = 1, .width = 1,
                       .channels = D, .seed = 3};
    draw_images(&sampler, 2 * N, both, (Drawing){.at_once = 2 * N, .quiet = true});
    int second = 0;
    for (int i = 0; i < N; i++) {
        double dots[2] = {0};
        for (int k = 0; k < 2; k++) {
            normalise(D, both + (2 * i + k) * D);
            for (int e = 0; e < D; e++)
                dots[k] += (double)both[(2 * i + k) * D + e] * (double)text.embedding[i * D + e];
        }
        int better = dots[1] > dots[0];
        second += better;
        for (int e = 0; e < D; e++)
            cr_expect_float_eq(z[i * D + e], both[(2 * i + better) * D + e], 1e-5, "caption %d", i);
    }
    cr_expect(second > 0 && second < N, "%d of %d are the second: nothing was chosen", second, N);
    sampler_free(&sampler), schedule_free(&s), schedule_free(&all);
    arena_free(&a), params_free(&p);
}

/* An upsampler is shown the small image of its own number. */
Test(drawing, each_image_is_enlarged_from_its_own) {
    Params p = {.seed = 1};
    UpsamplerConfig c = upsampler_config("32");
    c.unet.width = c.unet.head_channels = 8, c.unet.levels = 2, c.unet.style.groups = 2;
    c.side = SIDE, c.low = 4;
    Upsampler m = upsampler_new(&p, c);
    move_params(&p, 0.1);
    NoiseSchedule s = schedule_cosine(20);
    real low[N * 48], x[VALUES], y[N][VALUES];
    test_values("low", -1, 1, N * 48, low), test_values("x", -1, 1, VALUES, x);
    memcpy(low + 2 * 48, low, 48 * sizeof *low);             /* the third is the first */
    Upsampling up = {&m, low};
    NetworkDenoiser d = upsampling(&up);
    for (int i = 0; i < N; i++) {
        Tape t = {.no_grad = true};
        Step at = {.schedule = &s, .t = 5, .first = i, .n = 1, .height = SIDE, .width = SIDE,
                   .channels = 3, .tape = &t};
        Tensor *out = d.output(d.network, &at, t_input(&t, x, SHAPE(1, SIDE, SIDE, 3)));
        memcpy(y[i], out->x, sizeof y[i]);
        tape_free(&t);
    }
    cr_expect_eq(memcmp(y[0], y[2], sizeof y[0]), 0);
    cr_expect_neq(memcmp(y[0], y[1], sizeof y[0]), 0);
    schedule_free(&s), params_free(&p);
}

/* An image becomes noise, given its embedding, and the noise the image again: the better, the more
 * steps. With another embedding it becomes another one. */
Test(drawing, an_image_comes_back_from_its_noise) {
    Params p = {.seed = 1};
    Decoder m = some_decoder(&p);
    real z[2 * D], was[VALUES], x[VALUES];
    double error[2], other = 0;
    some_embeddings(2, z);
    test_values("image", -1, 1, VALUES, was);
    for (int k = 0; k < 2; k++) {
        int n = k ? 60 : 10, steps[60];                      /* of the first 600: no network of
                                                                these random weights finds x0 in
                                                                what comes after */
        for (int i = 0; i < n; i++) steps[i] = i * 600 / n;
        NoiseSchedule all = schedule_cosine(1000), s = schedule_of_steps(&all, n, steps);
        GuidedDecoder g = {.net = &m, .z = z, .scale = 1};
        NetworkDenoiser network = guided_decoder(&g);
        Sampler sampler = {.denoiser = &network.denoiser, .schedule = &s, .method = DDIM,
                           .height = SIDE, .width = SIDE, .channels = 3, .seed = 1};
        memcpy(x, was, sizeof x);
        ddim_invert(&sampler, 0, 1, x);
        real noise[VALUES];
        memcpy(noise, x, sizeof x);
        draw_images(&sampler, 1, x, (Drawing){.at_once = 1, .quiet = true, .from_x = true});
        error[k] = sqrt(k_sum_squared_difference(VALUES, x, was) / VALUES);
        g.z = z + D;
        draw_images(&sampler, 1, noise, (Drawing){.at_once = 1, .quiet = true, .from_x = true});
        other = sqrt(k_sum_squared_difference(VALUES, noise, was) / VALUES);
        sampler_free(&sampler), schedule_free(&s), schedule_free(&all);
    }
    cr_expect_lt(error[1], 0.5 * error[0], "10 steps: off by %g, 60: %g", error[0], error[1]);
    cr_expect_lt(error[1], 0.1, "60 steps: off by %g", error[1]);
    cr_expect_gt(other, 2 * error[1], "another embedding moves it by %g only", other);
    params_free(&p);
}
