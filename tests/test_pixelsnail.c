/* test_pixelsnail.c — gradients, what each position depends on, steps against full passes, the
 * network as a distribution over maps of codes. */
#include "nn/pixelsnail.h"
#include "testing.h"

#include <math.h>

SUITE(pixelsnail);

static const SnailConfig tiny = {.height = 4, .width = 6, .codes = 5, .channels = 16, .kernel = 3,
                                 .blocks = 2, .res_blocks = 1, .res_channels = 7, .out_blocks = 1,
                                 .attention = true, .dropout = 0.1, .condition_channels = 3,
                                 .condition_blocks = 1, .condition_kernel = 3,
                                 .condition_codes = 4, .classes = 3, .previous = true};
enum { N = 4 * 6 };
static const int some_classes[3] = {2, 0, 1};

static void some_codes(const char *name, int n, int K, int *z) {
    real u[256];
    test_values(name, 0, 1, (size_t)n, u);
    for (int i = 0; i < n; i++) z[i] = (int)(u[i] * (real)K);
}

/* away from the first values, at which |v| = g; keys far apart, so that attention is not uniform */
static Snail moved_snail(Params *p, SnailConfig c) {
    p->seed = 3;
    Snail s = snail_new(p, c);
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        if (strcmp(w->op, "param")) continue;
        move_param(w, 0.2);
        if (strstr(w->name, "attention") && strstr(w->name, ".wg"))
            k_axpy(w->len, 4, w->x, w->x, false);
    }
    return s;
}

static Tensor *condition_on(const Snail *s, Tape *t, int B) {
    int top[256];
    some_codes("top", B * s->c.height * s->c.width / 4, 4, top);
    return snail_condition(s, t, B, (SnailCondition){top, some_classes});
}

#ifdef REAL_DOUBLE
static Tensor *code_loss(Tape *t, void *context) {
    const Snail *s = context;
    static int z[2 * N];
    Rng dropout = rng_new(1, "dropout");
    some_codes("codes", 2 * N, 5, z);
    t->dropout = &dropout;
    Tensor *logits = snail(s, snail_one_hot(s, t, 2, z), condition_on(s, t, 2));
    t->dropout = NULL;
    return t_cross_entropy(logits, z);
}

Test(pixelsnail, gradients_of_the_priors) {
    for (int i = 0; i < 4; i++) {
        Params p = {0};
        SnailConfig c = tiny;
        c.attention = i != 1, c.previous = i != 2;
        if (i == 3) c.condition_blocks = 0, c.out_blocks = 0;
        Snail s = moved_snail(&p, c);
        GradientCheck check = {.samples = 4, .h = 1e-4, .zero = "attention.key.b"};
        double error = gradient_error_of(&p, code_loss, &s, check);
        cr_expect(error <= 1e-6, "configuration %d: relative error %g", i, error);
        params_free(&p);
    }
}
#endif

/* sum of y times fixed random numbers */
static Tensor *weighted(Tensor *y, const char *name) {
    Tensor *c = t_input(y->tape, NULL, y->rank, y->shape);
    test_values(name, -1, 1, c->len, c->x);
    return t_sum(t_mul(y, c));
}

static bool is_zero(size_t n, const real *x) {
    return k_sum_squares(n, x) == 0;
}

/* seen[i * N + j]: does the gradient of position i's logits reach code j of a picture of codes? */
static void what_is_seen(SnailConfig c, bool *seen) {
    Params p = {0};
    Snail s = moved_snail(&p, c);
    int z[N];
    some_codes("codes", N, 5, z);
    for (int i = 0; i < N; i++) {
        Tape t = {0};
        Tensor *hot = snail_one_hot(&s, &t, 1, z);
        Tensor *x = t_variable(&t, hot->x, SHAPE(1, 4, 6, 5));
        Tensor *logits = t_reshape(snail(&s, x, condition_on(&s, &t, 1)), SHAPE(N, 5));
        backward(weighted(t_slice(logits, 0, i, 1), "cotangent"));
        for (int j = 0; j < N; j++) seen[i * N + j] = !is_zero(5, x->g + 5 * j);
        tape_free(&t);
    }
    params_free(&p);
}

/* With attention: no later code and not the position's own, but every earlier one? */
Test(pixelsnail, a_position_sees_every_earlier_code_and_no_other) {
    bool seen[N * N];
    what_is_seen(tiny, seen);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            cr_expect_eq(seen[i * N + j], j < i, "position %d, code %d", i, j);
}

/* to[i] gets whatever a causal kernel around position i sees in `from` */
static void through_kernel(int kernel, bool from[N][N], bool to[N][N]) {
    int k = kernel / 2;
    memset(to, 0, N * N);
    for (int i = 0; i < N; i++)
        for (int m = 0; m < N; m++) {
            int up = i / 6 - m / 6, right = m % 6 - i % 6;
            bool inside = up >= 0 && up < kernel && abs(right) <= k && (up > 0 || right < 0);
            for (int j = 0; inside && j < N; j++) to[i][j] |= from[m][j];
        }
}

/* What the definition of the layers lets through, worked out on positions: which codes are in the
 * features of each, with convolutions alone. A block's two kernels both leave out the middle, which
 * only its shortcut passes on. */
static void what_convolutions_reach(SnailConfig c, bool feature[N][N]) {
    static bool one[N][N], two[N][N];
    int k = c.kernel / 2;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int up = i / 6 - j / 6, right = j % 6 - i % 6;
            bool above = up >= 1 && up <= k && abs(right) <= k;
            bool left = up >= 0 && up <= k && right < 0 && right >= -k;
            feature[i][j] = above || left || (c.previous && j == i - 1);
        }
    for (int block = 0; block < c.blocks * c.res_blocks; block++) {
        through_kernel(c.kernel, feature, one);
        through_kernel(c.kernel, one, two);
        for (int i = 0; i < N * N; i++) feature[i / N][i % N] |= two[i / N][i % N];
    }
}

/* Without attention: exactly the cone that the kernels span, no more and no less. Codes to the
 * upper right lie outside it: that is the blind spot which attention is for. */
Test(pixelsnail, convolutions_alone_see_the_cone_that_their_kernels_span) {
    for (int previous = 0; previous < 2; previous++) {
        bool seen[N * N], reach[N][N];
        int blind = 0;
        SnailConfig c = tiny;
        c.attention = false, c.previous = previous;
        what_is_seen(c, seen);
        what_convolutions_reach(c, reach);
        for (int i = 0; i < N * N; i++) {
            cr_expect_eq(seen[i], reach[i / N][i % N], "position %d, code %d", i / N, i % N);
            blind += i % N < i / N && !seen[i];
        }
        cr_expect(blind > 0);
    }
}

/* The public code's keys hold features alone, and features of a position know codes before it. The
 * last code of a row is in no feature until, in the next row, a kernel reaches it: to all positions
 * before that it is unknown. */
Test(pixelsnail, without_previous_a_row_begins_without_the_last_code_of_the_one_above) {
    bool seen[N * N];
    SnailConfig c = tiny;
    c.previous = false;
    what_is_seen(c, seen);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            bool missed = j % 6 == 5 && i / 6 == j / 6 + 1 && i % 6 < 5 - c.kernel / 2;
            cr_expect_eq(seen[i * N + j], j < i && !missed, "position %d, code %d", i, j);
        }
}

/* Do all positions' logits depend on the top's codes and on the class? */
Test(pixelsnail, the_bottom_prior_depends_on_the_top_and_the_class) {
    Params p = {0};
    Snail s = moved_snail(&p, tiny);
    int z[N], top[6];
    some_codes("codes", N, 5, z), some_codes("top", 6, 4, top);
    double all[N], other_top[N], other_class[N];
    int class = 2;
    snail_nats(&s, 1, z, (SnailCondition){top, &class}, all);
    class = 1;
    snail_nats(&s, 1, z, (SnailCondition){top, &class}, other_class);
    class = 2;
    for (int i = 0; i < 6; i++) top[i] = (top[i] + 1) % 4;
    snail_nats(&s, 1, z, (SnailCondition){top, &class}, other_top);
    for (int i = 0; i < N; i++) {
        cr_expect(fabs(all[i] - other_top[i]) > 1e-5, "position %d does not see the top", i);
        cr_expect(fabs(all[i] - other_class[i]) > 1e-5, "position %d does not see the class", i);
    }
    params_free(&p);
}

static void expect_steps_equal_pass(SnailConfig c, const char *what) {
    Params p = {0};
    Snail s = moved_snail(&p, c);
    Tape t = {.no_grad = true};
    int z[3 * N], at[3];
    some_codes("codes", 3 * N, 5, z);
    Tensor *condition = condition_on(&s, &t, 3);
    Tensor *full = snail(&s, snail_one_hot(&s, &t, 3, z), condition);
    SnailSampler sampler;
    double worst = 0;
    snail_sampler_new(&sampler, &s, 3, condition);
    for (int i = 0; i < N; i++) {
        const real *logits = snail_sampler_logits(&sampler);
        for (int b = 0; b < 3; b++) {
            const real *expected = full->x + (b * N + i) * 5;
            for (int k = 0; k < 5; k++)
                worst = fmax(worst, fabs((double)(logits[b * 5 + k] - expected[k])));
            at[b] = z[b * N + i];
        }
        snail_sampler_put(&sampler, at);
    }
    cr_expect(worst < 1e-5, "%s: logits differ by %g", what, worst);
    snail_sampler_free(&sampler);
    tape_free(&t);
    params_free(&p);
}

/* Position by position from what was kept, or all at once: the same logits, to 1e-5? */
Test(pixelsnail, sampling_step_by_step_equals_the_full_pass) {
    expect_steps_equal_pass(tiny, "all options");
    SnailConfig c = tiny;
    c.attention = false, c.previous = false, c.kernel = 5;
    expect_steps_equal_pass(c, "convolutions alone, 5x5");
    c = tiny;
    c.condition_blocks = 0, c.out_blocks = 0;
    expect_steps_equal_pass(c, "a class alone");
    c.classes = c.condition_channels = 0;
    expect_steps_equal_pass(c, "no condition");
}

/* Do the probabilities of all 3^4 pictures of 2x2 codes sum to 1? */
Test(pixelsnail, the_prior_is_a_distribution_over_pictures_of_codes) {
    enum { PICTURES = 81 };
    Params p = {0};
    SnailConfig c = tiny;
    c.height = c.width = 2, c.codes = 3, c.condition_blocks = 0;
    Snail s = moved_snail(&p, c);
    double sum = 0;
    int class = 1;
    for (int i = 0; i < PICTURES; i++) {
        int z[4] = {i % 3, i / 3 % 3, i / 9 % 3, i / 27};
        double nats[4];
        snail_nats(&s, 1, z, (SnailCondition){NULL, &class}, nats);
        sum += exp(-nats[0] - nats[1] - nats[2] - nats[3]);
    }
    cr_assert_float_eq(sum, 1, 1e-5);

    /* and are samples from it? pictures drawn against their probabilities, at two temperatures */
    enum { DRAWS = 4000 };
    static int z[4 * DRAWS], classes[DRAWS], times[2][PICTURES];
    Rng rng = rng_new(1, "draws");
    for (int i = 0; i < DRAWS; i++) classes[i] = 1;
    snail_sample(&s, DRAWS, (SnailCondition){NULL, classes}, 1, &rng, z);
    for (int i = 0; i < DRAWS; i++)
        times[0][z[4 * i] + 3 * z[4 * i + 1] + 9 * z[4 * i + 2] + 27 * z[4 * i + 3]]++;
    for (int i = 0; i < PICTURES; i++) {
        int picture[4] = {i % 3, i / 3 % 3, i / 9 % 3, i / 27};
        double nats[4];
        snail_nats(&s, 1, picture, (SnailCondition){NULL, &class}, nats);
        double expected = DRAWS * exp(-nats[0] - nats[1] - nats[2] - nats[3]);
        cr_expect(fabs(times[0][i] - expected) < 5 * sqrt(expected) + 5, "picture %d: %d times, %g",
                  i, times[0][i], expected);
    }
    params_free(&p);
}

/* Temperature divides logits; 0 takes the likeliest. */
Test(pixelsnail, temperature_sharpens_the_draw) {
    enum { DRAWS = 4000 };
    Params p = {0};
    SnailConfig c = tiny;
    c.height = c.width = 2, c.codes = 3, c.condition_blocks = 0;
    Snail s = moved_snail(&p, c);
    k_axpy(3, 4, s.logits.g->x, s.logits.g->x, false);       /* far from even */
    static int z[4 * DRAWS], classes[DRAWS];
    SnailSampler first;
    Tape t = {.no_grad = true};
    for (int i = 0; i < DRAWS; i++) classes[i] = 1;
    snail_sampler_new(&first, &s, 1, snail_condition(&s, &t, 1, (SnailCondition){NULL, classes}));
    const real *logits = snail_sampler_logits(&first);
    static const double temperatures[] = {0, 0.5, 1, 3};
    for (int i = 0; i < 4; i++) {
        double T = temperatures[i], e[3], sum = 0;
        int times[3] = {0}, likeliest = 0;
        Rng rng = rng_new(1, "draws");
        snail_sample(&s, DRAWS, (SnailCondition){NULL, classes}, T, &rng, z);
        for (int k = 0; k < DRAWS; k++) times[z[4 * k]]++;
        for (int k = 1; k < 3; k++) likeliest = logits[k] > logits[likeliest] ? k : likeliest;
        for (int k = 0; k < 3; k++)
            sum += e[k] = T > 0 ? exp((double)logits[k] / T) : k == likeliest;
        for (int k = 0; k < 3; k++)
            cr_expect_float_eq((double)times[k] / DRAWS, e[k] / sum, 0.04, "temperature %g", T);
    }
    snail_sampler_free(&first);
    tape_free(&t);
    params_free(&p);
}
