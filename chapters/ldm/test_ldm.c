/* test_ldm.c — published sizes and names; the network, drawing from it, conditions, latents. */
#include "condition.h"
#include "diffusion/sampler.h"
#include "official_file.h"
#include "patchgan.h"
#include "programs.h"
#include "published.h"
#include "stable_diffusion.h"
#include "tiny_models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

SUITE(ldm);
PROGRAM_SUITE(ldm_program);

/* ---- sizes and names ------------------------------------------------------------------------- */

static void expect_count(Params *p, size_t count, const char *what) {
    cr_expect_eq(params_count(p), count, "%s: %zu, not %zu", what, params_count(p), count);
    cr_expect(p->arena.used < 1 << 20, "%s: counting took %zu bytes", what, p->arena.used);
    params_free(p);
}

Test(ldm, published_first_stages) {
    static const struct { const char *name; size_t count; int f; } stages[] = {
        {"kl-f4", 55312063, 4}, {"kl-f8", 83653863, 8}, {"kl-f16", 69610963, 16},
        {"kl-f32", 103880131, 32}, {"vq-f4", 55322782, 4}, {"vq-f4-noattn", 53219486, 4},
        {"vq-f8", 67717295, 8}};
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
    cr_expect(official_has(&map, &unet,
                           "output_blocks.11.1.transformer_blocks.0.attn2.to_out.0.bias"));
    cr_expect(official_has(&map, &unet, "input_blocks.3.0.op.weight"));
    cr_expect(official_has(&first_stage_official, &first, "decoder.mid.attn_1.proj_out.weight"));
    cr_expect(official_has(&first_stage_official, &first,
                           "encoder.down.1.block.0.nin_shortcut.bias"));
    cr_expect(official_has(&first_stage_official, &first, "decoder.up.3.upsample.conv.weight"));
    cr_expect(official_has(&first_stage_official, &first, "post_quant_conv.weight"));
    params_free(&unet), params_free(&first), params_free(&text);
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
    move_params(&p, 0.2);
    double error = gradient_error_of(&p, unet_loss, &m, (GradientCheck){.samples = 2, .h = 1e-4});
    cr_expect(error < 1e-6, "%g", error);
    params_free(&p);
}

/* eps_without + scale (eps_with - eps_without), with the same beside */
Test(ldm, guidance_mixes_two_predictions) {
    Params p = {.seed = 1};
    Tape t = {.no_grad = true};
    LdmUNet m = ldm_unet_new(&p, tiny_unet);
    move_params(&p, 0.2);
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
    Tensor *none = t_input(&t, without, SHAPE(1, 3, 6));
    Tensor *left_out = ldm_unet(&m, z, &time, own, (Context){.tokens = none});
    double tolerance = sizeof(real) == 8 ? 1e-12 : 1e-5;
    for (size_t i = 0; i < z->len; i++) {
        cr_expect_float_eq(eps[1]->x[i], with->x[i], tolerance);
        cr_expect_float_eq(eps[2]->x[i], left_out->x[i], tolerance);
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
        double most = fmin(1.5 / sqrt(steps), 0.9);
        cr_expect(ddim < most && plms < most, "%d steps: %g, %g", steps,
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
    FrozenClip clip;                             /* where texts are read */
    Conditioner conditioner;
} Given;

static void given(Given *g, Condition kind, int factor) {
    *g = (Given){.params.seed = 1, .space = {.factor = factor, .channels = 3}};
    g->space.scale = buffer((Scope){.params = &g->params}, "latent_scale", 1, SHAPE(1));
    if (reads_texts(kind)) g->clip = frozen_clip_load(NULL);
    g->conditioner = conditioner_new(&g->params, (Conditioner){
        .kind = kind, .space = &g->space, .clip = reads_texts(kind) ? &g->clip : NULL});
}

static void given_free(Given *g) {
    if (g->clip.bpe.size) frozen_clip_free(&g->clip);
    params_free(&g->params);
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
    Conditioned both = condition(&hole.conditioner, &t, &p, NULL);
    Tensor *x = both.beside;
    cr_assert(both.context && both.context->shape[1] == condition_tokens(&hole.conditioner),
              "a hole has a caption as well");
    cr_assert_eq(x->shape[3], condition_channels(INPAINT, &hole.space));
    for (size_t k = 0; k < SCENE_SIDE * SCENE_SIDE; k++) {
        cr_expect_eq(x->x[4 * k + 3], p.hole[k], "the hole stands last");
        cr_expect_eq(x->x[4 * k], p.hole[k] ? 0 : p.images[3 * k], "grey in the hole");
    }
    Tensor *y = condition(&small.conditioner, &t, &p, NULL).beside;
    cr_expect(y->shape[1] == 8 && y->shape[2] == 8 && y->shape[3] == 3);
    cr_expect(y->x[3 * 3] == -1 && y->x[3 * 4] == 1, "the halves' means");
    given_free(&hole), given_free(&small), tape_free(&t), arena_free(&arena);
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
    cr_expect(a->shape[1] == condition_tokens(&g.conditioner) && a->shape[2] == CONTEXT_WIDTH);
    Tensor *nothing = condition(&g.conditioner, &t, &p, &dropped).context;
    Garment *garment = &p.scenes[0].garment[0];
    const Garment was = *garment;
    for (int side = 0; side < 4; side++, *garment = was) {
        if (side == 0) garment->box.top += 8, garment->box.height -= 8;
        if (side == 1) garment->box.left += 8, garment->box.width -= 8;
        if (side == 2) garment->box.height += 8;
        if (side == 3) garment->box.width += 8;
        Tensor *moved = condition(&g.conditioner, &t, &p, NULL).context;
        cr_expect(k_sum_squared_difference(a->len, a->x, moved->x) > 1e-3, "side %d", side);
    }
    garment->colour = 5;
    Tensor *tinted = condition(&g.conditioner, &t, &p, NULL).context;
    garment->class = (garment->class + 1) % WARDROBE_CLASSES;
    Tensor *other = condition(&g.conditioner, &t, &p, NULL).context;
    p.scenes[0].count = 0;
    Tensor *empty = condition(&g.conditioner, &t, &p, NULL).context;
    cr_expect(k_sum_squared_difference(a->len, a->x, tinted->x) > 1e-3);
    cr_expect(k_sum_squared_difference(a->len, other->x, tinted->x) > 1e-3);
    cr_expect(k_sum_squared_difference(a->len, nothing->x, empty->x) == 0);
    params_free(&g.params), tape_free(&t), arena_free(&arena);
}

/* Texts are read by CLIP as in its own training: nothing of it is trained here; what stands at the
 * end of a text is its feature; a dropped caption is the empty one. */
Test(ldm, a_text_is_what_clip_reads) {
    Arena arena = {0};
    Pictures p = one_scene(&arena);
    Tape t = {0};
    FrozenClip clip = frozen_clip_load(NULL);
    LatentSpace space = {.factor = 8, .channels = 3};
    Params none = {0};
    Conditioner all = conditioner_new(&none, (Conditioner){.kind = TEXT, .space = &space,
                                                           .clip = &clip});
    Conditioner one = all;
    bool dropped = true;
    int ids[40], n = bpe_tokenize(&clip.bpe, p.captions[0], NULL, 32, ids);
    one.pooled = true;
    cr_expect(none.count == 0);
    Tensor *red = condition(&all, &t, &p, NULL).context, *end = condition(&one, &t, &p, NULL).context;
    Tensor *theirs = clip_text_tokens(&clip.net.text, &t, ids, 1, 32);
    int D = red->shape[2], M = red->shape[1];
    cr_assert(M == condition_tokens(&all) && D == CONTEXT_WIDTH && !red->wants_grad);
    cr_assert(end->shape[1] == 1 && end->shape[1] == condition_tokens(&one));
    for (int k = 0; k < n * D; k++) cr_assert_float_eq(red->x[k], theirs->x[k], 1e-5);
    for (int k = 0; k < D; k++) cr_assert_eq(end->x[k], red->x[(n - 1) * D + k]);
    Tensor *nothing = condition(&all, &t, &p, &dropped).context;
    p.captions[0] = "";
    Tensor *empty = condition(&all, &t, &p, NULL).context;
    cr_expect(k_sum_squared_difference(red->len, red->x, nothing->x) > 1);
    cr_expect(k_sum_squared_difference(red->len, nothing->x, empty->x) == 0);
    frozen_clip_free(&clip), tape_free(&t), arena_free(&arena);
}

/* Emoji stand last, and are not those of training; of them only captions and holes are known. */
Test(ldm, a_share_of_the_pictures_are_emoji) {
    Arena arena = {0};
    PictureSource s = {.share = 0.5};
    captioned_data_open(&s.captioned.data, NULL, SCENE_SIDE);
    const Images *emoji = &s.captioned.data.emoji.validation;
    size_t pixels = SCENE_SIDE * SCENE_SIDE;
    Pictures mixed = validation_pictures(&s, &arena, 4);
    s.share = 0;
    Pictures plain = validation_pictures(&s, &arena, 4);
    char caption[SCENE_CAPTION];
    for (int i = 0; i < 4; i++) {
        bool scene = i < 2;
        const uint8_t *map = mixed.map + (size_t)i * pixels, *hole = mixed.hole + (size_t)i * pixels;
        cr_expect((mixed.scenes[i].count > 0) == scene && plain.scenes[i].count > 0);
        cr_expect((memchr(map, 0, pixels) && !memcmp(map, map + 1, pixels - 1)) == !scene);
        cr_expect(memchr(hole, 1, pixels) && memchr(hole, 0, pixels));
        cr_expect_str_eq(plain.captions[i], scene_caption(&plain.scenes[i], caption));
        const real *x = mixed.images + 3 * pixels * (size_t)i;
        if (scene) {
            cr_expect_str_eq(mixed.captions[i], plain.captions[i]);
            cr_expect(!memcmp(x, plain.images + 3 * pixels * (size_t)i, 3 * pixels * sizeof *x));
            continue;
        }
        int number = (i - 2) * emoji->count / 2;
        real *own = arena_get(&arena, 3 * pixels * sizeof *own);
        images_get(emoji, 1, &number, -1, 1, own, NULL);
        cr_expect_str_eq(mixed.captions[i], emoji->captions[number]);
        cr_expect(!memcmp(x, own, 3 * pixels * sizeof *x));
    }
    captioned_data_free(&s.captioned.data), arena_free(&arena);
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

/* ---- the program ----------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
Test(ldm_program, options_that_do_not_fit_are_refused) {
    static const Refusal cases[] = {
        {"sample --strength 0.5", 2, "is for --config sd1"},
        {"sample --sampler plms --eta 1", 2, "is for --sampler ddim"},
        {"eval --sampler ancestral --eta 1", 2, "is for --sampler ddim"},
        {"sample --config sd1 --width 32 --weights x", 2, "trained here"},
        {"sample --config sd1 --strength 0.5 --prompt p --weights x --vocab y", 2, "--image"},
        {"sample --config sd1 --mask m --prompt p --weights x --vocab y", 2, "--image"},
        {"train --stage diffusion --factor 1 --autoencoder x", 2, "diffusion of pixels"},
        {"train --autoencoder x", 2, "trains one itself"},
        {"train --condition semantic --emoji 0.5", 2, "no boxes and no map"},
        {"train --condition layout --from x", 2, "--stage diffusion"},
        {"train --condition semantic --stage diffusion --from x", 2, "has none"},
        {"train --condition layout --stage diffusion --from x --init y", 2, "already"},
        {"train --factor 3", 2, "1, 2, 4 or 8"}};
    EXPECT_REFUSALS("ldm", cases);
}

/* What was given, drawn, and the scene: where the hole is not, all three rows are the same. */
Test(ldm_program, repainting_keeps_what_is_outside_the_hole) {
    few_garments(400, 120);
    RUN("ldm", "train -q --condition inpaint --steps 1 -b 1 --first-width 8 --disc-start 1 "
               "--validation 1 --diffusion-steps 1 --diffusion-batch 1 --preview 0 --data %s "
               "--out %s");
    RUN("ldm", "sample -q --data %s --steps 1 -p 12 --out %s");
    char path[200];
    int width, height, changed = 0;
    snprintf(path, sizeof path, "%s/conditions.png", folder);
    uint8_t *pixels = picture_read_whole(path, &width, &height);
    for (int i = 0; i < height / 3; i++)
        for (int j = width / 2; j < width; j++) {          /* left of it are the rows' names */
            const uint8_t *row[3];
            for (int k = 0; k < 3; k++)
                row[k] = pixels + 3 * ((size_t)(i + k * (height / 3)) * (size_t)width + (size_t)j);
            changed += !!memcmp(row[0], row[2], 3);
            if (!memcmp(row[0], row[2], 3)) cr_assert(!memcmp(row[1], row[2], 3), "%d, %d", i, j);
        }
    cr_expect_gt(changed, 1000);
    free(pixels);
}

/* a text model's weights, tensor by tensor, in another's file: as they were, but that the first
 * convolution has so many more inputs, whose weights are 0 */
static void expect_begun(const char *text_file, const char *file, size_t added) {
    Safetensors a = safetensors_open(text_file), b = safetensors_open(file);
    for (int i = 0; i < a.count; i++) {
        const StTensor *v = &a.tensors[i], *w = safetensors_find(&b, v->name);
        cr_assert(w && w->len >= v->len, "%s", v->name);
        real *x = malloc(v->len * sizeof *x), *y = malloc(w->len * sizeof *y);
        safetensors_get(v, x), safetensors_get(w, y);
        bool first = !strcmp(v->name, "diffusion.in.weight");      /* (out, in, 3, 3) */
        size_t in = first ? v->shape[1] * 9 : v->len, wide = first ? in + added * 9 : v->len;
        cr_assert_eq(w->len / wide, v->len / in);
        for (size_t k = 0; k < w->len; k++)
            cr_assert_eq(y[k], k % wide < in ? x[k / wide * in + k % wide] : 0, "%s", v->name);
        free(x), free(y);
    }
    safetensors_close(&a), safetensors_close(&b);
}

Test(ldm_program, boxes_and_holes_go_on_from_a_text_model) {
    few_garments(400, 120);
    char text[200], path[200];
    RUN("ldm", "train -q --steps 1 -b 1 --first-width 8 --disc-start 1 --validation 1 "
               "--diffusion-steps 1 --diffusion-batch 1 --preview 0 --data %s --out %s");
    snprintf(text, sizeof text, "%s/text.safetensors", folder);
    snprintf(path, sizeof path, "%s/weights.safetensors", folder);
    cr_assert_eq(rename(path, text), 0);
    RUN("ldm", "train -q --condition inpaint --stage diffusion --from %s/text.safetensors "
               "--diffusion-steps 1 --diffusion-batch 1 --diffusion-lr 0 --validation 1 "
               "--preview 0 --data %s --out %s");
    expect_begun(text, path, 4);
    RUN("ldm", "train -q --condition layout --stage diffusion --from %s/text.safetensors "
               "--diffusion-steps 1 --diffusion-batch 1 --diffusion-lr 0 --validation 1 "
               "--preview 0 --data %s --out %s");
    expect_begun(text, path, 0);
}

Test(ldm_program, each_picture_is_of_its_own_prompt) {
    few_garments(400, 120);
    RUN("ldm", "train -q --factor 8 --steps 1 -b 1 --first-width 8 --disc-start 1 --validation 1 "
               "--diffusion-steps 3 --diffusion-batch 1 --diffusion-lr 0.02 --warmup 0 --preview 0 "
               "--data %s --out %s/run");
    expect_own_prompts("ldm", "-p 2 --steps 1 --scale 20", 1e-3);
}

/* both stages, a sheet, and scores that CLIP gives */
Test(ldm_program, emoji_are_trained_on_drawn_and_named) {
    RUN("ldm", "train -q --emoji 0.5 --steps 2 -b 2 --first-width 8 --disc-start 1 --validation 2 "
               "--diffusion-steps 2 --diffusion-batch 2 --preview 2 --out %s");
    RUN("ldm", "eval -q --samples 150 --emoji-samples 2 --steps 1 --scale 1 --out %s");
    char path[200];
    snprintf(path, sizeof path, "%s/metrics.json", folder);
    char *text = text_of(path);
    cr_expect(strstr(text, "\"emoji\"") && strstr(text, "\"held_out\"") &&
              strstr(text, "\"clip_sha256\""));
    free(text);
}
#endif
