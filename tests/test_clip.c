/* test_clip.c — CLIP: sizes of the published networks, gradients, the loss with equal captions, the
 * end of text, official names. What the official code computes: build/golden clip. */
#include "io/safetensors.h"
#include "nn/clip.h"
#include "nn/optim.h"
#include "stops.h"
#include "testing.h"
#include "nn/official.h"

#include <math.h>
#include <string.h>

SUITE(clip);

/* every size another, none a vector's */
static const ClipConfig small = {
    .image = {.side = 6, .patch = 3, .width = 9, .depth = 2, .heads = 3},
    .text = {.context = 7, .vocabulary = 11, .width = 10, .depth = 1, .heads = 2},
    .dim = 5};

enum { B = 4, N = 6 };
/* 10 ends a text; the second and the fourth are equal */
static const int texts[B * N] = {9, 1, 2, 3, 10, 0, 9, 4, 10, 0, 0, 0,
                                 9, 8, 8, 8, 10, 0, 9, 4, 10, 0, 0, 0};

static Tensor *values(Tape *t, const char *name, int rank, const int *shape) {
    Tensor *x = t_input(t, NULL, rank, shape);
    test_values(name, -1, 1, x->len, x->x);
    return x;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static size_t count_clip(const char *name, const char *part) {
    Params p = {.shapes_only = true};
    clip_new(&p, clip_official(name));
    size_t n = 0;
    for (int i = 0; i < p.count; i++)
        if (!strncmp(p.list[i]->name, part, strlen(part))) n += p.list[i]->len;
    cr_expect(p.arena.used < 1 << 20, "counting took %zu bytes", p.arena.used);
    params_free(&p);
    return n;
}

Test(clip, published_networks_have_their_published_sizes) {
    cr_expect_eq(count_clip("vit-b32", ""), 151277313);
    cr_expect_eq(count_clip("vit-b16", ""), 149620737);
    cr_expect_eq(count_clip("vit-l14", ""), 427616513);
    cr_expect_eq(count_clip("vit-b32", "image."), 87849216);
    cr_expect_eq(count_clip("vit-b32", "text."), 63428096);
    cr_expect_eq(count_clip("vit-l14", "text."), 123650305 - 1);      /* logit_scale was counted */
}

Test(clip, the_text_encoder_of_stable_diffusion_has_its_size) {
    Params p = {.shapes_only = true};
    clip_text_new(scope(&p, "text"), clip_official("vit-l14").text, 0);
    cr_expect_eq(params_count(&p), 123060480);
    params_free(&p);
}

/* ---- gradients ------------------------------------------------------------------------------- */

typedef struct {
    Params params;
    Clip net;
    Tensor *images;                      /* a parameter, for its gradient */
} Case;

static void case_new(Case *c) {
    *c = (Case){.params = {.seed = 1}};
    c->net = clip_new(&c->params, small);
    c->images = param(scope(&c->params, "in"), "images", INIT_NORMAL, 1, SHAPE(B, 6, 6, 3));
}

static Tensor *features_of_images(const Case *c, Tape *t) {
    return clip_normalise(clip_image(&c->net.image, t_use(t, c->images), NULL));
}

static Tensor *features_of_texts(const Case *c, Tape *t, const int *tokens) {
    return clip_normalise(clip_text(&c->net.text, t, tokens, B, N));
}

static Tensor *case_loss(Tape *t, void *context) {
    const Case *c = context;
    static const int group[B] = {0, 1, 2, 1};
    Tensor *logits = clip_logits(&c->net, features_of_images(c, t), features_of_texts(c, t, texts));
    return clip_loss(logits, group);
}

#ifdef REAL_DOUBLE
Test(clip, gradients_agree_with_central_differences) {
    Case c;
    case_new(&c);
    double error = gradient_error(&c.params, case_loss, &c, 20);
    cr_expect(error < 1e-6, "relative error %g", error);
    params_free(&c.params);
}

/* with wrong captions for the first and the last image, the last one's first */
static Tensor *wrong_loss(Tape *t, void *context) {
    const Case *c = context;
    static const int which[B] = {1, -1, -1, 0}, wrong[2 * N] = {9, 7, 5, 10, 0, 0, 9, 3, 2, 1, 10, 0};
    Tensor *images = features_of_images(c, t);
    Tensor *logits = clip_logits(&c->net, images, features_of_texts(c, t, texts));
    Tensor *other = clip_normalise(clip_text(&c->net.text, t, wrong, 2, N));
    return clip_loss(t_concat(logits, clip_wrong_logits(&c->net, images, other, which), 1), NULL);
}

Test(clip, gradients_with_wrong_captions_agree_with_central_differences) {
    Case c;
    case_new(&c);
    double error = gradient_error(&c.params, wrong_loss, &c, 20);
    cr_expect(error < 1e-6, "relative error %g", error);
    params_free(&c.params);
}

/* what Stable Diffusion reads: all tokens, without projection */
static Tensor *tokens_loss(Tape *t, void *context) {
    Tensor *x = clip_text_tokens(context, t, texts, B, N);
    return t_sum(t_mul(x, values(t, "cotangent", x->rank, x->shape)));
}

Test(clip, gradients_of_all_tokens_agree_with_central_differences) {
    Params p = {.seed = 1};
    ClipText text = clip_text_new(scope(&p, "text"), small.text, 0);
    double error = gradient_error(&p, tokens_loss, &text, 20);
    cr_expect(error < 1e-6, "relative error %g", error);
    params_free(&p);
}
#endif

/* Does a gradient arrive at every parameter? */
Test(clip, every_parameter_takes_part) {
    Case c;
    Tape t = {0};
    case_new(&c);
    backward(case_loss(&t, &c));
    for (int i = 0; i < c.params.count; i++) {
        Tensor *w = c.params.list[i];
        cr_expect(w->has_grad && k_sum_squares(w->len, w->g) > 0, "%s", t_describe(w));
    }
    tape_free(&t);
    params_free(&c.params);
}

/* ---- loss ------------------------------------------------------------------------------------ */

/* the formula of the header, in double */
static double loss_by_hand(const Tensor *logits, const int *group) {
    int n = logits->shape[0], m = logits->shape[1];
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double row = 0, column = 0;
        int equal = 0;
        for (int j = 0; j < m; j++) row += exp((double)logits->x[i * m + j]);
        for (int j = 0; j < n; j++) {
            column += exp((double)logits->x[j * m + i]);
            equal += group[i] == group[j];
        }
        for (int j = 0; j < n; j++)
            if (group[i] == group[j])
                sum += ((double)logits->x[i * m + j] - log(row) + (double)logits->x[j * m + i] -
                        log(column)) / equal;
    }
    return -sum / (2 * n);
}

Test(clip, the_loss_follows_its_formula) {
    static const int groups[][5] = {{0, 1, 2, 3, 4}, {0, 1, 1, 3, 1}, {7, 7, 7, 7, 7}};
    Tape t = {.no_grad = true};
    Tensor *logits = values(&t, "logits", SHAPE(5, 5));
    for (int k = 0; k < 3; k++) {
        double want = loss_by_hand(logits, groups[k]);
        double got = (double)clip_loss(logits, groups[k])->x[0];
        cr_expect(fabs(got - want) < 20 * (double)REAL_EPS, "case %d: %g, not %g", k, got, want);
    }
    double rows = (double)t_cross_entropy(logits, groups[0])->x[0];
    Tensor *turned = t_permute(logits, 2, (int[]){1, 0});
    double columns = (double)t_cross_entropy(turned, groups[0])->x[0];
    double got = (double)clip_loss(logits, NULL)->x[0];
    cr_expect(fabs(got - (rows + columns) / 2) < 20 * (double)REAL_EPS, "the paper's: %g", got);
    tape_free(&t);
}

/* Do wrong captions stand beside an image's right one, and beside no image for a caption? */
Test(clip, wrong_captions_count_for_their_images) {
    static const int group[] = {0, 1, 1, 3, 1};
    Tape t = {.no_grad = true};
    Tensor *logits = values(&t, "logits", SHAPE(5, 7));
    double want = loss_by_hand(logits, group), got = (double)clip_loss(logits, group)->x[0];
    cr_expect(fabs(got - want) < 20 * (double)REAL_EPS, "%g, not %g", got, want);
    tape_free(&t);
}

/* Is the column image . wrong caption, times the scale? Has an image without one the loss of none? */
Test(clip, a_wrong_caption_is_its_own_images) {
    Case c;
    case_new(&c);
    Tape t = {.no_grad = true};
    static const int which[B] = {1, -1, 0, 1}, none[B] = {-1, -1, -1, -1};
    Tensor *images = clip_normalise(values(&t, "images", SHAPE(B, 5)));
    Tensor *wrong = clip_normalise(values(&t, "wrong", SHAPE(2, 5)));
    Tensor *all = clip_logits(&c.net, images, wrong);
    Tensor *column = clip_wrong_logits(&c.net, images, wrong, which);
    for (int i = 0; i < B; i++) {
        double got = (double)column->x[i], want = (double)all->x[2 * i + which[i] % 2];
        if (which[i] < 0) cr_expect_lt(got, -900);
        else cr_expect(fabs(got - want) < 100 * (double)REAL_EPS, "%d: %g, not %g", i, got, want);
    }
    Tensor *own = clip_logits(&c.net, images, clip_normalise(values(&t, "own", SHAPE(B, 5))));
    Tensor *with = t_concat(own, clip_wrong_logits(&c.net, images, wrong, none), 1);
    double alone = (double)clip_loss(own, NULL)->x[0], beside = (double)clip_loss(with, NULL)->x[0];
    cr_expect(fabs(alone - beside) < 20 * (double)REAL_EPS, "%g, not %g", beside, alone);
    tape_free(&t);
    params_free(&c.params);
}

/* the line a training must get below */
Test(clip, features_that_say_nothing_cost_ln_b) {
    Tape t = {.no_grad = true};
    Tensor *same = t_input(&t, NULL, SHAPE(8, 8));
    k_fill(64, 3, same->x);
    for (int k = 0; k < 2; k++) {
        const int group[] = {0, 0, 0, 3, 4, 4, 6, 7};
        double loss = (double)clip_loss(same, k ? group : NULL)->x[0];
        cr_expect(fabs(loss - log(8)) < 20 * (double)REAL_EPS, "%g", loss);
    }
    tape_free(&t);
}

/* Does the gradient leave equal captions together? For two equal captions at logits that are equal
 * in their rows and columns, nothing pushes their images apart. */
Test(clip, equal_captions_are_no_negatives) {
    Tape t = {0};
    real x[16] = {9, 9, 0, 0, 9, 9, 0, 0, 0, 0, 9, 0, 0, 0, 0, 9};
    const int group[] = {0, 0, 2, 3};
    Tensor *fair = t_variable(&t, x, SHAPE(4, 4)), *unfair = t_variable(&t, x, SHAPE(4, 4));
    backward(clip_loss(fair, group));
    backward(clip_loss(unfair, NULL));
    cr_expect(fabs((double)fair->g[1]) < 1e-4, "pushed apart by %g", (double)fair->g[1]);
    cr_expect(unfair->g[1] > 0.1, "pushed apart by %g", (double)unfair->g[1]);
    tape_free(&t);
}

Test(clip, the_scale_is_kept_within_1_and_100) {
    Case c;
    case_new(&c);
    const double in[] = {-1, 0.5, 2.659, 4.6, 4.7, 1000};
    const double out[] = {0, 0.5, 2.659, 4.6, log(100), log(100)};
    cr_expect(fabs((double)c.net.logit_scale->x[0] - 2.659260) < 1e-6, "starts at ln(1/0.07)");
    for (int i = 0; i < 6; i++) {
        c.net.logit_scale->x[0] = (real)in[i];
        clip_clamp(&c.net);
        cr_expect(fabs((double)c.net.logit_scale->x[0] - out[i]) < 1e-6, "%g", in[i]);
    }
    params_free(&c.params);
}

/* Are images and their texts brought together, and others apart, until nothing is mistaken? */
Test(clip, a_few_pairs_are_learned_by_heart) {
    Case c;
    Tape t = {0};
    Adam adam = {ADAM_DEFAULTS};
    const int group[B] = {0, 1, 2, 1};
    case_new(&c);
    c.images->wants_grad = false;
    double loss = 0;
    for (int step = 0; step < 150; step++) {
        tape_reset(&t);
        params_zero_grad(&c.params);
        Tensor *l = case_loss(&t, &c);
        loss = (double)l->x[0];
        backward(l);
        adam_step(&adam, &c.params, 5e-3, 1);
        clip_clamp(&c.net);
    }
    /* two of the four have two right answers each: that costs half of ln 2 */
    cr_expect(loss < log(2) / 2 + 0.05, "loss %g", loss);
    tape_reset(&t);
    Tensor *logits = clip_logits(&c.net, features_of_images(&c, &t),
                                 features_of_texts(&c, &t, texts));
    for (int i = 0; i < B; i++)
        for (int j = 0; j < B; j++)
            cr_expect(group[i] == group[j] || logits->x[i * B + i] > logits->x[i * B + j] + 1,
                      "image %d is taken for %d", i, j);
    tape_free(&t);
    adam_free(&adam);
    params_free(&c.params);
}

/* ---- end of text ----------------------------------------------------------------------------- */

/* Is it the token with the largest number, and does nothing behind it matter? */
Test(clip, a_text_ends_at_its_largest_token) {
    Case c;
    Tape t = {.no_grad = true};
    case_new(&c);
    Tensor *y = features_of_texts(&c, &t, texts);
    static const int end[B] = {4, 2, 4, 2};
    for (int at = 0; at < N; at++) {
        int changed[B * N];
        memcpy(changed, texts, sizeof texts);
        for (int i = 0; i < B; i++)
            if (at != end[i]) changed[i * N + at] = 7 - changed[i * N + at] % 2;
        Tensor *z = features_of_texts(&c, &t, changed);
        for (int i = 0; i < B; i++) {
            double difference = k_sum_squared_difference(5, y->x + i * 5, z->x + i * 5);
            if (at >= end[i]) cr_expect(difference < 1e-10, "text %d: token %d matters", i, at);
            else cr_expect(difference > 1e-10, "text %d: token %d does not matter", i, at);
        }
    }
    tape_free(&t);
    params_free(&c.params);
}

/* Cut where it ends, a text gives what it gives at full length. */
Test(clip, features_are_those_of_all_tokens_at_the_end) {
    Case c;
    Tape t = {.no_grad = true};
    static const int end[B] = {4, 2, 4, 2};
    case_new(&c);
    const ClipText *e = &c.net.text;
    Tensor *all = clip_text_tokens(e, &t, texts, B, N), *some = clip_text(e, &t, texts, B, N);
    Tensor *projected = t_linear(all, e->proj, NULL);
    for (int i = 0; i < B; i++)
        for (int d = 0; d < 5; d++)
            cr_expect(fabs((double)(some->x[i * 5 + d] - projected->x[(i * N + end[i]) * 5 + d])) <
                      1e-5, "text %d", i);
    tape_free(&t);
    params_free(&c.params);
}

/* ---- official names -------------------------------------------------------------------------- */

static const char *const golden = "tests/golden/clip.safetensors";

/* that of the file */
static ClipConfig golden_config(void) {
    return (ClipConfig){.image = {.side = 16, .patch = 4, .width = 64, .depth = 2, .heads = 1},
                        .text = {.context = 12, .vocabulary = 50, .width = 32, .depth = 2,
                                 .heads = 4},
                        .dim = 24};
}

static void load_golden(void *context) {
    const ClipConfig *c = context;
    Params p = {.seed = 1};
    clip_new(&p, *c);
    official_load(golden, "weight.", &clip_openai, &p);
    params_free(&p);
}

Test(clip, official_weights_are_read) {
    Safetensors file = safetensors_open(golden);
    Params p = {.seed = 1};
    Clip net = clip_new(&p, golden_config());
    official_load(golden, "weight.", &clip_openai, &p);
    const StTensor *in_proj = safetensors_find(
        &file, "weight.visual.transformer.resblocks.1.attn.in_proj_weight");
    real theirs[192 * 64];
    safetensors_get(in_proj, theirs);
    const Tensor *w = net.image.block.blocks[1].attn.qkv.w;
    for (int i = 0; i < 192; i++)
        for (int j = 0; j < 64; j++)
            cr_assert(theirs[i * 64 + j] == w->x[j * 192 + i], "row %d, column %d", i, j);
    real proj[64 * 24];
    safetensors_get(safetensors_find(&file, "weight.visual.proj"), proj);
    cr_expect(!memcmp(proj, net.image.proj->x, sizeof proj), "stands in the file as here");
    params_free(&p);
    safetensors_close(&file);
}

Test(clip, weights_of_another_network_are_refused_with_what_is_wrong) {
    ClipConfig right = golden_config(), wrong = right;
    wrong.text.depth = 3;
    expect_stop(1, "tensors 12 missing (transformer.resblocks.2.ln_1.weight, "
                "transformer.resblocks.2.ln_1.bias, transformer.resblocks.2.attn.in_proj_weight, "
                "...)", load_golden, &wrong);
    wrong = right, wrong.image.depth = 1;
    expect_stop(1, "12 left over (visual.transformer.resblocks.1.attn.in_proj_bias, ", load_golden,
                &wrong);
    wrong = right, wrong.text.context = 13;
    expect_stop(1, "tensors 1 of another shape (positional_embedding is F32 (12,32), here (13,32))",
                load_golden, &wrong);
}

/* ---- under the names of transformers --------------------------------------------------------- */

typedef struct {
    char name[160];
    int rank, shape[2];
    float *x;
} Layer;

static int put(Layer *l, const char *name, int rows, int cols) {
    *l = (Layer){.rank = cols ? 2 : 1, .shape = {rows, cols}};
    snprintf(l->name, sizeof l->name, "cond_stage_model.transformer.text_model.%s", name);
    size_t n = (size_t)rows * (size_t)(cols ? cols : 1);
    l->x = malloc(n * sizeof *l->x);
    for (size_t i = 0; i < n; i++) l->x[i] = (float)(i % 97) + (float)strlen(name);
    return 1;
}

/* a block and what stands around it, of width 10; returns how many */
static int huggingface_layers(Layer *l) {
    int n = 0;
    static const char *const parts[] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    char name[120];
    n += put(l + n, "embeddings.token_embedding.weight", 11, 10);
    n += put(l + n, "embeddings.position_embedding.weight", 7, 10);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "encoder.layers.0.self_attn.%s.weight", parts[i]);
        n += put(l + n, name, 10, 10);
        snprintf(name, sizeof name, "encoder.layers.0.self_attn.%s.bias", parts[i]);
        n += put(l + n, name, 10, 0);
    }
    n += put(l + n, "encoder.layers.0.layer_norm1.weight", 10, 0);
    n += put(l + n, "encoder.layers.0.layer_norm1.bias", 10, 0);
    n += put(l + n, "encoder.layers.0.mlp.fc1.weight", 40, 10);
    n += put(l + n, "encoder.layers.0.mlp.fc1.bias", 40, 0);
    n += put(l + n, "encoder.layers.0.mlp.fc2.weight", 10, 40);
    n += put(l + n, "encoder.layers.0.mlp.fc2.bias", 10, 0);
    n += put(l + n, "encoder.layers.0.layer_norm2.weight", 10, 0);
    n += put(l + n, "encoder.layers.0.layer_norm2.bias", 10, 0);
    n += put(l + n, "final_layer_norm.weight", 10, 0);
    n += put(l + n, "final_layer_norm.bias", 10, 0);
    n += put(l + n, "embeddings.position_ids", 1, 7);          /* not a weight */
    return n;
}

static const Layer *layer(const Layer *l, const char *ending) {
    while (!strstr(l->name, ending)) l++;
    return l;
}

Test(clip, the_text_encoder_is_read_under_the_names_of_transformers) {
    Layer layers[32];
    StOutput out[32];
    int n = huggingface_layers(layers);
    char *path = path_join(temporary_folder(), "text.safetensors");
    for (int i = 0; i < n; i++) {
        out[i] = (StOutput){.name = layers[i].name, .type = ST_F32, .rank = layers[i].rank,
                            .shape = {(size_t)layers[i].shape[0], (size_t)layers[i].shape[1]},
                            .source = layers[i].x};
    }
    safetensors_write(path, out, n, NULL);
    Params p = {.seed = 1};
    ClipText text = clip_text_new(scope(&p, "text"), small.text, 0);
    official_load(path, "cond_stage_model.transformer.", &clip_text_huggingface, &p);
    const Tensor *qkv = text.block.blocks[0].attn.qkv.w;
    const Layer *k = layer(layers, "k_proj.weight"), *v = layer(layers, "v_proj.weight");
    for (int i = 0; i < 10; i++)
        for (int j = 0; j < 10; j++) {
            cr_expect_eq(qkv->x[j * 30 + 10 + i], k->x[i * 10 + j]);
            cr_expect_eq(qkv->x[j * 30 + 20 + i], v->x[i * 10 + j]);
        }
    for (int i = 0; i < 70; i++)
        cr_expect_eq(text.positions->x[i], layer(layers, "position_embedding")->x[i]);
    params_free(&p);
    for (int i = 0; i < n; i++) free(layers[i].x);
    free(path);
}
