/* test_noisy_clip.c — CLIP guidance: the loss that trains the noisy encoder, the gradient that
 * steers. */
#include "noisy_clip.h"
#include "testing.h"

#include <math.h>
#include <string.h>

SUITE(noisy_clip);

enum { N = 4, SIDE = 6, DIM = 5, T = 20, SIZE = SIDE * SIDE * 3 };

static const int groups[N] = {0, 1, 0, 3};

/* a small encoder, captions' features, and as much of a CLIP as the loss asks for */
typedef struct {
    Params params, clip_params;
    ClipImage net;
    FrozenClip clip;
    Tensor *xt;                          /* a parameter, for its gradient */
    real text[N * DIM];
} Case;

static void case_new(Case *c) {
    *c = (Case){.params = {.seed = 1}};
    c->net = clip_image_new(scope(&c->params, "image"),
                            (ClipImageConfig){.side = SIDE, .patch = 3, .width = 8, .depth = 1,
                                              .heads = 2, .timesteps = T}, DIM);
    move_params(&c->params, 0.1);
    c->xt = param(scope(&c->params, "in"), "xt", INIT_NORMAL, 1, SHAPE(N, SIDE, SIDE, 3));
    c->clip.net.logit_scale = param((Scope){.params = &c->clip_params}, "scale", INIT_CONSTANT,
                                    log(3), SHAPE(1));
    params_freeze(&c->clip_params, true);
    test_values("text", -1, 1, N * DIM, c->text);
    for (int i = 0; i < N; i++) {
        double length = 0;
        for (int d = 0; d < DIM; d++) length += pow((double)c->text[i * DIM + d], 2);
        for (int d = 0; d < DIM; d++) c->text[i * DIM + d] /= (real)sqrt(length);
    }
}

static void case_free(Case *c) {
    params_free(&c->params), params_free(&c->clip_params);
}

#ifdef REAL_DOUBLE
static Tensor *loss_of(Tape *t, void *context) {
    Case *c = context;
    const int times[N] = {3, 17, 3, 0};
    Tensor *image = clip_normalise(clip_image(&c->net, t_use(t, c->xt), times));
    return noisy_clip_loss(&c->clip, image, t_input(t, c->text, SHAPE(N, DIM)), groups, NULL);
}

Test(noisy_clip, gradients_agree_with_central_differences) {
    Case c;
    case_new(&c);
    double error = gradient_error(&c.params, loss_of, &c, 20);
    cr_expect(error < 1e-6, "%g", error);
    case_free(&c);
}
#endif

/* Is a picture right where its own caption, or one that says the same, fits it best? */
Test(noisy_clip, a_caption_that_says_the_same_is_right) {
    Case c;
    case_new(&c);
    Tape t = {.no_grad = true};
    const real images[N * 2] = {1, 0, 0, 1, 1, 0, 0, -1};
    const real texts[N * 2] = {0.6, 0.8, 0, 1, 1, 0, 0, -1};
    double right[N];
    noisy_clip_loss(&c.clip, t_input(&t, images, SHAPE(N, 2)), t_input(&t, texts, SHAPE(N, 2)),
                    groups, right);
    const double expected[N] = {1, 1, 1, 1}, alone[N] = {0, 1, 1, 1};
    cr_expect_arr_eq(right, expected, sizeof right, "the third caption says what the first does");
    noisy_clip_loss(&c.clip, t_input(&t, images, SHAPE(N, 2)), t_input(&t, texts, SHAPE(N, 2)),
                    (const int[]){0, 1, 2, 3}, right);
    cr_expect_arr_eq(right, alone, sizeof right);
    tape_free(&t);
    case_free(&c);
}

/* ---- what steers ----------------------------------------------------------------------------- */

static Step step_at(const NoiseSchedule *s, int t, int first, int n, Tape *tape) {
    return (Step){.schedule = s, .t = t, .first = first, .n = n, .height = SIDE, .width = SIDE,
                  .channels = 3, .tape = tape};
}

/* scale f(x_t, t) g(c) of picture i */
static double fit(const Case *c, int i, int t, const real *xt) {
    Tape tape = {.no_grad = true};
    Tensor *x = t_input(&tape, xt, SHAPE(1, SIDE, SIDE, 3));
    Tensor *f = clip_normalise(clip_image(&c->net, x, &t));
    double sum = 0;
    for (int d = 0; d < DIM; d++) sum += (double)f->x[d] * (double)c->text[i * DIM + d];
    tape_free(&tape);
    return 7 * sum;
}

/* Each picture is pushed by the gradient of how well it fits its own caption, at the times of the
 * original chain, whatever is drawn beside it. */
Test(noisy_clip, a_picture_is_pushed_towards_its_own_caption) {
    Case c;
    case_new(&c);
    Tape tape = {0}, none = {.no_grad = true};
    NoiseSchedule all = schedule_cosine(T), few = schedule_respaced(&all, "4");
    ClipGuide guide = clip_guide(&c.net, c.text, 7, &tape);
    real gradient[N * SIZE], alone[SIZE], xt[N * SIZE];
    memcpy(xt, c.xt->x, sizeof xt);
    Step at = step_at(&few, 2, 0, N, &none), third = step_at(&few, 2, 2, 1, &none);
    guide_gradient(&guide, &at, xt, gradient);
    guide_gradient(&guide, &third, xt + 2 * SIZE, alone);
    double h = sizeof(real) == 8 ? 1e-5 : 3e-3, worst = 0, largest = 0;
    for (int k = 0; k < SIZE; k++) {
        cr_assert_float_eq((double)alone[k], (double)gradient[2 * SIZE + k], 1e-5);
        real *x = xt + 2 * SIZE + k, was = *x;
        *x = was + (real)h;
        double up = fit(&c, 2, few.step[2], xt + 2 * SIZE);
        *x = was - (real)h;
        double down = fit(&c, 2, few.step[2], xt + 2 * SIZE);
        *x = was;
        worst = fmax(worst, fabs((up - down) / (2 * h) - (double)alone[k]));
        largest = fmax(largest, fabs((double)alone[k]));
    }
    cr_expect(worst < (sizeof(real) == 8 ? 1e-6 : 2e-2) * largest, "%g of %g", worst, largest);
    schedule_free(&few), schedule_free(&all);
    tape_free(&tape), tape_free(&none);
    case_free(&c);
}
