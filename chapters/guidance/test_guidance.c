/* test_guidance.c — the published networks, gradients of the chapter's losses, and what guidance
 * does to a step: against finite differences, and where the guided density is known. Learning and
 * the program: test_program.c. The networks against the official code: tests/golden/unet.c; the
 * samplers' arithmetic: tests/golden/diffusion.c, tests/test_sampling.c. */
#include "image_guide.h"
#include "diffusion/losses.h"
#include "diffusion/sampler.h"
#include "nn/official.h"
#include "testing.h"

#include <math.h>

SUITE(guidance);

/* ---- networks -------------------------------------------------------------------------------- */

/* Are these the published networks, to the last weight? */
Test(guidance, published_networks_have_the_published_number_of_parameters) {
    static const struct {
        const char *config;
        size_t network, classifier;          /* 0: there is none */
    } sizes[] = {{"imagenet64", 295904454, 65438568},
                 {"imagenet128", 421529606, 42568040},
                 {"imagenet256", 553838086, 54096360},
                 {"imagenet256-uncond", 552814086, 54096360},
                 {"imagenet512", 558997638, 54448360},
                 {"upsample256", 311795910, 0},
                 {"upsample512", 308835270, 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Params p = {.shapes_only = true}, q = {.shapes_only = true};
        ModelConfig c = model_config(sizes[i].config);
        cr_expect_eq(c.qkv_first, i == 0);           /* use_new_attention_order */
        cr_expect_eq(c.linear, i != 0);
        class_unet_new(&p, c.unet, c.classes);
        cr_expect_eq(params_count(&p), sizes[i].network, "%s: %zu", sizes[i].config,
                     params_count(&p));
        if (sizes[i].classifier)
            noisy_classifier_new(&q, classifier_config(sizes[i].config), c.side);
        cr_expect_eq(params_count(&q), sizes[i].classifier, "%s: %zu", sizes[i].config,
                     params_count(&q));
        params_free(&p), params_free(&q);
    }
}

/* Is there a tensor of this official name, and is no other called so? */
static void expect_named(const Params *p, UNetConfig c, const char *name) {
    UNetOfficial design = {.config = c};
    OfficialMap map = {.rows = class_unet_official, .locate = unet_official, .design = &design};
    int found = 0;
    for (int i = 0; i < p->count; i++) {
        OfficialTensor tensors[OFFICIAL_TENSORS];
        int k = official_tensors(&map, p->list[i], tensors);
        for (int j = 0; j < k; j++) {
            found += !strcmp(tensors[j].entry.name, name);
            cr_expect(!strstr(tensors[j].entry.name, "down."), "%s", tensors[j].entry.name);
            free(tensors[j].entry.name);
        }
    }
    cr_expect_eq(found, 1, "%s: %d", name, found);
}

Test(guidance, tensors_have_their_official_names) {
    Params p = {.shapes_only = true}, q = {.shapes_only = true};
    ModelConfig c = model_config("imagenet64");
    class_unet_new(&p, c.unet, c.classes);
    expect_named(&p, c.unet, "output_blocks.11.2.out_layers.3.weight");
    expect_named(&p, c.unet, "label_emb.weight");
    noisy_classifier_new(&q, classifier_config("imagenet256"), 256);
    expect_named(&q, classifier_config("imagenet256"), "out.2.positional_embedding");
    expect_named(&q, classifier_config("imagenet256"), "out.2.c_proj.bias");
    params_free(&p), params_free(&q);
}

/* ---- small networks of the chapter's kind ---------------------------------------------------- */

enum { SIDE = 4, SIZE = SIDE * SIDE, CLASSES = 3, B_ = 2 };

static UNetConfig small(UNetConfig c) {
    c.width = 8, c.levels = 2, c.head_channels = 4, c.style.groups = 2;
    return c;
}

static ClassUNet small_network(Params *p, double by) {
    ClassUNet net = class_unet_new(p, small(model_config("default").unet), CLASSES);
    move_params(p, by);
    return net;
}

static NoisyClassifier small_classifier(Params *p, double by) {
    UNetConfig c = small(classifier_config("default"));
    c.out = CLASSES;
    NoisyClassifier net = noisy_classifier_new(p, c, SIDE);
    move_params(p, by);
    return net;
}

/* ---- gradients of the losses ----------------------------------------------------------------- */

#ifdef REAL_DOUBLE
typedef struct {
    ClassUNet net;
    NoisyClassifier classifier;
    NoiseSchedule s;
} Whole;

static const int classes[B_] = {2, 0};

static NoisyImages some_noisy_images(Tape *t, const NoiseSchedule *s) {
    static const int at[B_] = {5, 13};
    Rng noise = rng_new(1, "noise");
    Tensor *x0 = t_input(t, NULL, SHAPE(B_, SIDE, SIDE, 1));
    test_values("x0", -1, 1, x0->len, x0->x);
    return noisy_images(s, x0, at, &noise);
}

static Tensor *diffusion_loss(Tape *t, void *context) {
    const Whole *w = context;
    NoisyImages b = some_noisy_images(t, &w->s);
    Tensor *output = class_unet(&w->net, b.xt, b.time, classes);
    Parameterization p = {PREDICT_NOISE, LEARNED_RANGE};
    return t_scale(t_sum(training_losses(&b, VLB, p, output).each), 0.1);
}

static Tensor *classifier_loss(Tape *t, void *context) {
    const Whole *w = context;
    NoisyImages b = some_noisy_images(t, &w->s);
    return t_cross_entropy(class_logits(&w->classifier, b.xt, b.time), classes);
}

/* AdaGN, heads, attention, BigGAN's blocks and the class; the encoder and its pooling */
Test(guidance, gradients_of_both_losses) {
    Params p = {.seed = 2}, q = {.seed = 3};
    Whole w = {.net = small_network(&p, 0.1), .classifier = small_classifier(&q, 0.1),
               .s = schedule_linear(20, 0.005, 0.9)};
    GradientCheck c = {.samples = 3, .h = 1e-4};
    double error = gradient_error_of(&p, diffusion_loss, &w, c);
    cr_expect(error <= 1e-6, "diffusion: relative error %g", error);
    error = gradient_error_of(&q, classifier_loss, &w, c);
    cr_expect(error <= 1e-6, "classifier: relative error %g", error);
    schedule_free(&w.s);
    params_free(&p), params_free(&q);
}
#endif

/* ---- what a guided step does ----------------------------------------------------------------- */

/* both networks, and samplers of a chain of some steps */
typedef struct {
    Params params, classifier_params;
    ClassUNet net;
    NoisyClassifier classifier;
    NoiseSchedule all, few;
    const int *label;
    Labelled labelled;
    NetworkDenoiser network;
    ClippedDenoiser clipped;
    ClassGuide guide;
    ScoreGuidance guided;
    Tape tape;
} Pair;

static void pair_start(Pair *p, const int *labels, double scale) {
    *p = (Pair){.params = {.seed = 1}, .classifier_params = {.seed = 2}, .label = labels};
    p->net = small_network(&p->params, 0.1);
    p->classifier = small_classifier(&p->classifier_params, 0.3);
    params_freeze(&p->classifier_params, true);
    p->all = schedule_cosine(100);
    p->few = schedule_respaced(&p->all, "9");
    p->labelled = (Labelled){&p->net, labels};
    p->network = labelled_denoiser(&p->labelled, LEARNED_RANGE);
    p->clipped = clipped_denoiser(&p->network.denoiser);
    p->guide = class_guide(&p->classifier, labels, &p->tape);
    p->guided = score_guidance(&p->clipped.denoiser, guide_gradient, &p->guide, scale);
}

static void pair_free(Pair *p) {
    schedule_free(&p->all), schedule_free(&p->few);
    params_free(&p->params), params_free(&p->classifier_params);
    tape_free(&p->tape);
}

static Sampler sampler_of(const Pair *p, bool guided, SamplingMethod method) {
    return (Sampler){.denoiser = guided ? &p->guided.denoiser : &p->clipped.denoiser,
                     .schedule = &p->few, .method = method, .eta = 0.5, .height = SIDE,
                     .width = SIDE, .channels = 1, .seed = 4};
}

/* log p(y|x_t) of one picture, by the forward pass alone */
static double log_p(const Pair *p, const real *xt, double time, int class) {
    Tape tape = {.no_grad = true};
    Tensor *x = t_input(&tape, xt, SHAPE(1, SIDE, SIDE, 1));
    Tensor *logits = class_logits(&p->classifier, x, &time);
    double highest = -INFINITY, sum = 0;
    for (int k = 0; k < CLASSES; k++) highest = fmax(highest, (double)logits->x[k]);
    for (int k = 0; k < CLASSES; k++) sum += exp((double)logits->x[k] - highest);
    double value = (double)logits->x[class] - highest - log(sum);
    tape_free(&tape);
    return value;
}

/* by central differences of four points */
static double slope(const Pair *p, const real *xt, double time, int class, int i) {
    static const double weight[4] = {1. / 12, -8. / 12, 8. / 12, -1. / 12};
    static const int place[4] = {-2, -1, 1, 2};
    double h = sizeof(real) == 8 ? 1e-3 : 5e-2, sum = 0;
    real x[SIZE];
    memcpy(x, xt, sizeof x);
    for (int k = 0; k < 4; k++) {
        x[i] = (real)((double)xt[i] + place[k] * h);
        sum += weight[k] * log_p(p, x, time, class) / h;
    }
    return sum;
}

/* The mean of a guided ancestral step is the unguided one's and scale Sigma grad log p(y|x_t), of
 * the network's own variance; in DDIM the noise loses sqrt(1 - abar) scale grad log p, starting
 * from the clipped x0. The time is that of the original chain, each picture has its own class. */
Test(guidance, a_step_moves_by_the_finite_differences_of_log_p) {
    static const int label[B_] = {2, 1};
    const double scale = 3;
    Pair p;
    pair_start(&p, label, scale);
    for (SamplingMethod method = ANCESTRAL; method <= DDIM; method++) {
        Sampler plain = sampler_of(&p, false, method), guided = sampler_of(&p, true, method);
        for (int t = p.few.T - 1; t >= 0; t -= 4) {
            real xt[B_ * SIZE], z[B_ * SIZE] = {0}, a[B_ * SIZE], b[B_ * SIZE];
            test_values("xt", -1, 1, B_ * SIZE, xt);
            memcpy(a, xt, sizeof a), memcpy(b, xt, sizeof b);
            Prediction q = sample_step_with(&plain, t, 0, B_, z, a);
            sample_step_with(&guided, t, 0, B_, z, b);
            double sigma = ddim_sigma(&p.few, t, 0.5), before = p.few.alpha_bar_before[t];
            double here = p.few.alpha_bar[t], largest = 0;
            double keeps = sqrt(before), eps_keeps = sqrt(fmax(0, 1 - before - sigma * sigma));
            double relative = sizeof(real) == 8 ? 1e-8 : 2e-3;
            for (int i = 0; i < B_ * SIZE; i++) {
                double g = slope(&p, xt + i / SIZE * SIZE, p.few.step[t], label[i / SIZE],
                                 i % SIZE), moved;
                double d_eps = -sqrt(1 - here) * scale * g, d_x0 = -sqrt(1 / here - 1) * d_eps;
                if (method == ANCESTRAL) moved = scale * exp((double)q.log_variance[i]) * g;
                else moved = keeps * d_x0 + eps_keeps * d_eps;
                double tolerance = relative * (1e-3 + fabs(moved) + fabs(g));
                cr_assert_float_eq((double)(b[i] - a[i]), moved, tolerance, "%d, %d: %g, not %g", t,
                                   i, (double)(b[i] - a[i]), moved);
                largest = fmax(largest, fabs(moved));
            }
            cr_expect(largest > 1e-4, "nothing moves at %d: %g", t, largest);
        }
        sampler_free(&plain), sampler_free(&guided);
    }
    pair_free(&p);
}

/* The gradient is that of the sum: whatever is drawn beside it, a picture is guided as if alone. */
Test(guidance, a_guided_picture_depends_on_its_number_alone) {
    static const int label[5] = {2, 0, 1, 1, 0};
    Pair p;
    pair_start(&p, label, 2);
    for (SamplingMethod method = ANCESTRAL; method <= DDIM; method++) {
        Sampler m = sampler_of(&p, true, method);
        real five[5 * SIZE], one[SIZE];
        start_noise(&m, 0, 5, five), start_noise(&m, 3, 1, one);
        sample_from(&m, p.few.T - 1, 0, 5, five);
        sample_from(&m, p.few.T - 1, 3, 1, one);
        for (int i = 0; i < SIZE; i++)
            cr_assert_float_eq(five[3 * SIZE + i], one[i], sizeof(real) == 8 ? 1e-10 : 1e-3);
        sampler_free(&m);
    }
    pair_free(&p);
}

/* Is the classifier asked at the times of the original chain, whatever steps of it are taken? */
Test(guidance, respaced_steps_ask_at_the_original_times) {
    static const int label[1] = {1};
    Pair p;
    real xt[SIZE], a[SIZE], b[SIZE], c[SIZE];
    pair_start(&p, label, 1);
    test_values("xt", -1, 1, SIZE, xt);
    Tape tape = {.no_grad = true};
    for (int t = 0; t < p.few.T; t += 4) {
        Step at = {.schedule = &p.few, .t = t, .n = 1, .height = SIDE, .width = SIDE,
                   .channels = 1, .tape = &tape};
        guide_gradient(&p.guide, &at, xt, a);
        at.schedule = &p.all, at.t = p.few.step[t];
        guide_gradient(&p.guide, &at, xt, b);
        cr_expect_arr_eq(a, b, sizeof a);
        at.t = (p.few.step[t] + 50) % 100;
        guide_gradient(&p.guide, &at, xt, c);
        cr_expect(memcmp(b, c, sizeof b), "the time does not matter");
    }
    tape_free(&tape);
    pair_free(&p);
}

/* ---- a density that is known ----------------------------------------------------------------- */

/* Three normal components of a plane, each a class. x_t has components of means a c_k and one
 * variance v, so that E[x0|x_t] and p(y|x_t) are known; guided with scale 1, what comes out is the
 * class's own component. */
enum { COMPONENTS = 3, CLASS = 1, DRAWS = 2000 };
static const double centre[COMPONENTS][2] = {{-0.6, -0.2}, {0.5, -0.5}, {0.1, 0.7}};
static const double deviation = 0.15;

/* a and v of x_t */
static void spread(const Step *at, double *a, double *v) {
    double left = at->schedule->alpha_bar[at->t];
    *a = sqrt(left);
    *v = left * deviation * deviation + 1 - left;
}

static Prediction predict_mixture(const Denoiser *self, const Step *at, real *xt) {
    double a, v, d2 = deviation * deviation;
    (void)self;
    spread(at, &a, &v);
    Prediction p = {.n = 2 * (size_t)at->n, .fixed_log_variance =
                    fixed_log_variance(at->schedule, FIXED_SMALL, at->t)};
    p.x0 = arena_get(&at->tape->arena, p.n * sizeof *p.x0);
    for (int i = 0; i < at->n; i++) {
        double weight[COMPONENTS], sum = 0, x[2] = {(double)xt[2 * i], (double)xt[2 * i + 1]};
        for (int k = 0; k < COMPONENTS; k++) {
            double dx = x[0] - a * centre[k][0], dy = x[1] - a * centre[k][1];
            sum += weight[k] = exp(-(dx * dx + dy * dy) / (2 * v));
        }
        for (int c = 0; c < 2; c++) {
            double mean = 0;
            for (int k = 0; k < COMPONENTS; k++) mean += weight[k] / sum * centre[k][c];
            p.x0[2 * i + c] = (real)(mean + a * d2 / v * (x[c] - a * mean));
        }
    }
    return p;
}

/* log softmax over k of (a c_k . x - |a c_k|^2 / 2) / v */
static Tensor *log_p_of_component(const Guide *self, const Step *at, Tensor *xt) {
    double a, v;
    int class[DRAWS];
    (void)self;
    spread(at, &a, &v);
    Tensor *w = t_input(xt->tape, NULL, SHAPE(2, COMPONENTS));
    Tensor *bias = t_input(xt->tape, NULL, SHAPE(COMPONENTS));
    for (int k = 0; k < COMPONENTS; k++) {
        w->x[k] = (real)(a * centre[k][0] / v), w->x[COMPONENTS + k] = (real)(a * centre[k][1] / v);
        bias->x[k] = (real)(-a * a * (pow(centre[k][0], 2) + pow(centre[k][1], 2)) / (2 * v));
    }
    for (int i = 0; i < at->n; i++) class[i] = CLASS;
    return class_log_probability(t_linear(t_reshape(xt, SHAPE(at->n, 2)), w, bias), class);
}

typedef struct {
    double mean[2], variance, distance;   /* variance: of both axes; from the class's centre */
} Moments;

static Moments moments_of(const real *x) {
    Moments m = {0};
    for (int i = 0; i < 2 * DRAWS; i++) m.mean[i % 2] += (double)x[i] / DRAWS;
    for (int i = 0; i < 2 * DRAWS; i++)
        m.variance += pow((double)x[i] - m.mean[i % 2], 2) / (2 * DRAWS);
    m.distance = hypot(m.mean[0] - centre[CLASS][0], m.mean[1] - centre[CLASS][1]);
    return m;
}

Test(guidance, a_guided_mixture_is_the_component_of_its_class) {
    static real x[2 * DRAWS];
    Tape tape = {0};
    Denoiser mixture = {predict_mixture};
    Guide guide = {log_p_of_component, &tape};
    NoiseSchedule s = schedule_cosine(200);
    for (SamplingMethod method = ANCESTRAL; method <= DDIM; method++)
        for (int scale = 0; scale <= 4; scale += scale ? 3 : 1) {
            ScoreGuidance guided = score_guidance(&mixture, guide_gradient, &guide, scale);
            Sampler m = {.denoiser = &guided.denoiser, .schedule = &s, .method = method,
                         .height = 1, .width = 1, .channels = 2, .seed = 5};
            start_noise(&m, 0, DRAWS, x);
            sample_from(&m, s.T - 1, 0, DRAWS, x);
            Moments got = moments_of(x);
            double v = deviation * deviation, error = 5 * deviation / sqrt(DRAWS);
            if (scale == 0) cr_expect(got.distance > 0.4, "unguided: %g", got.distance);
            if (scale == 1) {
                cr_expect(got.distance < error, "mean off by %g of %g", got.distance, error);
                cr_expect_float_eq(got.variance, v, v * (5 / sqrt(DRAWS) + 0.02), "variance %g",
                                   got.variance);
            }
            if (scale == 4) cr_expect(got.variance < 0.97 * v, "variance %g", got.variance);
            sampler_free(&m);
        }
    schedule_free(&s);
    tape_free(&tape);
}

/* ---- likeness to a picture ------------------------------------------------------------------- */

/* Gram matrices against the sums they are, picture by picture: no picture sees another's. */
Test(guidance, gram_matrices_are_each_pictures_own) {
    enum { H = 2, W = 3, C = 4 };
    Tape tape = {.no_grad = true};
    Tensor *f = t_input(&tape, NULL, SHAPE(B_, H, W, C));
    test_values("features", -1, 1, f->len, f->x);
    Tensor *gram = gram_matrices(f);
    for (int b = 0; b < B_; b++)
        for (int i = 0; i < C; i++)
            for (int j = 0; j < C; j++) {
                double sum = 0;
                for (int p = 0; p < H * W; p++)
                    sum += (double)f->x[(b * H * W + p) * C + i] *
                           (double)f->x[(b * H * W + p) * C + j];
                cr_assert_float_eq(gram->x[(b * C + i) * C + j], sum / (H * W * C), 1e-6);
            }
    tape_free(&tape);
}

/* Is a picture more like itself than like another one, and its gradient there 0? */
Test(guidance, likeness_is_highest_where_pictures_are_equal) {
    Pair p;
    static const int label[B_] = {0, 1};
    pair_start(&p, label, 1);
    for (Likeness what = LIKE_PIXELS; what <= LIKE_STYLE; what++) {
        Tape tape = {0};
        const double time[B_] = {20, 70};
        Tensor *x = t_variable(&tape, NULL, SHAPE(B_, SIDE, SIDE, 1));
        test_values("x", -1, 1, x->len, x->x);
        Tensor *same = likeness(&p.classifier, what, x, t_input(&tape, x->x, x->rank, x->shape),
                                time);
        for (int b = 0; b < B_; b++)
            cr_expect_float_eq(same->x[b], what == LIKE_FEATURES, 1e-5, "%d: %g", what,
                               (double)same->x[b]);
        Tensor *other = t_input(&tape, NULL, x->rank, x->shape);
        test_values("other", -1, 1, other->len, other->x);
        Tensor *less = likeness(&p.classifier, what, x, other, time);
        for (int b = 0; b < B_; b++)
            cr_expect_lt(less->x[b], same->x[b] - (real)1e-4, "%d: %g", what, (double)less->x[b]);
        backward(t_sum(same));
        for (int i = 0; i < B_ * SIZE; i++) cr_expect_float_eq(x->g[i], 0, 1e-4);
        tape_free(&tape);
    }
    pair_free(&p);
}

/* the guide's value at one picture xt of number 1, by the forward pass alone */
static double likeness_of(const ImageGuide *g, const NoiseSchedule *s, int t, const real *xt) {
    real eps[SIZE], noisy[SIZE];
    Tape tape = {.no_grad = true};
    double time = s->time[t];
    sampling_noise(g->seed, 1, (1 << 15) + s->step[t], SIZE, eps);
    q_sample(s, t, SIZE, g->reference + SIZE, eps, noisy);
    Tensor *value = likeness(g->net, g->what, t_input(&tape, xt, SHAPE(1, SIDE, SIDE, 1)),
                             t_input(&tape, noisy, SHAPE(1, SIDE, SIDE, 1)), &time);
    double y = (double)value->x[0];
    tape_free(&tape);
    return y;
}

/* Does the gradient follow finite differences, and has the reference the noise of the step? */
Test(guidance, an_image_guide_climbs_its_likeness) {
    static const int label[B_] = {0, 1};
    Pair p;
    real reference[B_ * SIZE], xt[B_ * SIZE], gradient[B_ * SIZE];
    pair_start(&p, label, 1);
    test_values("reference", -1, 1, B_ * SIZE, reference);
    test_values("xt", -1, 1, B_ * SIZE, xt);
    for (Likeness what = LIKE_PIXELS; what <= LIKE_STYLE; what++) {
        Tape tape = {.no_grad = true};
        ImageGuide g = image_guide(&p.classifier, what, reference, 3, &p.tape);
        Step at = {.schedule = &p.few, .t = 4, .n = B_, .height = SIDE, .width = SIDE,
                   .channels = 1, .tape = &tape};
        guide_gradient(&g, &at, xt, gradient);
        double h = sizeof(real) == 8 ? 1e-4 : 2e-2, largest = 0;
        for (int i = 0; i < SIZE; i++) {
            real up[SIZE], down[SIZE];
            memcpy(up, xt + SIZE, sizeof up), memcpy(down, xt + SIZE, sizeof down);
            up[i] += (real)h, down[i] -= (real)h;
            double want = (likeness_of(&g, &p.few, 4, up) - likeness_of(&g, &p.few, 4, down)) /
                          (2 * h);
            double tolerance = sizeof(real) == 8 ? 1e-6 : 1e-2;
            cr_expect_float_eq(gradient[SIZE + i], want, tolerance * (0.01 + fabs(want)), "%d: %g, "
                               "not %g", what, (double)gradient[SIZE + i], want);
            largest = fmax(largest, fabs(want));
        }
        cr_expect(largest > 1e-5, "%d: %g", what, largest);
        tape_free(&tape);
    }
    pair_free(&p);
}

/* ---- enlarging ------------------------------------------------------------------------------- */

/* An upsampler is given x_t and beside it its own small picture, brought to size. */
Test(guidance, an_upsampler_is_given_the_small_picture) {
    static const int label[3] = {0, 2, 1};
    enum { LOW = 2 };
    Params params = {.seed = 1};
    UNetConfig c = small(model_config("default").unet);
    c.in = 2;
    ClassUNet net = class_unet_new(&params, c, CLASSES);
    move_params(&params, 0.1);
    real low[3 * LOW * LOW], xt[3 * SIZE], x0[3][3 * SIZE];
    test_values("low", -1, 1, 3 * LOW * LOW, low);
    test_values("xt", -1, 1, 3 * SIZE, xt);
    NoiseSchedule s = schedule_cosine(10);
    Enlarging m = {&net, label, low, LOW};
    NetworkDenoiser d = enlarging_denoiser(&m);
    Sampler sampler = {.denoiser = &d.denoiser, .schedule = &s, .height = SIDE, .width = SIDE,
                       .channels = 1};
    memcpy(x0[0], predict(&sampler, 5, 0, 3, xt).x0, sizeof x0[0]);
    memcpy(x0[1], predict(&sampler, 5, 2, 1, xt + 2 * SIZE).x0, SIZE * sizeof(real));
    for (int i = 0; i < SIZE; i++)
        cr_assert_float_eq(x0[0][2 * SIZE + i], x0[1][i], sizeof(real) == 8 ? 1e-12 : 1e-4);
    low[2 * LOW * LOW] += 1;
    memcpy(x0[2], predict(&sampler, 5, 0, 3, xt).x0, sizeof x0[2]);
    double changed = k_sum_squared_difference(SIZE, x0[0] + 2 * SIZE, x0[2] + 2 * SIZE);
    cr_expect(changed > 1e-4, "the small picture is not seen: %g", changed);
    cr_expect(k_sum_squared_difference(2 * SIZE, x0[0], x0[2]) < 1e-8, "another's is seen");
    sampler_free(&sampler);
    schedule_free(&s);
    params_free(&params);
}
