/* test_drawing.c — drawing with a network: what a picture depends on, respacing, many pictures, what
 * is recorded of them; the bound of a whole chain. */
#include "diffusion/bound.h"
#include "diffusion/drawing.h"
#include "diffusion/guidance.h"
#include "nn/layers.h"
#include "testing.h"

#include <math.h>

SUITE(drawing);

static void near(double got, double want, double tolerance, const char *what) {
    cr_expect(fabs(got - want) <= tolerance * fabs(want), "%s: %.9g, not %.9g", what, got, want);
}

/* what real can hold after a few operations */
static const double exact = sizeof(real) == 8 ? 1e-12 : 1e-5;

/* ---- a network ------------------------------------------------------------------------------- */

enum { SIDE = 4, SIZE = SIDE * SIDE };

/* two convolutions and a number for each class: output [eps | v] */
typedef struct {
    Params params;
    Conv2d in, out;
    const int *label;
} Network;

static void network_start(Network *n, const int *label) {
    *n = (Network){.params = {.seed = 4}, .label = label};
    n->in = conv2d_new(scope(&n->params, "in"), 1, 8, 3, 1, 1, true);
    n->out = conv2d_new(scope(&n->params, "out"), 8, 2, 3, 1, 1, true);
}

static Tensor *network_output(const void *network, const Step *at, Tensor *xt) {
    const Network *n = network;
    const double *time = step_times(at);
    Tensor *class = t_input(xt->tape, NULL, SHAPE(at->n, 1, 1, 1));
    for (int i = 0; i < at->n; i++)
        class->x[i] = (real)(n->label[at->first + i] + time[i] / 1000);
    return conv2d(&n->out, t_silu(conv2d(&n->in, t_add(xt, class))));
}

static Sampler network_sampler(const Denoiser *d, const NoiseSchedule *s, SamplingMethod method) {
    return (Sampler){.denoiser = d, .schedule = s, .method = method, .eta = 0.5, .height = SIDE,
                     .width = SIDE, .channels = 1, .seed = 9};
}

/* Is a picture the same whatever is drawn beside it, by any sampler, is what is predicted clipped,
 * and is the noise of every picture and step another? */
Test(drawing, a_picture_depends_on_its_number_alone) {
    static const int label[] = {2, 0, 1, 1, 0};
    NoiseSchedule all = schedule_cosine(100), s = schedule_respaced(&all, "5");
    Network n;
    network_start(&n, label);
    for (SamplingMethod method = ANCESTRAL; method <= PLMS; method++)
        for (Variance v = FIXED_SMALL; v <= LEARNED_RANGE; v++) {
            NetworkDenoiser d = network_denoiser(network_output, &n,
                                                 (Parameterization){PREDICT_NOISE, v});
            ClippedDenoiser clipped = clipped_denoiser(&d.denoiser);
            Sampler m = network_sampler(&clipped.denoiser, &s, method), alone = m;
            real five[5 * SIZE], one[SIZE];
            start_noise(&m, 0, 5, five), start_noise(&m, 3, 1, one);
            for (int t = s.T - 1; t >= 0; t--) {
                sample_step(&m, t, 0, 5, five);
                Prediction p = sample_step(&alone, t, 3, 1, one);
                for (int i = 0; i < SIZE && method != PLMS; i++)
                    cr_assert(p.x0[i] >= -1 && p.x0[i] <= 1);
            }
            cr_expect_arr_eq(five + 3 * SIZE, one, sizeof one, "method %d", (int)method);
            sampler_free(&m), sampler_free(&alone);
        }
    real one[SIZE], other[SIZE];
    sampling_noise(9, 2, 3, SIZE, one), sampling_noise(9, 2, 2, SIZE, other);
    cr_expect(memcmp(one, other, sizeof one), "two steps of a picture have the same noise");
    sampling_noise(9, 1, 3, SIZE, other);
    cr_expect(memcmp(one, other, sizeof one), "two pictures have the same noise");
    sampling_noise(9, 1, X_T, SIZE, one), sampling_noise(9, 2, 0, SIZE, other);
    cr_expect(memcmp(one, other, sizeof one), "a start and another picture's step");
    params_free(&n.params);
    schedule_free(&all), schedule_free(&s);
}

/* What a network of some of the steps predicts is what that of all steps does where they meet: it
 * is given the same time and the same class, and as much of the picture is left. */
Test(drawing, respacing_asks_the_network_what_it_was_trained_for) {
    static const int label[] = {1}, other[] = {2};
    NoiseSchedule all = schedule_cosine(100);
    schedule_rescale_time(&all);
    NoiseSchedule s = schedule_respaced(&all, "7,2");
    Network n;
    network_start(&n, label);
    NetworkDenoiser d = network_denoiser(network_output, &n,
                                         (Parameterization){PREDICT_NOISE, LEARNED_RANGE});
    ClippedDenoiser clipped = clipped_denoiser(&d.denoiser);
    Sampler few = network_sampler(&clipped.denoiser, &s, ANCESTRAL);
    Sampler many = network_sampler(&clipped.denoiser, &all, ANCESTRAL);
    real x[SIZE];
    test_values("x", -1.5, 1.5, SIZE, x);
    for (int t = 0; t < s.T; t++) {
        n.label = label;
        Prediction a = predict(&few, t, 0, 1, x), b = predict(&many, s.step[t], 0, 1, x);
        for (int i = 0; i < SIZE; i++)
            cr_assert_float_eq(a.x0[i], b.x0[i], sizeof(real) == 8 ? 1e-12 : 1e-5);
        real before = a.log_variance[0];
        n.label = other;
        cr_expect_neq(predict(&few, t, 0, 1, x).log_variance[0], before, "class at %d", t);
    }
    sampler_free(&few), sampler_free(&many);
    params_free(&n.params);
    schedule_free(&all), schedule_free(&s);
}

/* ---- many pictures --------------------------------------------------------------------------- */

static int saved;
static void count_saved(void *context, int n, const real *x) {
    (void)x, (void)context;
    cr_expect(n == 2 || n == 3, "%d", n);
    saved = n;
}

/* A recording holds the first pictures after every so many steps, the last frame what is drawn;
 * pictures are saved after each group, the last one included; and drawing in three times as many
 * steps takes no more memory. */
Test(drawing, what_is_recorded_on_the_way) {
    enum { PICTURES = 3, COLUMNS = 2, FRAMES = 3, ROW = COLUMNS * SIZE };
    static const int label[PICTURES] = {2, 0, 1};
    static real x[PICTURES * SIZE], by_hand[ROW], frames[FRAMES * 2 * ROW];
    NoiseSchedule all = schedule_cosine(100), s = schedule_respaced(&all, "6");
    NoiseSchedule longer = schedule_respaced(&all, "18");
    Network n;
    network_start(&n, label);
    NetworkDenoiser d = network_denoiser(network_output, &n,
                                         (Parameterization){PREDICT_NOISE, LEARNED_RANGE});
    ClippedDenoiser clipped = clipped_denoiser(&d.denoiser);
    Sampler m = network_sampler(&clipped.denoiser, &s, ANCESTRAL), hand = m;
    Sampler more = network_sampler(&clipped.denoiser, &longer, ANCESTRAL);
    Recording r = {.steps = 6, .frames = FRAMES, .columns = COLUMNS, .pixels = SIZE,
                   .images = frames};
    Drawing how = {.at_once = 2, .quiet = true, .save = count_saved, .recording = &r};
    draw_images(&m, PICTURES, x, how);
    cr_assert_eq(r.taken, FRAMES);
    cr_expect_eq(saved, PICTURES);
    start_noise(&hand, 0, COLUMNS, by_hand);
    for (int t = s.T - 1; t >= 0; t--) {
        Prediction p = sample_step(&hand, t, 0, COLUMNS, by_hand);
        if (t % 2) continue;
        const real *frame = frames + (2 - t / 2) * 2 * ROW;
        cr_expect_arr_eq(frame, by_hand, sizeof by_hand, "x at %d", t);
        cr_expect_arr_eq(frame + ROW, p.x0, sizeof by_hand, "x0 at %d", t);
    }
    cr_expect_arr_eq(x, by_hand, sizeof by_hand);
    r.taken = 0, r.steps = 18;
    draw_images(&more, PICTURES, x, how);
    cr_expect_eq(r.taken, FRAMES, "%d moments of 18 steps", r.taken);
    cr_expect_arr_eq(frames + (FRAMES - 1) * 2 * ROW, x, ROW * sizeof *x);
    cr_expect_eq(tape_peak(&m.tape), tape_peak(&more.tape), "memory grows with the steps");
    sampler_free(&m), sampler_free(&hand), sampler_free(&more);
    params_free(&n.params);
    schedule_free(&all), schedule_free(&s), schedule_free(&longer);
}

/* temperature scales what is drawn at a step, start_key says where x_T's noise comes from */
Test(drawing, noise_is_scaled_and_chosen) {
    static const int label[1] = {0};
    NoiseSchedule s = schedule_cosine(10);
    Network n;
    network_start(&n, label);
    NetworkDenoiser d = network_denoiser(network_output, &n,
                                         (Parameterization){PREDICT_NOISE, FIXED_LARGE});
    Sampler m = network_sampler(&d.denoiser, &s, DDIM);
    real start[SIZE], x[3][SIZE], z[SIZE];
    m.start_key = 77;
    start_noise(&m, 5, 1, start);
    sampling_noise(9, 5, 77, SIZE, z);
    cr_expect_arr_eq(start, z, sizeof z);
    static const double temperatures[] = {0, 1, 0.5};
    for (int k = 0; k < 3; k++) {
        memcpy(x[k], start, sizeof start);
        m.temperature = temperatures[k];
        sample_step(&m, 4, 0, 1, x[k]);
    }
    sampling_noise(9, 0, 4, SIZE, z);
    double sigma = ddim_sigma(&s, 4, 0.5);
    cr_expect(sigma > 0.01);
    cr_expect_arr_eq(x[0], x[1], sizeof x[0]);
    for (int i = 0; i < SIZE; i++)
        cr_expect_float_eq(x[1][i] - x[2][i], 0.5 * sigma * (double)z[i], exact);
    sampler_free(&m);
    params_free(&n.params);
    schedule_free(&s);
}

/* ---- the bound of a whole chain -------------------------------------------------------------- */

/* In groups or not, the sum of its terms and the prior; each the mean of the pictures' own, with
 * noise of the next seed; classes by number. More than 64, so that there are two groups. */
Test(drawing, the_bound_is_the_sum_of_its_terms) {
    enum { PICTURES = 70, T = 3 };
    static int label[PICTURES];
    static real x0[PICTURES * SIZE];
    NoiseSchedule s = schedule_cosine(T);
    for (int i = 0; i < PICTURES; i++) label[i] = i % 5;
    test_values("x0", -1, 1, PICTURES * SIZE, x0);
    Network n;
    network_start(&n, label);
    NetworkDenoiser d = network_denoiser(network_output, &n,
                                         (Parameterization){PREDICT_NOISE, LEARNED_RANGE});
    ClippedDenoiser clipped = clipped_denoiser(&d.denoiser);
    Sampler m = network_sampler(&clipped.denoiser, &s, ANCESTRAL);
    BoundTerm term[T];
    Bound b = evaluate_bound(&m, PICTURES, x0, true, term);
    double prior = prior_term(&s, PICTURES * SIZE, x0) / PICTURES / (SIZE * log(2));
    near(b.prior, prior, 1e-12, "prior");
    for (int k = 0; k < BOUND_VARIANCES; k++)
        near(b.bits[k], prior + term[0].bits[k] + term[1].bits[k] + term[2].bits[k], 1e-12, "sum");
    double bits = 0, mse = 0;
    for (int i = 0; i < PICTURES; i++) {
        real eps[SIZE], xt[SIZE];
        sampling_noise(10, i, 1, SIZE, eps);
        q_sample(&s, 1, SIZE, x0 + i * SIZE, eps, xt);
        Prediction p = predict(&m, 1, i, 1, xt);
        bits += bound_term(&s, 1, x0 + i * SIZE, xt, &p) / PICTURES / (SIZE * log(2));
        mse += k_sum_squared_difference(SIZE, p.x0, x0 + i * SIZE) / (PICTURES * SIZE);
    }
    near(term[1].bits[BOUND_MODEL], bits, 1e-5, "term");
    near(term[1].x0_mse, mse, 1e-5, "squared error");
    cr_expect(term[1].bits[BOUND_SMALL] != term[1].bits[BOUND_LARGE]);
    sampler_free(&m);
    params_free(&n.params);
    schedule_free(&s);
}
