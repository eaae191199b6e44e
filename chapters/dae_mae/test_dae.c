/* test_dae.c — part 1: corruption, networks, losses, the score in the plane, the chain, the
 * program. */
#include "dae.h"
#include "experiments/toy_score.h"
#include "nn/optim.h"
#include "programs.h"

#include <math.h>
#include <string.h>

SUITE(dae);

/* ---- corruption ------------------------------------------------------------------------------ */

enum { MANY = 100000 };

/* `n` numbers in (0.25,0.75), so that 0 and 1 are marks of corruption */
static void grey_values(size_t n, real *x) { test_values("grey", 0.25, 0.75, n, x); }

/* Is a pixel zeroed with probability v, and what stays left as it is (no 1/(1-v))? */
Test(dae, masking_zeroes_and_does_not_rescale) {
    static real x[MANY], y[MANY], chosen[MANY];
    Rng rng = rng_new(1, "corruption");
    grey_values(MANY, x);
    corrupt((Corruption){MASKING, 0.3}, MANY, x, &rng, y, chosen);
    int zeros = 0;
    for (int i = 0; i < MANY; i++) {
        cr_assert(y[i] == (chosen[i] == 1 ? 0 : x[i]), "%d: %g became %g", i, (double)x[i],
                  (double)y[i]);
        zeros += y[i] == 0;
    }
    /* four deviations */
    cr_assert_float_eq((double)zeros / MANY, 0.3, 0.006, "%d of %d", zeros, MANY);
}

Test(dae, salt_and_pepper_are_equally_frequent) {
    static real x[MANY], y[MANY], chosen[MANY];
    Rng rng = rng_new(1, "corruption");
    grey_values(MANY, x);
    corrupt((Corruption){SALT_PEPPER, 0.4}, MANY, x, &rng, y, chosen);
    int zeros = 0, ones = 0;
    for (int i = 0; i < MANY; i++) {
        cr_assert(y[i] == x[i] || y[i] == 0 || y[i] == 1);
        cr_assert_eq(chosen[i] == 1, y[i] != x[i]);
        zeros += y[i] == 0, ones += y[i] == 1;
    }
    cr_expect_float_eq((double)zeros / MANY, 0.2, 0.005, "%d of %d black", zeros, MANY);
    cr_expect_float_eq((double)ones / MANY, 0.2, 0.005, "%d of %d white", ones, MANY);
}

/* Mean 0, the deviation asked for, and not clamped to [0,1]? */
Test(dae, gaussian_noise_has_its_deviation) {
    static real x[MANY], y[MANY], chosen[MANY];
    Rng rng = rng_new(1, "corruption");
    grey_values(MANY, x);
    corrupt((Corruption){GAUSSIAN, 0.5}, MANY, x, &rng, y, chosen);
    double sum = 0, squares = 0;
    int outside = 0;
    for (int i = 0; i < MANY; i++) {
        double e = (double)(y[i] - x[i]);
        sum += e, squares += e * e, outside += y[i] < 0 || y[i] > 1;
        cr_assert(chosen[i] == 1);
    }
    cr_expect_float_eq(sum / MANY, 0, 0.0065);
    cr_expect_float_eq(sqrt(squares / MANY), 0.5, 0.0045);
    cr_expect(outside > MANY / 5, "%d outside [0,1]", outside);
}

/* Is corruption the seed's, but another at every step, and the same in place? */
Test(dae, corruption_is_fresh_at_every_step_and_repeats_with_the_seed) {
    enum { N = 3000 };
    static real x[N], first[N], second[N], again[N];
    grey_values(N, x);
    for (int kind = MASKING; kind <= GAUSSIAN; kind++) {
        Corruption c = {(CorruptionKind)kind, 0.5};
        Rng rng = rng_new(1, "corruption"), same = rng_new(1, "corruption");
        corrupt(c, N, x, &rng, first, NULL);
        corrupt(c, N, x, &rng, second, NULL);
        memcpy(again, x, sizeof x);
        corrupt(c, N, again, &same, again, NULL);
        int equal = 0;
        for (int i = 0; i < N; i++) equal += first[i] == second[i];
        cr_expect_arr_eq(first, again, sizeof first, "kind %d", kind);
        cr_expect(equal < 0.6 * N, "kind %d: %d of %d equal in two steps", kind, equal, N);
    }
    Rng rng = rng_new(1, "corruption");
    corrupt((Corruption){CORRUPT_NONE, 0.5}, N, x, &rng, first, NULL);
    cr_expect_arr_eq(first, x, sizeof x);
}

/* ---- networks and losses --------------------------------------------------------------------- */

/* 784-500 with one matrix for both directions, and dA.py's start: is it Vincent's network to the
 * last weight? */
Test(dae, vincent2008_has_the_published_size_and_start) {
    Params p = {.seed = 1};
    Dae d = dae_new(&p, dae_named("vincent2008"));
    double bound = 4 * sqrt(6.0 / (784 + 500)), largest = 0, squares = 0;
    cr_assert_eq(params_count(&p), 393284, "%zu", params_count(&p));
    for (size_t i = 0; i < d.w->len; i++) {
        largest = fmax(largest, fabs((double)d.w->x[i]));
        squares += (double)d.w->x[i] * (double)d.w->x[i];
    }
    cr_expect(largest <= bound * (1 + 1e-6) && largest > 0.999 * bound, "%g of %g", largest, bound);
    cr_expect_float_eq(sqrt(squares / (double)d.w->len), bound / sqrt(3), 0.002 * bound);
    for (size_t i = 0; i < d.b->len; i++) cr_assert(d.b->x[i] == 0);
    for (size_t i = 0; i < d.b_out->len; i++) cr_assert(d.b_out->x[i] == 0);
    params_free(&p);
}

static Tensor *made_images(Tape *t, int n) {
    Tensor *x = t_input(t, NULL, SHAPE(n, IMAGE, IMAGE, 1));
    test_values("images", 0, 1, x->len, x->x);
    return x;
}

Test(dae, every_network_maps_images_to_codes_and_back) {
    static const int codes[] = {1568, 500};
    for (int i = 0; i < 2; i++) {
        Params p = {.seed = 1};
        Tape t = {.no_grad = true};
        Dae d = dae_new(&p, (DaeArchitecture)i);
        Tensor *x = made_images(&t, 3), *h = dae_encode(&d, x), *r = dae_reconstruct(&d, x);
        cr_expect(h->rank == 2 && h->shape[0] == 3 && h->shape[1] == codes[i], "%s", t_describe(h));
        cr_expect(r->rank == 4 && r->len == x->len && r->shape[3] == 1, "%s", t_describe(r));
        for (size_t k = 0; k < r->len; k++) cr_assert(r->x[k] > 0 && r->x[k] < 1);
        tape_free(&t);
        params_free(&p);
    }
}

#ifdef REAL_DOUBLE
typedef struct {
    Dae net;
    Corruption corruption;
    double alpha, beta;
} Case;

static Tensor *case_loss(Tape *t, void *context) {
    Case *c = context;
    Rng rng = rng_new(3, "corruption");      /* the same for every difference */
    return denoising_loss(&c->net, c->corruption, made_images(t, 2), c->alpha, c->beta, &rng);
}

/* Do all weights of both networks, the tied ones from both uses, get the right gradient? */
Test(dae, gradients_of_both_networks_and_losses) {
    static const Corruption corruptions[] = {{GAUSSIAN, 0.5}, {MASKING, 0.3}};
    static const double beta[] = {1, 0.5};
    threads_set(1);              /* two images are not worth more */
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            Params p = {.seed = 4};
            Case c = {dae_new(&p, (DaeArchitecture)i), corruptions[k], 1, beta[k]};
            /* first weights are so small that gradients drown in a loss of hundreds' rounding */
            for (int j = 0; j < p.count && i == DAE_CONVOLUTIONAL; j++)
                k_axpy(p.list[j]->len, 2, p.list[j]->x, p.list[j]->x, false);
            double error = gradient_error(&p, case_loss, &c, 8);
            cr_expect(error <= 1e-6, "network %d, corruption %d: relative error %g", i, k, error);
            params_free(&p);
        }
}
#endif

/* -x log r - (1-x) log(1-r), weighted by alpha where chosen and beta elsewhere */
static double loss_by_hand(int n, const real *logits, const real *x, const real *chosen,
                           double alpha, double beta) {
    double sum = 0;
    for (int i = 0; i < n * PIXELS; i++) {
        double r = 1 / (1 + exp(-(double)logits[i])), target = (double)x[i];
        sum -= (chosen[i] != 0 ? alpha : beta) * (target * log(r) + (1 - target) * log(1 - r));
    }
    return sum / n;
}

/* Is the loss summed over pixels, averaged over images, weighted as JMLR 2010 says? */
Test(dae, loss_is_what_the_papers_say) {
    Tape t = {0};
    Tensor *x = made_images(&t, 3), *logits = t_input(&t, NULL, 4, x->shape);
    Tensor *chosen = t_input(&t, NULL, 4, x->shape);
    test_values("logits", -3, 3, x->len, logits->x);
    test_values("touched", 0, 1, x->len, chosen->x);
    for (size_t i = 0; i < x->len; i++) chosen->x[i] = chosen->x[i] < (real)0.3;
    static const double weights[][2] = {{1, 1}, {1, 0}, {1, 0.5}, {0, 1}, {3, 2}};
    for (size_t k = 0; k < sizeof weights / sizeof *weights; k++) {
        double a = weights[k][0], b = weights[k][1];
        double want = loss_by_hand(3, logits->x, x->x, chosen->x, a, b);
        double got = (double)reconstruction_loss(logits, x, chosen->x, a, b)->x[0];
        cr_expect_float_eq(got / want, 1, 1e-5, "alpha %g, beta %g: %g, by hand %g", a, b, got,
                           want);
    }
    tape_free(&t);
}

/* Is r(x~) compared with the clean image, not with x~, and x~ another at the next call? */
Test(dae, the_target_is_the_clean_image) {
    Params p = {.seed = 2};
    Tape t = {.no_grad = true};
    Dae d = dae_new(&p, VINCENT_2008);
    Corruption c = {MASKING, 0.5};
    Tensor *x = made_images(&t, 2), *corrupted = t_input(&t, NULL, 4, x->shape);
    Tensor *chosen = t_input(&t, NULL, 4, x->shape);
    Rng rng = rng_new(5, "corruption"), twin = rng;
    double loss = (double)denoising_loss(&d, c, x, 1, 0.5, &rng)->x[0];
    double next = (double)denoising_loss(&d, c, x, 1, 0.5, &rng)->x[0];
    corrupt(c, x->len, x->x, &twin, corrupted->x, chosen->x);
    Tensor *logits = dae_decode_logits(&d, dae_encode(&d, corrupted));
    double clean = loss_by_hand(2, logits->x, x->x, chosen->x, 1, 0.5);
    double noisy = loss_by_hand(2, logits->x, corrupted->x, chosen->x, 1, 0.5);
    cr_expect_float_eq(loss / clean, 1, 1e-5, "%g, against the clean image %g", loss, clean);
    cr_expect(fabs(noisy / clean - 1) > 0.01, "the test cannot tell: %g and %g", noisy, clean);
    cr_expect(fabs(next / loss - 1) > 1e-3, "the same corruption twice: %g, %g", loss, next);
    tape_free(&t);
    params_free(&p);
}

#ifndef REAL_DOUBLE
/* Eight images by heart, corrupted by noise: a network that was trained to denoise must undo most
 * of it, and the same network trained to copy must not (the chapter's claim, in small). */
static double error_on_noise(Corruption trained_on, const real *x) {
    enum { N = 8 };
    real noisy[N * PIXELS];
    Params p = {.seed = 1};
    Tape t = {0};
    Adam adam = {ADAM_DEFAULTS};
    Dae d = dae_new(&p, DAE_CONVOLUTIONAL);
    Rng rng = rng_new(1, "corruption"), measure = rng_new(2, "measure");
    threads_set(1);
    for (int step = 0; step < 200; step++) {
        tape_reset(&t);
        Tensor *clean = t_input(&t, x, SHAPE(N, IMAGE, IMAGE, 1));
        Tensor *loss = denoising_loss(&d, trained_on, clean, 1, 1, &rng);
        params_zero_grad(&p);
        backward(loss);
        adam_step(&adam, &p, 3e-3, 1);
    }
    corrupt((Corruption){GAUSSIAN, 0.3}, N * PIXELS, x, &measure, noisy, NULL);
    dae_reconstruct_all(&d, N, noisy, noisy);
    adam_free(&adam), params_free(&p), tape_free(&t);
    return squared_error_per_image(N, noisy, x);
}

Test(dae, denoising_must_be_learned) {
    Fashion data = fashion_load(NULL);
    real x[8 * PIXELS];
    images_get(&data.train, 8, NULL, 0, 1, x, NULL);
    double noise = PIXELS * 0.09;
    double plain = error_on_noise((Corruption){CORRUPT_NONE, 0}, x);
    double denoising = error_on_noise((Corruption){GAUSSIAN, 0.3}, x);
    cr_expect(denoising < 0.2 * noise, "%g of the noise's %g is left", denoising, noise);
    cr_expect(plain > 1.5 * denoising, "plain %g, denoising %g", plain, denoising);
    fashion_free(&data);
}
#endif

/* Without corruption the step is x <- r(x) + spread N(0,1), and r is handed out without noise. */
Test(dae, a_step_of_the_chain_is_reconstruction_and_spread) {
    enum { N = 40 };
    static real x[N * PIXELS], start[N * PIXELS], want[N * PIXELS];
    static real r[N * PIXELS];
    Params p = {.seed = 3};
    Dae d = dae_new(&p, VINCENT_2008);
    Rng rng = rng_new(1, "chain");
    grey_values(N * PIXELS, start);
    memcpy(x, start, sizeof x);
    dae_reconstruct_all(&d, N, x, want);
    dae_chain_step(&d, (Corruption){CORRUPT_NONE, 0}, 0.2, N, x, r, &rng);
    cr_expect_arr_eq(r, want, sizeof r);
    double spread = sqrt(squared_error_per_image(N, x, r) / PIXELS);
    cr_expect_float_eq(spread, 0.2, 0.004, "%g", spread);
    dae_chain_step(&d, (Corruption){MASKING, 0.5}, 0, N, start, r, &rng);
    cr_expect_arr_eq(r, start, sizeof r);
    cr_expect(squared_error_per_image(N, r, want) > 1, "the chain corrupts nothing");
    params_free(&p);
}

/* ---- the score in the plane ------------------------------------------------------------------ */

static const double some_points[][2] = {{0.3, 0.2}, {-1.2, 0.4}, {2, -1.5}, {0.1, 0}, {0.5, 0.7}};
enum { SOME = sizeof some_points / sizeof *some_points };

/* Does the density integrate to 1, and is p_sigma p convolved with N(0, sigma^2 I)? */
Test(dae, the_density_is_normalised_and_blurs_as_it_should) {
    double step = 0.04, sum = 0, blurred = 0, sigma = 0.4, at[2] = {0.3, 0.2};
    for (double x = -4; x < 4; x += step)
        for (double y = -4; y < 4; y += step) {
            double p = exp(moons_log_density(0, x, y)) * step * step;
            double far = (x - at[0]) * (x - at[0]) + (y - at[1]) * (y - at[1]);
            sum += p;
            blurred += p * exp(-far / (2 * sigma * sigma)) / (2 * 3.14159265358979 * sigma * sigma);
        }
    cr_expect_float_eq(sum, 1, 1e-6, "%g", sum);
    cr_expect_float_eq(exp(moons_log_density(sigma, at[0], at[1])) / blurred, 1, 1e-6);
}

/* Is the score the gradient of the log density, and Tweedie's formula true of the posterior mean,
 * which is computed without any score? */
Test(dae, the_best_reconstruction_is_a_step_along_the_score) {
    static const double sigmas[] = {0.05, 0.3, 1};
    double h = 1e-5, score[2], r[2];
    for (int s = 0; s < 3; s++)
        for (int i = 0; i < SOME; i++) {
            double sigma = sigmas[s], x = some_points[i][0], y = some_points[i][1];
            double right = moons_log_density(sigma, x + h, y);
            double up = moons_log_density(sigma, x, y + h);
            double slope[2] = {(right - moons_log_density(sigma, x - h, y)) / (2 * h),
                               (up - moons_log_density(sigma, x, y - h)) / (2 * h)};
            moons_score(sigma, x, y, score);
            best_reconstruction(sigma, x, y, r);
            double size = hypot(slope[0], slope[1]), s2 = sigma * sigma;
            cr_expect(hypot(score[0] - slope[0], score[1] - slope[1]) < 1e-6 * size);
            cr_expect(hypot((r[0] - x) / s2 - slope[0], (r[1] - y) / s2 - slope[1]) < 1e-6 * size,
                      "sigma %g at (%g,%g)", sigma, x, y);
        }
}

/* Do the samples have the density's mean log density, and half of them in each moon? */
Test(dae, samples_are_of_the_density) {
    enum { N = 40000 };
    static real x[2 * N];
    double step = 0.02, want = 0, got = 0, second = 0;
    for (double a = -3; a < 3; a += step)
        for (double b = -3; b < 3; b += step) {
            double log_p = moons_log_density(0, a, b);
            want += exp(log_p) * log_p * step * step;
        }
    Rng rng = rng_new(1, "samples");
    moons_draw(N, &rng, x);
    for (int i = 0; i < N; i++) {
        got += moons_log_density(0, (double)x[2 * i], (double)x[2 * i + 1]) / N;
        second += (double)moon_of((double)x[2 * i], (double)x[2 * i + 1]) / N;
    }
    cr_expect_float_eq(got, want, 0.02, "%g, expected %g", got, want);
    cr_expect_float_eq(second, 0.5, 0.01, "%g", second);
}

/* A network trained for a second or two to take noise away: is (r(x) - x)/sigma^2 the score of the
 * blurred density? Its error is a few per cent; an untrained one has an error of about 1. For the
 * score of the density itself the error is larger by the blur, the less the smaller sigma is. */
Test(dae, a_trained_denoiser_knows_the_score) {
    static const struct {
        double sigma, bound;
    } cases[] = {{0.5, 0.12}, {1, 0.06}};
    double blur = 0;
    threads_set(1);
    for (int k = 0; k < 2; k++) {
        Denoiser d;
        Rng rng = rng_new(1, "measure");
        denoiser_start(&d, cases[k].sigma, 1);
        double before = score_error(&d, 4000, &rng).smoothed;
        denoiser_train(&d, 2500, 256, 5e-3);
        ScoreError e = score_error(&d, 4000, &rng);
        cr_expect(before > 0.5, "sigma %g: %g before training", cases[k].sigma, before);
        cr_expect(e.smoothed < cases[k].bound, "sigma %g: error %g", cases[k].sigma, e.smoothed);
        cr_expect_float_eq(e.data, e.blur, 0.05, "sigma %g: %g, %g", cases[k].sigma, e.data,
                           e.blur);
        cr_expect(e.blur > blur, "sigma %g: the blur costs %g", cases[k].sigma, e.blur);
        blur = e.blur;
        denoiser_free(&d);
    }
}

typedef struct {
    double mean[2], deviation[2], second, log_density;
} Moments;

static Moments moments(int n, const real *x) {
    Moments m = {0};
    for (int i = 0; i < n; i++) {
        double p[2] = {(double)x[2 * i], (double)x[2 * i + 1]};
        for (int j = 0; j < 2; j++) m.mean[j] += p[j] / n, m.deviation[j] += p[j] * p[j] / n;
        m.second += (double)moon_of(p[0], p[1]) / n;
        m.log_density += moons_log_density(0, p[0], p[1]) / n;
    }
    for (int j = 0; j < 2; j++) m.deviation[j] = sqrt(m.deviation[j] - m.mean[j] * m.mean[j]);
    return m;
}

/* From one point, does the chain find both moons, and does it take the resampling to keep their
 * width? */
Test(dae, the_chain_samples_the_density) {
    enum { N = 1500 };
    static real data[2 * N], with[2 * N], without[2 * N];
    Denoiser d;
    Rng rng = rng_new(1, "chain");
    threads_set(1);
    denoiser_start(&d, 0.2, 1);
    denoiser_train(&d, 3000, 256, 5e-3);
    moons_draw(N, &rng, data);
    toy_chain(&d, 300, true, N, with, &rng);
    toy_chain(&d, 300, false, N, without, &rng);
    Moments real_ones = moments(N, data), made = moments(N, with), narrow = moments(N, without);
    for (int j = 0; j < 2; j++) {
        cr_expect_float_eq(made.mean[j], real_ones.mean[j], 0.12, "mean %g, of the data %g",
                           made.mean[j], real_ones.mean[j]);
        cr_expect_float_eq(made.deviation[j] / real_ones.deviation[j], 1, 0.1,
                           "deviation %g, of the data %g", made.deviation[j],
                           real_ones.deviation[j]);
        cr_expect(narrow.deviation[j] < made.deviation[j]);
    }
    cr_expect_float_eq(made.second, 0.5, 0.08, "%g in the lower moon", made.second);
    cr_expect(made.log_density > real_ones.log_density - 1.2, "log p %g, of the data %g",
              made.log_density, real_ones.log_density);
    denoiser_free(&d);
}

/* mean of log p_sigma over n points */
static double mean_log_density(double sigma, int n, const real *points) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += moons_log_density(sigma, (double)points[2 * i], (double)points[2 * i + 1]);
    return sum / n;
}

/* Do Langevin steps from one point arrive at p_sigma, as likely under it as noisy data are? */
Test(dae, langevin_steps_sample_the_blurred_density) {
    enum { N = 1500 };
    static real noisy[2 * N], points[2 * N];
    const double sigma = 0.5;
    Denoiser d;
    Rng rng = rng_new(1, "langevin");
    threads_set(1);
    denoiser_start(&d, sigma, 1);
    denoiser_train(&d, 2000, 256, 5e-3);
    moons_draw(N, &rng, points);
    corrupt((Corruption){GAUSSIAN, sigma}, 2 * N, points, &rng, noisy, NULL);
    memset(points, 0, sizeof points);
    toy_langevin(&d, 0.1, 300, N, points, &rng);
    double wanted = mean_log_density(sigma, N, noisy), made = mean_log_density(sigma, N, points);
    cr_expect_float_eq(made, wanted, 0.1, "log p_sigma %g, of noisy data %g", made, wanted);
    Moments of_noisy = moments(N, noisy), of_made = moments(N, points);
    for (int j = 0; j < 2; j++)
        cr_expect_float_eq(of_made.deviation[j] / of_noisy.deviation[j], 1, 0.07,
                           "deviation %g, of noisy data %g", of_made.deviation[j],
                           of_noisy.deviation[j]);
    denoiser_free(&d);
}

/* ---- the program ----------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
PROGRAM_SUITE(dae_program);

Test(dae_program, trained_weights_give_pictures_and_scores) {
    few_garments(300, 40);
    RUN("dae_mae", "train -q --config dae --steps 2 --batch 16 --data %s --out %s");
    RUN("dae_mae", "train -q --config dae --corruption none --steps 2 --batch 16 --data %s "
                   "--out %s/plain");
    RUN("dae_mae", "sample -q --data %1$s --plain %1$s/plain/weights.safetensors --out %1$s");
    RUN("dae_mae", "eval -q --data %1$s --plain %1$s/plain/weights.safetensors --out %1$s");
    RUN("dae_mae", "train -q --config vincent2008 --steps 2 --data %s --out %s/v");
    RUN("dae_mae", "sample -q --data %s --out %s/v");
    static const char *const files[] = {"samples.png",   "log.csv",       "run.json",
                                        "denoising.png", "chain.png",     "metrics.json",
                                        "denoising.csv", "v/filters.png", "v/denoising.png"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_expect(file_there(files[i]), "%s is missing or empty", files[i]);
}

/* Whatever is asked or given: one line, the right status, nothing half written? */
Test(dae_program, bad_input_gets_one_line_and_a_status) {
    static const Refusal cases[] = {
        {"train --config dae --corruption fog --out %s/x", 2, "fog"},
        {"train --config dae --level -1 --out %s/x", 2, "--level"},
        {"train --config dae --corruption masking --level 1.5 --out %s/x", 2, "probability"},
        {"train --config dae --beta 0.5 --out %s/x", 2, "--beta"},
        {"train --config dae --corruption none --alpha 2 --out %s/x", 2, "--alpha"},
        {"train --level 0.3 --out %s/x", 2, "--level"},
        {"train --config vincent2008 --plain y --out %s/x", 2, "--plain"},
        {"toy --out %s/stderr/x", 1, "stderr"},
    };
    EXPECT_REFUSALS("dae_mae", cases);
}

/* --plain with weights of the other network: named, not half loaded? */
Test(dae_program, another_network_as_plain_is_refused) {
    RUN("dae_mae", "train -q --config vincent2008 --steps 1 --out %s/v");
    RUN("dae_mae", "train -q --config dae --batch 2 --steps 1 --out %s/d");
    expect_refusal("dae_mae", "sample -q --plain %s/v/weights.safetensors --out %s/d", 1,
                   "weights");
}
#endif
