/* test_vqvae2.c — the published size, gradients, what each level depends on, a few images by heart,
 * the program. */
#include "data/image_set.h"
#include "nn/optim.h"
#include "nn/pixelsnail.h"
#include "official_file.h"
#include "programs.h"
#include "vqvae2.h"

#include <math.h>

SUITE(vqvae2);

/* ---- the autoencoder ------------------------------------------------------------------------- */

static Vqvae2Config published = {.levels = 2, .channels = 3, .width = 128, .res_blocks = 2,
                                 .res_channels = 32, .codes = 512, .dim = 64};
static Vqvae2Config small = {.levels = 2, .channels = 2, .width = 6, .res_blocks = 1,
                             .res_channels = 4, .codes = 9, .dim = 3};

/* Is it the published network, to the last weight? */
Test(vqvae2, the_published_network_has_the_published_number_of_parameters) {
    Params p = {0}, grey = {0};
    vqvae2_new(&p, published);
    cr_expect_eq(params_count(&p), 1388867, "%zu", params_count(&p));
    published.channels = 1;
    vqvae2_new(&grey, published);
    cr_expect_eq(params_count(&grey), 1384769, "%zu", params_count(&grey));
    params_free(&p), params_free(&grey);
}

/* the public code's 64 tensors */
Test(vqvae2, the_published_network_has_its_official_names) {
    Params p = {.shapes_only = true};
    vqvae2_new(&p, published);
    cr_expect_eq(official_count(&vqvae2_official, &p), 64);
    cr_expect(official_has(&vqvae2_official, &p, "enc_b.blocks.5.conv.3.weight"));
    cr_expect(official_has(&vqvae2_official, &p, "dec_t.blocks.4.bias"));
    cr_expect(official_has(&vqvae2_official, &p, "quantize_b.cluster_size"));
    params_free(&p);
}

enum { BATCH = 2, SIDE = 16, LEN = SIDE * SIDE * 2 };

static Tensor *images_on(Tape *t) {
    Tensor *x = t_variable(t, NULL, SHAPE(BATCH, SIDE, SIDE, 2));
    test_values("pictures", -1, 1, x->len, x->x);
    return x;
}

/* weights away from values so small that everything is one code; codes near vectors, but not at
 * them: the start puts one at each, and nothing would be left to commit to */
static Vqvae2 moved(Params *p, Vqvae2Config c) {
    Vqvae2 v = vqvae2_new(p, c);
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        if (!strcmp(w->op, "param")) k_axpy(w->len, (real)1.5, w->x, w->x, false);
    }
    Tape t = {.no_grad = true};
    Rng rng = rng_new(1, "start");
    vqvae2_start(&v, images_on(&t), &rng);
    for (int i = 0; i < 2; i++) {
        Codebook *book = i ? &v.bottom : &v.top;
        if (book->table) k_affine(book->table->len, book->table->x, (real)0.9, (real)0.05,
                                  book->table->x);
    }
    tape_free(&t);
    return v;
}

/* sum of y times fixed random numbers */
static Tensor *weighted(Tensor *y, const char *name) {
    Tensor *c = t_input(y->tape, NULL, y->rank, y->shape);
    test_values(name, -1, 1, c->len, c->x);
    return t_sum(t_mul(y, c));
}

#ifdef REAL_DOUBLE
/* Quantising has no gradient that differences could confirm: between two codes nothing changes. So
 * the parts are checked: both commitment losses, whose codes are constants, and the decoder. */
typedef struct {
    const Vqvae2 *v;
    int part;
    Tensor *top, *bottom;
} Checked;

static Tensor *part_loss(Tape *t, void *context) {
    const Checked *c = context;
    if (c->part == 2) {
        Tensor *x = decode(c->v, t_use(t, c->top), t_use(t, c->bottom));
        return t_mse(x, images_on(t));
    }
    Encoding e = encode(c->v, images_on(t));
    return c->part == 0 ? e.top.commitment_loss : e.bottom.commitment_loss;
}

/* parts: " enc_b enc_t " */
static void freeze_except(Params *p, const char *parts) {
    for (int i = 0; i < p->count; i++) {
        char part[20] = " ";
        sscanf(p->list[i]->name, "%15[^.]", part + 1);
        bool is_param = !strcmp(p->list[i]->op, "param");
        p->list[i]->wants_grad = is_param && strstr(parts, strcat(part, " "));
    }
}

Test(vqvae2, gradients_of_the_autoencoder) {
    static const char *const trained[3] = {" enc_b enc_t quantize_conv_t ",
                                           " dec_t quantize_conv_b ", " dec upsample_t codes "};
    for (int part = 0; part < 3; part++) {
        Params p = {.seed = 2};
        Vqvae2 v = moved(&p, small);
        Scope s = scope(&p, "codes");
        Checked c = {&v, part, param(s, "top", INIT_NORMAL, 1, SHAPE(BATCH, 2, 2, 3)),
                  param(s, "bottom", INIT_NORMAL, 1, SHAPE(BATCH, 4, 4, 3))};
        freeze_except(&p, trained[part]);
        double error = gradient_error_within(&p, part_loss, &c, 10, 1e-6);
        cr_expect(error <= 1e-6, "part %d: relative error %g", part, error);
        params_free(&p);
    }
    Params p = {.seed = 2};                     /* one level: no top, the rest likewise */
    small.levels = 1;
    Vqvae2 v = moved(&p, small);
    Checked c = {.v = &v, .part = 1};
    freeze_except(&p, " enc_b quantize_conv_b ");
    double error = gradient_error_within(&p, part_loss, &c, 10, 1e-6);
    cr_expect(error <= 1e-6, "one level: relative error %g", error);
    params_free(&p);
}
#endif

/* Does a gradient go through both lookups to both encoders: from the bottom's codes, through the
 * decoded top codes it was quantised beside, to the top? */
Test(vqvae2, gradients_pass_straight_through_both_codebooks) {
    Params p = {.seed = 2};
    Vqvae2 v = moved(&p, small);
    Tape t = {0};
    Encoding e = encode(&v, images_on(&t));
    cr_assert(e.top.n == BATCH * 4 && e.bottom.n == BATCH * 16);
    params_zero_grad(&p);
    backward(weighted(e.bottom.codes, "cotangent"));
    cr_expect(params_find(&p, "enc_b.blocks.0.w")->has_grad);
    cr_expect(params_find(&p, "dec_t.blocks.0.w")->has_grad, "the bottom does not see the top");
    cr_expect(params_find(&p, "enc_t.blocks.0.w")->has_grad, "nothing passes the top's codes");
    cr_expect(params_find(&p, "quantize_conv_t.w")->has_grad);
    tape_free(&t);
    params_free(&p);
}

/* The top is quantised first: other top codes change what the bottom quantises, not the reverse. */
Test(vqvae2, the_bottom_is_quantised_with_the_top_in_view) {
    Params p = {.seed = 2};
    Vqvae2 v = moved(&p, small);
    Tape t = {.no_grad = true};
    Encoding one = encode(&v, images_on(&t));
    k_axpy(v.bottom.table->len, 2, v.bottom.table->x, v.bottom.table->x, false);
    Encoding two = encode(&v, images_on(&t));
    cr_expect_arr_eq(one.top.z->x, two.top.z->x, one.top.z->len * sizeof(real));
    cr_expect_arr_eq(one.bottom.z->x, two.bottom.z->x, one.bottom.z->len * sizeof(real));
    k_axpy(v.top.table->len, 2, v.top.table->x, v.top.table->x, false);
    Encoding three = encode(&v, images_on(&t));
    cr_expect_arr_eq(one.top.z->x, three.top.z->x, one.top.z->len * sizeof(real));
    cr_expect(memcmp(one.bottom.z->x, three.bottom.z->x, one.bottom.z->len * sizeof(real)),
              "the bottom does not see the top's codes");
    tape_free(&t);
    params_free(&p);
}

/* Are pictures from numbers of codes the decoder's, and is a level left out the mean code? */
Test(vqvae2, numbers_of_codes_give_the_decoders_pictures) {
    Params p = {.seed = 2};
    Vqvae2 v = moved(&p, small);
    Tape t = {.no_grad = true};
    static real x[BATCH * LEN], y[BATCH * LEN], only[BATCH * LEN];
    int top[BATCH * 4], bottom[BATCH * 16];
    test_values("pictures", -1, 1, BATCH * LEN, x);
    Encoding e = encode(&v, images_on(&t));
    encode_all(&v, BATCH, SIDE, SIDE, x, top, bottom);
    cr_expect_arr_eq(top, e.top.index, sizeof top);
    cr_expect_arr_eq(bottom, e.bottom.index, sizeof bottom);
    decode_all(&v, BATCH, SIDE, SIDE, top, bottom, y);
    Tensor *direct = decode(&v, e.top.codes, e.bottom.codes);
    for (int i = 0; i < BATCH * LEN; i++) cr_assert_float_eq(y[i], direct->x[i], 1e-5);

    k_fill(9, 0, v.bottom.cluster_size->x);
    v.bottom.cluster_size->x[3] = 6, v.bottom.cluster_size->x[5] = 2;
    Tensor *mean = t_input(&t, NULL, SHAPE(BATCH, 4, 4, 3));
    for (size_t i = 0; i < mean->len; i++)
        mean->x[i] = (real)0.75 * v.bottom.table->x[9 + i % 3] +
                     (real)0.25 * v.bottom.table->x[15 + i % 3];
    direct = decode(&v, e.top.codes, mean);
    decode_all(&v, BATCH, SIDE, SIDE, top, NULL, only);
    for (int i = 0; i < BATCH * LEN; i++) cr_assert_float_eq(only[i], direct->x[i], 1e-5);
    tape_free(&t);
    params_free(&p);
}

/* Is the loss what vqvae2.h says, with both levels' commitment? */
Test(vqvae2, the_loss_is_the_scaled_error_and_a_quarter_of_both_commitments) {
    Params p = {.seed = 2};
    Vqvae2 v = moved(&p, small);
    Tape t = {.no_grad = true};
    Tensor *x = images_on(&t);
    Encoding e = encode(&v, x);
    Tensor *y = decode(&v, e.top.codes, e.bottom.codes);
    double error = k_sum_squared_difference(x->len, x->x, y->x) / (double)x->len, commitment = 0;
    const Quantised *q[2] = {&e.top, &e.bottom};
    for (int i = 0; i < 2; i++)
        commitment += k_sum_squared_difference(q[i]->z->len, q[i]->z->x, q[i]->codes->x) /
                      (double)q[i]->z->len;
    double loss = (double)vqvae2_loss(&e, x, y, 0.5)->x[0];
    cr_assert_float_eq(loss, 2 * error + 0.25 * commitment, 1e-5 * loss);
    cr_assert(e.top.commitment_loss->x[0] > 1e-3 && e.bottom.commitment_loss->x[0] > 1e-3);
    tape_free(&t);
    params_free(&p);
}

/* ---- learning -------------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
/* Eight images by heart: the autoencoder rebuilds them, and both priors know their codes. */
Test(vqvae2, eight_images_are_learned_by_heart) {
    ImageSet d = image_set_fashion(NULL);
    enum { G = 8, STEPS = 150 };
    static real x[G * 32 * 32], y[G * 32 * 32];
    int labels[G], top[G * 16], bottom[G * 64];
    images_get(&d.train, G, NULL, -1, 1, x, labels);
    Params p = {.seed = 1};
    Vqvae2 v = vqvae2_new(&p, (Vqvae2Config){.levels = 2, .channels = 1, .width = 32,
                                             .res_blocks = 1, .res_channels = 16, .codes = 64,
                                             .dim = 16});
    Tape t = {0};
    Adam adam = {ADAM_DEFAULTS};
    Rng rng = rng_new(1, "codebooks");
    for (int step = 0; step < STEPS; step++) {
        tape_reset(&t);
        Tensor *images = t_input(&t, x, SHAPE(G, 32, 32, 1));
        if (!step) vqvae2_start(&v, images, &rng);
        Encoding e = encode(&v, images);
        codebooks_update(&v, &e, 0.1, &rng);
        params_zero_grad(&p);
        backward(vqvae2_loss(&e, images, decode(&v, e.top.codes, e.bottom.codes), 0.5));
        adam_step(&adam, &p, 2e-3, 1);
    }
    encode_all(&v, G, 32, 32, x, top, bottom);
    decode_all(&v, G, 32, 32, top, bottom, y);
    double error = image_set_error(&d, G, x, y) / G / image_set_variance(&d);
    cr_expect(error < 0.1, "error / variance %g", error);

    Params q = {.seed = 1};
    Snail s = snail_new(&q, (SnailConfig){.height = 8, .width = 8, .codes = 64, .channels = 32,
                                          .kernel = 3, .blocks = 1, .res_blocks = 2,
                                          .res_channels = 32, .condition_channels = 16,
                                          .condition_blocks = 1, .condition_kernel = 3,
                                          .condition_codes = 64, .classes = 10, .previous = true});
    Adam other = {ADAM_DEFAULTS};
    double nats[64], sum = 0;
    for (int step = 0; step < 320; step++) {
        tape_reset(&t);
        Tensor *condition = snail_condition(&s, &t, G, (SnailCondition){top, labels});
        params_zero_grad(&q);
        backward(t_cross_entropy(snail(&s, snail_one_hot(&s, &t, G, bottom), condition),
                                 bottom));
        adam_step(&other, &q, 2e-3, clip_scale(grad_norm(&q), 1));
    }
    snail_nats(&s, G, bottom, (SnailCondition){top, labels}, nats);
    for (int i = 0; i < 64; i++) sum += nats[i] / 64;
    cr_expect(sum < 0.1, "%g nats a code", sum);
    tape_free(&t);
    adam_free(&adam), adam_free(&other), params_free(&p), params_free(&q);
    image_set_free(&d);
}
#endif

/* ---- the program ----------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
PROGRAM_SUITE(vqvae2_program);

#define ONE "--threads 1 "      /* networks so small are no faster on two */
#define TRAIN "train -q --batch 8 --prior-batch 4 --width 16 --codes 64 --prior-channels 16 " ONE
#define TWO_EACH TRAIN "--steps 2 --top-steps 2 --bottom-steps 2 "
#define ONE_EACH TRAIN "--steps 1 --top-steps 1 --bottom-steps 1 "

/* Same seed, another number of threads: the same weights, bit for bit, in every stage? */
Test(vqvae2_program, weights_do_not_depend_on_threads) {
    few_garments(200, 40);
    RUN("vqvae2", TWO_EACH "--data %s --threads 1 --out %s/one");
    RUN("vqvae2", TWO_EACH "--data %s --threads 2 --out %s/two");
    RUN("vqvae2", TWO_EACH "--data %s --seed 2 --out %s/other");
    cr_assert(same_file("one/weights.safetensors", "two/weights.safetensors"));
    cr_assert(same_file("one/bottom-weights.safetensors", "two/bottom-weights.safetensors"));
    cr_assert(!same_file("one/autoencoder-weights.safetensors",
                         "other/autoencoder-weights.safetensors"), "the seed does nothing");
}

/* Each stage stopped and resumed: codebooks, moments, averages, dropout, order of pictures? */
Test(vqvae2_program, a_resumed_run_equals_one_that_was_never_stopped) {
    few_garments(200, 40);
    RUN("vqvae2", TRAIN "--steps 4 --top-steps 4 --bottom-steps 4 --data %s --out %s/straight");
    RUN("vqvae2", TRAIN "--steps 4 --top-steps 4 --bottom-steps 2 --data %s --out %s/resumed");
    RUN("vqvae2", "train -q " ONE "--stage bottom --bottom-steps 4 --resume --out %s/resumed");
    cr_expect(same_file("straight/weights.safetensors", "resumed/weights.safetensors"));
    RUN("vqvae2", TRAIN "--stage autoencoder --steps 2 --data %s --out %s/half");
    RUN("vqvae2", "train -q " ONE "--stage autoencoder --steps 4 --resume --out %s/half");
    RUN("vqvae2", TRAIN "--stage top --top-steps 2 --data %s --out %s/half");
    RUN("vqvae2", "train -q " ONE "--top-steps 4 --bottom-steps 4 --resume --out %s/half");
    cr_expect(same_file("straight/top-weights.safetensors", "half/top-weights.safetensors"));
    cr_expect(same_file("straight/autoencoder-weights.safetensors",
                        "half/autoencoder-weights.safetensors"));
}

/* A later stage is of this autoencoder, or it is trained again. A folder that was used: is the same
 * made as in an empty one, with other codes, after more steps of the autoencoder, and when a new
 * run stopped after its first stage? And is nothing of the earlier runs lost? */
Test(vqvae2_program, leftovers_of_another_autoencoder_are_set_aside) {
    few_garments(200, 40);
    RUN("vqvae2", TWO_EACH "--data %s --out %s/a");
    RUN("vqvae2", TWO_EACH "--codes 32 --data %s --out %s/a");
    RUN("vqvae2", TWO_EACH "--codes 32 --data %s --out %s/fresh");
    cr_expect(same_file("fresh/weights.safetensors", "a/weights.safetensors"), "other codes");
    static const char *const kept[] = {"weights.safetensors", "top-weights.safetensors",
                                       "bottom-checkpoint.safetensors", "top-log.csv"};
    for (int i = 0; i < 4; i++) {
        char name[100];
        snprintf(name, sizeof name, "a/%s.old", kept[i]);
        cr_expect(file_there(name), "%s is lost", name);
    }

    RUN("vqvae2", "train -q " ONE "--resume --steps 3 --out %s/a");
    RUN("vqvae2", TWO_EACH "--steps 3 --codes 32 --data %s --out %s/longer");
    cr_expect(same_file("longer/weights.safetensors", "a/weights.safetensors"), "more steps");

    RUN("vqvae2", TWO_EACH "--stage autoencoder --codes 16 --data %s --out %s/a");
    cr_expect(!file_there("a/bottom-weights.safetensors") && !file_there("a/weights.safetensors"));
    RUN("vqvae2", "train -q " ONE "--resume --out %s/a");
    RUN("vqvae2", TWO_EACH "--codes 16 --data %s --out %s/stopped");
    cr_expect(same_file("stopped/weights.safetensors", "a/weights.safetensors"), "stopped");
}

/* The same where the autoencoder is a file that --autoencoder names */
Test(vqvae2_program, a_prior_of_another_autoencoder_is_not_gone_on_from) {
    char message[2000];
    few_garments(200, 40);
    RUN("vqvae2", TRAIN "--stage autoencoder --steps 2 --data %s --out %s/a");
    RUN("vqvae2", TRAIN "--stage autoencoder --steps 2 --seed 2 --data %s --out %s/b");
    RUN("vqvae2", "train -q " ONE "--stage top --top-steps 2 --prior-channels 16 "
                  "--autoencoder %s/a/autoencoder-weights.safetensors --data %s --out %s/c");
    int status = run_program("vqvae2", "train -q " ONE "--stage bottom --bottom-steps 1 "
                             "--prior-channels 16 --autoencoder "
                             "%s/b/autoencoder-weights.safetensors --data %s --out %s/c", message);
    cr_expect_eq(status, 0, "%s", message);
    cr_expect(strstr(message, "top-weights.safetensors: was trained on other weights"), "%s",
              message);
    cr_expect(!file_there("c/weights.safetensors"), "two autoencoders' priors in one file");
    status = run_program("vqvae2", "train -q " ONE "--stage top --resume --top-steps 3 "
                         "--autoencoder %s/b/autoencoder-weights.safetensors --data %s --out %s/c",
                         message);
    cr_expect_eq(status, 0, "%s", message);
    cr_expect(strstr(message, "this stage starts anew"), "%s", message);
    cr_expect(file_there("c/weights.safetensors") && file_there("c/top-weights.safetensors.old"));
}

Test(vqvae2_program, trained_weights_give_pictures_and_scores) {
    few_garments(400, 120);
    RUN("vqvae2", TRAIN "--steps 2 --top-steps 1 --bottom-steps 1 --data %s --out %s/a");
    RUN("vqvae2", "sample -q " ONE "--keep 0.5 --data %s --out %s/a");
    RUN("vqvae2", "eval -q " ONE "--samples 20 --keep 0.5 --data %s --out %s/a");
    RUN("vqvae2", "sample -q " ONE "--weights %s/a/weights.safetensors --out %s/b");
    static const char *const files[] = {"a/autoencoder-reconstructions.png",
                                        "a/top-samples.png",
                                        "a/bottom-samples.png",
                                        "a/autoencoder-log.csv",
                                        "a/samples.png",
                                        "b/samples.png",
                                        "a/reconstructions.png",
                                        "a/codes.png",
                                        "a/uniform.png",
                                        "a/bottoms.png",
                                        "a/metrics.json",
                                        "a/neighbours.png"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_expect(file_there(files[i]), "%s is missing or empty", files[i]);
}

/* what is measured, without the command that did it */
static char *measures_of(const char *name) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s/metrics.json", folder, name);
    char *text = text_of(path), *measures = strstr(text, "parameters_autoencoder");
    cr_assert_not_null(measures, "%s", text);
    memmove(text, measures, strlen(measures) + 1);
    return text;
}

/* The public code's file, which has no metadata: is the same measured? And is it said what is wrong
 * with another network's? */
Test(vqvae2_program, official_weights_are_read) {
    char from[100], to[100];
    Params p = {0};
    few_garments(400, 120);
    RUN("vqvae2", TRAIN "--stage autoencoder --steps 2 --data %s --out %s");
    vqvae2_new(&p, (Vqvae2Config){.levels = 2, .channels = 1, .width = 16, .res_blocks = 2,
                                  .res_channels = 32, .codes = 64, .dim = 32});
    snprintf(from, sizeof from, "%s/autoencoder-weights.safetensors", folder);
    snprintf(to, sizeof to, "%s/official.safetensors", folder);
    rewrite_official(from, "vqvae2", &p, to, &vqvae2_official);
    RUN("vqvae2", "eval -q " ONE "--stage autoencoder --data %s --out %s");
    RUN("vqvae2", "eval -q " ONE "--stage autoencoder --width 16 --codes 64 --data %s "
                  "--weights %s/official.safetensors --out %s/again");
    char *own = measures_of("."), *official = measures_of("again");
    cr_expect_str_eq(own, official);
    free(own), free(official);
    expect_refusal("vqvae2", "eval --stage autoencoder --config rosinality "
                   "--weights %s/official.safetensors --out %s/x", 1,
                   "enc_b.blocks.0.weight is (8,1,4,4), this network has (64,3,4,4)");
    params_free(&p);
}

/* Another prior for the same autoencoder, and one level alone */
Test(vqvae2_program, priors_of_several_kinds_fit_one_autoencoder) {
    few_garments(400, 120);
    RUN("vqvae2", TRAIN "--stage autoencoder --steps 2 --data %s --out %s/a");
    RUN("vqvae2", "train -q " ONE "--stage top --top-steps 1 --attention none --prior-channels 16 "
                  "--autoencoder %s/a/autoencoder-weights.safetensors --data %s --out %s/b");
    RUN("vqvae2", "train -q " ONE "--stage bottom --bottom-steps 1 --attention none "
                  "--prior-channels 16 --autoencoder %s/a/autoencoder-weights.safetensors "
                  "--data %s --out %s/b");
    cr_expect(file_there("b/weights.safetensors"));
    RUN("vqvae2", TRAIN "--levels 1 --steps 1 --bottom-steps 1 --data %s --out %s/one");
    RUN("vqvae2", "eval -q " ONE "--samples 20 --data %s --out %s/one");
    RUN("vqvae2", "eval -q " ONE "--stage autoencoder --data %s --out %s/a");
    cr_expect(file_there("one/metrics.json") && file_there("a/metrics.json"));
}

/* Colour, the other preset; does the autoencoder's file, which has no options of priors, open? */
Test(vqvae2_program, emoji_are_learned_rebuilt_and_drawn) {
    RUN("vqvae2", "train -q " ONE "--config emoji --batch 2 --width 16 --codes 32 "
                  "--prior-channels 16 --prior-batch 1 --steps 1 --top-steps 1 --bottom-steps 1 "
                  "--out %s/a");
    RUN("vqvae2", "eval -q " ONE "--stage autoencoder --out %s/a");
    RUN("vqvae2", "sample -q " ONE "--out %s/a");
    cr_expect(file_there("a/metrics.json") && file_there("a/samples.png"));
}

/* Are images from which nothing can be learned named, before a step is made? */
Test(vqvae2_program, black_images_are_refused) {
    char message[2000];
    few_black(200, 40);
    int status = run_program("vqvae2", "train -q --data %s --out %s/x", message);
    cr_expect_eq(status, 1, "%s", message);
    cr_expect(strstr(message, "all pixels are the same"), "%s", message);
}

Test(vqvae2_program, bad_input_gets_one_line_and_a_status) {
    few_garments(200, 40);
    RUN("vqvae2", ONE_EACH "--data %s --out %s/a");
    static const Refusal cases[] = {
        {"train --levels 3 --out %s/x", 2, "--levels"},
        {"train --stage middle --out %s/x", 2, "middle"},
        {"train --stage top --levels 1 --out %s/x", 2, "top"},
        {"train --autoencoder x --out %s/x", 2, "--autoencoder"},
        {"train --prior-channels 17 --out %s/x", 2, "--prior-channels"},
        {"train --stage top --classes 3 --out %s/a", 1, "classes"},
        {"train --stage top --codes 32 --data %s --out %s/a", 2, "--codes"},
        {"train --stage bottom --data %s --out %s/nothing", 1, "autoencoder-weights"},
        {"train --steps 1 --data %s/none --out %s/x", 1, "none"},
        {"sample --temperature -1 --out %s/x", 2, "--temperature"},
        {"eval --keep 0 --out %s/x", 2, "--keep"},
        {"sample --attention both --data %s --out %s/a", 2, "--attention"},
        {"sample --weights %s/stderr --out %s/x", 1, "stderr"},
    };
    EXPECT_REFUSALS("vqvae2", cases);
}
#endif
