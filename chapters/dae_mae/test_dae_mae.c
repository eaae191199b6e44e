/* test_dae_mae.c — the masked autoencoder: published sizes, gradients, masks, patches, positions,
 * targets; augmentation, probe, fine-tuning; the program. */
#include "data/augment.h"
#include "eval/classifier.h"
#include "experiments/finetune.h"
#include "experiments/probe.h"
#include "mae.h"
#include "nn/optim.h"
#include "official_file.h"
#include "programs.h"

#include <math.h>

SUITE(mae);

/* ---- networks -------------------------------------------------------------------------------- */

/* pictures of 8x8 pixels and two channels in 16 patches of K = 8 numbers */
enum { SMALL = 8, N = 16, K = 8, B = 3, NUMBERS = SMALL * SMALL * 2 };
static const MaeShape small = {.side = SMALL, .channels = 2, .patch = 2, .width = 8, .depth = 2,
                               .heads = 2, .decoder_width = 12, .decoder_depth = 1,
                               .decoder_heads = 3, .mlp_ratio = 2, .eps = 1e-6};

/* away from the first values: biases and tokens are not zero, layers not all alike */
static Mae moved(Params *p, MaeShape shape) {
    Mae a = mae_new(p, shape);
    for (int i = 0; i < p->count; i++)
        if (!strstr(p->list[i]->name, "pos_embed")) move_param(p->list[i], 0.2);
    return a;
}

static MaeShape with_mask_tokens(MaeShape shape) {
    shape.mask_tokens_in_encoder = true;
    return shape;
}

static Tensor *some_pictures(Tape *t) {
    Tensor *x = t_input(t, NULL, SHAPE(B, SMALL, SMALL, 2));
    test_values("pictures", -1, 1, x->len, x->x);
    return x;
}

static Mask some_mask(Arena *a) {
    Rng rng = rng_new(3, "masks");
    return mask_random(a, B, N, 0.75, &rng);
}

#ifndef REAL_DOUBLE
/* Are the published networks these, to the last weight? A network of depth d has a + b d
 * parameters: two shallow ones of the same constructor give a and b. */
static size_t count_at(MaeShape s, int depth, int decoder_depth, bool tables) {
    Params p = {0};
    s.depth = depth, s.decoder_depth = decoder_depth;
    mae_new(&p, s);
    size_t n = tables ? parameters_with_tables(&p) : params_count(&p);
    params_free(&p);
    return n;
}

Test(mae, published_networks_have_the_published_number_of_parameters) {
    static const struct {
        const char *config;
        size_t all, trained;
    } published[] = {{"vit-b16", 111907840, 111655680},
                     {"vit-l16", 329541888, 329239296},
                     {"vit-h14", 657074508, 656613964}};
    for (int i = 0; i < 3; i++) {
        MaeShape s = mae_shape_named(published[i].config);
        for (int tables = 0; tables < 2; tables++) {
            size_t one = count_at(s, 1, 1, tables), two = count_at(s, 2, 1, tables);
            size_t decoder = count_at(s, 1, 2, tables);
            size_t n = one + (size_t)(s.depth - 1) * (two - one) +
                       (size_t)(s.decoder_depth - 1) * (decoder - one);
            size_t expected = tables ? published[i].all : published[i].trained;
            cr_expect_eq(n, expected, "%s: %zu", published[i].config, n);
        }
    }
}
#endif

/* 4 tensors outside of layers, 10 of layers outside of blocks, 12 of each block */
Test(mae, published_networks_have_their_official_names) {
    Params p = {0};
    MaeShape s = mae_shape_named("vit-b16");
    s.width = s.decoder_width = 48;                    /* names do not depend on it */
    mae_new(&p, s);
    cr_expect_eq(official_count(&mae_official, &p), 14 + 12 * (12 + 8));
    cr_expect(official_has(&mae_official, &p, "patch_embed.proj.weight"));
    cr_expect(official_has(&mae_official, &p, "blocks.11.attn.proj.bias"));
    cr_expect(official_has(&mae_official, &p, "decoder_blocks.7.attn.proj.weight"));
    cr_expect(official_has(&mae_official, &p, "decoder_blocks.7.mlp.fc1.weight"));
    params_free(&p);
}

/* ImageNet's mean colour is 0, its standard deviation 1; and back */
Test(mae, published_networks_see_colours_less_the_mean_over_the_deviation) {
    real x[6] = {(real)0.485, (real)(0.456 + 0.224), (real)(0.406 - 0.225), 1, 0, (real)0.5};
    imagenet_scale(6, x, false);
    cr_expect_float_eq(x[0], 0, 1e-6);
    cr_expect_float_eq(x[1], 1, 1e-6);
    cr_expect_float_eq(x[2], -1, 1e-6);
    imagenet_scale(6, x, true);
    cr_expect_float_eq(x[3], 1, 1e-6);
    cr_expect_float_eq(x[4], 0, 1e-6);
    cr_expect_float_eq(x[5], 0.5, 1e-6);
}

Test(mae, weights_start_as_the_authors_do) {
    Params p = {.seed = 1};
    Mae a = mae_new(&p, mae_shape_named("default"));
    int D = a.shape.width;
    double bound = sqrt(6.0 / (D + 3 * D)), largest = 0;
    const Linear *qkv = &a.encoder.blocks.blocks[0].attn.qkv;
    for (size_t i = 0; i < qkv->w->len; i++) largest = fmax(largest, fabs((double)qkv->w->x[i]));
    cr_expect(largest > 0.99 * bound && largest <= bound, "%g of %g", largest, bound);
    cr_expect_eq(k_sum_squares(qkv->b->len, qkv->b->x), 0);
    const Tensor *w = a.encoder.patch_embed.w;     /* Xavier of the flattened (D, K) */
    bound = sqrt(6.0 / (16 + D)), largest = 0;
    for (size_t i = 0; i < w->len; i++) largest = fmax(largest, fabs((double)w->x[i]));
    cr_expect(largest > 0.99 * bound && largest <= bound, "%g of %g", largest, bound);
    double deviation = sqrt(k_sum_squares((size_t)D, a.encoder.cls_token->x) / D);
    cr_expect_float_eq(deviation, 0.02, 0.006);
    params_free(&p);
}

#ifdef REAL_DOUBLE
typedef struct {
    Mae net;
    bool norm_targets;
} Case;

static Tensor *whole_loss(Tape *t, void *context) {
    const Case *c = context;
    Mask m = some_mask(&t->arena);
    return mae_forward(&c->net, some_pictures(t), &m, c->norm_targets).loss;
}

/* Does every weight of either network get the right gradient of the entire loss? */
Test(mae, gradients_of_the_entire_loss) {
    for (int i = 0; i < 4; i++) {
        Params p = {.seed = 4};
        Case c = {moved(&p, i & 1 ? with_mask_tokens(small) : small), i & 2};
        double error = gradient_error(&p, whole_loss, &c, 12);
        cr_expect(error <= 1e-6, "%s, %s: relative error %g",
                  i & 1 ? "mask tokens" : "visible only", i & 2 ? "normalised" : "pixels", error);
        params_free(&p);
    }
}

static Tensor *class_loss(Tape *t, void *context) {
    static const int labels[B] = {2, 0, 1};
    return t_cross_entropy(classify(context, some_pictures(t)), labels);
}

Test(mae, gradients_of_the_classifier) {
    Params p = {.seed = 4};
    MaeClassifier c = mae_classifier_new(&p, small, 3);
    test_values("head", -1, 1, c.head.w->len, c.head.w->x);
    double error = gradient_error(&p, class_loss, &c, 12);
    cr_expect(error <= 1e-6, "relative error %g", error);
    params_free(&p);
}
#endif

/* ---- masks ----------------------------------------------------------------------------------- */

Test(mae, every_picture_hides_its_own_patches_and_the_seed_says_which) {
    enum { MANY = 2000 };
    Arena arena = {0};
    Rng rng = rng_new(1, "masks"), again = rng_new(1, "masks"), other = rng_new(2, "masks");
    Mask m = mask_random(&arena, MANY, 49, 0.75, &rng);
    Mask same = mask_random(&arena, MANY, 49, 0.75, &again);
    Mask different = mask_random(&arena, MANY, 49, 0.75, &other);
    Mask next = mask_random(&arena, MANY, 49, 0.75, &rng);
    size_t bytes = MANY * 49 * sizeof(int);
    cr_expect_eq(m.keep, 12);
    cr_expect_arr_eq(m.shuffle, same.shuffle, bytes);
    cr_expect(memcmp(m.shuffle, different.shuffle, bytes), "another seed");
    cr_expect(memcmp(m.shuffle, next.shuffle, bytes), "the next batch");
    int alike = 0, seen[49] = {0};
    for (int b = 1; b < MANY; b++)
        alike += !memcmp(m.shuffle + b * 49, m.shuffle + (b - 1) * 49, 12 * sizeof(int));
    cr_expect_eq(alike, 0, "%d neighbours have the same mask", alike);
    for (int b = 0; b < MANY; b++)
        for (int i = 0; i < 12; i++) seen[m.shuffle[b * 49 + i]]++;
    for (int i = 0; i < 49; i++)          /* 490 expected, deviation 19 */
        cr_expect(abs(seen[i] - 490) < 100, "patch %d is seen %d times of %d", i, seen[i], MANY);
    arena_free(&arena);
}

Test(mae, restore_undoes_shuffle) {
    static const real noise[2 * 5] = {0.5, 0.1, 0.9, 0.3, 0.2, 0, 0.4, 0.4, 0.1, 0.9};
    static const int shuffle[2 * 5] = {1, 4, 3, 0, 2, 0, 3, 1, 2, 4};
    Arena arena = {0};
    Mask m = mask_from_noise(&arena, 2, 5, 0.6, noise);
    cr_expect_eq(m.keep, 2);
    cr_expect_arr_eq(m.shuffle, shuffle, sizeof shuffle);
    for (int b = 0; b < 2; b++)
        for (int i = 0; i < 5; i++)
            cr_expect_eq(m.restore[b * 5 + m.shuffle[b * 5 + i]], i, "picture %d, place %d", b, i);
    arena_free(&arena);
}

/* The same patches seen, listed in another order: is the prediction of every patch the same? */
Test(mae, predictions_stand_where_their_patches_are) {
    Params p = {.seed = 4};
    Mae a = moved(&p, small);
    Tape t = {.no_grad = true};
    Tensor *x = some_pictures(&t);
    Mask m = some_mask(&t.arena);
    Tensor *one = mae_forward(&a, x, &m, false).prediction;
    for (int b = 0; b < B; b++) {         /* the visible part backwards, the rest rotated */
        int *s = m.shuffle + b * N, old[N];
        memcpy(old, s, sizeof old);
        for (int i = 0; i < N; i++)
            s[i] = i < m.keep ? old[m.keep - 1 - i] : old[i + 1 < N ? i + 1 : m.keep];
        for (int i = 0; i < N; i++) m.restore[b * N + s[i]] = i;
    }
    MaePass two = mae_forward(&a, x, &m, false);
    double scale = sqrt(k_sum_squares(one->len, one->x));
    double off = sqrt(k_sum_squared_difference(one->len, one->x, two.prediction->x)) / scale;
    cr_expect(off < 1e-5, "relative difference %g", off);
    tape_free(&t);
    params_free(&p);
}

/* the first hidden patch of picture b */
static int hidden_patch(const Mask *m, int b) {
    return m->shuffle[b * m->patches + m->keep];
}

/* Does nothing that is hidden reach the encoder, with mask tokens in it or not? And is everything
 * that is visible seen? */
Test(mae, the_encoder_sees_visible_patches_only) {
    for (int tokens = 0; tokens < 2; tokens++) {
        Params p = {.seed = 4};
        Mae a = moved(&p, tokens ? with_mask_tokens(small) : small);
        Tape t = {.no_grad = true};
        Mask m = some_mask(&t.arena);
        Tensor *patches = patchify(some_pictures(&t), 2);
        Tensor *before = encode(&a.encoder, patches, &m);
        cr_expect_eq(before->shape[1], 1 + (tokens ? N : m.keep));
        for (int b = 0; b < B; b++)
            for (int i = m.keep; i < N; i++)
                patches->x[(b * N + m.shuffle[b * N + i]) * K + i % K] += 1;
        Tensor *after = encode(&a.encoder, patches, &m);
        cr_expect_arr_eq(before->x, after->x, before->len * sizeof(real));
        patches->x[m.shuffle[0] * K] += 1;
        after = encode(&a.encoder, patches, &m);
        cr_expect(memcmp(before->x, after->x, before->len * sizeof(real)), "blind");
        tape_free(&t);
        params_free(&p);
    }
}

/* ---- patches, positions, targets ------------------------------------------------------------- */

Test(mae, patches_are_rows_of_pixels_of_channels) {
    Tape t = {.no_grad = true};
    Tensor *x = t_input(&t, NULL, SHAPE(2, 4, 4, 2));
    for (size_t i = 0; i < x->len; i++) x->x[i] = (real)i;
    Tensor *p = patchify(x, 2);
    /* the second patch of the first row of picture 1: pixels (0,2), (0,3), (1,2), (1,3) */
    static const real expected[8] = {36, 37, 38, 39, 44, 45, 46, 47};
    cr_expect_eq(p->shape[1], 4);
    cr_expect_eq(p->shape[2], 8);
    cr_expect_arr_eq(p->x + (1 * 4 + 1) * 8, expected, sizeof expected);
    Tensor *back = unpatchify(p, 2, 4);
    cr_expect_eq(back->shape[3], 2);
    cr_expect_arr_eq(back->x, x->x, x->len * sizeof(real));
    tape_free(&t);
}

/* Against numbers worked out by hand: width 8 has the two frequencies 1 and 1/100. */
Test(mae, positions_are_sines_then_cosines_of_the_column_then_of_the_row) {
    real table[10 * 8];
    sin_cos_positions(3, 8, table);
    for (int i = 0; i < 8; i++) cr_expect_eq(table[i], 0, "the class token has no place");
    const double row_1_column_2[8] = {0.9092974268, 0.0199986667, -0.4161468365, 0.9998000067,
                                      0.8414709848, 0.0099998333, 0.5403023059, 0.9999500004};
    for (int i = 0; i < 8; i++)
        cr_expect_float_eq((double)table[(1 + 3 + 2) * 8 + i], row_1_column_2[i], 1e-6, "%d", i);
}

/* mean 0, and the squares add up to K - 1: the unbiased variance is 1 */
Test(mae, normalised_targets_use_the_unbiased_variance) {
    Tape t = {.no_grad = true};
    Tensor *patches = patchify(some_pictures(&t), 2);
    k_fill(K, (real)0.3, patches->x);                       /* a flat patch stays finite */
    Tensor *y = normalise_patches(patches);
    for (int i = 1; i < B * N; i++) {
        cr_expect_float_eq((double)k_sum(K, y->x + i * K), 0, 1e-4);
        cr_expect_float_eq((double)k_sum_squares(K, y->x + i * K), K - 1, 1e-3);
    }
    cr_expect_float_eq((double)k_sum_squares(K, y->x), 0, 1e-5);
    tape_free(&t);
}

/* Is the loss independent of visible patches' targets, and is it the mean over hidden ones? */
Test(mae, visible_targets_do_not_matter) {
    Tape t = {.no_grad = true};
    Mask m = some_mask(&t.arena);
    Tensor *target = patchify(some_pictures(&t), 2);
    Tensor *prediction = t_input(&t, NULL, SHAPE(B, N, K));
    test_values("prediction", -1, 1, prediction->len, prediction->x);
    double sum = 0;
    for (int b = 0; b < B; b++)
        for (int i = m.keep; i < N; i++) {
            int at = (b * N + m.shuffle[b * N + i]) * K;
            sum += k_sum_squared_difference(K, prediction->x + at, target->x + at);
        }
    real before = masked_error(prediction, target, &m)->x[0];
    cr_expect_float_eq((double)before, sum / (B * (N - m.keep) * K), 1e-6);
    for (int b = 0; b < B; b++)
        for (int i = 0; i < m.keep; i++) target->x[(b * N + m.shuffle[b * N + i]) * K] += 5;
    cr_expect_eq(masked_error(prediction, target, &m)->x[0], before);
    target->x[(N + hidden_patch(&m, 1)) * K] += 5;
    cr_expect_neq(masked_error(prediction, target, &m)->x[0], before);
    tape_free(&t);
}

/* A network that answers 1 everywhere, so its normalised patches lie one deviation above the mean:
 * are pictures shown so, visible patches as they are, hidden ones grey in the masked picture? */
Test(mae, pictures_are_shown_in_pixels_again) {
    Params p = {.seed = 4};
    Mae a = mae_new(&p, small);
    init_constant(a.decoder_pred.w, 0);
    init_constant(a.decoder_pred.b, 1);
    Tape t = {.no_grad = true};
    Tensor *x = some_pictures(&t);
    Tensor *masked = t_input(&t, NULL, SHAPE(B, SMALL, SMALL, 2));
    Tensor *predicted = t_input(&t, NULL, SHAPE(B, SMALL, SMALL, 2));
    double error = reconstruct(&a, B, x->x, 0.75, 9, true, masked->x, predicted->x);
    const real *truth = patchify(x, 2)->x, *grey = patchify(masked, 2)->x;
    const real *shown = patchify(predicted, 2)->x;
    int hidden = 0;
    double sum = 0;
    for (int i = 0; i < B * N; i++, truth += K, grey += K, shown += K) {
        bool covered = k_sum_squares(K, grey) == 0;
        hidden += covered;
        if (!covered) {
            cr_expect_arr_eq(shown, truth, K * sizeof(real));
            cr_expect_arr_eq(grey, truth, K * sizeof(real));
            continue;
        }
        double mean = k_sum(K, truth) / K, squares = 0;
        for (int j = 0; j < K; j++) squares += pow((double)truth[j] - mean, 2);
        for (int j = 0; j < K; j++)
            cr_expect_float_eq((double)shown[j], mean + sqrt(squares / (K - 1)), 1e-4);
        sum += k_sum_squared_difference(K, shown, truth);
    }
    cr_expect_eq(hidden, B * 12);
    cr_expect_float_eq(error, sum / 4 / (hidden * K), 1e-6);
    tape_free(&t);
    params_free(&p);
}

/* ---- cost ------------------------------------------------------------------------------------ */

/* multiply-adds of what stands on the tape, by the shapes of its operands */
static double multiply_adds_on(const Tape *t) {
    double sum = 0;
    for (const Tensor *y = t->last; y; y = y->prev) {
        if (!strcmp(y->op, "linear")) sum += (double)y->len * y->in[1]->shape[0];
        if (!strcmp(y->op, "self_attention")) sum += (double)y->len * 2 * y->shape[1];
    }
    return sum;
}

Test(mae, hiding_patches_saves_what_the_formula_says) {
    double cost[2];
    for (int tokens = 0; tokens < 2; tokens++) {
        Params p = {.seed = 4};
        MaeShape s = tokens ? with_mask_tokens(small) : small;
        Mae a = mae_new(&p, s);
        Tape t = {0};
        Mask m = some_mask(&t.arena);
        encode(&a.encoder, patchify(some_pictures(&t), 2), &m);
        cost[tokens] = multiply_adds_on(&t) / B - m.keep * K * s.width;     /* less the embedding */
        cr_expect_float_eq(cost[tokens], encoder_multiply_adds(&s, tokens ? N : m.keep), 0.5);
        tape_free(&t);
        params_free(&p);
    }
    cr_expect(cost[1] / cost[0] > 3.4, "17 tokens cost %g times as much as 5", cost[1] / cost[0]);
}

/* ---- features and classifiers ---------------------------------------------------------------- */

Test(mae, features_do_not_depend_on_neighbours) {
    Params p = {.seed = 4};
    Mae a = moved(&p, small);
    Tape t = {.no_grad = true};
    Tensor *x = some_pictures(&t);
    ImageFeatures all = image_features(&a.encoder, x);
    Tensor *second = t_input(&t, x->x + NUMBERS, SHAPE(1, SMALL, SMALL, 2));
    ImageFeatures one = image_features(&a.encoder, second);
    for (int j = 0; j < small.width; j++) {
        cr_expect_float_eq(all.mean->x[small.width + j], one.mean->x[j], 1e-5);
        cr_expect_float_eq(all.cls->x[small.width + j], one.cls->x[j], 1e-5);
    }
    tape_free(&t);
    params_free(&p);
}

/* Four clouds in a space whose axes differ by factors of 100: can the probe tell
 * them apart, and does it do no better than chance where there is nothing to be told? */
Test(mae, the_probe_finds_what_is_there_and_nothing_else) {
    enum { MANY = 2000, D = 4 };
    static real x[MANY * D], noise[MANY * D];
    static int labels[MANY];
    Rng rng = rng_new(1, "clouds");
    rng_normal(&rng, MANY * D, noise);
    for (int i = 0; i < MANY; i++) {
        labels[i] = (int)rng_below(&rng, 4);
        for (int j = 0; j < D; j++)
            x[i * D + j] = (real)(pow(100, j - 2) *
                                  (50 + (labels[i] == j) + 0.2 * (double)noise[i * D + j]));
    }
    Features train = {MANY / 2, D, x, labels};
    Features test = {MANY / 2, D, x + MANY / 2 * D, labels + MANY / 2};
    double found = probe_accuracy(train, test, 1);
    cr_expect(found > 0.95, "accuracy %g", found);
    train.x = noise, test.x = noise + MANY / 2 * D;
    double guessed = probe_accuracy(train, test, 1);
    cr_expect(guessed > 0.18 && guessed < 0.33, "accuracy %g where there is nothing", guessed);
}

Test(mae, labelled_pictures_are_balanced_and_chosen_by_the_seed) {
    Fashion data = fashion_load(NULL);
    static int one[60000], again[60000], other[60000];
    int n = choose_labelled(&data.train, 100, 1, one), count[10] = {0};
    choose_labelled(&data.train, 100, 1, again);
    choose_labelled(&data.train, 100, 2, other);
    cr_expect_eq(n, 100);
    for (int i = 0; i < n; i++) count[data.train.labels[one[i]]]++;
    for (int k = 0; k < 10; k++) cr_expect_eq(count[k], 10, "class %d: %d", k, count[k]);
    cr_expect_arr_eq(one, again, 100 * sizeof(int));
    cr_expect(memcmp(one, other, 100 * sizeof(int)));
    cr_expect_eq(choose_labelled(&data.train, 0, 1, one), data.train.count);
    fashion_free(&data);
}

/* ---- augmentation ---------------------------------------------------------------------------- */

/* A ramp from left to right: a part of it rises by the part's scale per pixel, a mirror image
 * falls. */
Test(mae, augmented_pictures_are_parts_and_mirror_images) {
    enum { MANY = 400, SIDE = 28 };
    Tape t = {.no_grad = true};
    Tensor *ramp = t_input(&t, NULL, SHAPE(MANY, SIDE, SIDE, 1));
    for (size_t i = 0; i < ramp->len; i++) ramp->x[i] = (real)(i % SIDE);
    Rng rng = rng_new(1, "views");
    const real *seen = augment(ramp, &rng)->x;
    cr_expect_eq(rng.next, 4 * MANY);
    int mirrored = 0;
    double least = 2, most = 0;
    for (int k = 0; k < MANY; k++) {
        const real *row = seen + (k * SIDE + 9) * SIDE;
        double step = (double)(row[18] - row[8]) / 10;
        mirrored += step < 0;
        least = fmin(least, fabs(step)), most = fmax(most, fabs(step));
        for (int j = 0; j < SIDE; j++)
            cr_assert(row[j] >= 0 && row[j] <= SIDE - 1, "%g", (double)row[j]);
    }
    cr_expect(mirrored > 150 && mirrored < 250, "%d of %d", mirrored, MANY);
    cr_expect(least >= sqrt(0.6) - 1e-4 && least < 0.8 && most <= 1 + 1e-4 && most > 0.98,
              "scales from %g to %g", least, most);
    tape_free(&t);
}

/* ---- learning -------------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
static MaeShape narrow(void) {
    MaeShape s = mae_shape_named("default");
    s.width = 32, s.depth = 2, s.decoder_width = 32, s.decoder_depth = 1;
    return s;
}

/* four images, each with eight masks at a time: are hidden parts soon told from visible ones? */
Test(mae, a_few_images_are_learned_by_heart) {
    enum { IMAGES = 32, STEPS = 250 };
    Fashion data = fashion_load(NULL);
    static real x[IMAGES * 28 * 28];
    int index[IMAGES];
    for (int i = 0; i < IMAGES; i++) index[i] = i % 4;
    images_get(&data.train, IMAGES, index, -1, 1, x, NULL);
    Params p = {.seed = 1};
    Mae a = mae_new(&p, narrow());
    double before = reconstruct(&a, IMAGES, x, 0.75, 7, false, NULL, NULL);
    Adam adam = {ADAM_DEFAULTS};
    Rng masks = rng_new(1, "masks");
    Tape t = {0};
    for (int step = 0; step < STEPS; step++) {
        tape_reset(&t);
        Mask m = mask_random(&t.arena, IMAGES, 49, 0.75, &masks);
        Tensor *loss = mae_forward(&a, t_input(&t, x, SHAPE(IMAGES, 28, 28, 1)), &m, false).loss;
        params_zero_grad(&p);
        backward(loss);
        adam_step(&adam, &p, 4e-3 * lr_cosine(step, 25, STEPS), 1);
    }
    double after = reconstruct(&a, IMAGES, x, 0.75, 7, false, NULL, NULL);
    cr_expect(after < before / 15, "%g before, %g after", before, after);
    tape_free(&t);
    adam_free(&adam);
    params_free(&p);
    fashion_free(&data);
}

Test(mae, a_classifier_learns_a_few_images) {
    Fashion data = fashion_load(NULL);
    Images few = images_part(&data.train, 0, 20);
    int chosen[20];
    Params p = {.seed = 1};
    MaeClassifier c = mae_classifier_new(&p, narrow(), 10);
    Progress silent = {.quiet = true};
    double before = classifier_accuracy(&c, &few);
    int n = choose_labelled(&few, 0, 1, chosen);
    train_classifier(&c, &p, &few, n, chosen, (FineTuning){250, 20, 4e-3}, &silent);
    double after = classifier_accuracy(&c, &few);
    cr_expect(before < 0.5 && after >= 0.9, "%g before, %g after", before, after);
    params_free(&p);
    fashion_free(&data);
}

/* ---- the program ----------------------------------------------------------------------------- */

PROGRAM_SUITE(dae_mae_program);

Test(dae_mae_program, masked_weights_give_pictures_features_and_classifiers) {
    few_garments(400, 50);
    RUN("dae_mae", "train -q --steps 2 --batch 8 --norm-targets --mask-tokens-in-encoder "
                   "--data %s --out %s/run");
    RUN("dae_mae", "sample -q --weights %s/run/weights.safetensors --out %s/pictures");
    RUN("dae_mae", "eval -q --data %s --out %s/run");
    RUN("dae_mae", "finetune -q --labels 20 --finetune-steps 2 --batch 8 --data %s --out %s/run");
    RUN("dae_mae", "finetune -q --scratch --finetune-steps 1 --batch 8 --data %s --out %s/scratch");
    static const char *const files[] = {"run/repairs.png", "run/log.csv", "run/run.json",
                                        "run/metrics.json", "run/finetune.json",
                                        "scratch/finetune.json", "pictures/repairs-50.png",
                                        "pictures/repairs-75.png", "pictures/repairs-90.png"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_expect(file_there(files[i]), "%s is missing", files[i]);
}

/* Weights under the official names give the pictures of the program's own file? */
Test(dae_mae_program, official_weights_reconstruct_what_the_network_does) {
    char from[100], to[100];
    few_garments(400, 50);
    RUN("dae_mae", "train -q --steps 2 --batch 8 --data %s --out %s");
    RUN("dae_mae", "sample -q --data %s --out %s");
    Params p = {0};
    mae_new(&p, mae_shape_named("default"));
    snprintf(from, sizeof from, "%s/weights.safetensors", folder);
    snprintf(to, sizeof to, "%s/official.safetensors", folder);
    rewrite_official(from, "dae_mae", &p, to, &mae_official);
    RUN("dae_mae", "sample -q --data %s --weights %s/official.safetensors --out %s/again");
    cr_expect(same_picture("repairs-75.png", "again/repairs-75.png"));
    params_free(&p);
    encoder_new(&p, mae_shape_named("default"));         /* pretrained files may have no decoder */
    write_official(to, &mae_official, &p);
    expect_refusal("dae_mae", "sample --data %s --weights %s/official.safetensors --out %s/x", 1,
                   "32 missing (decoder_embed.weight, decoder_embed.bias, mask_token, ");
    params_free(&p);
}

Test(dae_mae_program, masked_nonsense_is_refused_in_one_line) {
    expect_refusal("dae_mae", "train --mask-ratio 1 --out %s", 2, "at least one must be hidden");
    expect_refusal("dae_mae", "train --mask-ratio 0 --out %s", 2, "at least one must be hidden");
    expect_refusal("dae_mae", "train --config vit-b16 --out %s", 2, "only info and sample know it");
    expect_refusal("dae_mae", "eval --config vit-b16 --weights x --out %s", 1, "x");
    expect_refusal("dae_mae", "sample --config vit-b16 --weights %s/stderr --out %s", 1, "stderr");
    expect_refusal("dae_mae", "train --steps 100 --schedule 50 --out %s", 2, "--schedule");
    expect_refusal("dae_mae", "train --config dae --mask-ratio 0.5 --out %s", 2, "means nothing");
    expect_refusal("dae_mae", "train --labels 10 --out %s", 2, "means nothing");
    expect_refusal("dae_mae", "finetune --config dae --scratch --out %s", 2, "no such command");
    expect_refusal("dae_mae", "finetune --out %s", 1, "weights.safetensors");
    expect_refusal("dae_mae", "finetune --scratch --labels 5 --out %s", 2, "at least one of each");
}

/* Are weights of another network recognised, and is a checkpoint's own network taken over? */
Test(dae_mae_program, weights_bring_their_network_along) {
    few_garments(400, 50);
    RUN("dae_mae", "train -q --steps 1 --batch 8 --norm-targets --data %s --out %s/run");
    expect_refusal("dae_mae", "sample --mask-tokens-in-encoder "
                   "--weights %s/run/weights.safetensors --out %s", 2, "contradicts");
    RUN("dae_mae", "train -q --resume --steps 2 --out %s/run");
}
#endif
