/* test_tensor.c — the tape, its memory, parameters, and the messages of a wrong program. */
#include "testing.h"
#include "base/error.h"

#include <criterion/redirect.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

SUITE(tensor);

/* ---- the tape -------------------------------------------------------------------------------- */

/* y = w^2 x summed: does backward reach a parameter, and add when it is called again? */
Test(tensor, gradients_add_up_until_they_are_zeroed) {
    Params p = {0};
    Tape t = {0};
    Tensor *w = param(scope(&p, "layer"), "w", INIT_CONSTANT, 3, SHAPE(1));
    cr_assert_str_eq(w->name, "layer.w");
    for (int pass = 1; pass <= 2; pass++) {
        tape_reset(&t);
        backward(t_sum(t_mul(t_square(w->tape ? w : t_use(&t, w)), t_scalar(&t, 2))));
        cr_assert_float_eq(w->g[0], 12 * pass, 1e-5);
    }
    params_zero_grad(&p);
    cr_assert(!w->has_grad);
    tape_reset(&t);
    backward(t_sum(t_scale(t_use(&t, w), 5)));
    cr_assert_float_eq(w->g[0], 5, 1e-5, "a zeroed gradient must be overwritten, got %g",
                       (double)w->g[0]);
    tape_free(&t);
    params_free(&p);
}

/* Does a step allocate anything after the first? */
Test(tensor, a_repeated_step_asks_for_no_more_memory) {
    Params p = {0};
    Tape t = {0};
    Tensor *w = param(scope(&p, "w"), "w", INIT_NORMAL, 0.1, SHAPE(64, 64));
    size_t peak = 0;
    const void *first_x = NULL;
    for (int step = 0; step < 4; step++) {
        tape_reset(&t);
        params_zero_grad(&p);
        Tensor *x = t_input(&t, NULL, SHAPE(500, 64));
        k_fill(x->len, 1, x->x);
        if (step == 0) first_x = x->x;
        cr_assert_eq(x->x, first_x, "the tape starts at the same place each step");
        for (int i = 0; i < 5; i++) x = t_tanh(t_linear(x, w, NULL));
        backward(t_mean(x));
        if (step == 0) peak = t.values.peak;
        cr_assert_eq(t.values.peak, peak);
    }
    tape_free(&t);
    params_free(&p);
}

/* A chain of n activations: does the backward pass hold all n gradients, or a few? */
Test(tensor, backward_recycles_gradient_buffers) {
    Tape t = {0};
    enum { N = 20, LEN = 100000 };
    Tensor *x = t_variable(&t, NULL, SHAPE(1, LEN));
    k_fill(LEN, 1, x->x);
    Tensor *y = x;
    /* the values stay, and leave no room for gradients */
    for (int i = 0; i < N; i++) y = t_mul(y, y), t_keep(y);
    size_t forward = t.values.peak;
    backward(t_sum(y));
    size_t gradients = t.values.peak - forward;
    cr_assert_lt(gradients, 4 * LEN * sizeof(real), "%zu bytes for gradients of %zu each",
                 gradients, LEN * sizeof(real));
    cr_assert_not_null(x->g, "a variable keeps its gradient");
    tape_free(&t);
}

/* Does sampling record nothing? */
Test(tensor, a_tape_without_gradients_wants_none) {
    Params p = {0};
    Tape t = {.no_grad = true};
    Tensor *w = param(scope(&p, "a"), "w", INIT_CONSTANT, 1, SHAPE(2, 2));
    Tensor *y = t_linear(t_input(&t, (real[]){1, 2}, SHAPE(1, 2)), w, NULL);
    cr_assert(!y->wants_grad && !y->back);
    tape_reset(&t);
    cr_assert(t.no_grad, "tape_reset must not switch gradients on");
    tape_free(&t);
    params_free(&p);
}

/* Two networks, the second frozen, as in the generator's step of a GAN: who gets gradients? */
Test(tensor, a_frozen_network_passes_gradients_through) {
    Params g = {.seed = 1}, d = {.seed = 2};
    Tape t = {0};
    Tensor *wg = param(scope(&g, "g"), "w", INIT_NORMAL, 1, SHAPE(3, 3));
    Tensor *wd = param(scope(&d, "d"), "w", INIT_NORMAL, 1, SHAPE(3, 1));
    params_freeze(&d, true);
    Tensor *z = t_input(&t, (real[]){1, -1, 2}, SHAPE(1, 3));
    backward(t_sum(t_linear(t_linear(z, wg, NULL), wd, NULL)));
    cr_assert(wg->has_grad && !wd->has_grad);
    params_freeze(&d, false);
    cr_assert(wd->wants_grad);
    tape_free(&t);
    params_free(&g);
    params_free(&d);
}

/* Classifier guidance needs d score / d input, twice on one tape. */
Test(tensor, an_input_gets_its_gradient_and_two_losses_share_a_tape) {
    Tape t = {0};
    Tensor *x = t_variable(&t, (real[]){1, 2, 3}, SHAPE(1, 3));
    Tensor *square = t_square(x);
    t_keep(square);
    backward(t_sum(square));
    for (int i = 0; i < 3; i++) cr_assert_float_eq(x->g[i], 2 * x->x[i], 1e-6);
    backward(t_sum(t_scale(square, 2)));
    for (int i = 0; i < 3; i++) cr_assert_float_eq(x->g[i], 6 * x->x[i], 1e-5);
    tape_free(&t);
}

/* ---- how long values stay -------------------------------------------------------------------- */

/* Pieces of many sizes, taken and given back in disorder: does one ever lie in another, and is all
 * of the memory one block again in the end? */
Test(tensor, an_arena_gives_out_again_what_came_back) {
    enum { PIECES = 60 };
    Arena a = {0};
    unsigned char *piece[PIECES] = {0};
    size_t bytes[PIECES] = {0};
    Rng r = rng_new(5, "arena");
    for (int turn = 0; turn < 4000; turn++) {
        int i = (int)rng_below(&r, PIECES);
        if (piece[i]) {
            for (size_t k = 0; k < bytes[i]; k++) cr_assert_eq(piece[i][k], i);
            arena_give_back(&a, piece[i], bytes[i]);
            piece[i] = NULL;
        } else {
            bytes[i] = 1 + rng_below(&r, 3000);
            piece[i] = memset(arena_get(&a, bytes[i]), i, bytes[i]);
        }
    }
    for (int i = 0; i < PIECES; i++)
        if (piece[i]) arena_give_back(&a, piece[i], bytes[i]);
    cr_assert_eq(a.used, 0);
    cr_assert_lt(arena_extent(&a), 3 * a.peak / 2);
    size_t extent = arena_extent(&a);
    arena_give_back(&a, arena_get(&a, extent), extent);     /* all of it in one piece */
    cr_assert_eq(arena_extent(&a), extent);
    arena_free(&a);
}

/* Who is there after backward, and who is not? */
Test(tensor, backward_uses_up_what_is_not_kept) {
    Tape t = {0};
    Tensor *x = t_variable(&t, (real[]){1, 2, 3, 4}, SHAPE(2, 2));
    Tensor *square = t_square(x), *view = t_reshape(square, SHAPE(4, 1));
    Tensor *kept = t_exp(square), *aside = t_scale(x, 5), *part = t_sum(kept);
    t_keep(kept);
    Tensor *loss = t_add(part, t_sum(view));
    backward(loss);
    cr_assert_null(square->x);
    cr_assert_null(view->x, "a view of what is gone");
    cr_assert(x->x && kept->x && aside->x && part->x && loss->x);
    cr_assert_float_eq(kept->x[1], exp(4), 1e-3);
    tape_free(&t);
}

/* The discriminator's loss sees the fake through t_detach, the generator's sees it afterwards. */
Test(tensor, a_detached_tensor_outlives_the_first_of_two_losses) {
    Params g = {.seed = 1}, d = {.seed = 2};
    Tape t = {0};
    Tensor *wg = param(scope(&g, "g"), "w", INIT_NORMAL, 1, SHAPE(3, 3));
    Tensor *wd = param(scope(&d, "d"), "w", INIT_NORMAL, 1, SHAPE(3, 1));
    Tensor *fake = t_tanh(t_linear(t_input(&t, (real[]){1, -1, 2}, SHAPE(1, 3)), wg, NULL));
    backward(t_sum(t_square(t_linear(t_detach(fake), wd, NULL))));
    cr_assert(fake->x && wd->has_grad && !wg->has_grad);
    backward(t_sum(t_square(t_linear(fake, wd, NULL))));
    cr_assert(!fake->x && wg->has_grad);
    tape_free(&t);
    params_free(&g), params_free(&d);
}

/* Is an op computed over an operand that no backward pass reads, and another left alone? */
Test(tensor, an_op_is_computed_over_an_operand_that_nobody_reads) {
    Tape t = {0};
    Tensor *x = t_variable(&t, (real[]){-1, 2, 3, -4, 5, 6}, SHAPE(3, 2));
    Tensor *h = t_add_scalar(x, 1);
    const real *memory = h->x;
    Tensor *y = t_relu(h);
    cr_assert(y->x == memory && !h->x);
    Tensor *z = t_add_scalar(y, 1);                        /* relu's backward pass reads y */
    cr_assert(y->x == memory && z->x != memory);
    memory = z->x;
    Tensor *s = t_add(x, t_reshape(z, SHAPE(3, 2)));       /* a view of it; second operand */
    cr_assert(s->x == memory);
    cr_assert_float_eq(s->x[1], 6, 0);
    size_t used = t.values.used;
    t_sum(s);
    cr_assert_eq(t.values.used, used, "six numbers are gone, one has come, 64 bytes each");
    tape_free(&t);
}

/* C may evaluate either argument first. */
Test(tensor, a_sum_may_be_computed_over_what_its_other_operand_was_made_from) {
    Tape t = {0};
    for (int pass = 0; pass < 3; pass++) {
        tape_reset(&t);
        Tensor *h = t_add_scalar(t_variable(&t, (real[]){-1, 2}, SHAPE(1, 2)), 1);
        Tensor *y = t_add(h, t_exp(h));
        cr_assert_float_eq(y->x[1], 3 + exp(3), 1e-4);
        h = t_scale(y, 2);
        const real *memory = h->x;
        y = t_add(h, h);                                   /* both operands */
        cr_assert(y->x == memory);
        cr_assert_float_eq(y->x[0], 4, 1e-6);
    }
    tape_free(&t);
}

/* A value that was dropped too early is computed again. Does the next pass know, and keep it? */
Test(tensor, a_wrong_guess_is_made_once) {
    Tape t = {0};
    for (int pass = 0; pass < 3; pass++) {
        tape_reset(&t);
        Tensor *x = t_variable(&t, (real[]){-1, 2, 3, 0.5}, SHAPE(2, 2));
        Tensor *over = t_scale(x, 3), *cheap = t_silu(x);
        real first[4], second[4];
        memcpy(first, over->x, sizeof first), memcpy(second, cheap->x, sizeof second);
        Tensor *a = t_exp(over), *b = t_square(cheap);
        cr_assert_eq(!over->x, pass == 0);
        cr_assert_eq(!cheap->x, pass == 0);
        Tensor *c = t_abs(over), *d = t_softplus(cheap);
        cr_assert(over->x && !cheap->x, "softplus was its last op, abs reads its operand");
        cr_assert_arr_eq(over->x, first, sizeof first);
        backward(t_add(t_add(t_sum(a), t_sum(b)), t_add(t_sum(c), t_sum(d))));
        for (int i = 0; i < 4; i++) {
            double v = (double)x->x[i], sig = 1 / (1 + exp(-v)), silu = v * sig;
            double by_over = 3 * exp(3 * v) + (v > 0 ? 3 : -3);
            double by_cheap = (2 * silu + 1 / (1 + exp(-silu))) * sig * (1 + v * (1 - sig));
            cr_expect_float_eq((double)second[i], silu, 1e-6);
            cr_expect_float_eq((double)x->g[i] / (by_over + by_cheap), 1, 1e-5, "pass %d: %g", pass,
                               (double)x->g[i]);
        }
    }
    tape_free(&t);
}

/* A program prints losses and what they are means of, at any time. */
Test(tensor, one_number_per_item_stays) {
    Tape t = {0};
    Tensor *x = t_variable(&t, (real[]){1, 2, 3, 4, 5, 6}, SHAPE(3, 2));
    Tensor *each = t_sum_axis(x, 1), *scaled = t_scale(each, 2), *loss = t_mean(t_exp(scaled));
    cr_assert(each->x && scaled->x && scaled->x != each->x);
    backward(loss);
    cr_assert(each->x && scaled->x && loss->x);
    cr_assert_float_eq(scaled->x[2], 22, 0);
    tape_free(&t);
}

/* Does t_keep bring back what has been dropped, and hold it? */
Test(tensor, what_is_kept_can_be_read_at_any_time) {
    Tape t = {0};
    Tensor *x = t_variable(&t, (real[]){1, 2, 3, 4}, SHAPE(2, 2));
    Tensor *h = t_silu(x), *y = t_scale(h, 2);
    cr_assert_null(h->x);
    t_keep(h);
    cr_assert_float_eq(h->x[1], 2 / (1 + exp(-2)), 1e-6);
    t_square(h), t_exp(h);
    cr_assert_not_null(h->x);
    backward(t_sum(y));
    cr_assert_float_eq(h->x[1], 2 / (1 + exp(-2)), 1e-6);
    tape_free(&t);
}

/* Forty cheap ops in a row: are they computed again a few at a time, neither each from the start
 * nor all at once? */
Test(tensor, a_long_row_of_cheap_ops_is_kept_here_and_there) {
    enum { N = 40, LEN = 5000 };
    Tape t = {0};
    Tensor *x = t_variable(&t, NULL, SHAPE(1, LEN)), *y = x;
    k_fill(LEN, 1, x->x);
    for (int i = 0; i < N; i++) y = t_silu(y);
    size_t forward = t.values.peak / (LEN * sizeof(real));
    cr_expect(N / 5 <= forward && forward <= N / 2, "%zu arrays", forward);
    backward(t_sum(y));
    size_t all = t.values.peak / (LEN * sizeof(real));
    cr_expect_leq(all, forward + 6, "%zu arrays, %zu forward", all, forward);
    tape_free(&t);
}

/* Without gradients a program may read all values, except those that a block has made on the way.
 * Is its result there even if the block itself used it last? */
Test(tensor, a_block_leaves_its_result_and_nothing_else) {
    Tape t = {.no_grad = true};
    for (int pass = 0; pass < 2; pass++) {
        tape_reset(&t);
        Tensor *x = t_input(&t, (real[]){1, 2, 3, 4}, SHAPE(2, 2)), *before = t_scale(x, 2);
        Mark block = t_mark(&t);
        Tensor *inside = t_softmax(before), *result = t_silu(inside);
        Mark inner = t_mark(&t);
        Tensor *deep = t_scale(t_square(result), 2);
        cr_expect_eq(!result->x, pass == 0, "square seemed to be the last to use it");
        Tensor *unused = t_release(inner, t_exp(deep));
        cr_expect(!deep->x && unused->x);
        cr_expect_eq(t_release(block, t_reshape(result, SHAPE(4, 1)))->view_of, result);
        cr_expect(result->x && before->x && !inside->x && !unused->x);
        cr_expect_float_eq((double)result->x[1], 0.880797 / (1 + exp(-0.880797)), 1e-5);
        Tensor *after = t_scale(result, 3);
        t_scale(after, 2);
        cr_expect(result->x && after->x && after->x != result->x);
        block = t_mark(&t);
        Tensor *doubled = t_release(block, t_scale(x, 2));   /* could be had again from x */
        t_scale(doubled, 2);
        cr_expect(doubled->x);
    }
    tape_free(&t);
}

/* With gradients a block changes nothing. */
Test(tensor, a_block_is_nothing_when_gradients_are_recorded) {
    size_t peak[2];
    for (int blocks = 0; blocks < 2; blocks++) {
        Tape t = {0};
        Tensor *x = t_variable(&t, NULL, SHAPE(20, 20));
        k_fill(x->len, 0.5, x->x);
        for (int i = 0; i < 5; i++) {
            Mark m = t_mark(&t);
            Tensor *y = t_add(t_softmax(x), x);
            x = blocks ? t_release(m, y) : y;
        }
        backward(t_sum(t_square(x)));
        peak[blocks] = t.values.peak;
        tape_free(&t);
    }
    cr_expect_eq(peak[0], peak[1]);
}

/* A network with everything kept, and left to the library: the same bits in less memory, in the
 * first pass and in those that know when a value is used last? */
static Tensor *network_loss(Tape *t, Tensor *w, bool keep) {
    Rng r = rng_new(1, "dropout");
    t->dropout = &r;
    Tensor *x = t_input(t, NULL, SHAPE(300, 24));
    test_values("network", -1, 1, x->len, x->x);
    for (int i = 0; i < 4; i++) {
        Tensor *h = t_linear(t_layer_norm(x, NULL, NULL, 1e-5), w, NULL);
        h = t_linear(t_gelu(t_group_norm_silu(h, NULL, NULL, 3, 1e-5)), w, NULL);
        Tensor *wide = t_concat(h, x, 1);
        Tensor *sum = t_add(t_slice(wide, 1, 0, 24), t_square(t_slice(wide, 1, 24, 24)));
        x = t_add(x, t_dropout(sum, 0.2));
        for (Tensor *y = t->last; keep && y; y = y->prev) t_keep(y);
    }
    t->dropout = NULL;
    return t_mean(t_square(x));
}

static double network_checksum(bool keep, int passes, size_t *peak) {
    Params p = {.seed = 3};
    Tape t = {0};
    Tensor *w = param(scope(&p, "w"), "w", INIT_NORMAL, 0.3, SHAPE(24, 24));
    double sum = 0;
    for (int pass = 0; pass < passes; pass++) {
        tape_reset(&t);
        params_zero_grad(&p);
        Tensor *loss = network_loss(&t, w, keep);
        backward(loss);
        sum = (double)loss->x[0];
        for (size_t i = 0; i < w->len; i++) sum += (double)w->g[i] * (double)(i % 13 + 1);
    }
    *peak = t.values.peak;
    tape_free(&t);
    params_free(&p);
    return sum;
}

Test(tensor, dropping_values_changes_memory_and_no_bit) {
    size_t all, lean;
    double expected = network_checksum(true, 1, &all);
    for (int passes = 1; passes <= 3; passes++) {
        cr_assert_eq(network_checksum(false, passes, &lean), expected);
        cr_assert_lt(lean, all * 2 / 3, "%zu bytes, %zu when everything is kept", lean, all);
    }
}

/* Does dropout do nothing on a tape without random numbers, and go on in them otherwise? */
Test(tensor, dropout_draws_from_its_tape) {
    Rng r = rng_new(1, "dropout");
    Tape t = {0};
    Tensor *x = t_variable(&t, NULL, SHAPE(10, 10));
    k_fill(x->len, 1, x->x);
    cr_assert_eq(t_dropout(x, 0.5), x);
    t.dropout = &r;
    cr_assert_eq(t_dropout(x, 0), x);
    cr_assert_eq(r.next, 0);
    Tensor *a = t_dropout(x, 0.5), *b = t_dropout(x, 0.5);
    cr_assert_eq(r.next, 200);
    cr_assert_neq(memcmp(a->x, b->x, 100 * sizeof(real)), 0);
    tape_reset(&t);
    cr_assert_eq(t.dropout, &r);
    tape_free(&t);
}

/* ---- parameters ------------------------------------------------------------------------------ */

/* Would adding a layer change the others' first values? */
Test(tensor, first_values_depend_on_seed_and_name_alone) {
    Params a = {.seed = 5}, b = {.seed = 5}, c = {.seed = 6};
    Tensor *wa = param(scope(&a, "x"), "w", INIT_NORMAL, 1, SHAPE(9));
    param(scope(&b, "before"), "w", INIT_NORMAL, 1, SHAPE(100));
    Tensor *wb = param(scope(&b, "x"), "w", INIT_NORMAL, 1, SHAPE(9));
    Tensor *wc = param(scope(&c, "x"), "w", INIT_NORMAL, 1, SHAPE(9));
    cr_assert_arr_eq(wa->x, wb->x, sizeof(real) * 9);
    cr_assert_neq(wa->x[0], wc->x[0]);
    cr_assert_neq(params_find(&b, "before.w")->x[0], wb->x[0]);
    cr_assert_null(params_find(&a, "before.w"));
    cr_assert_eq(params_count(&b), 109);
    params_free(&a), params_free(&b), params_free(&c);
}

Test(tensor, buffers_are_not_counted_and_never_trained) {
    Params p = {0};
    Tensor *m = buffer(scope(&p, "bn"), "mean", 2, SHAPE(4));
    cr_assert_eq(params_count(&p), 0);
    params_freeze(&p, false);
    cr_assert(!m->wants_grad);
    cr_assert_float_eq(m->x[3], 2, 0);
    params_free(&p);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* A value worked out by hand for the ops whose meaning a table of gradients cannot show. */
Test(tensor, ops_mean_what_their_names_say) {
    Tape t = {0};
    Tensor *x = t_input(&t, (real[]){1, 2, 3, 4, 5, 6}, SHAPE(2, 3));
    cr_assert_float_eq(t_permute(x, 2, (int[]){1, 0})->x[1], 4, 0);
    cr_assert_float_eq(t_concat(x, x, 1)->x[3], 1, 0);
    cr_assert_float_eq(t_slice(x, 1, 1, 2)->x[2], 5, 0);
    cr_assert_float_eq(t_pad(x, 0, 1, 0)->x[3], 1, 0);
    cr_assert_float_eq(t_sum_axis(x, 0)->x[2], 9, 0);
    cr_assert_float_eq(t_mean_axis(x, 1)->x[1], 5, 1e-6);
    cr_assert_float_eq(t_max_axis(x, 1)->x[1], 6, 0);
    cr_assert_float_eq(t_add(x, t_input(&t, (real[]){10, 20}, SHAPE(2, 1)))->x[5], 26, 0);
    cr_assert_float_eq(t_mse(x, t_scale(x, 2))->x[0], 91.0 / 6, 1e-5);
    cr_assert_float_eq(
        t_cross_entropy(t_input(&t, (real[]){0, 0, 0}, SHAPE(1, 3)), (int[]){1})->x[0], log(3),
        1e-6);
    cr_assert_float_eq(t_bce_logits(t_input(&t, (real[]){0}, SHAPE(1)), t_scalar(&t, 0.3))->x[0],
                       log(2), 1e-6);
    /* one query with four channels and two keys: scores 2 and 0, of which softmax takes the half */
    Tensor *q = t_input(&t, (real[]){1, 1, 0, 0}, SHAPE(1, 1, 4));
    Tensor *k = t_input(&t, (real[]){1, 1, 0, 0, 0, 0, 5, 5}, SHAPE(1, 2, 4));
    Tensor *v = t_input(&t, (real[]){1, 0}, SHAPE(1, 2, 1));
    cr_assert_float_eq(t_attention(q, k, v, (Attention){.heads = 1})->x[0], 1 / (1 + exp(-1)), 1e-6);
    tape_free(&t);
}

/* The same step on 1, 2 and 3 threads: the same bits? */
static double step_checksum(int threads) {
    threads_set(threads);
    Params p = {.seed = 3};
    Tape t = {0};
    Tensor *w = param(scope(&p, "conv"), "w", INIT_NORMAL, 0.1, SHAPE(3, 3, 5, 19));
    Tensor *v = param(scope(&p, "out"), "w", INIT_NORMAL, 0.1, SHAPE(19, 7));
    Tensor *x = t_input(&t, NULL, SHAPE(5, 9, 9, 5));
    test_values("bits", -1, 1, x->len, x->x);
    Tensor *y =
        t_group_norm_silu(t_conv2d(x, w, NULL, (ConvPad){1, 1, 1, 1, 1}), NULL, NULL, 1, 1e-5);
    backward(t_mean(t_square(t_linear(y, v, NULL))));
    double sum = 0;
    for (size_t i = 0; i < w->len; i++) sum += (double)w->g[i] * (double)(i % 13 + 1);
    for (size_t i = 0; i < v->len; i++) sum += (double)v->g[i] * (double)(i % 11 + 1);
    tape_free(&t);
    params_free(&p);
    return sum;
}

Test(tensor, the_same_bits_for_any_number_of_threads) {
    double one = step_checksum(1);
    cr_assert_eq(step_checksum(2), one);
    cr_assert_eq(step_checksum(3), one);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* what `mistake` prints on stderr before it aborts */
static const char *message_of(void (*mistake)(Tape *t, Params *p)) {
    static char text[600];
    int fd[2], status;
    cr_assert_eq(pipe(fd), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(fd[1], 2);
        signal(SIGABRT, SIG_DFL);
        Tape t = {0};
        Params p = {0};
        mistake(&t, &p);
        _exit(0);
    }
    close(fd[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(fd[0], text + n, sizeof text - 1 - n)) > 0;) n += (size_t)got;
    text[n] = 0;
    close(fd[0]);
    waitpid(child, &status, 0);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "it did not abort; it said: %s",
              text);
    return text;
}

#define MISTAKE(name, ...)                        \
    static void name(Tape *t, Params *p) {        \
        (void)t, (void)p;                         \
        __VA_ARGS__;                              \
    }
#define ONES(...) t_input(t, NULL, SHAPE(__VA_ARGS__))
#define WEIGHT(name, ...) param(scope(p, name), "w", INIT_CONSTANT, 1, SHAPE(__VA_ARGS__))

MISTAKE(wrong_channels,
        t_group_norm(ONES(2, 4, 4, 12), WEIGHT("down.1.norm1", 8), WEIGHT("s", 12), 4, 1e-5))
MISTAKE(wrong_features, t_linear(ONES(2, 5), WEIGHT("head", 4, 3), NULL))
MISTAKE(wrong_conv,
        t_conv2d(ONES(1, 8, 8, 3), WEIGHT("stem", 3, 3, 1, 16), NULL, (ConvPad){1, 1, 1, 1, 1}))
MISTAKE(no_broadcast, t_add(ONES(2, 3), ONES(4)))
MISTAKE(no_scalar, backward(t_exp(t_variable(t, NULL, SHAPE(3)))))
MISTAKE(no_gradient, backward(t_sum(ONES(3))))
MISTAKE(not_on_tape, t_exp(WEIGHT("w", 3)))
MISTAKE(name_taken, WEIGHT("w", 3); WEIGHT("w", 3))
MISTAKE(bad_reshape, t_reshape(ONES(2, 3), SHAPE(4, -1)))
MISTAKE(bad_index, t_gather_rows(ONES(2, 3), (int[]){0, 2}, 2))
MISTAKE(two_tapes, Tape other = {0}; t_add(ONES(3), t_input(&other, NULL, SHAPE(3))))

#define VARIABLE(...) t_variable(t, NULL, SHAPE(__VA_ARGS__))
MISTAKE(released, t->no_grad = true; Mark m = t_mark(t); Tensor *h = t_exp(VARIABLE(3, 2));
        t_release(m, t_square(h)); t_sum(h))
MISTAKE(view_of_released, t->no_grad = true; Mark m = t_mark(t); Tensor *h = t_exp(VARIABLE(3, 2));
        Tensor *v = t_reshape(h, SHAPE(2, 3)); t_release(m, t_square(h)); t_sum(v))
MISTAKE(used_up, Tensor *h = t_exp(VARIABLE(3, 2)); backward(t_sum(h)); t_square(h))
MISTAKE(used_up_and_dropped, Tensor *h = t_silu(VARIABLE(3, 2)); Tensor *a = t_sum(t_square(h));
        backward(a); t_square(h))
MISTAKE(two_losses, Tensor *h = t_exp(VARIABLE(3, 2)); Tensor *a = t_sum(t_square(h));
        Tensor *b = t_sum(h); backward(b); backward(a))
MISTAKE(twice_backward, Tensor *a = t_sum(t_square(t_exp(VARIABLE(3, 2)))); backward(a);
        backward(a))
MISTAKE(kept_too_late, Tensor *h = t_exp(VARIABLE(3, 2)); backward(t_sum(h)); t_keep(h))
MISTAKE(negative_slope, t_leaky_relu(VARIABLE(3), -1))

Test(tensor, a_wrong_program_aborts_with_op_operands_and_shapes) {
    static const struct {
        void (*mistake)(Tape *, Params *);
        const char *says;
    } cases[] = {
        {wrong_channels,
         "group_norm: input (2,4,4,12) has 12 channels but down.1.norm1.w (8) scales 8\n"},
        {wrong_features, "linear: input (2,5) has 5 features but head.w (4,3) takes 4\n"},
        {wrong_conv, "conv2d: input (1,8,8,3) has 3 channels but stem.w (3,3,1,16) takes 1\n"},
        {no_broadcast,
         "add: input (2,3) and input (4) do not broadcast: axis 1 from the end is 3 and 4\n"},
        {no_scalar, "backward: exp (3) is no scalar; use t_sum or t_mean\n"},
        {no_gradient, "backward: sum (1) depends on nothing that wants a gradient\n"},
        {not_on_tape,
         "exp: no operand is on a tape; begin with t_input, or t_use for a parameter\n"},
        {name_taken, "param: the name w.w is taken\n"},
        {bad_reshape, "reshape: input (2,3) has 6 numbers, the new shape a multiple of 4\n"},
        {bad_index, "gather_rows: index 1 is 2 but input (2,3) has rows 0 to 1\n"},
        {two_tapes, "add: operand input (3) is on another tape\n"},
        {released, "sum: the values of exp (3,2) were released at the end of the block that made "
                   "them\n"},
        {view_of_released, "sum: the values of reshape (2,3) were released at the end of the block "
                           "that made them\n"},
        {used_up,
         "square: the values of exp (3,2) were used up by backward(); t_keep() keeps them\n"},
        {used_up_and_dropped,
         "square: the values of silu (3,2) were used up by backward(); t_keep() keeps them\n"},
        {two_losses, "backward: exp (3,2) was used up by an earlier backward(); t_keep() keeps "
                     "what two losses share\n"},
        {twice_backward, "backward: exp (3,2) was used up by an earlier backward(); t_keep() keeps "
                         "what two losses share\n"},
        {kept_too_late, "t_keep: exp (3,2) is gone already; keep it before backward()\n"},
        {negative_slope, "leaky_relu: the slope is -1; 0 or more\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(message_of(cases[i].mistake), cases[i].says);
}

#ifdef CHECK_FINITE
MISTAKE(bad_log, t_exp(t_log(t_input(t, (real[]){1, -1}, SHAPE(2)))))
Test(tensor, a_checking_build_stops_where_the_first_nan_is_born) {
    const char *says = message_of(bad_log);
    cr_assert(strstr(says, "log (2): value 1 is") && strstr(says, "operands input (2)"), "%s",
              says);
}
#endif

/* ---- the other two kinds of stop: exit codes, one line --------------------------------------- */

Test(tensor, a_wrong_world_exits_with_1, .exit_code = 1) {
    fail("data.idx: expected 16 bytes, found 3");
}

Test(tensor, a_wrong_command_line_exits_with_2, .exit_code = 2) {
    usage_error("--steps -1: expected 0 or more");
}
