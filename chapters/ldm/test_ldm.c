/* test_ldm.c — first stage, discriminator and their losses; conditions; latent diffusion; drawing
 * from official checkpoints. Golden tensors: tests/golden/ldm.c. */
#include "bands.h"
#include "condition.h"
#include "first_stage_loss.h"
#include "io/half.h"
#include "ldm.h"
#include "nn/optim.h"
#include "official_file.h"
#include "patchgan.h"
#include "published.h"
#include "stable_diffusion.h"
#include "stops.h"
#include "tensor/half.h"
#include "text_to_image.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

SUITE(ldm);

/* ---- sizes and names ------------------------------------------------------------------------- */

static void expect_count(Params *p, size_t count, const char *what) {
    cr_expect_eq(params_count(p), count, "%s: %zu, not %zu", what, params_count(p), count);
    cr_expect(p->arena.used < 1 << 20, "%s: counting took %zu bytes", what, p->arena.used);
    params_free(p);
}

Test(ldm, published_first_stages) {
    static const struct { const char *name; size_t count; int f; } stages[] = {
        {"kl-f4", 55312063, 4}, {"kl-f8", 83653863, 8}, {"kl-f16", 69610963, 16},
        {"kl-f32", 103880131, 32}, {"vq-f4", 55322782, 4}, {"vq-f8", 67717295, 8}};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        Params p = {.shapes_only = true};
        FirstStageConfig c;
        cr_assert(first_stage_published(stages[i].name, &c));
        cr_expect_eq(downsampling_factor(&c), stages[i].f);
        first_stage_new(&p, c);
        expect_count(&p, stages[i].count, stages[i].name);
    }
    Params d = {.shapes_only = true}, text = {.shapes_only = true};
    patchgan_new(&d, patchgan_published);
    expect_count(&d, 2765633, "discriminator");
    clip_text_new(scope(&text, "text"), sd_text_config, 0);
    expect_count(&text, 123060480, "text encoder");
    cr_expect(!first_stage_published("kl-f5", &(FirstStageConfig){0}));
}

Test(ldm, published_diffusion_models) {
    static const struct { const char *name; size_t count; } models[] = {
        {"sd1", 859520964}, {"sd1-inpaint", 859535364}, {"ldm-text", 872300484},
        {"cin256-v2", 400920579}, {"cin256", 394984196}, {"inpaint", 387245827},
        {"layout", 246277379}, {"semantic", 215229315}, {"celeba", 274056163},
        {"churches", 294966916}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        Params p = {.shapes_only = true};
        PublishedLdm m;
        cr_assert(published_ldm(models[i].name, &m));
        ldm_unet_new(&p, m.unet);
        expect_count(&p, models[i].count, models[i].name);
    }
    cr_expect(!published_ldm("sd3", &(PublishedLdm){.first_stage = NULL}));
}

/* is `name` one of the official names? */
static bool has_name(const OfficialMap *map, const Params *p, const char *name) {
    bool found = false;
    for (int i = 0; i < p->count; i++) {
        OfficialPiece pieces[OFFICIAL_PIECES];
        int n = official_pieces(map, p->list[i], pieces);
        for (int k = 0; k < n; k++) {
            found |= !strcmp(pieces[k].entry.name, name);
            free(pieces[k].entry.name);
        }
    }
    return found;
}

/* In Stable Diffusion's file: 686 tensors of the U-Net, 248 of the first stage, 196 of the text
 * encoder (and its position_ids) */
Test(ldm, tensors_have_their_official_names) {
    Params unet = {.shapes_only = true}, first = {.shapes_only = true},
           text = {.shapes_only = true};
    PublishedLdm m;
    FirstStageConfig c;
    published_ldm("sd1", &m), first_stage_published("kl-f8", &c);
    ldm_unet_new(&unet, m.unet), first_stage_new(&first, c);
    clip_text_new(scope(&text, "text"), sd_text_config, 0);
    UNetOfficial design = {.config = m.unet};
    OfficialMap map = ldm_unet_official(&design);
    cr_expect_eq(official_count(&map, &unet), 686);
    cr_expect_eq(official_count(&first_stage_official, &first), 248);
    cr_expect_eq(official_count(&clip_text_huggingface, &text), 196);
    cr_expect(has_name(&map, &unet, "output_blocks.11.1.transformer_blocks.0.attn2.to_out.0.bias"));
    cr_expect(has_name(&map, &unet, "input_blocks.3.0.op.weight"));
    cr_expect(has_name(&first_stage_official, &first, "decoder.mid.attn_1.proj_out.weight"));
    cr_expect(has_name(&first_stage_official, &first, "encoder.down.1.block.0.nin_shortcut.bias"));
    cr_expect(has_name(&first_stage_official, &first, "decoder.up.3.upsample.conv.weight"));
    cr_expect(has_name(&first_stage_official, &first, "post_quant_conv.weight"));
    params_free(&unet), params_free(&first), params_free(&text);
}

/* ---- first stage ----------------------------------------------------------------------------- */

enum { SIDE = 16, WIDTH = 8 };

static const FirstStageConfig tiny_kl = {.channels = 3, .width = WIDTH, .levels = 3,
                                         .multiplier = {1, 2, 2}, .blocks = 1,
                                         .attends = {false, false, true}, .z = 3, .embed = 2,
                                         .groups = 4};

static FirstStageConfig tiny_vq(void) {
    FirstStageConfig c = tiny_kl;
    c.codes = 12;
    return c;
}

static Tensor *values(Tape *t, const char *name, int rank, const int *shape) {
    Tensor *x = t_input(t, NULL, rank, shape);
    test_values(name, -1, 1, x->len, x->x);
    return x;
}

static Tensor *image(Tape *t, const char *name, int B) {
    return values(t, name, SHAPE(B, SIDE, SIDE, 3));
}

/* of the sample and of its KL, both terms at once */
static Tensor *kl_stage_loss(Tape *t, void *context) {
    const FirstStage *f = context;
    Posterior q = posterior(encode(f, image(t, "x", 2)));
    Tensor *z = posterior_sample(q, values(t, "noise", SHAPE(2, 4, 4, 2)));
    Tensor *y = decode(f, z);
    return t_add(t_mse(y, image(t, "target", 2)), t_scale(t_mean(posterior_kl(q)), 0.01));
}

Test(ldm, first_stage_gradients) {
    if (sizeof(real) == 4) return;
    Params p = {.seed = 1};
    FirstStage f = first_stage_new(&p, tiny_kl);
    double error = gradient_error_of(&p, kl_stage_loss, &f, (GradientCheck){.samples = 4,
                                                                           .h = 1e-4});
    cr_expect(error < 1e-6, "%g", error);
    params_free(&p);
}

/* KL(N(m, s^2) || N(0,1)) = (m^2 + s^2 - 1) / 2 - ln s, summed over a picture's numbers */
Test(ldm, the_kl_is_that_of_normal_distributions) {
    Tape t = {0};
    const real moments[] = {1, 0, 0, (real)(2 * log(2)),         /* pixel 1: means, log variances */
                            0, 2, (real)(2 * log(0.5)), 0};
    Tensor *m = t_input(&t, moments, SHAPE(1, 2, 1, 4));
    double expected = 0.5 + ((4 - 1) / 2. - log(2)) + ((0.25 - 1) / 2 - log(0.5)) + 2;
    cr_expect_float_eq(posterior_kl(posterior(m))->x[0], expected, 1e-5);
    Tensor *noise = t_input(&t, (real[]){1, 1, -1, 2}, SHAPE(1, 2, 1, 2));
    const real *z = posterior_sample(posterior(m), noise)->x;
    const double sample[] = {2, 2, -0.5, 4};
    for (int i = 0; i < 4; i++) cr_expect_float_eq(z[i], sample[i], 1e-5);
    const real wild[] = {0, 0, 100, -100};
    Tensor *log_variance = posterior(t_input(&t, wild, SHAPE(1, 1, 1, 4))).log_variance;
    cr_expect_eq(log_variance->x[0], 20);
    cr_expect_eq(log_variance->x[1], -30);
    tape_free(&t);
}

/* Nothing starts at 0 in LDM's autoencoder: both networks say something from the beginning, and
 * halving a picture looks one row and one column beyond its far sides alone. */
Test(ldm, the_first_stage_begins_as_the_official_one) {
    Params p = {.seed = 1};
    FirstStage f = first_stage_new(&p, tiny_kl);
    cr_expect(k_sum_squares(f.encoder.level[0].block[0].conv2.w->len,
                            f.encoder.level[0].block[0].conv2.w->x) > 0);
    cr_expect(k_sum_squares(f.decoder.middle_attention.attention.out.w->len,
                            f.decoder.middle_attention.attention.out.w->x) > 0);
    ConvPad pad = f.encoder.level[0].resample.pad;
    cr_expect(pad.top == 0 && pad.left == 0 && pad.bottom == 1 && pad.right == 1);
    params_free(&p);
}

/* The decoder reads codes; what it is given is replaced by the nearest. */
Test(ldm, a_vq_decoder_begins_with_the_codebook) {
    Params p = {.seed = 1};
    Tape t = {.no_grad = true};
    FirstStage f = first_stage_new(&p, tiny_vq());
    Tensor *z = values(&t, "z", SHAPE(1, 4, 4, 2));
    Tensor *codes = quantise(&f.codebook, z).codes;
    Tensor *a = decode(&f, z), *b = decode(&f, codes);
    Tensor *c = conv2d(&f.decoder.out, decoder_features(&f, z));
    cr_expect(k_sum_squared_difference(a->len, a->x, b->x) == 0);
    cr_expect(k_sum_squared_difference(a->len, a->x, c->x) > 1e-6);
    tape_free(&t), params_free(&p);
}

/* ---- losses of the first stage --------------------------------------------------------------- */

static const ClassifierConfig few_features = {.height = SIDE, .width = SIDE, .channels = 3,
                                              .filters = {4, 6}, .features = 3, .classes = 2};

typedef struct {
    Params first, discriminator, features;
    FirstStage net;
    PatchGan patchgan;
    Classifier classifier;
    FirstStageLoss loss;
} Setup;

/* with a discriminator, which all of it is a function of */
static void setup(Setup *s, FirstStageConfig c) {
    *s = (Setup){.first.seed = 1, .discriminator.seed = 2, .features.seed = 3};
    s->net = first_stage_new(&s->first, c);
    s->patchgan = patchgan_new(&s->discriminator, (PatchGanConfig){3, 4, 1});
    s->classifier = classifier_new(&s->features, &few_features);
    params_freeze(&s->features, true);
    s->loss = (FirstStageLoss){.features = &s->classifier, .perceptual = 0.7,
                               .discriminator = &s->patchgan,
                               .discriminator_params = &s->discriminator, .weight = 0.5,
                               .kl = 0.01, .commitment = 0.25};
}

static void setup_free(Setup *s) {
    params_free(&s->first), params_free(&s->discriminator), params_free(&s->features);
}

/* L as it stands in the papers, in one graph; lambda 0 and 1, w 0: its parts */
static Tensor *whole_loss(Setup *s, Tape *t, double rec, double lambda, double latent) {
    Rng noise = rng_new(5, "noise");
    Tensor *x = image(t, "x", 2), *moments = encode(&s->net, x), *z, *term;
    if (s->net.config.codes) {
        Quantised q = quantise(&s->net.codebook, moments);
        z = q.codes, term = t_add(t_scale(q.commitment_loss, 0.25), q.codebook_loss);
    } else {
        Posterior q = posterior(moments);
        Tensor *eps = t_input(t, NULL, q.mean->rank, q.mean->shape);
        rng_normal(&noise, eps->len, eps->x);
        z = posterior_sample(q, eps), term = t_scale(t_mean(posterior_kl(q)), 0.01);
    }
    Tensor *y = conv2d(&s->net.decoder.out, decoder_features(&s->net, z));
    Tensor *l = t_add(t_l1(y, x), t_scale(perceptual_distance(&s->classifier, x, y), 0.7));
    Tensor *adv = t_scale(t_mean(patchgan(&s->patchgan, y, true)), -1);
    Tensor *sum = t_add(t_scale(l, rec * SIDE * SIDE * 3), t_scale(adv, lambda));
    return t_add(sum, t_scale(term, latent));
}

/* the gradient's length by the last layer's weights */
static double norm_by_last(Setup *s, double rec, double lambda) {
    Tape t = {0};
    params_zero_grad(&s->first);
    backward(whole_loss(s, &t, rec, lambda, 0));
    const Tensor *w = s->net.decoder.out.w;
    double norm = sqrt(k_sum_squares(w->len, w->g));
    tape_free(&t);
    return norm;
}

static void expect_same_gradients(FirstStageConfig c) {
    Setup s;
    Tape t = {0};
    setup(&s, c);
    double ratio = norm_by_last(&s, 1, 0) / (norm_by_last(&s, 0, 1) + 1e-4);
    Rng noise = rng_new(5, "noise");
    params_zero_grad(&s.discriminator);
    FirstStagePass pass = first_stage_pass(&s.net, &s.loss, image(&t, "x", 2), &noise);
    double tolerance = sizeof(real) == 8 ? 1e-9 : 1e-3;
    cr_expect_float_eq(pass.lambda / (0.5 * ratio), 1, tolerance);
    params_zero_grad(&s.first);
    backward(pass.loss);
    cr_expect(grad_norm(&s.discriminator) == 0, "the discriminator is not trained in this pass");
    Params copy = {.seed = 1};
    first_stage_new(&copy, c);
    for (int i = 0; i < copy.count; i++)
        memcpy(copy.list[i]->x, s.first.list[i]->g, copy.list[i]->len * sizeof(real));
    params_zero_grad(&s.first);
    backward(whole_loss(&s, &t, 1, pass.lambda, 1));
    for (int i = 0; i < copy.count; i++) {
        const Tensor *a = copy.list[i], *b = s.first.list[i];
        double norm = sqrt(k_sum_squares(b->len, b->g)) + 1e-3;
        double off = sqrt(k_sum_squared_difference(a->len, a->x, b->g)) / norm;
        cr_expect(is_near(__FILE__, __LINE__, off, tolerance), "%s: %g", a->name, off);
    }
    params_free(&copy), tape_free(&t), setup_free(&s);
}

/* Gradients by the reconstruction, added up before the one pass through the autoencoder, are those
 * of the whole loss; lambda is the ratio of the gradients by the last layer. */
Test(ldm, one_pass_gives_the_gradients_of_the_whole_loss) {
    expect_same_gradients(tiny_kl);
    expect_same_gradients(tiny_vq());
}

Test(ldm, without_a_discriminator_nothing_is_adversarial) {
    Setup s;
    Tape t = {0};
    Rng noise = rng_new(5, "noise");
    setup(&s, tiny_kl);
    s.loss.discriminator = NULL;
    FirstStagePass pass = first_stage_pass(&s.net, &s.loss, image(&t, "x", 2), &noise);
    cr_expect(pass.lambda == 0 && pass.adversarial == 0 && pass.l1 > 0 && pass.perceptual > 0);
    tape_free(&t), setup_free(&s);
}

static Tensor *perceptual_loss(Tape *t, void *context) {
    Setup *s = context;
    Tensor *y = t_use(t, s->first.list[0]);
    return perceptual_distance(&s->classifier, image(t, "x", 1), t_reshape(y, SHAPE(1, SIDE, SIDE,
                                                                                   3)));
}

Test(ldm, perceptual_distance_and_its_gradient) {
    Setup s = {.first.seed = 1, .features.seed = 3};
    Tape t = {0};
    s.classifier = classifier_new(&s.features, &few_features);
    params_freeze(&s.features, true);
    param(scope(&s.first, "y"), "w", INIT_NORMAL, 0.5, SHAPE(SIDE * SIDE, 3));
    Tensor *x = image(&t, "x", 1), *y = image(&t, "y", 1);
    cr_expect_eq(perceptual_distance(&s.classifier, x, x)->x[0], 0);
    double d = (double)perceptual_distance(&s.classifier, x, y)->x[0];
    cr_expect(d > 0 && d < 4 * 2, "%g", d);      /* unit vectors: at most 4 a layer */
    if (sizeof(real) == 8) {
        double error = gradient_error_within(&s.first, perceptual_loss, &s, 12, 1e-6);
        cr_expect(error < 1e-6, "%g", error);
    }
    tape_free(&t), params_free(&s.first), params_free(&s.features);
}

static Tensor *patchgan_loss(Tape *t, void *context) {
    const PatchGan *d = context;
    Tensor *real_ones = patchgan(d, image(t, "real", 3), true);
    return hinge_loss(real_ones, patchgan(d, image(t, "fake", 3), true));
}

Test(ldm, discriminator_gradients) {
    if (sizeof(real) == 4) return;
    Params p = {.seed = 1};
    PatchGan d = patchgan_new(&p, (PatchGanConfig){3, 4, 1});
    for (int i = 0; i < 3; i++) k_axpy(d.down[i].w->len, 5, d.down[i].w->x, d.down[i].w->x, true);
    double error = gradient_error_within(&p, patchgan_loss, &d, 8, 1e-6);
    cr_expect(error < 1e-6, "%g", error);
    params_free(&p);
}

/* 1/2 mean relu(1 - r) + 1/2 mean relu(1 + f) */
Test(ldm, hinge_loss_of_a_discriminator) {
    Tape t = {0};
    Tensor *r = t_input(&t, (real[]){2, 0.5, -1}, SHAPE(3));
    Tensor *f = t_input(&t, (real[]){-2, -0.5, 1}, SHAPE(3));
    cr_expect_float_eq(hinge_loss(r, f)->x[0], 2.5 / 3, 1e-6);
    tape_free(&t);
}

/* ---- the decoder in bands -------------------------------------------------------------------- */

static void expect_equal_bands(FirstStageConfig c, int h, int w, int rows) {
    Params p = {.seed = 1};
    Tape t = {.no_grad = true};
    FirstStage f = first_stage_decoder_new(&p, c);
    move_parameters(&p, 0.1);
    Tensor *z = values(&t, "z", SHAPE(1, h, w, c.embed)), *whole = decode(&f, z);
    real *x = malloc(whole->len * sizeof *x);
    decode_in_bands(&f, z->x, h, w, rows, x);
    double off = sqrt(k_sum_squared_difference(whole->len, whole->x, x) /
                      k_sum_squares(whole->len, whole->x));
    cr_expect(is_near(__FILE__, __LINE__, off, sizeof(real) == 8 ? 1e-13 : 5e-6),
              "%dx%d, %d rows: %g", h, w, rows, off);
    free(x), tape_free(&t), params_free(&p);
}

Test(ldm, the_decoder_in_bands_equals_the_whole_one) {
    static const int rows[] = {2, 4, 6, 10, 64};
    for (int i = 0; i < 5; i++) {
        expect_equal_bands(tiny_kl, 6, 4, rows[i]);
        expect_equal_bands(tiny_vq(), 3, 5, rows[i]);
    }
    for (int w = 1; w <= 8192; w *= 2) {
        int n = band_rows(w);
        cr_expect(n >= 2 && n % 2 == 0, "%d rows of width %d", n, w);
    }
}

/* ---- weights in half precision --------------------------------------------------------------- */

static const UNetConfig tiny_unet = {
    .in = 4, .out = 2, .width = 8, .levels = 2, .multiplier = {1, 2}, .attends = {true, true},
    .blocks = 1, .heads = 2, .context = 6, .transformer_depth = 1,
    .style = {.groups = 4, .eps = 1e-5}};

static Tensor *tiny_eps(const LdmUNet *m, Tape *t, double time, int B) {
    double times[4] = {time, time, time, time};
    Tensor *z = values(t, "z", SHAPE(B, 4, 4, 2)), *beside = values(t, "beside", SHAPE(B, 4, 4, 2));
    Tensor *context = values(t, "context", SHAPE(B, 3, 6));
    return ldm_unet(m, z, times, beside, (Context){.tokens = context});
}

static char *temporary(char text[static 60]) {
    strcpy(text, "/tmp/test-ldm-XXXXXX");
    int file = mkstemp(text);
    cr_assert(file >= 0);
    close(file);
    return text;
}

/* One network's weights written under the official names, read into full and into half precision:
 * the second is the first with weights rounded. */
Test(ldm, weights_in_half_precision_are_the_rounded_ones) {
    char path[60];
    Params full = {.seed = 1}, half = {.shapes_only = true};
    Tape t = {.no_grad = true};
    UNetOfficial design = {.config = tiny_unet};
    OfficialMap map = ldm_unet_official(&design);
    LdmUNet a = ldm_unet_new(&full, tiny_unet), b = ldm_unet_new(&half, tiny_unet);
    params_keep_half(&half);
    move_parameters(&full, 0.2);
    write_official(temporary(path), &map, &full);
    official_load(path, "", &map, &half);
    int kept = 0;
    for (int i = 0; i < full.count; i++) {
        const Tensor *w = full.list[i], *h = half.list[i];
        const uint16_t *halves = halves_of(h);
        kept += halves != NULL;
        for (size_t k = 0; k < w->len; k++) {
            float rounded = half_to_float(half_from_float((float)w->x[k]));
            if (halves) w->x[k] = rounded;
            cr_expect(halves ? half_to_float(halves[k]) == rounded : h->x[k] == w->x[k]);
        }
    }
    cr_expect(kept > 20, "%d", kept);
    Tensor *x = tiny_eps(&a, &t, 7, 2), *y = tiny_eps(&b, &t, 7, 2);
    cr_expect(k_sum_squared_difference(x->len, x->x, y->x) == 0);
    unlink(path);
    params_free(&full), params_free(&half), tape_free(&t);
}

/* averages have names without dots, and are read where they are */
Test(ldm, averaged_weights_have_no_dots) {
    char path[60];
    Params p = {.seed = 1}, q = {.seed = 2};
    linear_new(scope(&p, "a.0"), 2, 3, true), linear_new(scope(&q, "a.0"), 2, 3, true);
    float w[6] = {1, 2, 3, 4, 5, 6}, b[3] = {7, 8, 9};
    StOutput out[] = {{"ema.modela0weight", ST_F32, 2, {3, 2}, w, NULL},
                      {"ema.modela0bias", ST_F32, 1, {3}, b, NULL},
                      {"ema.modelloss1", ST_F32, 1, {3}, b, NULL},
                      {"ema.modelloss2", ST_F32, 1, {3}, b, NULL}};
    static const char *const ignored[] = {"loss*", NULL};
    OfficialMap map = {.without_dots = true, .ignored = ignored};
    safetensors_write(temporary(path), out, 4, NULL);
    official_load(path, "ema.model", &map, &q);
    cr_expect_eq(q.list[0]->x[1], 3);            /* (in 0, out 1): the file's (1,0) */
    cr_expect_eq(q.list[1]->x[2], 9);
    unlink(path);
    params_free(&p), params_free(&q);
}

/* ---- the network, and drawing from it -------------------------------------------------------- */

static Tensor *unet_loss(Tape *t, void *context) {
    Tensor *eps = tiny_eps(context, t, 300, 2);
    return t_mse(eps, values(t, "target", eps->rank, eps->shape));
}

Test(ldm, unet_gradients) {
    if (sizeof(real) == 4) return;
    Params p = {.seed = 1};
    LdmUNet m = ldm_unet_new(&p, tiny_unet);
    move_parameters(&p, 0.2);
    double error = gradient_error_of(&p, unet_loss, &m, (GradientCheck){.samples = 2, .h = 1e-4});
    cr_expect(error < 1e-6, "%g", error);
    params_free(&p);
}

static LdmUNet tiny_pooled(Params *p) {
    UNetConfig c = tiny_unet;
    c.transformer_depth = c.context = 0;
    LdmUNet m = ldm_unet_pooled(p, c, 6);
    move_parameters(p, 0.2);
    return m;
}

/* Without cross-attention the last token alone is read, and that one is. */
Test(ldm, a_pooled_context_is_its_last_token) {
    Params p = {.seed = 1};
    LdmUNet m = tiny_pooled(&p);
    Tape t = {.no_grad = true};
    const double time = 4;
    Tensor *z = values(&t, "zt", SHAPE(1, 4, 4, 2)), *beside = values(&t, "b", SHAPE(1, 4, 4, 2));
    Tensor *tokens = values(&t, "tokens", SHAPE(1, 3, 6));
    const Tensor *eps[4];
    for (int k = 0; k < 4; k++) {                /* token k - 1 is another one */
        if (k) tokens->x[6 * k - 1] += 1;
        eps[k] = ldm_unet(&m, z, &time, beside, (Context){.tokens = tokens});
    }
    for (int k = 1; k < 4; k++) {
        double change = k_sum_squared_difference(z->len, eps[k]->x, eps[k - 1]->x);
        cr_expect((change > 1e-6) == (k == 3), "token %d: %g", k - 1, change);
    }
    tape_free(&t), params_free(&p);
}

Test(ldm, gradients_of_a_pooled_context) {
    if (sizeof(real) == 4) return;
    Params p = {.seed = 1};
    LdmUNet m = tiny_pooled(&p);
    double error = gradient_error_of(&p, unet_loss, &m, (GradientCheck){.samples = 2, .h = 1e-4});
    cr_expect(error < 1e-6, "%g", error);
    params_free(&p);
}

/* eps_without + scale (eps_with - eps_without), with the same beside */
Test(ldm, guidance_mixes_two_predictions) {
    Params p = {.seed = 1};
    Tape t = {.no_grad = true};
    LdmUNet m = ldm_unet_new(&p, tiny_unet);
    move_parameters(&p, 0.2);
    NoiseSchedule s = schedule_sqrt_linear(10, 0.001, 0.01);
    real context[2 * 18], without[18], beside[2 * 32];
    test_values("with", -1, 1, 36, context), test_values("without", -1, 1, 18, without);
    test_values("beside", -1, 1, 64, beside);
    Step at = {.schedule = &s, .t = 4, .first = 1, .n = 1, .height = 4, .width = 4, .channels = 2,
               .tape = &t};
    Tensor *z = values(&t, "zt", SHAPE(1, 4, 4, 2)), *eps[4];
    const double scale[] = {2.5, 1, 0, 1};
    for (int k = 0; k < 4; k++) {
        LdmCondition c = {.net = &m, .context = context, .without = k < 3 ? without : NULL,
                          .tokens = 3, .width = 6, .beside = beside, .beside_channels = 2,
                          .scale = scale[k]};
        eps[k] = ldm_output(&c, &at, z);
        cr_assert_eq(eps[k]->len, z->len);
    }
    const double time = 4;
    Tensor *own = t_input(&t, beside + 32, SHAPE(1, 4, 4, 2));
    Tensor *tokens = t_input(&t, context + 18, SHAPE(1, 3, 6));
    Tensor *with = ldm_unet(&m, z, &time, own, (Context){.tokens = tokens});
    double tolerance = sizeof(real) == 8 ? 1e-12 : 1e-5;
    for (size_t i = 0; i < z->len; i++) {
        cr_expect_float_eq(eps[1]->x[i], with->x[i], tolerance);
        cr_expect_float_eq(eps[3]->x[i], with->x[i], tolerance);
        cr_expect_float_eq(eps[0]->x[i], eps[2]->x[i] + 2.5 * (double)(with->x[i] - eps[2]->x[i]),
                           tolerance);
    }
    schedule_free(&s), tape_free(&t), params_free(&p);
}

/* Data from N(0, V), whose eps is known: eps = sqrt(1 - abar) x / (abar V + 1 - abar). A way
 * without noise keeps x / sqrt(abar V + 1 - abar). */
enum { CHAIN = 1000 };
static const double data_variance = 0.3;

static Prediction exact(const Denoiser *self, const Step *at, real *xt) {
    (void)self;
    double a = at->schedule->alpha_bar[at->t], factor = (1 - a) / (a * data_variance + 1 - a);
    Prediction p = {.n = (size_t)at->n * step_size(at)};
    p.x0 = arena_get(&at->tape->arena, p.n * sizeof *p.x0);
    for (size_t i = 0; i < p.n; i++) p.x0[i] = (real)((1 - factor) * (double)xt[i] / sqrt(a));
    return p;
}

/* |drawn / known - 1| in this many steps */
static double drawing_error(const NoiseSchedule *all, SamplingMethod method, int steps) {
    char sections[20];
    snprintf(sections, sizeof sections, "ldm%d", steps);
    NoiseSchedule few = schedule_respaced(all, sections);
    cr_assert(few.T > 0, "%d steps", steps);
    Denoiser d = {exact};
    Sampler m = {.denoiser = &d, .schedule = &few, .method = method, .height = 1, .width = 1,
                 .channels = 1};
    real x = 1;
    sample_from(&m, few.T - 1, 0, 1, &x);
    double first = few.alpha_bar[few.T - 1], last = few.alpha_bar_before[0];
    double known = sqrt((last * data_variance + 1 - last) / (first * data_variance + 1 - first));
    sampler_free(&m), schedule_free(&few);
    return fabs((double)x / known - 1);
}

Test(ldm, plms_and_ddim_follow_a_known_way_in_any_number_of_steps) {
    NoiseSchedule all = schedule_sqrt_linear(CHAIN, 0.00085, 0.012);
    for (int steps = 1; steps <= CHAIN; steps += steps < 60 ? 1 : 47) {
        double ddim = drawing_error(&all, DDIM, steps), plms = drawing_error(&all, PLMS, steps);
        cr_expect(ddim < 1.5 / sqrt(steps) && plms < 1.5 / sqrt(steps), "%d steps: %g, %g", steps,
                  ddim, plms);
    }
    double ddim = drawing_error(&all, DDIM, 50), plms = drawing_error(&all, PLMS, 50);
    cr_expect(plms < ddim / 10, "50 steps: PLMS %g, DDIM %g", plms, ddim);
    ddim = drawing_error(&all, DDIM, 1000), plms = drawing_error(&all, PLMS, 1000);
    cr_expect(ddim < 5e-3 && plms < 1e-3, "1000 steps: %g, %g", ddim, plms);
    schedule_free(&all);
}

/* ---- conditions ------------------------------------------------------------------------------ */

typedef struct {
    Params params;
    LatentSpace space;
    Conditioner conditioner;
} Given;

static void given(Given *g, Condition kind, int factor) {
    *g = (Given){.params.seed = 1, .space = {.factor = factor, .channels = 3}};
    g->space.scale = buffer((Scope){.params = &g->params}, "latent_scale", 1, SHAPE(1));
    g->conditioner = conditioner_new(&g->params, kind, &g->space, NULL);
}

/* a scene with one garment in the left half, on white */
static Pictures one_scene(Arena *arena) {
    size_t pixels = SCENE_SIDE * SCENE_SIDE;
    Pictures p = {.n = 1};
    p.images = arena_get(arena, 3 * pixels * sizeof *p.images);
    p.captions = arena_get(arena, sizeof *p.captions);
    p.scenes = arena_get(arena, sizeof *p.scenes);
    p.map = arena_get(arena, pixels), p.hole = arena_get(arena, pixels);
    p.captions[0] = "a red dress";
    p.scenes[0] = (Scene){.count = 1, .garment = {{.class = 3, .colour = 2,
                                                   .box = {8, 4, 20, 24}}}};
    for (size_t k = 0; k < pixels; k++) {
        size_t i = k / SCENE_SIDE, j = k % SCENE_SIDE;
        p.map[k] = i >= 8 && i < 28 && j >= 4 && j < 28 ? 4 : 0;
        p.hole[k] = i < 16 && j < 32;
        for (int c = 0; c < 3; c++) p.images[3 * k + (size_t)c] = j < 32 ? -1 : 1;
    }
    return p;
}

Test(ldm, what_stands_beside_the_latents) {
    Arena arena = {0};
    Pictures p = one_scene(&arena);
    Tape t = {.no_grad = true};
    Given hole, small;
    given(&hole, INPAINT, 1), given(&small, SUPER_RESOLUTION, 8);
    Tensor *x = condition(&hole.conditioner, &t, &p, NULL).beside;
    cr_assert_eq(x->shape[3], condition_channels(INPAINT, &hole.space));
    for (size_t k = 0; k < SCENE_SIDE * SCENE_SIDE; k++) {
        cr_expect_eq(x->x[4 * k + 3], p.hole[k], "the hole stands last");
        cr_expect_eq(x->x[4 * k], p.hole[k] ? 0 : p.images[3 * k], "grey in the hole");
    }
    Tensor *y = condition(&small.conditioner, &t, &p, NULL).beside;
    cr_expect(y->shape[1] == 8 && y->shape[2] == 8 && y->shape[3] == 3);
    cr_expect(y->x[3 * 3] == -1 && y->x[3 * 4] == 1, "the halves' means");
    params_free(&hole.params), params_free(&small.params), tape_free(&t), arena_free(&arena);
}

Test(ldm, a_map_beside_the_latents_counts_its_labels) {
    Arena arena = {0};
    Pictures p = one_scene(&arena);
    Tape t = {.no_grad = true};
    Given g;
    given(&g, SEMANTIC, 8);
    Tensor *w = params_find(&g.params, "labels.w"), *b = params_find(&g.params, "labels.b");
    Tensor *x = condition(&g.conditioner, &t, &p, NULL).beside;
    /* the cell of rows 24 to 31, columns 0 to 7: 4 of 8 rows and columns are of label 4 */
    for (int c = 0; c < 3; c++) {
        double expected = (double)b->x[c] + 0.25 * (double)w->x[4 * 3 + c] +
                          0.75 * (double)w->x[c];
        cr_expect_float_eq(x->x[(3 * 8 + 0) * 3 + c], expected, 1e-6);
    }
    params_free(&g.params), tape_free(&t), arena_free(&arena);
}

/* Boxes matter; a dropped layout, and no garment at all, are the same nothing. */
Test(ldm, a_layout_is_its_boxes) {
    Arena arena = {0};
    Pictures p = one_scene(&arena);
    Tape t = {.no_grad = true};
    Given g;
    bool dropped = true;
    given(&g, LAYOUT, 8);
    Tensor *a = condition(&g.conditioner, &t, &p, NULL).context;
    cr_expect(a->shape[1] == condition_tokens(LAYOUT) && a->shape[2] == CONTEXT_WIDTH);
    Tensor *nothing = condition(&g.conditioner, &t, &p, &dropped).context;
    p.scenes[0].garment[0].box.left += 8;
    Tensor *moved = condition(&g.conditioner, &t, &p, NULL).context;
    p.scenes[0].garment[0].box.left -= 8, p.scenes[0].garment[0].colour = 5;
    Tensor *tinted = condition(&g.conditioner, &t, &p, NULL).context;
    p.scenes[0].count = 0;
    Tensor *empty = condition(&g.conditioner, &t, &p, NULL).context;
    cr_expect(k_sum_squared_difference(a->len, a->x, moved->x) > 1e-3);
    cr_expect(k_sum_squared_difference(a->len, a->x, tinted->x) > 1e-3);
    cr_expect(k_sum_squared_difference(a->len, nothing->x, empty->x) == 0);
    params_free(&g.params), tape_free(&t), arena_free(&arena);
}

/* ---- latents --------------------------------------------------------------------------------- */

Test(ldm, latents_have_variance_one_and_lead_back) {
    Params p = {.seed = 1}, q = {.seed = 1};
    Tape t = {.no_grad = true};
    LatentSpace s = {.net = first_stage_new(&p, tiny_kl), .factor = 4, .channels = 2};
    s.scale = buffer((Scope){.params = &q}, "latent_scale", 1, SHAPE(1));
    Tensor *x = image(&t, "x", 20);              /* more than go through together */
    Rng noise = rng_new(1, "noise"), again = rng_new(1, "noise");
    measure_scale(&s, 20, SIDE, x->x, &noise);
    const Tensor *z = latents_of(&s, &t, 20, SIDE, x->x, &again);
    cr_expect_float_eq(k_sum_squares(z->len, z->x) / (double)z->len, 1, 1e-5);
    cr_expect(fabs((double)s.scale->x[0] - 1) > 1e-3);
    const Tensor *mean = latents_of(&s, &t, 20, SIDE, x->x, NULL);
    const Tensor *y = decode(&s.net, t_scale(t_input(&t, mean->x, mean->rank, mean->shape),
                                             1 / (double)s.scale->x[0]));
    real *drawn = malloc(x->len * sizeof *drawn);
    pictures_of(&s, 20, SIDE / 4, mean->x, drawn);
    cr_expect(sqrt(k_sum_squared_difference(y->len, y->x, drawn) / k_sum_squares(y->len, y->x)) <
              1e-5);
    free(drawn), params_free(&p), params_free(&q), tape_free(&t);
}

/* ---- Stable Diffusion ------------------------------------------------------------------------ */

/* Three networks in one file, each read back under its own prefix: weights written at random, no
 * name missing and none left over */
Test(ldm, a_random_checkpoint_can_be_read) {
    char path[60];
    ClipTextConfig text = {.context = 7, .vocabulary = 20, .width = 8, .depth = 2, .heads = 2};
    Params p = {0}, first = {0}, decoder = {0};
    sd_write_random(temporary(path), text, tiny_unet, tiny_kl, 3);
    SdCheckpoint c = {.path = path};
    LdmUNet m = sd_load_unet(&c, tiny_unet, &p);
    FirstStage f = sd_load_first_stage(&c, tiny_kl, true, &first);
    sd_load_first_stage(&c, tiny_kl, false, &decoder);
    cr_expect(halves_of(m.unet.in.w) && halves_of(f.encoder.in.w) && m.unet.in.b->x);
    cr_expect(decoder.count < first.count);
    Tape t = {.no_grad = true};
    Tensor *eps = tiny_eps(&m, &t, 7, 1);
    cr_expect(k_all_finite(eps->len, eps->x) && k_sum_squares(eps->len, eps->x) > 0);
    Params again = {0};
    LdmUNet full = sd_load_unet(&(SdCheckpoint){.path = path, .full = true}, tiny_unet, &again);
    Tensor *same = tiny_eps(&full, &t, 7, 1);
    cr_expect(k_sum_squared_difference(eps->len, eps->x, same->x) == 0, "halves in the file");
    unlink(path);
    params_free(&p), params_free(&first), params_free(&decoder), params_free(&again);
    tape_free(&t);
}

/* A text is filled up with the token that ends it. */
Test(ldm, prompts_end_in_end_tokens) {
    int ids[77];
    Bpe bpe = bpe_load(NULL);
    sd_tokenize(&bpe, "a red dress", ids);
    int end = 0;
    while (end < 77 && ids[end] != bpe.end) end++;
    cr_expect(ids[0] == bpe.start && end > 2 && end < 12, "%d", end);
    for (int i = end; i < 77; i++) cr_expect_eq(ids[i], bpe.end, "%d", i);
    bpe_free(&bpe);
}

Test(ldm, strength_says_how_many_steps_are_drawn) {
    cr_expect_eq(steps_of_strength(50, 0.75), 37);
    cr_expect_eq(steps_of_strength(50, 1), 50);
    cr_expect_eq(steps_of_strength(50, 0), 1);
    cr_expect_eq(steps_of_strength(3, 0.5), 1);
}
