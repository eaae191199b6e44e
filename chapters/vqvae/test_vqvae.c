/* test_vqvae.c — the published sizes, gradients, what straight-through means for a whole network,
 * likelihoods, a few images by heart, the program. */
#include "data/fashion.h"
#include "experiments/codes.h"
#include "nn/optim.h"
#include "nn/pixelcnn.h"
#include "programs.h"
#include "vqvae.h"

#include <math.h>

SUITE(vqvae);

static const Design small = {.channels = 1, .hidden = 8, .residual = 4, .codes = 6, .dim = 3};

/* ---- the autoencoder ------------------------------------------------------------------------- */

/* Is this the network that was published, to the last number? */
Test(vqvae, published_networks_have_the_published_number_of_parameters) {
    static const struct {
        int channels;
        size_t count;
    } cases[] = {{3, 695491}, {1, 691393}};
    for (int gradient = 0; gradient < 2; gradient++)
        for (int i = 0; i < 2; i++) {
            Params p = {0};
            Design d = {.channels = cases[i].channels, .hidden = 128, .residual = 32,
                        .codes = 512, .dim = 64, .decay = gradient ? 0 : 0.99};
            Vqvae v = vqvae_new(&p, d);
            cr_expect_eq(vqvae_count(&v, &p), cases[i].count, "%zu", vqvae_count(&v, &p));
            params_free(&p);
        }
}

static Tensor *some_images(Tape *t, int n, int channels) {
    Tensor *x = t_input(t, NULL, SHAPE(n, IMAGE, IMAGE, channels));
    test_values("images", 0, 1, x->len, x->x);
    return x;
}

#ifdef REAL_DOUBLE
/* The loss, but where training passes the gradient straight through, the decoder reads z_e + c,
 * with c = z_q - z_e held at what it was: a smooth function of the weights, as long as no vector
 * chooses another code. */
typedef struct {
    Vqvae v;
    real *jump;
} Held;

static Tensor *held_loss(Tape *t, void *context) {
    Held *h = context;
    Tensor *x = some_images(t, 2, 1), *z = encode(&h->v, x);
    Quantised q = quantise(&h->v.book, z);
    if (!h->jump) {
        h->jump = malloc(z->len * sizeof *h->jump);
        for (size_t i = 0; i < z->len; i++) h->jump[i] = q.codes->x[i] - z->x[i];
    }
    Tensor *z_q = t_add(z, t_input(t, h->jump, z->rank, z->shape));
    return vqvae_loss(x, decode(&h->v, z_q), &q, 0.1, 0.25);
}

/* what training computes */
static Tensor *training_loss(Tape *t, const Vqvae *v) {
    Tensor *x = some_images(t, 2, 1);
    Quantised q = quantise(&v->book, encode(v, x));
    return vqvae_loss(x, decode(v, q.codes), &q, 0.1, 0.25);
}

/* Is the gradient that training uses, of every weight, that of a network whose decoder reads
 * z_e + constant: the same bits as if quantisation were the adding of a constant? */
Test(vqvae, straight_through_is_the_gradient_at_the_decoders_input) {
    Params p = {.seed = 4}, p2 = {.seed = 4};
    Design d = small;
    d.decay = 0.9;
    Held h = {.v = vqvae_new(&p, d)};
    Vqvae v = vqvae_new(&p2, d);
    move_params(&p, 0.05), move_params(&p2, 0.05);
    Tape t = {0}, t2 = {0};
    params_zero_grad(&p), params_zero_grad(&p2);
    backward(held_loss(&t, &h));
    backward(training_loss(&t2, &v));
    for (int i = 0; i < p.count; i++) {
        const Tensor *a = p.list[i], *b = p2.list[i];
        if (!a->has_grad) continue;
        double off = sqrt(k_sum_squared_difference(a->len, a->g, b->g));
        cr_expect(off <= 1e-10 * sqrt(k_sum_squares(a->len, a->g)), "%s: %g", a->name, off);
    }
    free(h.jump);
    tape_free(&t), tape_free(&t2);
    params_free(&p), params_free(&p2);
}

/* And are these gradients those of the loss, commitment included? */
Test(vqvae, gradients_of_the_network) {
    Params p = {.seed = 4};
    Design d = small;
    d.decay = 0.9;
    Held h = {.v = vqvae_new(&p, d)};
    move_params(&p, 0.2);
    Tape t = {0};
    held_loss(&t, &h);
    double error = gradient_error_within(&p, held_loss, &h, 12, 1e-6);
    cr_expect(error <= 1e-6, "relative error %g", error);
    free(h.jump);
    tape_free(&t);
    params_free(&p);
}

/* The two latent terms by a held choice: z moves by beta, codes by 1. */
static Tensor *latent_loss(Tape *t, void *context) {
    const Vqvae *v = context;
    Quantised q = quantise(&v->book, encode(v, some_images(t, 2, 1)));
    return t_add(t_scale(q.commitment_loss, 0.25), q.codebook_loss);
}

Test(vqvae, commitment_moves_the_encoder_a_quarter_of_what_both_sides_would) {
    Params p = {.seed = 4};
    Vqvae v = vqvae_new(&p, small);
    move_params(&p, 0.1);
    Tape t = {0};
    params_zero_grad(&p);
    backward(latent_loss(&t, &v));
    /* |z - e|^2 without sg[] pulls both: there the encoder's gradient is 4 times larger */
    Params p2 = {.seed = 4};
    Vqvae w = vqvae_new(&p2, small);
    move_params(&p2, 0.1);
    Tape t2 = {0};
    Tensor *z = encode(&w, some_images(&t2, 2, 1));
    Quantised q = quantise(&w.book, z);
    params_zero_grad(&p2);
    backward(t_mse(z, codebook_lookup(&w.book, &t2, q.index, z->rank, z->shape)));
    for (int i = 0; i < p.count; i++) {
        const Tensor *a = p.list[i], *b = p2.list[i];
        if (!b->has_grad) continue;
        double times = strstr(a->name, "codebook") ? 1 : 0.25, most = 0;
        for (size_t k = 0; k < a->len; k++)
            most = fmax(most, fabs((double)a->g[k] - times * (double)b->g[k]));
        cr_expect(most <= 1e-12, "%s: %g", a->name, most);
    }
    tape_free(&t), tape_free(&t2);
    params_free(&p), params_free(&p2);
}
#endif

/* sum of squares over variance, then a quarter of the commitment */
Test(vqvae, the_loss_is_the_share_of_variance_lost_and_the_latent_terms) {
    Tape t = {0};
    Tensor *x = t_input(&t, (real[]){0, 1}, SHAPE(2)), *y = t_input(&t, (real[]){0.5, 1}, SHAPE(2));
    Quantised q = {.commitment_loss = t_scalar(&t, 2)};
    cr_expect_float_eq(vqvae_loss(x, y, &q, 0.25, 0.25)->x[0], 0.5 + 0.5, 1e-6);
    q.codebook_loss = t_scalar(&t, 3);
    cr_expect_float_eq(vqvae_loss(x, y, &q, 0.25, 0.25)->x[0], 4, 1e-6);
    tape_free(&t);
    const uint8_t bytes[4] = {0, 255, 255, 0};
    const Images four = {.count = 4, .height = 1, .width = 1, .channels = 1, .pixels = bytes};
    cr_expect_float_eq(images_variance(&four), 0.25, 1e-12);
}

/* encode_all and decode_all in pieces give what the network gives at once */
Test(vqvae, many_images_are_coded_as_one_by_one) {
    enum { N = 259 };
    Params p = {.seed = 1};
    Vqvae v = vqvae_new(&p, small);
    move_params(&p, 0.1);
    Tape t = {.no_grad = true};
    Tensor *x = some_images(&t, N, 1);
    static int codes[N * POSITIONS], alone[POSITIONS];
    static real images[N * PIXELS], image[PIXELS];
    encode_all(&v, N, x->x, codes);
    encode_all(&v, 1, x->x + (N - 1) * PIXELS, alone);
    cr_expect_arr_eq(alone, codes + (N - 1) * POSITIONS, sizeof alone);
    decode_all(&v, N, codes, images);
    decode_all(&v, 1, alone, image);
    for (int i = 0; i < PIXELS; i++)
        cr_assert_float_eq(image[i], images[(N - 1) * PIXELS + i], 1e-5);
    tape_free(&t);
    params_free(&p);
}

/* ---- the probability of a picture ------------------------------------------------------------ */

/* Do the 256 levels' probabilities add up to 1, also where a logistic's difference would cancel? */
Test(vqvae, probabilities_of_the_levels_add_up_to_one) {
    static const double scales[] = {0.1, 1, 15, 150}, means[] = {-0.1, 0, 0.31, 0.9, 1.3};
    for (int s = 0; s < 4; s++)
        for (int m = 0; m < 5; m++) {
            double sum = 0;
            for (int k = 0; k < 256; k++) {
                real x = (real)(k / 255.0), mean = (real)means[m];
                sum += exp(-observation_nats(1, &x, &mean, scales[s]));
            }
            cr_expect_float_eq(sum, 1, 1e-6, "scale %g, mean %g: %g", scales[s], means[m], sum);
        }
    real white = 1, black_mean = 0;
    double far = observation_nats(1, &white, &black_mean, 0.1);
    cr_expect_float_eq(far, 2545, 1, "254.5 / 0.1 nats, not infinity: %g", far);
}

/* Is the fitted scale the best one, and near that of logistic noise? */
Test(vqvae, the_scale_is_the_one_with_the_fewest_nats) {
    enum { N = 20000 };
    static real x[N], mean[N];
    Rng rng = rng_new(1, "logistic");
    rng_uniform(&rng, N, x);
    for (int i = 0; i < N; i++) {
        double u = fmin(fmax((double)x[i], 1e-6), 1 - 1e-6);
        mean[i] = (real)0.5;
        x[i] = (real)(round(127.5 + 7 * log(u / (1 - u))) / 255);
    }
    double scale = fit_scale(N, x, mean), best = observation_nats(N, x, mean, scale);
    cr_expect_float_eq(scale, 7, 0.2, "%g", scale);
    cr_expect(best <= observation_nats(N, x, mean, scale * 1.02));
    cr_expect(best <= observation_nats(N, x, mean, scale / 1.02));
}

/* ---- learning -------------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
/* Overfitting eight images, with codes by averages and by gradient, of which only those by averages
 * are revived; then their eight maps of codes: what the prior cannot predict is which of the eight
 * maps it is, ln 8 nats a map. */
static void eight_images(Design d, int *codes) {
    Fashion data = fashion_load(NULL);
    static real x[8 * PIXELS];
    Images eight = images_part(&data.train, 0, 8);
    images_get(&eight, 8, NULL, 0, 1, x, NULL);
    double variance = images_variance(&eight), error = 1;
    Params p = {.seed = 1};
    Vqvae v = vqvae_new(&p, d);
    Adam adam = {ADAM_DEFAULTS};
    Rng rng = rng_new(1, "codebook");
    Tape t = {0};
    for (int step = 0; step < 300; step++) {
        tape_reset(&t);
        Tensor *images = t_input(&t, x, SHAPE(8, IMAGE, IMAGE, 1)), *z = encode(&v, images);
        if (step == 0) codebook_start(&v.book, z, &rng);
        Quantised q = quantise(&v.book, z);
        codebook_update(&v.book, &q);
        codebook_revive(&v.book, &q, 0.5, &rng);
        Tensor *rebuilt = decode(&v, q.codes);
        error = (double)t_mse(rebuilt, images)->x[0] / variance;
        params_zero_grad(&p);
        backward(vqvae_loss(images, rebuilt, &q, variance, 0.25));
        adam_step(&adam, &p, 2e-3, 1);
    }
    encode_all(&v, 8, x, codes);
    int times[64] = {0};
    codebook_count(8 * POSITIONS, codes, times);
    bool averages = d.decay > 0;
    cr_expect(error < (averages ? 0.03 : 0.06), "%g of the variance is lost", error);
    if (averages) cr_expect(codes_used(64, times) > 50, "%d codes", codes_used(64, times));
    tape_free(&t);
    adam_free(&adam);
    params_free(&p);
    fashion_free(&data);
}

Test(vqvae, eight_images_are_learned_by_heart) {
    Design d = {.channels = 1, .hidden = 32, .residual = 16, .codes = 64, .dim = 16};
    int codes[8 * POSITIONS], labels[8] = {0};
    threads_set(1);
    eight_images(d, codes);
    d.decay = 0.9;
    eight_images(d, codes);
    Params p = {.seed = 1};
    PixelCnn prior = pixelcnn_new(&p, (PixelCnnConfig){64, 1, 16, 4, 32});
    Adam adam = {ADAM_DEFAULTS};
    Tape t = {0};
    double nats = 0;
    for (int step = 0; step < 300; step++) {
        tape_reset(&t);
        Tensor *embedded = pixelcnn_embed(&prior, &t, codes, 8, MAP, MAP);
        Tensor *y = pixelcnn_logits(&prior, embedded, labels);
        Tensor *loss = pixelcnn_loss(y, codes);
        nats = (double)loss->x[0];
        params_zero_grad(&p);
        backward(loss);
        adam_step(&adam, &p, 5e-3, 1);
    }
    cr_expect(nats > log(8) / POSITIONS && nats < 0.2, "%g nats per code", nats);
    tape_free(&t);
    adam_free(&adam);
    params_free(&p);
}
#endif

/* ---- codes to look at ------------------------------------------------------------------------ */

/* codes on a line in space, one of them off it but never chosen: all variance is on one axis,
 * places are distances along it, and colours run with them */
Test(vqvae, codes_are_projected_where_they_vary_most) {
    Params p = {0};
    Codebook c = codebook_new(scope(&p, "book"), 4, 3, 0);
    const real codes[12] = {0, 0, 0, 3, 4, 0, 6, 8, 0, 0, 0, 50};
    const int times[4] = {5, 2, 5, 0};
    memcpy(c.table->x, codes, sizeof codes);
    double places[8];
    double share = project_codes(&c, times, 2, places);
    cr_expect_float_eq(share, 1, 1e-9, "%g", share);
    cr_expect_float_eq(fabs(places[0]), 5, 1e-5);
    cr_expect_float_eq(fabs(places[2]), 0, 1e-5);
    cr_expect_float_eq(fabs(places[4] - places[0]), 10, 1e-5);
    Arena arena = {0};
    const real *rgb = code_colours(&arena, &c, times);
    cr_expect_float_eq(fabs((double)(rgb[0] - rgb[6])), 1, 0.34, "the ends have other colours");
    arena_free(&arena);
    params_free(&p);
}

Test(vqvae, maps_are_drawn_a_square_a_code) {
    static int codes[2 * POSITIONS];
    static real pictures[2 * PIXELS * 3];
    const real rgb[6] = {0, 0, 0, (real)0.1, (real)0.2, (real)0.3};
    codes[POSITIONS + MAP + 2] = 1;                 /* second picture, row 1, column 2 */
    draw_maps(2, codes, rgb, pictures);
    for (int i = 0; i < 2 * PIXELS; i++) {
        int y = i % PIXELS / IMAGE, x = i % IMAGE;
        bool inside = i >= PIXELS && y >= 4 && y < 8 && x >= 8 && x < 12;
        cr_assert_eq(pictures[3 * i + 1], inside ? (real)0.2 : 0, "pixel %d", i);
    }
}

/* ---- the program ----------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
PROGRAM_SUITE(vqvae_program);

#define SMALL \
    "--hidden 8 --residual 4 --codes 16 --dim 4 --layers 4 --width 8 --head 8 --batch 16 " ONE
#define ONE "--threads 1 "      /* networks so small are no faster on two */

/* Does --resume go on as if nothing had happened: with the epoch's counts (200 pictures are 12
 * steps and a half), with the codes' averages and revivals, with the prior's averaged weights? */
Test(vqvae_program, a_resumed_run_equals_one_that_was_never_stopped) {
    few_garments(200, 40);
    RUN("vqvae", "train -q " SMALL "--steps 16 --prior-steps 6 --revive 20 --data %s --out %s/a");
    RUN("vqvae", "train -q " SMALL "--steps 9 --prior-steps 6 --revive 20 --stage autoencoder "
                 "--data %s --out %s/b");
    RUN("vqvae", "train -q " ONE "--steps 16 --stage autoencoder --resume --data %s --out %s/b");
    cr_expect(same_file("a/autoencoder-checkpoint.safetensors",
                        "b/autoencoder-checkpoint.safetensors"));
    RUN("vqvae", "train -q " SMALL "--steps 16 --prior-steps 2 --revive 20 --stage prior --data %s "
                 "--out %s/b");
    RUN("vqvae", "train -q " ONE "--steps 16 --prior-steps 6 --resume --data %s --out %s/b");
    cr_expect(same_file("a/prior-checkpoint.safetensors", "b/prior-checkpoint.safetensors"));
    cr_expect(same_file("a/weights.safetensors", "b/weights.safetensors"));
}

/* A folder that was used: is the same made as in an empty one, with other codes, after more steps
 * of the autoencoder, and when a new run stopped after its first stage? */
Test(vqvae_program, a_prior_of_another_autoencoder_is_set_aside) {
    few_garments(200, 40);
    RUN("vqvae", "train -q " SMALL "--steps 3 --prior-steps 3 --data %s --out %s/a");
    RUN("vqvae", "train -q " SMALL "--steps 3 --prior-steps 3 --codes 8 --data %s --out %s/a");
    RUN("vqvae", "train -q " SMALL "--steps 3 --prior-steps 3 --codes 8 --data %s --out %s/fresh");
    cr_expect(same_file("fresh/weights.safetensors", "a/weights.safetensors"), "other codes");
    cr_expect(file_there("a/prior-log.csv.old") && file_there("a/weights.safetensors.old"));

    RUN("vqvae", "train -q --resume --steps 5 " ONE "--out %s/a");
    RUN("vqvae", "train -q " SMALL "--steps 5 --prior-steps 3 --codes 8 --data %s --out %s/longer");
    cr_expect(same_file("longer/weights.safetensors", "a/weights.safetensors"), "more steps");

    RUN("vqvae", "train -q " SMALL "--steps 3 --prior-steps 3 --codes 4 --stage autoencoder "
                 "--data %s --out %s/a");
    cr_expect(!file_there("a/prior-checkpoint.safetensors"));
    cr_expect(!file_there("a/weights.safetensors"));
    RUN("vqvae", "train -q --resume " ONE "--out %s/a");
    RUN("vqvae", "train -q " SMALL "--steps 3 --prior-steps 3 --codes 4 --data %s "
                 "--out %s/stopped");
    cr_expect(same_file("stopped/weights.safetensors", "a/weights.safetensors"), "stopped");
}

/* The autoencoder's weights say nothing of priors: another one may be trained for them. */
Test(vqvae_program, a_prior_of_another_size_fits_the_same_autoencoder) {
    few_garments(200, 40);
    RUN("vqvae", "train -q " SMALL "--steps 3 --prior-steps 3 --data %s --out %s/a");
    RUN("vqvae", "train -q --stage prior --layers 2 --width 4 --prior-steps 3 --batch 16 --data %s "
                 "--out %s/a");
    RUN("vqvae", "sample -q " ONE "--data %s --out %s/a");
    cr_expect(file_there("a/samples.png"));
}

/* The committed weights' way: a codebook by averages and one by gradient, read back for pictures
 * and scores */
Test(vqvae_program, trained_weights_give_pictures_and_scores) {
    few_garments(200, 40);
    RUN("vqvae", "train -q " SMALL "--steps 3 --prior-steps 3 --data %s --out %s");
    RUN("vqvae", "sample -q " ONE "--weights %s/weights.safetensors --temperature 0.5 "
                 "--out %s/pictures");
    RUN("vqvae", "eval -q " ONE "--samples 20 --data %s --out %s");
    static const char *const files[] = {"autoencoder-log.csv",
                                        "autoencoder-run.json",
                                        "autoencoder-reconstructions.png",
                                        "prior-log.csv",
                                        "prior-run.json",
                                        "prior-samples.png",
                                        "pictures/samples.png",
                                        "pictures/uniform.png",
                                        "pictures/reconstructions.png",
                                        "pictures/codes.png",
                                        "metrics.json",
                                        "codebook.csv",
                                        "neighbours.png"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_expect(file_there(files[i]), "%s is missing or empty", files[i]);
    RUN("vqvae", "train -q " SMALL "--codebook gradient --steps 3 --stage autoencoder --data %s "
                 "--out %s/gradient");
    RUN("vqvae", "eval -q " ONE "--stage autoencoder --data %s --out %s/gradient");
    cr_expect(file_there("gradient/metrics.json"));
}

/* Are images from which nothing can be learned named, before a step is made? */
Test(vqvae_program, black_images_are_refused) {
    char message[2000];
    few_black(200, 40);
    cr_expect_eq(run_program("vqvae", "train -q --data %s --out %s/x", message), 1, "%s", message);
    cr_expect(strstr(message, "all pixels are the same"), "%s", message);
}

Test(vqvae_program, bad_input_gets_one_line_and_a_status) {
    static const Refusal cases[] = {
        {"train --codes 1 --out %s/x", 2, "--codes"},
        {"train --stage both --out %s/x", 2, "both"},
        {"train --codebook none --out %s/x", 2, "none"},
        {"sample --temperature 0 --out %s/x", 2, "--temperature"},
        {"train --layers 33 --out %s/x", 2, "--layers"},
        {"train --stage prior --out %s/empty", 1, "autoencoder-weights"},
        {"eval --stage autoencoder --weights %s/w --out %s/x", 2, "--weights"},
    };
    EXPECT_REFUSALS("vqvae", cases);
    few_garments(200, 40);
    RUN("vqvae", "train -q " SMALL "--steps 1 --prior-steps 1 --data %s --out %s");
    expect_refusal("vqvae", "sample --codes 32 --weights %s/weights.safetensors --out %s/x", 2,
                   "codes");
    expect_refusal("vqvae", "train --stage prior --dim 5 --data %s --out %s", 2, "dim");
}
#endif
