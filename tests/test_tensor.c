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
    /* cannot be done in place */
    for (int i = 0; i < N; i++) y = t_group_norm(y, NULL, NULL, 1, 1e-5);
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
    Tensor *x = t_variable(&t, (real[]){1, 2, 3}, SHAPE(3));
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
    Tensor *x = t_variable(&t, (real[]){1, 2, 3}, SHAPE(3));
    Tensor *square = t_square(x), *view = t_reshape(square, SHAPE(3, 1));
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

/* Is a given tensor computed over when no backward pass reads it, and left alone when one does? */
Test(tensor, a_given_tensor_is_computed_over_unless_it_is_read) {
    Tape t = {0};
    Tensor *x = t_variable(&t, (real[]){-1, 2, 3}, SHAPE(3));
    Tensor *h = t_add_scalar(x, 1);
    const real *memory = h->x;
    Tensor *y = t_relu(t_give(h));
    cr_assert(y->x == memory && !h->x);
    Tensor *z = t_add_scalar(t_give(y), 1);                /* relu's backward pass reads y */
    cr_assert(y->x == memory && z->x != memory && t.given_in_vain == 1);
    memory = z->x;
    Tensor *s = t_add(x, t_reshape(t_give(z), SHAPE(3)));  /* a view of it; second operand */
    cr_assert(s->x == memory);
    cr_assert_float_eq(s->x[1], 6, 0);
    size_t used = t.values.used;
    t_sum(t_give(s));
    cr_assert_eq(t.values.used, used, "three numbers are gone, one has come, 64 bytes each");
    tape_free(&t);
}

/* Where gradients are recorded a last use leaves alone what they read; else it gives. */
Test(tensor, a_last_use_gives_where_no_gradient_is_recorded) {
    for (int no_grad = 0; no_grad < 2; no_grad++) {
        Tape t = {.no_grad = no_grad};
        Tensor *h = t_add_scalar(t_variable(&t, (real[]){-1, 2}, SHAPE(2)), 1);
        const real *memory = h->x;
        Tensor *y = t_exp(t_last_use(h));
        cr_expect_eq(y->x == memory, no_grad);
        cr_expect_eq(!h->x, no_grad);
        cr_expect_eq(t.given_in_vain, 0);
        tape_free(&t);
    }
    Params p = {.seed = 1};
    Tensor *w = param(scope(&p, "w"), "w", INIT_NORMAL, 1, SHAPE(2));
    cr_expect_eq(t_last_use(w), w, "a parameter is nobody's to give");
    params_free(&p);
}

/* C may evaluate either argument first. */
Test(tensor, a_tensor_may_be_given_to_the_sum_that_another_operand_was_made_from) {
    Tape t = {0};
    Tensor *h = t_add_scalar(t_variable(&t, (real[]){-1, 2}, SHAPE(2)), 1);
    const real *memory = h->x;
    Tensor *y = t_add(t_give(h), t_exp(h));
    cr_assert(y->x == memory);
    cr_assert_float_eq(y->x[1], 3 + exp(3), 1e-4);
    h = t_scale(y, 2);
    memory = h->x;
    y = t_add(t_give(h), h);                               /* both operands */
    cr_assert(y->x == memory);
    cr_assert_float_eq(y->x[0], 4, 1e-6);
    tape_free(&t);
}

/* A network with everything kept, and with everything given away or computed twice: the same bits,
 * in less memory? */
static double network_checksum(bool lean, size_t *peak) {
    Params p = {.seed = 3};
    Tape t = {0};
    Rng r = rng_new(1, "dropout");
    Tensor *w = param(scope(&p, "w"), "w", INIT_NORMAL, 0.3, SHAPE(24, 24));
    Tensor *x = t_input(&t, NULL, SHAPE(300, 24));
    test_values("network", -1, 1, x->len, x->x);
#define GIVE(x) (lean ? t_give(x) : (x))
#define BRIEF(x) (lean ? t_brief(x) : (x))
    for (int i = 0; i < 4; i++) {
        Tensor *h = t_linear(BRIEF(t_layer_norm(x, NULL, NULL, 1e-5)), w, NULL);
        h = t_linear(BRIEF(t_gelu(BRIEF(t_group_norm_silu(h, NULL, NULL, 3, 1e-5)))), w, NULL);
        Tensor *wide = t_concat(h, x, 1);
        Tensor *sum = t_add(t_slice(wide, 1, 0, 24), t_square(t_slice(wide, 1, 24, 24)));
        if (lean) t_drop(wide);
        h = t_dropout(GIVE(sum), 0.2, &r);
        x = t_add(GIVE(x), GIVE(h));
    }
    Tensor *loss = t_mean(t_square(x));
    backward(loss);
    double sum = (double)loss->x[0];
    for (size_t i = 0; i < w->len; i++) sum += (double)w->g[i] * (double)(i % 13 + 1);
    *peak = t.values.peak;
    tape_free(&t);
    params_free(&p);
    return sum;
}

Test(tensor, giving_and_dropping_values_changes_memory_and_no_bit) {
    size_t all, lean;
    double expected = network_checksum(false, &all);
    cr_assert_eq(network_checksum(true, &lean), expected);
    cr_assert_lt(lean, all * 2 / 3, "%zu bytes, %zu when everything is kept", lean, all);
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

#define VARIABLE(n) t_variable(t, NULL, SHAPE(n))
MISTAKE(given_twice, Tensor *h = t_scale(VARIABLE(3), 2); t_relu(t_give(h)); t_exp(h))
MISTAKE(handle_twice, Tensor *h = t_give(t_scale(VARIABLE(3), 2)); t_relu(h); t_exp(h))
MISTAKE(view_of_given, Tensor *h = t_scale(VARIABLE(3), 2), *v = t_reshape(h, SHAPE(3, 1));
        t_relu(t_give(h)); t_exp(v))
MISTAKE(dropped, Tensor *h = t_exp(VARIABLE(3)); t_square(t_brief(h)); t_sum(h))
MISTAKE(used_up, Tensor *h = t_exp(VARIABLE(3)); backward(t_sum(h)); t_square(h))
MISTAKE(two_losses, Tensor *h = t_exp(VARIABLE(3)); Tensor *a = t_sum(t_square(h));
        Tensor *b = t_sum(h); backward(b); backward(a))
MISTAKE(twice_backward, Tensor *a = t_sum(t_square(t_exp(VARIABLE(3)))); backward(a); backward(a))
MISTAKE(parameter_given, t_add(VARIABLE(3), t_give(WEIGHT("v", 3))))
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
        {given_twice, "exp: the values of scale (3) were given to an earlier op or dropped\n"},
        {handle_twice, "exp: the values of scale (3) were given to an earlier op or dropped\n"},
        {view_of_given,
         "exp: the values of reshape (3,1) were given to an earlier op or dropped\n"},
        {dropped, "sum: the values of exp (3) were given to an earlier op or dropped\n"},
        {used_up,
         "square: the values of exp (3) were used up by backward(); t_keep() keeps them\n"},
        {two_losses, "backward: exp (3) was used up by an earlier backward(); t_keep() keeps what "
                     "two losses share\n"},
        {twice_backward, "backward: exp (3) was used up by an earlier backward(); t_keep() keeps "
                         "what two losses share\n"},
        {parameter_given, "t_give: v.w (3) is a parameter\n"},
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
