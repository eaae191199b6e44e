/* test_gan.c — gradients, the papers' sizes, the theory where it can be computed, the program. */
#include "data/fashion.h"
#include "experiments/modes.h"
#include "experiments/parzen.h"
#include "experiments/toy.h"
#include "gan.h"
#include "nn/optim.h"
#include "official_file.h"
#include "programs.h"

#include <math.h>
#include <string.h>

SUITE(gan);

/* ---- networks -------------------------------------------------------------------------------- */

static const struct {
    const char *config;
    bool conditional;
    size_t generator, discriminator;
} sizes[] = {
    {"goodfellow", false, 2503984, 1231441},
    {"dcgan28", true, 6820538, 6688202},
    {"dcgan28", false, 6731328, 6629952},
    {"dcgan64", false, 3576704, 2765568},
    {"default", false, 565985, 440001},
    {"default", true, 628705, 565441},
};
enum { NETWORKS = sizeof sizes / sizeof *sizes };

/* Are they the authors' networks, to the last weight? */
Test(gan, networks_have_the_published_numbers_of_parameters) {
    for (int i = 0; i < NETWORKS; i++) {
        Params g = {0}, d = {0};
        Design design = design_named(sizes[i].config, sizes[i].conditional, true);
        generator_new(&g, design);
        discriminator_new(&d, design);
        cr_expect_eq(params_count(&g), sizes[i].generator, "%s: %zu", sizes[i].config,
                     params_count(&g));
        cr_expect_eq(params_count(&d), sizes[i].discriminator, "%s: %zu", sizes[i].config,
                     params_count(&d));
        params_free(&g), params_free(&d);
    }
}

/* pytorch/examples' 21 and 17 tensors (and counters of batches) */
Test(gan, dcgan64_has_its_official_names) {
    Params g = {.shapes_only = true}, d = {.shapes_only = true};
    generator_new(&g, design_named("dcgan64", false, false));
    discriminator_new(&d, design_named("dcgan64", false, false));
    cr_expect_eq(official_count(&generator_official, &g), 21);
    cr_expect_eq(official_count(&discriminator_official, &d), 17);
    cr_expect(official_has(&generator_official, &g, "main.12.weight"));
    cr_expect(official_has(&generator_official, &g, "main.10.running_var"));
    cr_expect(official_has(&discriminator_official, &d, "main.11.weight"));
    cr_expect(official_has(&discriminator_official, &d, "main.9.bias"));
    params_free(&g), params_free(&d);
}

/* the published layouts with fewer channels, for tests that take time */
static Design small(int i) {
    Design d = design_named(sizes[i].config, sizes[i].conditional, true);
    d.code = 5;
    d.width = d.architecture == GOODFELLOW ? 20 : 2;
    if (d.architecture == DCGAN64) d.side = 16;
    return d;
}

static const int labels[4] = {3, 0, 9, 3};

static Tensor *some_noise(Tape *t, const Design *d, int n) {
    Tensor *z = t_input(t, NULL, SHAPE(n, d->code));
    test_values("noise", -1, 1, z->len, z->x);
    return z;
}

static Tensor *some_labels(Tape *t, const Design *d, int n) {
    return d->classes ? one_hot(t, n, labels, d->classes) : NULL;
}

/* Pictures of the right shape, within the range of the data they are to be taken for? */
Test(gan, images_and_logits_have_the_shapes_and_ranges_of_the_data) {
    for (int i = 0; i < NETWORKS; i++) {
        Params p = {.seed = 1}, q = {.seed = 2};
        Tape t = {.no_grad = true};
        Design design = small(i);
        Generator g = generator_new(&p, design);
        Discriminator d = discriminator_new(&q, design);
        Tensor *x = generator(&g, some_noise(&t, &design, 4), some_labels(&t, &design, 4), true);
        Tensor *l = discriminator(&d, x, some_labels(&t, &design, 4), true);
        cr_expect(x->rank == 4 && x->shape[0] == 4 && x->shape[1] == design.side &&
                      x->shape[2] == design.side && x->shape[3] == design.channels, "%s: %s",
                  sizes[i].config, t_describe(x));
        cr_expect(l->rank == 2 && l->shape[0] == 4 && l->shape[1] == 1, "%s: %s", sizes[i].config,
                  t_describe(l));
        for (size_t k = 0; k < x->len; k++)
            cr_assert((double)x->x[k] >= design.low && x->x[k] <= 1);
        tape_free(&t);
        params_free(&p), params_free(&q);
    }
}

/* Is each network conditioned on the class, wherever it says so? */
Test(gan, the_class_reaches_both_networks) {
    for (int i = 0; i < NETWORKS; i++) {
        if (!sizes[i].conditional) continue;
        Params p = {.seed = 1}, q = {.seed = 2};
        Tape t = {.no_grad = true};
        Design design = small(i);
        Generator g = generator_new(&p, design);
        Discriminator d = discriminator_new(&q, design);
        Tensor *z = some_noise(&t, &design, 2);
        /* the same noise twice */
        k_axpy((size_t)design.code, 1, z->x, z->x + design.code, false);
        Tensor *y = some_labels(&t, &design, 2);
        Tensor *x = generator(&g, z, y, false);
        size_t half = x->len / 2;
        cr_expect(k_sum_squared_difference(half, x->x, x->x + half) > 0, "%s", sizes[i].config);
        k_axpy(half, 1, x->x, x->x + half, false);
        Tensor *l = discriminator(&d, x, y, false);
        cr_expect(l->x[0] != l->x[1], "%s: %g", sizes[i].config, (double)l->x[0]);
        tape_free(&t);
        params_free(&p), params_free(&q);
    }
}

#ifdef REAL_DOUBLE
typedef struct {
    Generator g;
    Discriminator d;
    Loss loss;
    bool of_d;
    Rng dropout;
} Case;

/* D's loss on a real and a made batch, or G's through D; the same random numbers every time */
static Tensor *case_loss(Tape *t, void *context) {
    Case *c = context;
    const Design *design = &c->g.design;
    /* with spectral normalisation u must stay: power iterations between the points of a central
     * difference would be differentiated, too */
    bool training = design->architecture != DEFAULT;
    c->dropout = rng_new(3, "dropout");
    t->dropout = &c->dropout;
    Tensor *y = some_labels(t, design, 4);
    Tensor *made = generator(&c->g, some_noise(t, design, 4), y, true);
    if (!c->of_d) return generator_loss(c->loss, discriminator(&c->d, made, y, training));
    Tensor *x = t_input(t, NULL, SHAPE(4, design->side, design->side, design->channels));
    test_values("pictures", design->low, 1, x->len, x->x);
    Tensor *on_real = discriminator(&c->d, x, y, training);
    return discriminator_loss(c->loss, on_real, discriminator(&c->d, t_detach(made), y, training));
}

/* starting weights of 0.02 leave gradients of 1e-9, which drown in rounding */
static void enlarge(Params *p, real factor) {
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        if (w->rank > 1) k_axpy(w->len, factor, w->x, w->x, false);
    }
}

/* With too large a step rectifiers pass their kinks, with too small a one a small gradient drowns in
 * rounding: a right gradient agrees at one of these steps, a wrong one at none.
 * `zero` names the weights without a gradient, or is NULL. */
static double smallest_error(Params *p, Tensor *(*loss)(Tape *t, void *context), void *context,
                             const char *zero) {
    static const double steps[] = {1e-6, 4e-6, 1e-5, 4e-5};
    GradientCheck check = {.samples = 3, .zero = zero};
    double smallest = INFINITY;
    for (int i = 0; i < 4 && smallest > 1e-6; i++) {
        check.h = steps[i];
        smallest = fmin(smallest, gradient_error_of(p, loss, context, check));
    }
    return smallest;
}

/* Do all weights of all networks get the right gradients from all games? Where D's logits are all
 * within the margins of the hinge loss, the gradients of real and generated pictures cancel in its
 * last bias. */
Test(gan, gradients_of_every_network_and_loss) {
    static const char *const games[] = {"minimax", "non-saturating", "hinge"};
    for (int i = 0; i < NETWORKS; i++)
        for (int loss = MINIMAX; loss <= HINGE; loss++) {
            Params p = {.seed = 4}, q = {.seed = 5};
            Design design = small(i);
            Case c = {.g = generator_new(&p, design), .d = discriminator_new(&q, design),
                      .loss = (Loss)loss};
            enlarge(&p, 8), enlarge(&q, design.architecture == GOODFELLOW ? 40 : 8);
            double of_g = smallest_error(&p, case_loss, &c, NULL);
            c.of_d = true;
            bool within = loss == HINGE && design.architecture == DEFAULT;
            double of_d = smallest_error(&q, case_loss, &c, within ? "fc.b" : NULL);
            cr_expect(of_g <= 1e-6 && of_d <= 1e-6, "%s, %s: relative errors %g of G, %g of D",
                      sizes[i].config, games[loss], of_g, of_d);
            params_free(&p), params_free(&q);
        }
}
#endif

/* ---- R1 -------------------------------------------------------------------------------------- */

static Tensor *r1_of(Tape *t, const Discriminator *d, double h, Rng *rng) {
    Tensor *x = t_input(t, NULL, SHAPE(4, IMAGE, IMAGE, 1));
    test_values("pictures", -1, 1, x->len, x->x);
    return r1_penalty(d, x, some_labels(t, &d->design, 4), h, rng);
}

/* mean over the same four images of |grad_x l(x)|^2, by one backward pass to the images */
static double squared_slope(const Discriminator *d) {
    Tape t = {0};
    Tensor *x = t_variable(&t, NULL, SHAPE(4, IMAGE, IMAGE, 1));
    test_values("pictures", -1, 1, x->len, x->x);
    backward(t_sum(discriminator(d, x, some_labels(&t, &d->design, 4), false)));
    double squares = k_sum_squares(x->len, x->g) / 4;
    tape_free(&t);
    return squares;
}

/* Is the mean of the estimates over many directions the squared length of the gradient? Of n
 * estimates of four images it has a relative deviation of sqrt(2 / 4n), here 1.8 %. */
Test(gan, r1_estimates_the_squared_gradient) {
    enum { DRAWS = 1600 };
    for (int i = 4; i < NETWORKS; i++) {
        Params q = {.seed = 5};
        Discriminator d = discriminator_new(&q, small(i));
        Rng rng = rng_new(1, "r1");
        Tape t = {.no_grad = true};
        double sum = 0, exact = squared_slope(&d);
        for (int k = 0; k < DRAWS; k++) {
            tape_reset(&t);
            sum += (double)r1_of(&t, &d, R1_STEP, &rng)->x[0];
        }
        cr_expect_float_eq(sum / DRAWS / exact, 1, 0.06, "%g, exactly %g", sum / DRAWS, exact);
        tape_free(&t);
        params_free(&q);
    }
}

#ifdef REAL_DOUBLE
static Tensor *r1_loss(Tape *t, void *context) {
    Rng rng = rng_new(3, "r1");
    return r1_of(t, context, 0.5, &rng);        /* a small h would enlarge the rounding */
}

/* The bias of the logit cancels in the difference of two logits. */
Test(gan, gradient_of_r1) {
    for (int i = 4; i < NETWORKS; i++) {
        Params q = {.seed = 5};
        Discriminator d = discriminator_new(&q, small(i));
        enlarge(&q, 8);
        double error = smallest_error(&q, r1_loss, &d, "fc.b");
        cr_expect(error <= 1e-6, "%s: relative error %g", sizes[i].config, error);
        params_free(&q);
    }
}
#endif

/* ---- losses ---------------------------------------------------------------------------------- */

static Tensor *logits_of(Tape *t, int n, const double *values) {
    Tensor *l = t_input(t, NULL, SHAPE(n, 1));
    for (int i = 0; i < n; i++) l->x[i] = (real)values[i];
    return l;
}

/* Against the formulas of the papers, in probabilities */
Test(gan, losses_are_the_formulas_of_the_papers) {
    static const double r[2] = {0.7, -1.2}, f[2] = {-2, 0.4};
    double value = 0, minimax = 0, non_saturating = 0, hinge = 0;
    for (int i = 0; i < 2; i++) {
        double dx = 1 / (1 + exp(-r[i])), dg = 1 / (1 + exp(-f[i]));
        value += (log(dx) + log(1 - dg)) / 2;
        minimax += log(1 - dg) / 2;
        non_saturating -= log(dg) / 2;
        hinge += (fmax(0, 1 - r[i]) + fmax(0, 1 + f[i])) / 2;
    }
    Tape t = {0};
    Tensor *on_real = logits_of(&t, 2, r), *on_fake = logits_of(&t, 2, f);
    cr_assert_float_eq(discriminator_loss(MINIMAX, on_real, on_fake)->x[0], -value, 1e-6);
    cr_assert_float_eq(discriminator_loss(NON_SATURATING, on_real, on_fake)->x[0], -value, 1e-6);
    cr_assert_float_eq(discriminator_loss(HINGE, on_real, on_fake)->x[0], hinge, 1e-6);
    cr_assert_float_eq(generator_loss(MINIMAX, on_fake)->x[0], minimax, 1e-6);
    cr_assert_float_eq(generator_loss(NON_SATURATING, on_fake)->x[0], non_saturating, 1e-6);
    cr_assert_float_eq(generator_loss(HINGE, on_fake)->x[0], 0.8, 1e-6);
    double mean = (1 / (1 + exp(2)) + 1 / (1 + exp(-0.4))) / 2;
    cr_assert_float_eq(mean_probability(on_fake), mean, 1e-6);
    tape_free(&t);
}

static double slope_at(Loss loss, double logit) {
    Tape t = {0};
    real x = (real)logit;
    Tensor *l = t_variable(&t, &x, SHAPE(1, 1));
    backward(generator_loss(loss, l));
    double slope = fabs((double)l->g[0]);
    tape_free(&t);
    return slope;
}

/* A D that is sure (logit -20): has G a gradient? D(G(z)) = s: slopes s and 1 - s. And
 * no loss may be infinite, however sure D is. */
Test(gan, minimax_saturates_and_the_other_losses_do_not) {
    double s = 1 / (1 + exp(20));
    cr_assert_float_eq(slope_at(MINIMAX, -20) / s, 1, 1e-5);
    cr_assert_float_eq(slope_at(NON_SATURATING, -20), 1 - s, 1e-6);
    cr_assert_float_eq(slope_at(HINGE, -20), 1, 1e-6);
    Tape t = {0};
    Tensor *sure = logits_of(&t, 1, (double[]){500}), *never = logits_of(&t, 1, (double[]){-500});
    cr_assert_float_eq(discriminator_loss(MINIMAX, never, sure)->x[0], 1000, 1e-3);
    cr_assert_float_eq(generator_loss(NON_SATURATING, never)->x[0], 500, 1e-3);
    tape_free(&t);
}

/* ---- spectral normalisation ------------------------------------------------------------------ */

/* The largest singular value of w seen as (rest,out), by Jacobi rotations of W^T W: every pair of
 * columns is turned until all are orthogonal; the longest is sigma_1 (Hestenes 1958). */
static double largest_singular_value(const Tensor *w) {
    int n = w->shape[w->rank - 1], m = (int)(w->len / (size_t)n);
    double *a = malloc(w->len * sizeof *a), largest = 0;
    for (size_t i = 0; i < w->len; i++) a[i] = (double)w->x[i];
    for (int sweep = 0; sweep < 30; sweep++)
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                double pp = 0, qq = 0, pq = 0;
                for (int i = 0; i < m; i++) {
                    double x = a[i * n + p], y = a[i * n + q];
                    pp += x * x, qq += y * y, pq += x * y;
                }
                double angle = 0.5 * atan2(2 * pq, pp - qq), c = cos(angle), s = sin(angle);
                for (int i = 0; i < m; i++) {
                    double x = a[i * n + p], y = a[i * n + q];
                    a[i * n + p] = c * x + s * y, a[i * n + q] = c * y - s * x;
                }
            }
    for (int j = 0; j < n; j++) {
        double sum = 0;
        for (int i = 0; i < m; i++) sum += a[i * n + j] * a[i * n + j];
        largest = fmax(largest, sqrt(sum));
    }
    free(a);
    return largest;
}

static SpectralNorm some_weight(Params *p, int rank, const int *shape) {
    Scope s = scope(p, "layer%d", p->count);
    return spectral_norm_new(s, param(s, "w", INIT_NORMAL, 0.3, rank, shape));
}

/* Is sigma, after power iterations, the largest singular value of a full decomposition, for linear
 * layers and convolutions? And has the weight that is used a largest singular value of 1? */
Test(gan, sigma_is_the_largest_singular_value) {
    Params p = {.seed = 1};
    SpectralNorm cases[] = {some_weight(&p, SHAPE(7, 5)), some_weight(&p, SHAPE(5, 9)),
                            some_weight(&p, SHAPE(4, 4, 3, 6)), some_weight(&p, SHAPE(11, 1))};
    for (int i = 0; i < 4; i++) {
        Tape t = {.no_grad = true};
        Tensor *used = NULL;
        for (int k = 0; k < 600; k++) tape_reset(&t), used = spectral_norm(&cases[i], &t, true);
        double sigma = largest_singular_value(cases[i].w);
        cr_expect_float_eq(spectral_sigma(&cases[i]) / sigma, 1, 1e-5, "%d: %g, SVD %g", i,
                           spectral_sigma(&cases[i]), sigma);
        cr_expect_float_eq(largest_singular_value(used), 1, 1e-5);
        tape_free(&t);
    }
    params_free(&p);
}

/* One step of the paper's algorithm 1, worked out here; and none outside of training */
Test(gan, one_power_iteration_in_training_and_none_otherwise) {
    Params p = {.seed = 1};
    SpectralNorm n = some_weight(&p, SHAPE(4, 3));
    Tape t = {.no_grad = true};
    double v[4] = {0}, u[3] = {0}, size = 0;
    real before[3];
    for (int j = 0; j < 3; j++) before[j] = n.u->x[j];
    spectral_norm(&n, &t, false);
    cr_assert_arr_eq(before, n.u->x, sizeof before);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 3; j++) v[i] += (double)n.w->x[3 * i + j] * (double)n.u->x[j];
    for (int j = 0; j < 3; j++) {
        for (int i = 0; i < 4; i++) u[j] += (double)n.w->x[3 * i + j] * v[i];
        size += u[j] * u[j];
    }
    spectral_norm(&n, &t, true);
    for (int j = 0; j < 3; j++) cr_assert_float_eq(n.u->x[j], u[j] / sqrt(size), 1e-5);
    cr_assert(!n.u->wants_grad);
    tape_free(&t);
    params_free(&p);
}

#ifdef REAL_DOUBLE
static Tensor *spectral_loss(Tape *t, void *context) {
    Tensor *w = spectral_norm(context, t, false);
    Tensor *c = t_input(t, NULL, w->rank, w->shape);
    test_values("cotangent", -1, 1, c->len, c->x);
    return t_sum(t_mul(w, c));
}

/* u need not be a singular vector for that: v = W u / |W u| makes u^T W v stationary in v */
Test(gan, gradient_of_a_normalised_weight) {
    Params p = {.seed = 1};
    SpectralNorm n = some_weight(&p, SHAPE(3, 3, 2, 5));
    double error = gradient_error(&p, spectral_loss, &n, 0);
    cr_assert(error <= 1e-6, "relative error %g", error);
    params_free(&p);
}
#endif

/* ---- training -------------------------------------------------------------------------------- */

/* D's step must leave G without gradients, G's step must leave D without */
Test(gan, each_step_moves_one_network_alone) {
    Params p = {.seed = 1}, q = {.seed = 2};
    Design design = small(4);
    Generator g = generator_new(&p, design);
    Discriminator d = discriminator_new(&q, design);
    Tape t = {0};
    Tensor *made = generator(&g, some_noise(&t, &design, 4), NULL, true);
    Tensor *x = t_input(&t, NULL, made->rank, made->shape);
    test_values("pictures", -1, 1, x->len, x->x);
    Tensor *on_real = discriminator(&d, x, NULL, true);
    backward(discriminator_loss(HINGE, on_real, discriminator(&d, t_detach(made), NULL, true)));
    for (int i = 0; i < p.count; i++) cr_expect(!p.list[i]->has_grad, "%s", p.list[i]->name);
    for (int i = 0; i < q.count; i++)
        cr_expect(q.list[i]->has_grad == q.list[i]->wants_grad, "%s", q.list[i]->name);
    params_zero_grad(&q);
    params_freeze(&q, true);
    backward(generator_loss(HINGE, discriminator(&d, made, NULL, true)));
    params_freeze(&q, false);
    for (int i = 0; i < q.count; i++) cr_expect(!q.list[i]->has_grad, "%s", q.list[i]->name);
    for (int i = 0; i < p.count; i++)
        cr_expect(p.list[i]->has_grad == p.list[i]->wants_grad, "%s", p.list[i]->name);
    tape_free(&t);
    params_free(&p), params_free(&q);
}

/* Is a picture the same alone, among others, and in another place among them? */
Test(gan, an_image_does_not_depend_on_its_neighbours) {
    for (int i = 0; i < NETWORKS; i++) {
        Params p = {.seed = 1};
        Design design = small(i);
        Generator g = generator_new(&p, design);
        standing_statistics(&g, 2, 50, 1);
        real z[4 * 5], together[4 * 28 * 28], alone[28 * 28];
        if (design.architecture == DCGAN64) g.design.side = design.side = 28 * 2 + 8;
        if (design.architecture == DCGAN64) {       /* images come from whole pictures only */
            params_free(&p);
            g = generator_new(&p, design);
            standing_statistics(&g, 1, 50, 1);
        }
        test_values("noise", -1, 1, sizeof z / sizeof *z, z);
        generate(&g, 4, z, labels, together);
        for (int k = 0; k < 4; k++) {
            generate(&g, 1, z + 5 * k, labels + k, alone);
            cr_expect_arr_eq(alone, together + PIXELS * k, sizeof alone, "%s, %d",
                             sizes[i].config, k);
        }
        params_free(&p);
    }
}

/* in training a picture does depend on its neighbours: the statistics are the batch's */
Test(gan, training_uses_the_statistics_of_the_batch) {
    Params p = {.seed = 1};
    Design design = small(4);
    Generator g = generator_new(&p, design);
    Tape t = {.no_grad = true};
    Tensor *z = some_noise(&t, &design, 4);
    Tensor *four = generator(&g, z, NULL, true);
    Tensor *two = generator(&g, t_input(&t, z->x, SHAPE(2, design.code)), NULL, true);
    cr_assert(k_sum_squared_difference(two->len, four->x, two->x) > 1e-6);
    tape_free(&t);
    params_free(&p);
}

/* Are standing statistics the plain averages over the batches, none weighing more? Against the mean
 * over all rows at once. */
Test(gan, standing_statistics_are_averages) {
    Params p = {.seed = 1};
    Design design = small(4);
    Generator g = generator_new(&p, design);
    Rng rng = rng_new(9, "standing statistics");
    enum { N = 40, BATCHES = 3 };
    Tape t = {.no_grad = true};
    Tensor *z = t_input(&t, NULL, SHAPE(BATCHES * N, design.code));
    for (int k = 0; k < BATCHES; k++) draw_noise(&design, N, &rng, z->x + k * N * design.code);
    Tensor *h = t_reshape(linear(&g.fc[0], z), SHAPE(-1, 4 * design.width));
    standing_statistics(&g, BATCHES, N, 9);
    int rows = h->shape[0], C = h->shape[1];
    for (int c = 0; c < C; c++) {
        double sum = 0;
        for (int i = 0; i < rows; i++) sum += (double)h->x[i * C + c];
        cr_expect_float_eq(g.norm[0].mean->x[c], sum / rows, 1e-6);
    }
    tape_free(&t);
    params_free(&p);
}

#ifndef REAL_DOUBLE
/* Does D learn to tell garments from noise, and does G, against that, learn to make garments like
 * the one there is? */
Test(gan, a_single_image_is_learned) {
    Fashion data = fashion_load(NULL);
    Params p = {.seed = 1}, q = {.seed = 2};
    Design design = design_named("default", false, true);
    design.width = 8;
    Generator g = generator_new(&p, design);
    Discriminator d = discriminator_new(&q, design);
    Adam adam_g = {.beta1 = 0.5, .beta2 = 0.999, .eps = 1e-8}, adam_d = adam_g;
    Rng rng = rng_new(1, "noise");
    Tape t = {0};
    enum { B = 16 };
    real image[PIXELS], made[PIXELS], first = 0, z[64];
    images_get(&data.train, 1, NULL, 0, 1, image, NULL);
    for (int step = 0; step < 150; step++) {
        tape_reset(&t);
        Tensor *x = t_input(&t, NULL, SHAPE(B, IMAGE, IMAGE, 1));
        for (int i = 0; i < B; i++) scale_images(&design, 1, image, x->x + i * PIXELS);
        Tensor *noise = t_input(&t, NULL, SHAPE(B, design.code));
        draw_noise(&design, B, &rng, noise->x);
        Tensor *fake = generator(&g, noise, NULL, true);
        Tensor *on_fake = discriminator(&d, t_detach(fake), NULL, true);
        if (step == 0) {
            unscale_images(&design, 1, fake->x, made);
            first = (real)k_sum_squared_difference(PIXELS, image, made);
        }
        params_zero_grad(&q);
        backward(discriminator_loss(HINGE, discriminator(&d, x, NULL, true), on_fake));
        adam_step(&adam_d, &q, 2e-3, 1);
        params_freeze(&q, true);
        params_zero_grad(&p);
        backward(generator_loss(HINGE, discriminator(&d, fake, NULL, true)));
        params_freeze(&q, false);
        adam_step(&adam_g, &p, 2e-3, 1);
    }
    standing_statistics(&g, 1, 50, 1);
    draw_noise(&design, 1, &rng, z);
    generate(&g, 1, z, NULL, made);
    double error = k_sum_squared_difference(PIXELS, image, made);
    cr_assert(error < 0.1 * (double)first, "squared error %g, at first %g", error, (double)first);
    tape_free(&t);
    adam_free(&adam_g), adam_free(&adam_d), params_free(&p), params_free(&q);
    fashion_free(&data);
}
#endif

/* Does the network of 2014 drop 0.2 of the pixels and half of either hidden layer, in training, and
 * nothing otherwise? */
Test(gan, dropout_is_where_the_authors_have_it) {
    static const double last_to_first[3] = {0.5, 0.5, 0.2};
    Params p = {.seed = 1};
    Discriminator d = discriminator_new(&p, design_named("goodfellow", false, false));
    Rng rng = rng_new(1, "dropout");
    for (int training = 0; training < 2; training++) {
        Tape t = {.dropout = training ? &rng : NULL};
        Tensor *x = t_input(&t, NULL, SHAPE(2, IMAGE, IMAGE, 1));
        test_values("pictures", 0, 1, x->len, x->x);
        discriminator(&d, x, NULL, training);
        int found = 0;
        for (const Tensor *y = t.last; y; y = y->prev) {
            if (strcmp(y->op, "dropout")) continue;
            cr_assert(found < 3);
            cr_expect_float_eq((double)y->arg[0], last_to_first[found], 1e-6);
            found++;
        }
        cr_expect_eq(found, 3 * training);
        tape_free(&t);
    }
    params_free(&p);
}

/* ---- noise and pictures ---------------------------------------------------------------------- */

/* mean 0, the authors' ranges, variances 1, 1/3, 1, 1 */
Test(gan, noise_has_the_authors_distribution) {
    static const struct {
        const char *config;
        double variance, bound;
    } cases[] = {{"default", 1, 100}, {"goodfellow", 1, sqrt(3)}, {"dcgan28", 1.0 / 3, 1},
                 {"dcgan64", 1, 100}};
    enum { N = 400 };
    for (int i = 0; i < 4; i++) {
        Design d = design_named(cases[i].config, false, true);
        int n = N * d.code;
        real *z = malloc((size_t)n * sizeof *z);
        double sum = 0, squares = 0, largest = 0;
        Rng rng = rng_new(1, "noise");
        draw_noise(&d, N, &rng, z);
        for (int k = 0; k < n; k++) {
            double x = (double)z[k];
            sum += x, squares += x * x, largest = fmax(largest, fabs(x));
        }
        cr_expect_float_eq(sum / n, 0, 0.02);
        cr_expect_float_eq(squares / n / cases[i].variance, 1, 0.03);
        cr_expect(largest <= cases[i].bound && largest > 0.99 * fmin(cases[i].bound, 2));
        free(z);
    }
}

/* Normal noise: every step keeps the length, and all steps are equally long; the line would pass
 * through the ball. Uniform noise: the line, which stays in the cube. */
Test(gan, interpolation_stays_where_noise_is) {
    Design normal = design_named("default", false, true);
    Design uniform = design_named("dcgan28", false, true);
    enum { STEPS = 7 };
    real a[100] = {0}, b[100] = {0}, path[STEPS * 100];
    a[0] = 8, b[0] = (real)(8 * cos(2)), b[1] = (real)(8 * sin(2));
    interpolate_noise(&normal, a, b, STEPS, path);
    for (int k = 0; k < STEPS; k++) {
        cr_expect_float_eq(path[k * normal.code], 8 * cos(2.0 * k / (STEPS - 1)), 1e-5);
        cr_expect_float_eq(path[k * normal.code + 1], 8 * sin(2.0 * k / (STEPS - 1)), 1e-5);
    }
    interpolate_noise(&normal, a, a, STEPS, path);                 /* no angle: no division by 0 */
    cr_expect_float_eq(path[3 * normal.code], 8, 1e-5);
    a[0] = 1, b[0] = -1, b[1] = 0.5;
    interpolate_noise(&uniform, a, b, STEPS, path);
    cr_expect_float_eq(path[3 * 100], 0, 1e-6);
    cr_expect_float_eq(path[3 * 100 + 1], 0.25, 1e-6);
    cr_expect_arr_eq(path, a, sizeof a);
}

/* An image scaled for the network and back is the same image, in every design; and its
 * black and white are the design's */
Test(gan, images_survive_being_scaled) {
    real image[PIXELS], back[PIXELS], *picture = malloc(3 * 64 * 64 * sizeof *picture);
    test_values("image", 0, 1, PIXELS, image);
    image[0] = 0, image[1] = 1;
    for (int i = 0; i < NETWORKS; i++) {
        Design d = design_named(sizes[i].config, sizes[i].conditional, true);
        int pixels = d.side * d.side * d.channels;
        scale_images(&d, 1, image, picture);
        unscale_images(&d, 1, picture, back);
        for (int k = 0; k < PIXELS; k++) cr_assert_float_eq(back[k], image[k], 1e-6);
        double low = 1, high = -1;
        for (int k = 0; k < pixels; k++) {
            low = fmin(low, (double)picture[k]);
            high = fmax(high, (double)picture[k]);
        }
        cr_expect_eq(low, d.low);
        cr_expect_eq(high, 1);
    }
    free(picture);
}

/* ---- Parzen windows -------------------------------------------------------------------------- */

/* Against the formula, point by point */
Test(gan, parzen_windows_are_the_formula) {
    enum { D = 3, M = 4, N = 2 };
    real s[M * D], x[N * D];
    double sigma[2] = {0.2, 0.7}, log_p[N * 2];
    test_values("samples", 0, 1, M * D, s);
    test_values("points", 0, 1, N * D, x);
    parzen_log_likelihood(D, M, s, N, x, 2, sigma, log_p);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 2; k++) {
            double p = 0, pi = acos(-1);
            for (int j = 0; j < M; j++) {
                double distance = k_sum_squared_difference(D, x + i * D, s + j * D);
                double volume = pow(sigma[k] * sqrt(2 * pi), D);
                p += exp(-distance / (2 * sigma[k] * sigma[k])) / volume / M;
            }
            cr_expect_float_eq(log_p[i * 2 + k], log(p), 1e-4);
        }
}

/* Samples of the same normal distribution: is the best of the ten widths found, and is the estimate
 * at it a lower bound of the entropy that is known? */
Test(gan, parzen_estimate_of_a_known_distribution) {
    enum { D = 2, M = 2000, N = 500 };
    static real s[M * D], v[N * D], t[N * D];
    Rng rng = rng_new(1, "parzen");
    rng_normal(&rng, M * D, s), rng_normal(&rng, N * D, v), rng_normal(&rng, N * D, t);
    Parzen p = parzen_estimate(D, M, s, N, v, N, t);
    double best = -log(2 * acos(-1)) - 1;      /* -entropy of N(0,I) in two dimensions */
    cr_assert(p.mean < best + 3 * p.standard_error && p.mean > best - 0.2, "%g, %g", p.mean, best);
    cr_assert(p.sigma > 0.1 && p.sigma < 1);
    cr_assert(p.standard_error > 0.02 && p.standard_error < 0.1, "%g", p.standard_error);
}

/* ---- theory ---------------------------------------------------------------------------------- */

/* Do the grid's sums integrate densities to 1, and is V at D* what theorem 1 says for q = p? */
Test(gan, the_value_at_the_optimum_is_minus_log_4) {
    cr_assert_float_eq(game_value(&ring, &ring, NULL), -log(4), 1e-4);
    cr_assert(game_value(&ring, &blob, NULL) > -log(4) + 0.1);
    cr_assert_float_eq(game_value(&ring, &corner, NULL), 0, 0.01);     /* far apart: JSD = log 2 */
    static double half[TOY_SIDE * TOY_SIDE];
    for (int i = 0; i < TOY_SIDE * TOY_SIDE; i++) half[i] = 0.5;
    cr_assert_float_eq(game_value(&ring, &blob, half), -log(4), 1e-4);
    cr_assert_float_eq(distance_to_optimum(&ring, &ring, half), 0, 1e-9);
}

/* G far from the data and D sure of it: is the gradient of the minimax loss almost 0? */
Test(gan, the_slope_of_minimax_vanishes_as_d_wins) {
    Player d;
    player_start(&d, "d", 2, 1, 1);
    Rng rng = rng_new(1, "slopes");
    for (int step = 0; step < 200; step++) fit_discriminator(&d, &ring, &corner, 256, 4e-3);
    Slopes s = slopes(&d, &corner, 512, &rng);
    cr_expect(s.probability < 0.02, "D(G(z)) is %g", s.probability);
    cr_expect(s.minimax < 0.05 * s.non_saturating, "slopes %g and %g", s.minimax, s.non_saturating);
    player_free(&d);
}

/* n points of the narrow ring, but of mode 0 only one in `rare`, and none of the last `dropped` */
static void draw_modes(int n, int rare, int dropped, real *x) {
    Rng rng = rng_new(1, "modes");
    real at[2];
    for (int i = 0, thin = 0; i < n;) {
        double angle = 2 * acos(-1) / RING_MODES;
        narrow_ring.draw(1, &rng, at);
        int k = (int)lround(atan2((double)at[1], (double)at[0]) / angle + RING_MODES) % RING_MODES;
        if (k >= RING_MODES - dropped || (k == 0 && thin++ % rare)) continue;
        memcpy(x + 2 * i++, at, sizeof at);
    }
}

/* Are all modes of the data counted, those without points not, and one with a tenth of its share? */
Test(gan, modes_are_counted) {
    enum { N = 8000 };
    static real x[2 * N];
    draw_modes(N, 1, 0, x);
    ModeCount all = count_modes(N, x);
    cr_expect(all.modes == 8, "%d modes", all.modes);
    /* of a normal distribution in the plane exp(-9/2) lie beyond 3 sigma */
    cr_expect_float_eq(all.on_modes, 1 - exp(-4.5), 0.005);
    draw_modes(N, 1, 3, x);
    cr_expect(count_modes(N, x).modes == 5);
    draw_modes(N, 2, 0, x);
    cr_expect(count_modes(N, x).modes == 8);
    draw_modes(N, 10, 0, x);
    cr_expect(count_modes(N, x).modes == 7);
}

/* Is a spectrally normalised D of unit slope, however large its weights are? */
Test(gan, a_normalised_perceptron_has_unit_slope) {
    Player d;
    player_start(&d, "d", 2, 1, 1);
    d.net.leak = 0.2;
    player_spectral(&d, "d");
    for (int i = 0; i < 3; i++)
        k_affine(d.net.l[i].w->len, d.net.l[i].w->x, 100, 0, d.net.l[i].w->x);
    real points[4] = {0, 0, (real)0.6, (real)0.8};
    double change = 0;
    for (int pass = 0; pass < 100; pass++) {        /* power iterations */
        tape_reset(&d.tape);
        Tensor *l = perceptron(&d.net, t_input(&d.tape, points, SHAPE(2, 2)));
        change = fabs((double)l->x[1] - (double)l->x[0]);
    }
    cr_expect(change < 1.001 && change > 0.001, "the logit changes by %g", change);
    player_free(&d);
}

#ifndef REAL_DOUBLE
/* Proposition 1: does a D trained against a fixed G reach p/(p+q) and the value there? */
Test(gan, a_trained_discriminator_reaches_the_optimum) {
    static double d[TOY_SIDE * TOY_SIDE];
    const Plane *made[2] = {&blob, &ring};
    for (int k = 0; k < 2; k++) {
        Player player;
        player_start(&player, "d", 2, 1, 1);
        toy_discriminator(&player.net, d);
        double before = distance_to_optimum(&ring, made[k], d);
        enum { STEPS = 1500 };
        for (int step = 0; step < STEPS; step++)
            fit_discriminator(&player, &ring, made[k], 256,
                              2e-2 * fmin(1, 2.0 * (STEPS - step) / STEPS));
        toy_discriminator(&player.net, d);
        double after = distance_to_optimum(&ring, made[k], d);
        double value = game_value(&ring, made[k], d), best = game_value(&ring, made[k], NULL);
        cr_expect(after < 0.03, "mean |D - D*| is %g, before training %g", after, before);
        cr_expect(value <= best + 1e-9 && value > best - 0.01, "V is %g, at D* %g", value, best);
        player_free(&player);
    }
}

/* Both learn: do G's points come to lie on the ring, on all of it? */
Test(gan, a_toy_gan_finds_the_ring) {
    Player g, d;
    player_start(&g, "g", TOY_CODE, 2, 1), player_start(&d, "d", 2, 1, 1);
    for (int step = 0; step < 1500; step++) toy_gan_step(&g, &d, &ring, NON_SATURATING, 256, 2e-3);
    enum { N = 1000 };
    static real x[2 * N];
    int near = 0, octant[8] = {0};
    toy_samples(&g, N, x);
    for (int i = 0; i < N; i++) {
        double radius = hypot((double)x[2 * i], (double)x[2 * i + 1]);
        double turn = atan2((double)x[2 * i + 1], (double)x[2 * i]) / (2 * acos(-1)) + 1;
        near += fabs(radius - 2) < 0.9;
        octant[(int)floor(8 * turn + 0.5) % 8]++;
    }
    cr_expect(near > 0.85 * N, "%d of %d points lie near the ring", near, N);
    for (int k = 0; k < 8; k++)
        cr_expect(octant[k] > 0.02 * N, "mode %d has %d points", k, octant[k]);
    player_free(&g), player_free(&d);
}
#endif

/* ---- the program ----------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
PROGRAM_SUITE(gan_program);

Test(gan_program, every_configuration_trains_and_draws) {
    static const char *const configs[] = {"default --conditional --r1 10", "goodfellow",
                                          "dcgan28",
                                          "dcgan28 --unconditional"};
    few_garments(400, 120);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        char arguments[200];
        snprintf(arguments, sizeof arguments, "train -q --steps 1 --batch 4 --data %%s --out %%s "
                 "--config %s", configs[i]);
        RUN("gan", arguments);
        RUN("gan", "sample -q --out %s");
        cr_expect(file_there("samples.png") && file_there("interpolation.png"), "%s", configs[i]);
    }
}

Test(gan_program, trained_weights_give_pictures_and_scores) {
    RUN("gan", "train -q --steps 3 --batch 16 --out %s");
    RUN("gan", "sample -q --weights %s/weights.safetensors --out %s/pictures");
    few_garments(400, 120);
    RUN("gan", "eval -q --data %s --out %s");
    RUN("gan", "toy -q --steps 100 --out %s/toy");
    RUN("gan", "modes -q --seeds 1 --steps 100 --out %s/toy");
    static const char *const files[] = {"samples.png",
                                        "progress.png",
                                        "log.csv",
                                        "run.json",
                                        "pictures/samples.png",
                                        "pictures/interpolation.png",
                                        "metrics.json",
                                        "classes.csv",
                                        "neighbours.png",
                                        "toy/toy_value.csv",
                                        "toy/toy_optimum.csv",
                                        "toy/toy_gradient.csv",
                                        "toy/toy_samples.csv",
                                        "toy/modes.csv",
                                        "toy/modes_summary.csv",
                                        "toy/modes_points.csv"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_expect(file_there(files[i]), "%s is missing or empty", files[i]);
}

/* Is image i in the grid at `path`, of DCGAN64's images in their own size, a pixel apart? */
static bool is_drawn(const char *path, int i, const real *image) {
    enum { SIDE = 64, STEP = SIDE + 1 };
    int width, height, off = 0;
    uint8_t *pixels = picture_read_whole(path, &width, &height);
    cr_assert(height >= STEP && width >= (i + 1) * STEP);
    for (int k = 0; k < SIDE * SIDE * 3; k++) {
        int y = 1 + k / (3 * SIDE), x = 1 + i * STEP + k / 3 % SIDE;
        off += fabs(((double)image[k] + 1) * 127.5 - pixels[3 * (y * width + x) + k % 3]) > 1;
    }
    free(pixels);
    return off == 0;
}

/* Does the program draw what the network does whose weights it has under their official names? */
Test(gan_program, official_weights_draw_what_the_network_draws) {
    enum { IMAGES = 72, CODE = 100, COMPARED = 2, LEN = 64 * 64 * 3 };
    static real z[IMAGES * CODE], x[COMPARED * LEN];
    char path[100], picture[100];
    Params p = {.seed = 1};
    Generator g = generator_new(&p, design_named("dcgan64", false, false));
    move_params(&p, 0.02);
    snprintf(path, sizeof path, "%s/official.safetensors", folder);
    write_official(path, &generator_official, &p);
    RUN("gan", "sample -q --seed 3 --config dcgan64 --weights %s/official.safetensors --out %s");
    Rng rng = rng_new(3, "samples");
    draw_noise(&g.design, IMAGES, &rng, z);
    generate_scaled(&g, COMPARED, z, NULL, x);
    snprintf(picture, sizeof picture, "%s/samples.png", folder);
    for (int i = 0; i < COMPARED; i++) cr_expect(is_drawn(picture, i, x + i * LEN), "image %d", i);
    cr_expect(!is_drawn(picture, 1, x), "all images are the same");
    params_free(&p);
}

/* Does the program's own file, once its metadata are lost, draw the same? And is it said what is
 * wrong with another network's? */
Test(gan_program, weights_without_metadata_are_read) {
    char from[100], to[100];
    static const OfficialMap our_names = {.rows = NULL};
    Params p = {0};
    few_garments(400, 120);
    RUN("gan", "train -q --steps 1 --batch 2 --data %s --out %s");
    RUN("gan", "sample -q --out %s");
    generator_new(&p, design_named("default", false, false));
    snprintf(from, sizeof from, "%s/weights.safetensors", folder);
    snprintf(to, sizeof to, "%s/bare.safetensors", folder);
    rewrite_official(from, "gan", &p, to, &our_names);
    RUN("gan", "sample -q --weights %s/bare.safetensors --out %s/again");
    cr_expect(same_picture("samples.png", "again/samples.png"));
    expect_refusal("gan", "sample --config dcgan64 --weights %s/bare.safetensors --out %s/x", 1,
                   "21 missing (main.0.weight, main.1.weight, ");
    params_free(&p);
}

Test(gan_program, bad_input_gets_one_line_and_a_status) {
    expect_refusal("gan", "train --loss wasserstein --out %s/x", 2, "wasserstein");
    expect_refusal("gan", "train --d-steps 0 --out %s/x", 2, "--d-steps");
    expect_refusal("gan", "train --config dcgan28 --r1 1 --steps 1 --out %s/x", 2,
                   "batch normalisation");
    expect_refusal("gan", "train --config goodfellow --conditional --steps 1 --out %s/x", 2,
                   "--conditional");
}
#endif
