/* test_unet_parts.c — what stands beside the U-Net: the noisy classifier, the text transformer,
 * the spatial transformer, bilinear resizing. */
#include "nn/resize.h"
#include "nn/spatial_transformer.h"
#include "nn/text_transformer.h"
#include "nn/unet_classifier.h"
#include "testing.h"

#include <math.h>
#include <signal.h>

SUITE(unet_parts);

#ifdef REAL_DOUBLE
static Tensor *weighted_sum(Tensor *y) {
    Tensor *c = t_input(y->tape, NULL, y->rank, y->shape);
    test_values("cotangent", -1, 1, c->len, c->x);
    return t_sum(t_mul(y, c));
}
#endif

/* ---- classifier ------------------------------------------------------------------------------ */

enum { BATCH = 2, SIDE = 6, CLASSES = 5, EMB = 7 };

static const UNetConfig config = {
    .in = 2, .out = CLASSES, .width = 4, .levels = 2, .multiplier = {1, 3},
    .attends = {false, true}, .blocks = 1, .head_channels = 4, .resampling = RESAMPLE_RESBLOCK,
    .style = {.groups = 2, .eps = 1e-5, .scale_shift = true, .emb = EMB}};

typedef struct {
    UNetClassifier net;
    Tensor *x, *emb;             /* parameters, for their gradients */
} Subject;

static Subject subject_of(Params *p) {
    Subject s = {.net = unet_classifier_new(p, config, SIDE)};
    s.x = param(scope(p, "given"), "x", INIT_NORMAL, 1, SHAPE(BATCH, SIDE, SIDE, 2));
    s.emb = param(scope(p, "given"), "emb", INIT_NORMAL, 1, SHAPE(BATCH, EMB));
    move_params(p, 0.3);
    return s;
}

static Tensor *logits_of(Tape *t, const Subject *s) {
    return unet_classifier(&s->net, t_use(t, s->x), t_use(t, s->emb));
}

#ifdef REAL_DOUBLE
static Tensor *classifier_loss(Tape *t, void *context) {
    return weighted_sum(logits_of(t, context));
}

Test(unet_parts, gradients_of_the_classifier) {
    Params p = {.seed = 3};
    Subject s = subject_of(&p);
    double error = gradient_error(&p, classifier_loss, &s, 5);
    cr_expect(error <= 1e-6, "relative error %g", error);
    params_free(&p);
}
#endif

Test(unet_parts, a_classifier_sees_one_image_at_a_time) {
    Params p = {.seed = 3};
    Tape t = {.no_grad = true};
    Subject s = subject_of(&p);
    Tensor *y = logits_of(&t, &s);
    cr_assert(y->rank == 2 && y->shape[0] == BATCH && y->shape[1] == CLASSES, "%s", t_describe(y));
    s.x->x[0] += 1;
    Tensor *z = logits_of(&t, &s);
    cr_expect_gt(k_sum_squared_difference(CLASSES, y->x, z->x), 1e-9);
    cr_expect_arr_eq(y->x + CLASSES, z->x + CLASSES, CLASSES * sizeof(real));
    tape_free(&t);
    params_free(&p);
}

/* By definition: the mean of all pixels, with its place, asks itself and all pixels with theirs. */
Test(unet_parts, the_pool_is_what_the_mean_attends_to) {
    enum { C = 3, N = 12, OUT = 2 };
    Params p = {.seed = 3};
    Tape t = {.no_grad = true};
    AttentionPool pool = attention_pool_new(scope(&p, "pool"), N, C, 1, OUT);
    move_params(&p, 0.3);
    Tensor *x = t_input(&t, NULL, SHAPE(1, 3, 4, C));
    test_values("x", -2, 2, x->len, x->x);
    Tensor *y = attention_pool(&pool, x);
    double h[N + 1][C] = {{0}}, qkv[N + 1][3 * C], sum = 0, value[C] = {0};
    for (int i = 0; i < N * C; i++) {
        h[1 + i / C][i % C] = (double)x->x[i];
        h[0][i % C] += (double)x->x[i] / N;
    }
    for (int i = 0; i <= N; i++) {
        double score = 0;
        for (int c = 0; c < C; c++) h[i][c] += (double)pool.positions->x[i * C + c];
        for (int k = 0; k < 3 * C; k++) {
            qkv[i][k] = (double)pool.qkv.b->x[k];
            for (int c = 0; c < C; c++) qkv[i][k] += h[i][c] * (double)pool.qkv.w->x[c * 3 * C + k];
        }
        for (int c = 0; c < C; c++) score += qkv[0][c] * qkv[i][C + c];
        double weight = exp(score / sqrt(C));
        for (int c = 0; c < C; c++) value[c] += weight * qkv[i][2 * C + c];
        sum += weight;
    }
    for (int k = 0; k < OUT; k++) {
        double want = (double)pool.out.b->x[k];
        for (int c = 0; c < C; c++) want += value[c] / sum * (double)pool.out.w->x[c * OUT + k];
        cr_expect_float_eq(y->x[k], want, 1e-5, "%d", k);
    }
    tape_free(&t);
    params_free(&p);
}

Test(unet_parts, an_image_that_cannot_be_halved_is_refused, .signal = SIGABRT) {
    Params p = {0};
    unet_classifier_new(&p, config, 5);
}

/* ---- spatial transformer --------------------------------------------------------------------- */

Test(unet_parts, a_new_spatial_transformer_changes_nothing) {
    Params p = {.seed = 3};
    Tape t = {.no_grad = true};
    SpatialTransformer s = spatial_transformer_new(&config.style, scope(&p, "spatial"),
        (SpatialTransformerConfig){.channels = 4, .heads = 2, .depth = 1, .context = 3});
    Tensor *x = t_input(&t, NULL, SHAPE(2, 3, 5, 4)), *tokens = t_input(&t, NULL, SHAPE(2, 6, 3));
    test_values("x", -1, 1, x->len, x->x), test_values("tokens", -1, 1, tokens->len, tokens->x);
    t_keep(x);
    Tensor *y = spatial_transformer(&s, x, (Context){.tokens = tokens});
    cr_expect_arr_eq(y->x, x->x, x->len * sizeof(real));
    move_params(&p, 0.3);
    y = spatial_transformer(&s, x, (Context){.tokens = tokens});
    cr_expect_arr_neq(y->x, x->x, x->len * sizeof(real));
    tape_free(&t);
    params_free(&p);
}

/* ---- text transformer ------------------------------------------------------------------------ */

enum { LENGTH = 5, VOCABULARY = 7 };

static const TextTransformerConfig text_config = {
    .vocabulary = VOCABULARY, .length = LENGTH, .width = 6, .depth = 2, .heads = 3};
static const int tokens[2 * BATCH * LENGTH] = {3, 1, 6, 0, 0, 2, 5, 4, 4, 1,
                                               5, 2, 0, 1, 6, 3, 3, 4, 0, 2};
static const uint8_t mask[BATCH * LENGTH] = {1, 1, 1, 0, 0, 1, 1, 1, 1, 1};

#ifdef REAL_DOUBLE
static Tensor *text_loss(Tape *t, void *context) {
    return weighted_sum(text_transformer(context, t, tokens, mask, BATCH));
}

/* of texts, and of elements that sum several tokens */
Test(unet_parts, gradients_of_the_text_transformer) {
    for (int parts = 1; parts <= 2; parts++) {
        Params p = {.seed = 3};
        TextTransformerConfig c = text_config;
        c.parts = parts;
        TextTransformer text = text_transformer_new(scope(&p, "text"), c);
        double error = gradient_error(&p, text_loss, &text, 5);
        cr_expect(error <= 1e-6, "%d parts: relative error %g", parts, error);
        params_free(&p);
    }
}
#endif

/* Tokens of an element in another order change nothing; one token in another's place does. */
Test(unet_parts, an_element_is_the_sum_of_its_tokens) {
    Params p = {.seed = 3};
    Tape t = {.no_grad = true};
    TextTransformerConfig c = text_config;
    c.length = 2, c.parts = 3;
    TextTransformer text = text_transformer_new(scope(&p, "text"), c);
    static const int given[] = {3, 1, 6, 0, 5, 2}, turned[] = {6, 3, 1, 5, 0, 2},
                     exchanged[] = {3, 1, 0, 6, 5, 2};
    Tensor *y = text_transformer(&text, &t, given, NULL, 1);
    cr_assert(y->rank == 3 && y->shape[1] == 2 && y->shape[2] == c.width);
    cr_expect_lt(k_sum_squared_difference(
        y->len, y->x, text_transformer(&text, &t, turned, NULL, 1)->x), 1e-9);
    cr_expect_gt(k_sum_squared_difference(
        y->len, y->x, text_transformer(&text, &t, exchanged, NULL, 1)->x), 1e-3);
    tape_free(&t), params_free(&p);
}

/* Where no token is, does the place alone say what is read, and does a token that is there reach
 * all that stands before and after it? */
Test(unet_parts, padding_is_read_and_padded_tokens_are_not) {
    for (int padded = 0; padded < 2; padded++) {
        Params p = {.seed = 3};
        Tape t = {.no_grad = true};
        TextTransformerConfig c = text_config;
        c.no_padding = !padded;
        TextTransformer text = text_transformer_new(scope(&p, "text"), c);
        Tensor *y = text_transformer(&text, &t, tokens, mask, BATCH);
        for (int k = 0; k < LENGTH; k++) {
            int other[BATCH * LENGTH];
            memcpy(other, tokens, sizeof other);
            other[k] = VOCABULARY - 1 - tokens[k];
            Tensor *z = text_transformer(&text, &t, other, mask, BATCH);
            bool matters = (mask[k] || !padded) && other[k] != tokens[k];
            for (int i = 0; i < LENGTH; i++) {
                double change = k_sum_squared_difference((size_t)c.width, y->x + i * c.width,
                                                         z->x + i * c.width);
                cr_expect_eq(change > 1e-9, matters, "token %d at %d: %g", k, i, change);
            }
            size_t text_size = (size_t)(LENGTH * c.width);
            cr_expect_arr_eq(y->x + text_size, z->x + text_size, text_size * sizeof(real));
        }
        if (padded) {
            text.padding->x[4 * c.width] += 1;
            Tensor *z = text_transformer(&text, &t, tokens, mask, BATCH);
            cr_expect_gt(k_sum_squared_difference((size_t)c.width, y->x, z->x), 1e-9);
            size_t text_size = (size_t)(LENGTH * c.width);
            cr_expect_arr_eq(y->x + text_size, z->x + text_size, text_size * sizeof(real));
        }
        tape_free(&t);
        params_free(&p);
    }
}

/* squared change of the last place, which stands for the whole text, when the text becomes b */
static double change_of_last(const TextTransformer *text, const int *a, const int *b,
                             const uint8_t *present) {
    Tape t = {.no_grad = true};
    int N = text->config.length, C = text->config.width;
    Tensor *y = text_transformer(text, &t, a, present, 1);
    Tensor *z = text_transformer(text, &t, b, present, 1);
    double change = k_sum_squared_difference((size_t)C, y->x + (N - 1) * C, z->x + (N - 1) * C);
    tape_free(&t);
    return change;
}

/* "red coat, blue bag" is not "blue coat, red bag": at the start already, two words that change
 * places must matter beside a word that becomes another. */
Test(unet_parts, the_order_of_words_is_there_from_the_start) {
    enum { N = 8 };
    static const int text[N] = {1, 2, 3, 4}, swapped[N] = {3, 2, 1, 4}, other[N] = {5, 2, 3, 4};
    static const uint8_t present[N] = {1, 1, 1, 1};
    Params p = {.seed = 3};
    TextTransformer x = text_transformer_new(scope(&p, "text"), (TextTransformerConfig){
        .vocabulary = 6, .length = N, .width = 64, .depth = 3, .heads = 2});
    double order = change_of_last(&x, text, swapped, present);
    double word = change_of_last(&x, text, other, present);
    cr_expect_geq(order, 0.001 * word, "%g beside %g", order, word);       /* N(0,1): 0.00003 */
    params_free(&p);
}

/* ---- resizing -------------------------------------------------------------------------------- */

/* channel c of the pixel in row i and column j of height x width, by its definition */
static double bilinear(const Tensor *x, int b, int c, int i, int j, int height, int width) {
    int H = x->shape[1], W = x->shape[2], C = x->shape[3];
    double y0 = (i + 0.5) * H / height - 0.5, x0 = (j + 0.5) * W / width - 0.5, sum = 0;
    for (int r = 0; r < H; r++)
        for (int s = 0; s < W; s++) {
            double dy = fabs(fmin(fmax(y0, 0), H - 1) - r), dx = fabs(fmin(fmax(x0, 0), W - 1) - s);
            double weight = fmax(0, 1 - dy) * fmax(0, 1 - dx);
            sum += weight * (double)x->x[((b * H + r) * W + s) * C + c];
        }
    return sum;
}

Test(unet_parts, resizing_lies_between_the_nearest_pixels) {
    static const int sizes[][2] = {{6, 14}, {9, 5}, {3, 7}, {2, 3}, {1, 1}, {5, 20}};
    Tape t = {.no_grad = true};
    Tensor *x = t_input(&t, NULL, SHAPE(2, 3, 7, 2));
    test_values("x", -1, 1, x->len, x->x);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int H = sizes[k][0], W = sizes[k][1];
        Tensor *y = resize_bilinear(x, H, W);
        cr_assert(y->shape[0] == 2 && y->shape[1] == H && y->shape[2] == W && y->shape[3] == 2);
        for (int i = 0; i < (int)y->len; i++) {
            double want = bilinear(x, i / 2 / W / H, i % 2, i / 2 / W % H, i / 2 % W, H, W);
            cr_expect_float_eq(y->x[i], want, 1e-6, "%dx%d, %d: %g, not %g", H, W, i,
                               (double)y->x[i], want);
        }
    }
    tape_free(&t);
}

#ifdef REAL_DOUBLE
static Tensor *resize_loss(Tape *t, void *context) {
    Tensor *x = t_use(t, context);
    return t_add(weighted_sum(resize_bilinear(x, 7, 3)), weighted_sum(resize_bilinear(x, 2, 12)));
}

Test(unet_parts, gradients_of_resizing) {
    Params p = {.seed = 3};
    Tensor *x = param(scope(&p, "given"), "x", INIT_NORMAL, 1, SHAPE(2, 3, 5, 2));
    double error = gradient_error(&p, resize_loss, x, 0);
    cr_expect(error <= 1e-6, "relative error %g", error);
    params_free(&p);
}
#endif
