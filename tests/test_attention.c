/* test_attention.c — attention against its plain twin: masks, sizes, large scores; the same bits for
 * any number of threads. */
#include "arrays.h"
#include "kernels/kernels.h"
#include "testing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const int sizes[] = {1, 7, 8, 9, 15, 16, 17, 63, 65};
enum { SIZES = sizeof sizes / sizeof *sizes };
/* the twins sum in double, so in double they round as much as the kernels do */
static const double tolerance = (sizeof(real) == 4 ? 40 : 500) * (double)REAL_EPS;

TestSuite(attention, .fini = free_arrays);

/* ---- attention ------------------------------------------------------------------------------- */

typedef enum {
    MASK_NONE, MASK_CAUSAL, MASK_PAST, MASK_SHARED, MASK_PER_ITEM, MASK_BOTH, MASK_FORMS
} MaskForm;

/* Query 0 of a masked item sees nothing. */
static uint8_t *random_mask(int count, int nq, int nk) {
    uint8_t *mask = malloc((size_t)count * nq * nk);
    for (int i = 0; i < count * nq * nk; i++)
        mask[i] = i / nk % nq > 0 && random_between(0, 1) < 0.6;
    return mask;
}

static void check_attention(int b, int heads, int nq, int nk, int dk, int dv, MaskForm form) {
    AttentionShape s = {.b = b,
                        .heads = heads,
                        .nq = nq,
                        .nk = nk,
                        .dk = dk,
                        .dv = dv,
                        .ldq = heads * dk + 3,
                        .ldk = heads * dk + 5,
                        .ldv = heads * dv + 1,
                        .scale = (real)0.7,
                        .causal = form == MASK_CAUSAL || form == MASK_PAST || form == MASK_BOTH};
    int room = nk;
    if (form == MASK_PAST) {
        s.past = nk > nq ? nk - nq : 0;
        s.room = room = nk + 2;
    }
    uint8_t *mask = random_mask(b, nq, nk);
    if (form >= MASK_SHARED) s.mask = mask;
    if (form >= MASK_PER_ITEM) s.mask_stride = (size_t)nq * nk;
    size_t q_n = (size_t)b * nq * s.ldq, k_n = (size_t)b * room * s.ldk;
    size_t v_n = (size_t)b * room * s.ldv;
    size_t y_n = (size_t)b * nq * heads * dv, lse_n = (size_t)b * heads * nq;
    real *q = random_array(q_n), *k = random_array(k_n), *v = random_array(v_n),
         *dy = random_array(y_n);
    real *y = array(y_n), *lse = array(lse_n), *want_y = array(y_n), *want_lse = array(lse_n);
    char t[120];
    snprintf(t, sizeof t, "b %d heads %d nq %d nk %d dk %d dv %d mask form %d", b, heads, nq, nk,
             dk, dv, form);
    attention_forward(&s, q, k, v, y, lse);
    attention_forward_ref(&s, q, k, v, want_y, want_lse);
    agree(y_n, y, want_y, 2 * tolerance, "y, %s", t);
    agree(lse_n, lse, want_lse, 2 * tolerance, "lse, %s", t);
    for (int i = 0; form >= MASK_SHARED && i < heads * dv; i++)
        cr_assert(y[i] == 0, "query 0 sees nothing, %s", t);
    for (int add = 0; add < 2; add++) {
        real *dq = random_array(q_n), *dkey = random_array(k_n), *dval = random_array(v_n);
        real *want_q = copy_of(q_n, dq), *want_k = copy_of(k_n, dkey), *want_v = copy_of(v_n, dval);
        AttentionArrays a = {q, k, v, y, lse, dy}, want = {q, k, v, want_y, want_lse, dy};
        attention_backward(&s, &a, &(AttentionGradients){{dq, add}, {dkey, add}, {dval, add}});
        attention_backward_ref(&s, &want,
                               &(AttentionGradients){{want_q, add}, {want_k, add}, {want_v, add}});
        agree(q_n, dq, want_q, 10 * tolerance, "dq, add %d, %s", add, t);
        agree(k_n, dkey, want_k, 10 * tolerance, "dk, add %d, %s", add, t);
        agree(v_n, dval, want_v, 10 * tolerance, "dv, add %d, %s", add, t);
    }
    free(mask);
    free_arrays();
}

Test(attention, attention_agrees_for_every_mask_and_every_size) {
    for (int form = 0; form < MASK_FORMS; form++)
        for (int i = 0; i < SIZES; i++)
            for (int j = 0; j < SIZES; j++)
                check_attention(2, 2, sizes[i], sizes[j], sizes[(i + j) % SIZES],
                                sizes[(i + 2 * j) % SIZES], form);
}

Test(attention, attention_agrees_when_keys_pass_by_in_several_blocks) {
    for (int form = 0; form < MASK_FORMS; form++) {
        check_attention(1, 2, 70, 400, 16, 24, form);
        check_attention(1, 1, 196, 196, 32, 32, form);
        check_attention(2, 1, 3, 650, 8, 5, form);
        check_attention(1, 1, 400, 70, 8, 16, form);
        check_attention(3, 3, 2, 65, 17, 37, form);
        check_attention(1, 5, 1, 400, 32, 64, form);
    }
}

/* The largest scores come in the last block: everything summed before must be scaled down. */
Test(attention, attention_survives_scores_that_grow_by_ten_thousand) {
    int n = 500;
    AttentionShape s = {.b = 1,
                        .heads = 1,
                        .nq = 3,
                        .nk = n,
                        .dk = 1,
                        .dv = 1,
                        .ldq = 1,
                        .ldk = 1,
                        .ldv = 1,
                        .scale = 1};
    real *q = array(3), *k = array(n), *v = random_array(n), *y = array(3), *lse = array(3),
         *want = array(3), *want_lse = array(3);
    q[0] = 1, q[1] = -1, q[2] = 0;
    for (int i = 0; i < n; i++) k[i] = (real)(i * 20);
    attention_forward(&s, q, k, v, y, lse);
    attention_forward_ref(&s, q, k, v, want, want_lse);
    agree(3, y, want, tolerance, "y");
    agree(3, lse, want_lse, tolerance, "lse");
}

Test(attention, attention_gives_the_same_bits_for_any_number_of_threads) {
    for (int b = 1; b < 4; b += 2) {
        AttentionShape s = {.b = b,
                            .heads = 2,
                            .nq = 100,
                            .nk = 230,
                            .dk = 17,
                            .dv = 16,
                            .ldq = 34,
                            .ldk = 34,
                            .ldv = 32,
                            .scale = 1};
        size_t y_n = (size_t)b * 100 * 32, q_n = (size_t)b * 100 * 34, k_n = (size_t)b * 230 * 34,
               v_n = (size_t)b * 230 * 32;
        real *q = random_array(q_n), *k = random_array(k_n), *v = random_array(v_n),
             *dy = random_array(y_n);
        real *y = array(y_n), *lse = array(b * 200), *dq = array(q_n), *dk = array(k_n),
             *dv = array(v_n);
        SAME_BITS_FOR_ANY_THREADS(y_n, y, attention_forward(&s, q, k, v, y, lse));
        AttentionShape few = s;
        few.nq = 2;
        size_t few_n = (size_t)b * 2 * 32;
        SAME_BITS_FOR_ANY_THREADS(few_n, y, attention_forward(&few, q, k, v, y, lse));
        attention_forward(&s, q, k, v, y, lse);
        AttentionArrays a = {q, k, v, y, lse, dy};
        AttentionGradients d = {{dq, false}, {dk, false}, {dv, false}};
        SAME_BITS_FOR_ANY_THREADS(q_n, dq, attention_backward(&s, &a, &d));
        SAME_BITS_FOR_ANY_THREADS(k_n, dk, attention_backward(&s, &a, &d));
        SAME_BITS_FOR_ANY_THREADS(v_n, dv, attention_backward(&s, &a, &d));
        free_arrays();
    }
}
