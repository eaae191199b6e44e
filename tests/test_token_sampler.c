/* test_token_sampler.c — which tokens stay, how likely they are, and how often they are drawn. */
#include "nn/token_sampler.h"
#include "testing.h"

#include <math.h>
#include <signal.h>
#include <string.h>

SUITE(token_sampler);

enum { V = 5 };

/* logits of 0.1, 0.4, 0.1, 0.3, 0.1, moved by a constant */
static Tensor *five(Tape *t, double shift) {
    static const double p[V] = {0.1, 0.4, 0.1, 0.3, 0.1};
    Tensor *x = t_input(t, NULL, SHAPE(1, V));
    for (int i = 0; i < V; i++) x->x[i] = (real)(log(p[i]) + shift);
    return x;
}

static void expect_probabilities(TokenSampler s, const double want[V]) {
    Tape t = {.no_grad = true};
    for (double shift = -2; shift <= 2; shift += 2) {
        const double *p = token_probabilities(&s, five(&t, shift));
        for (int i = 0; i < V; i++)
            cr_expect(fabs(p[i] - want[i]) < 1e-6 && (p[i] == 0) == (want[i] == 0),
                      "temperature %g, top_k %d, top_p %g: token %d has %g, not %g", s.temperature,
                      s.top_k, s.top_p, i, p[i], want[i]);
    }
    tape_free(&t);
}

#define EXPECT(t, k, p, ...) expect_probabilities((TokenSampler){t, k, p}, (double[V]){__VA_ARGS__})

Test(token_sampler, with_the_defaults_it_is_the_softmax) {
    expect_probabilities((TokenSampler){TOKEN_SAMPLER_DEFAULTS}, (double[V]){.1, .4, .1, .3, .1});
}

/* p^(1/T), normalised */
Test(token_sampler, temperature_sharpens_and_flattens) {
    EXPECT(0.5, 0, 1, .01 / .28, .16 / .28, .01 / .28, .09 / .28, .01 / .28);
    double r = sqrt(.1), sum = 3 * r + sqrt(.4) + sqrt(.3);
    EXPECT(2, 0, 1, r / sum, sqrt(.4) / sum, r / sum, sqrt(.3) / sum, r / sum);
    EXPECT(1e6, 0, 1, .2, .2, .2, .2, .2);
    EXPECT(1e-3, 2, 1, 0, 1, 0, exp(1000 * log(.3 / .4)), 0);
}

Test(token_sampler, temperature_0_takes_the_most_likely) {
    EXPECT(0, 0, 1, 0, 1, 0, 0, 0);
    EXPECT(0, 3, 0.5, 0, 1, 0, 0, 0);
}

/* of the three at 0.1 the first comes first */
Test(token_sampler, top_k_keeps_k_and_of_equals_the_first) {
    EXPECT(1, 1, 1, 0, 1, 0, 0, 0);
    EXPECT(1, 2, 1, 0, 4. / 7, 0, 3. / 7, 0);
    EXPECT(1, 3, 1, .125, .5, 0, .375, 0);
    EXPECT(1, 4, 1, 1. / 9, 4. / 9, 1. / 9, 3. / 9, 0);
    EXPECT(1, 5, 1, .1, .4, .1, .3, .1);
    EXPECT(1, 1000, 1, .1, .4, .1, .3, .1);
}

Test(token_sampler, top_p_keeps_the_fewest_that_reach_p) {
    EXPECT(1, 0, 0, 0, 1, 0, 0, 0);
    EXPECT(1, 0, 0.39, 0, 1, 0, 0, 0);
    EXPECT(1, 0, 0.41, 0, 4. / 7, 0, 3. / 7, 0);
    EXPECT(1, 0, 0.69, 0, 4. / 7, 0, 3. / 7, 0);
    EXPECT(1, 0, 0.71, .125, .5, 0, .375, 0);
    EXPECT(1, 0, 0.95, .1, .4, .1, .3, .1);
    EXPECT(1, 0, 1, .1, .4, .1, .3, .1);
}

/* Top-p counts probabilities among the k that stayed: 4/8, 7/8, 8/8. Before: 0.4, 0.7, 0.8. */
Test(token_sampler, top_p_follows_top_k_and_both_follow_the_temperature) {
    EXPECT(1, 3, 0.45, 0, 1, 0, 0, 0);
    EXPECT(1, 3, 0.85, 0, 4. / 7, 0, 3. / 7, 0);
    EXPECT(1, 3, 0.9, .125, .5, 0, .375, 0);
    EXPECT(0.5, 0, 0.56, 0, 1, 0, 0, 0);
}

/* All equal, and one token alone */
Test(token_sampler, ties_are_broken_by_number) {
    Tape t = {.no_grad = true};
    Tensor *equal = t_input(&t, (real[]){1, 1, 1, 1}, SHAPE(1, 4));
    const double *p = token_probabilities(&(TokenSampler){1, 2, 1}, equal);
    cr_expect(p[0] == 0.5 && p[1] == 0.5 && p[2] == 0 && p[3] == 0);
    p = token_probabilities(&(TokenSampler){1, 0, 0.6}, equal);
    cr_expect(fabs(p[0] - 1 / 3.) < 1e-12 && fabs(p[2] - 1 / 3.) < 1e-12 && p[3] == 0);
    p = token_probabilities(&(TokenSampler){1, 0, 0.5}, equal);
    cr_expect(p[0] == 0.5 && p[1] == 0.5 && p[2] == 0, "half is reached by two");
    p = token_probabilities(&(TokenSampler){0, 0, 1}, equal);
    cr_expect(p[0] == 1 && p[1] == 0 && p[2] == 0 && p[3] == 0);
    p = token_probabilities(&(TokenSampler){1, 1, 0}, t_input(&t, (real[]){-7}, SHAPE(1, 1)));
    cr_expect(p[0] == 1);
    tape_free(&t);
}

/* Does the heap find the same as sorting? */
Test(token_sampler, of_a_thousand_tokens_the_most_likely_stay) {
    enum { MANY = 1000, K = 37 };
    Tape t = {.no_grad = true};
    Tensor *x = t_input(&t, NULL, SHAPE(2, MANY));
    test_values("logits", -3, 3, x->len, x->x);
    for (size_t i = 0; i < x->len; i++) x->x[i] = (real)floor((double)x->x[i] * 20);   /* ties */
    const double *p = token_probabilities(&(TokenSampler){1, K, 1}, x);
    for (int row = 0; row < 2; row++)
        for (int i = 0; i < MANY; i++) {
            const real *logit = x->x + row * MANY;
            int ahead = 0;
            for (int j = 0; j < MANY; j++)
                ahead += logit[j] > logit[i] || (logit[j] == logit[i] && j < i);
            cr_expect_eq(p[row * MANY + i] > 0, ahead < K, "row %d, token %d", row, i);
        }
    tape_free(&t);
}

Test(token_sampler, what_cannot_be_is_never_drawn) {
    Tape t = {.no_grad = true};
    Tensor *x = t_input(&t, (real[]){-INFINITY, 0, -INFINITY, 0}, SHAPE(1, 4));
    const TokenSampler kinds[] = {{1, 0, 1}, {1, 3, 1}, {1, 0, 0.99}, {1e-3, 4, 0.99}};
    for (int i = 0; i < 4; i++) {
        const double *p = token_probabilities(&kinds[i], x);
        cr_expect(p[0] == 0 && p[1] == 0.5 && p[2] == 0 && p[3] == 0.5, "kind %d", i);
    }
    tape_free(&t);
}

/* ---- drawing --------------------------------------------------------------------------------- */

enum { ROWS = 20000 };

/* within four standard deviations of a binomial */
static void expect_share(int count, double p, int token) {
    double deviation = sqrt(p * (1 - p) / ROWS);
    cr_expect(fabs((double)count / ROWS - p) <= 4 * deviation, "token %d: %d of %d, expected %g",
              token, count, ROWS, p);
}

Test(token_sampler, tokens_are_drawn_as_often_as_they_are_likely) {
    static int token[ROWS], again[ROWS], count[V];
    static const double p[V] = {.125, .5, 0, .375, 0};
    Tape t = {.no_grad = true};
    Tensor *one = five(&t, 1), *x = t_input(&t, NULL, SHAPE(ROWS, V));
    for (int i = 0; i < ROWS; i++) memcpy(x->x + i * V, one->x, V * sizeof(real));
    Rng r = rng_new(1, "tokens"), same = r;
    token_sample(&(TokenSampler){1, 3, 1}, x, &r, token);
    for (int i = 0; i < ROWS; i++) count[token[i]]++;
    for (int i = 0; i < V; i++) expect_share(count[i], p[i], i);
    token_sample(&(TokenSampler){1, 3, 1}, x, &same, again);
    cr_expect(!memcmp(token, again, sizeof token), "the same stream drew other tokens");
    cr_expect_eq(r.next, 2 * ROWS);
    token_sample(&(TokenSampler){1, 3, 1}, x, &r, again);
    cr_expect(memcmp(token, again, sizeof token), "the stream did not go on");
    tape_free(&t);
}

/* ---- mistakes -------------------------------------------------------------------------------- */

static void sample_wrongly(TokenSampler s, real first, real second) {
    Tape t = {.no_grad = true};
    token_probabilities(&s, t_input(&t, (real[]){first, second}, SHAPE(1, 2)));
    tape_free(&t);
}

Test(token_sampler, a_negative_temperature_is_a_mistake, .signal = SIGABRT) {
    sample_wrongly((TokenSampler){-1, 0, 1}, 0, 0);
}

Test(token_sampler, a_probability_above_1_is_a_mistake, .signal = SIGABRT) {
    sample_wrongly((TokenSampler){1, 0, 1.5}, 0, 0);
}

Test(token_sampler, a_row_without_any_token_is_a_mistake, .signal = SIGABRT) {
    sample_wrongly((TokenSampler){1, 0, 1}, -INFINITY, -INFINITY);
}

Test(token_sampler, nan_is_a_mistake, .signal = SIGABRT) {
    sample_wrongly((TokenSampler){1, 0, 1}, 0, NAN);
}
