/* test_codebook.c — vector quantisation: who is nearest, where gradients go, the averages against
 * a calculation by hand, codes that nobody uses. */
#include "nn/codebook.h"
#include "nn/optim.h"
#include "testing.h"

#include <math.h>
#include <signal.h>
#include <string.h>

SUITE(codebook);

#define CLOSE(a, b) (fabs((double)(a) - (double)(b)) <= 20 * (double)REAL_EPS)

/* four codes in the plane, two vectors near the first, one at the third, none at the others */
static const real corners[8] = {0, 0, 4, 0, 0, 4, 9, 9};
static const real points[6] = {1, 0, -2, 1, 0, 4};

static Codebook four_codes(Params *p, double decay) {
    Codebook c = codebook_new(scope(p, "book"), 4, 2, decay);
    memcpy(c.table->x, corners, sizeof corners);
    if (decay > 0) memcpy(c.embed_avg->x, corners, sizeof corners);
    return c;
}

/* ---- lookup ---------------------------------------------------------------------------------- */

Test(codebook, a_vector_becomes_its_nearest_code) {
    Params p = {0};
    Tape t = {0};
    Codebook c = four_codes(&p, 0);
    Quantised q = quantise(&c, t_input(&t, points, SHAPE(1, 3, 2)));
    static const int want[3] = {0, 0, 2};
    static const real codes[6] = {0, 0, 0, 0, 0, 4};
    cr_assert_eq(q.n, 3);
    cr_assert_arr_eq(q.index, want, sizeof want);
    cr_assert_arr_eq(q.codes->x, codes, sizeof codes);
    cr_assert_eq(q.codes->rank, 3);
    /* squares 1, 4 + 1, 0 over six numbers */
    cr_assert(CLOSE(q.commitment_loss->x[0], 1));
    cr_assert(CLOSE(q.codebook_loss->x[0], 1));
    tape_free(&t);
    params_free(&p);
}

/* Straight through: is the gradient of z the gradient of what the decoder reads? And do the two
 * losses each move what they are meant to move: 2 (z - e) / 6 to z, the opposite to the codes? */
Test(codebook, gradients_go_where_the_paper_sends_them) {
    static const real slope[6] = {3, -1, 2, 5, -4, 7};
    Params p = {0};
    Codebook c = four_codes(&p, 0);
    for (int term = 0; term < 3; term++) {
        Tape t = {0};
        Tensor *z = t_variable(&t, points, SHAPE(3, 2));
        Quantised q = quantise(&c, z);
        Tensor *decoded = t_sum(t_mul(q.codes, t_input(&t, slope, SHAPE(3, 2))));
        params_zero_grad(&p);
        backward(term == 0 ? decoded : term == 1 ? q.commitment_loss : q.codebook_loss);
        real to_code[8] = {0};
        for (int i = 0; i < 6; i++) {
            real pull = (points[i] - q.codes->x[i]) / 3;
            real want = term == 0 ? slope[i] : term == 1 ? pull : 0;
            real got = z->has_grad ? z->g[i] : 0;
            cr_expect(CLOSE(got, want), "term %d: dz[%d] is %g, not %g", term, i, (double)got,
                      (double)want);
            to_code[q.index[i / 2] * 2 + i % 2] -= term == 2 ? pull : 0;
        }
        for (int i = 0; i < 8; i++) {
            real got = c.table->has_grad ? c.table->g[i] : 0;
            cr_expect(CLOSE(got, to_code[i]), "term %d: de[%d] is %g, not %g", term, i, (double)got,
                      (double)to_code[i]);
        }
        tape_free(&t);
    }
    params_free(&p);
}

Test(codebook, codes_that_are_averages_are_no_parameters) {
    Params p = {0};
    Tape t = {0};
    Codebook c = four_codes(&p, 0.99);
    Quantised q = quantise(&c, t_variable(&t, points, SHAPE(3, 2)));
    cr_assert_eq(params_count(&p), 0);
    cr_assert_null(q.codebook_loss);
    backward(q.commitment_loss);
    cr_assert(!c.table->has_grad);
    tape_free(&t);
    params_free(&p);
}

Test(codebook, vectors_of_another_size_are_refused, .signal = SIGABRT) {
    Params p = {0};
    Tape t = {0};
    Codebook c = four_codes(&p, 0);
    quantise(&c, t_input(&t, points, SHAPE(2, 3)));
}

/* ---- averages -------------------------------------------------------------------------------- */

/* One step with decay 0.9, from N = 1 and m = e:
 *   N = 0.9 + 0.1 (2, 0, 1, 0),  m = 0.9 e + 0.1 (sums (-1,1), -, (0,4), -),
 *   e = m / ((N + 1e-5) / (3.9 + 4e-5) 3.9), the sum of N being 3.9.
 * Codes 1 and 3, which nobody chose, stay where they are but for the smoothing. */
Test(codebook, averages_move_as_by_hand) {
    Params p = {0};
    Tape t = {0};
    Codebook c = four_codes(&p, 0.9);
    Quantised q = quantise(&c, t_input(&t, points, SHAPE(3, 2)));
    codebook_update(&c, &q);
    static const double N[4] = {1.1, 0.9, 1.0, 0.9};
    static const double m[8] = {-0.1, 0.1, 3.6, 0, 0, 4, 8.1, 8.1};
    for (int k = 0; k < 4; k++)
        cr_expect(CLOSE(c.cluster_size->x[k], N[k]), "N[%d] %g", k, (double)c.cluster_size->x[k]);
    for (int i = 0; i < 8; i++) {
        double e = m[i] / ((N[i / 2] + 1e-5) / (3.9 + 4e-5) * 3.9);
        double sum = (double)c.embed_avg->x[i], code = (double)c.table->x[i];
        cr_expect(CLOSE(sum / 10, m[i] / 10), "m[%d] %g, not %g", i, sum, m[i]);
        cr_expect(CLOSE(code / 10, e / 10), "e[%d] %g, not %g", i, code, e);
    }
    /* the codes that were looked up are the old ones */
    cr_expect_eq(q.codes->x[0], 0);
    tape_free(&t);
    params_free(&p);
}

/* Smoothing must not creep into what is kept: after many steps N_k is the geometric sum exactly,
 * and a code nobody chooses, whose N_k and m_k vanish together, has not run away. */
Test(codebook, codes_that_nobody_uses_stay_finite) {
    Params p = {0};
    Codebook c = four_codes(&p, 0.9);
    for (int step = 0; step < 60; step++) {
        Tape t = {0};
        Quantised q = quantise(&c, t_input(&t, points, SHAPE(3, 2)));
        codebook_update(&c, &q);
        tape_free(&t);
    }
    double left = pow(0.9, 60);
    cr_expect_float_eq(c.cluster_size->x[3], left, 1e-6 * left + 1e-7 * left);
    cr_expect_float_eq(c.cluster_size->x[0], 2 - left, 1e-5);
    cr_expect_float_eq(c.table->x[0], -0.5, 0.01, "code 0 is at its vectors' mean");
    for (int i = 6; i < 8; i++)
        cr_expect(c.table->x[i] > 8.9 && c.table->x[i] <= 9, "code 3 moved to %g",
                  (double)c.table->x[i]);
    params_free(&p);
}

/* ---- where codes start, and start again ------------------------------------------------------ */

/* 2 x 30 equal vectors and 6 others: k-means++ must not take the same twice */
Test(codebook, codes_start_at_different_vectors) {
    enum { N = 66, K = 8 };
    real z[N * 2];
    for (int i = 0; i < N; i++) {
        z[2 * i] = i < 30 ? 0 : i < 60 ? 1 : (real)(2 + i - 60);
        z[2 * i + 1] = z[2 * i] * z[2 * i];
    }
    for (int gradient = 0; gradient < 2; gradient++) {
        Params p = {.seed = 1};
        Tape t = {0};
        Rng rng = rng_new(1, "start");
        Codebook c = codebook_new(scope(&p, "book"), K, 2, gradient ? 0 : 0.99);
        Tensor *x = t_input(&t, z, SHAPE(N, 2));
        codebook_start(&c, x, &rng);
        Quantised q = quantise(&c, x);
        int times[K] = {0};
        codebook_count(q.n, q.index, times);
        cr_expect_eq(codes_used(K, times), K);
        cr_expect_eq(q.commitment_loss->x[0], 0, "every vector has its own code");
        if (!gradient) {
            cr_expect_arr_eq(c.embed_avg->x, c.table->x, K * 2 * sizeof(real));
            for (int k = 0; k < K; k++) cr_expect_eq(c.cluster_size->x[k], 1);
        }
        tape_free(&t);
        params_free(&p);
    }
}

Test(codebook, more_codes_than_vectors_are_no_trouble) {
    Params p = {.seed = 1};
    Tape t = {0};
    Rng rng = rng_new(1, "start");
    Codebook c = codebook_new(scope(&p, "book"), 7, 2, 0.99);
    codebook_start(&c, t_input(&t, points, SHAPE(3, 2)), &rng);
    for (int k = 0; k < 14; k++) cr_expect(isfinite((double)c.table->x[k]));
    tape_free(&t);
    params_free(&p);
}

/* Codes 1 and 3 are below the threshold after some steps without use; they must come back at
 * vectors of this batch with the mean N_k, the others must stay. */
Test(codebook, codes_that_nobody_uses_are_revived) {
    Params p = {0};
    Tape t = {0};
    Rng rng = rng_new(1, "revive");
    Codebook c = four_codes(&p, 0.9);
    Quantised q = quantise(&c, t_input(&t, points, SHAPE(3, 2)));
    cr_assert_eq(codebook_revive(&c, &q, 0.95, &rng), 0, "all N_k are 1");
    codebook_update(&c, &q);
    real before[8];
    memcpy(before, c.table->x, sizeof before);
    cr_assert_eq(codebook_revive(&c, &q, 0.95, &rng), 2);
    for (int k = 0; k < 4; k++) {
        const real *e = c.table->x + 2 * k;
        bool moved = k == 1 || k == 3, is_point = false;
        for (int i = 0; i < 3; i++)
            is_point = is_point || !memcmp(e, points + 2 * i, 2 * sizeof *e);
        cr_expect(moved ? is_point : !memcmp(e, before + 2 * k, 2 * sizeof *e), "code %d", k);
        if (!moved) continue;
        cr_expect(CLOSE(c.cluster_size->x[k], 3.9 / 4));
        for (int j = 0; j < 2; j++)
            cr_expect(CLOSE(c.embed_avg->x[2 * k + j], e[j] * 3.9 / 4), "code %d", k);
    }
    cr_assert_eq(codebook_revive(&c, &q, 0.95, &rng), 0, "they have time to be chosen");
    tape_free(&t);
    params_free(&p);
}

/* ---- use ------------------------------------------------------------------------------------- */

Test(codebook, perplexity_counts_the_codes_that_are_used_alike) {
    int times[5] = {3, 0, 3, 3, 0}, none[5] = {0}, uneven[2] = {3, 1};
    cr_assert_float_eq(codebook_perplexity(5, times), 3, 1e-9);
    cr_assert_eq(codes_used(5, times), 3);
    cr_assert_eq(codebook_perplexity(5, none), 0);
    cr_assert_float_eq(codebook_perplexity(2, uneven), exp(-0.75 * log(0.75) - 0.25 * log(0.25)),
                       1e-9);
}
