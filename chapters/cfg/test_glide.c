/* test_glide.c — GLIDE: the published networks, what goes into them, inpainting, guidance by
 * texts, gradients. */
#include "data/images.h"
#include "diffusion/guidance.h"
#include "diffusion/losses.h"
#include "nn/clip.h"
#include "nn/optim.h"
#include "official_file.h"
#include "testing.h"
#include "text_sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

SUITE(glide);

enum { SIDE = 8, LOW = 4, WORDS = 20, N = 3 };

/* the chapter's network of this name, small */
static GlideConfig small_config(const char *name) {
    GlideConfig c = glide_config(name, WORDS);
    c.side = SIDE, c.low = c.low ? LOW : 0;
    c.unet.width = 8, c.unet.levels = 2, c.unet.head_channels = 8, c.unet.style.groups = 2;
    c.unet.multiplier[1] = 2;
    c.unet.attends[0] = false, c.unet.attends[1] = true;
    c.text = (TextTransformerConfig){.vocabulary = WORDS, .length = 4, .width = 8, .depth = 1,
                                     .heads = 2};
    return c;
}

static Glide small(Params *p, const char *name) {
    Glide net = glide_new(p, small_config(name));
    move_params(p, 0.1);
    return net;
}

static const char *const names[] = {"base", "upsampler", "inpaint"};

/* texts of 2, 0 and 4 tokens */
static const int tokens[N * 4] = {3, 9, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4};
static const uint8_t mask[N * 4] = {1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1};

static Tensor *values(Tape *t, const char *name, int side, int channels) {
    Tensor *x = t_input(t, NULL, SHAPE(N, side, side, channels));
    test_values(name, -1, 1, x->len, x->x);
    return x;
}

static Tensor *half_mask(Tape *t) {
    Tensor *m = t_input(t, NULL, SHAPE(N, SIDE, SIDE, 1));
    for (size_t i = 0; i < m->len; i++) m->x[i] = i % SIDE < SIDE / 2;
    return m;
}

static GlideInput inputs(Tape *t, const GlideConfig *c) {
    GlideInput in = {0};
    if (c->low) in.low = values(t, "low", LOW, 3);
    if (c->inpaints) in.known = values(t, "known", SIDE, 3), in.mask = half_mask(t);
    return in;
}

/* ---- networks -------------------------------------------------------------------------------- */

/* Are these the published networks, to the last weight? */
Test(glide, published_networks_have_the_published_number_of_parameters) {
    static const struct { const char *name; size_t count; } networks[] = {
        {"glide-base", 385030726}, {"glide-upsample", 398361286},
        {"glide-base-inpaint", 385037638}, {"glide-upsample-inpaint", 398368198}};
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        Params p = {.shapes_only = true};
        glide_new(&p, glide_config(networks[i].name, 0));
        cr_expect_eq(params_count(&p), networks[i].count, "%s: %zu", networks[i].name,
                     params_count(&p));
        params_free(&p);
    }
}

/* A file under the official names gives every weight back, and has no name of ours. */
Test(glide, official_weights_are_read) {
    Arena arena = {0};
    Params p = {.seed = 1}, q = {.seed = 2};
    GlideConfig c = small_config("upsampler");
    small(&p, "upsampler"), glide_new(&q, c);
    OfficialMap map = glide_official(&arena, &c);
    char *path = official_round_trip(&map, &p, &q);
    unlink(path), free(path);
    arena_free(&arena), params_free(&p), params_free(&q);
}

/* Widened for inpainting, a network says what it said before, whatever it is shown. */
Test(glide, a_widened_network_begins_as_it_was) {
    Tape t = {.no_grad = true};
    Params p = {.seed = 1}, q = {.seed = 2};
    const double time[N] = {1, 500, 900};
    Glide base = small(&p, "base"), inpaint = small(&q, "inpaint");
    unet_widen(&q, &p, 3);
    Tensor *x = values(&t, "x", SIDE, 3);
    TextFeatures f = text_unet_read(&base.net, &t, tokens, mask, N);
    Tensor *before = glide_output(&base, x, time, f, (GlideInput){0});
    Tensor *after = glide_output(&inpaint, x, time, f, inputs(&t, &inpaint.config));
    for (size_t i = 0; i < before->len; i++)
        cr_expect_float_eq(after->x[i], before->x[i], 1e-5);
    Params r = {.seed = 1}, s = {.seed = 2};     /* an upsampler's small picture: in its place? */
    GlideConfig wide = small_config("upsampler");
    wide.inpaints = true, wide.unet.in += 4;
    Glide up = small(&r, "upsampler"), both = glide_new(&s, wide);
    unet_widen(&s, &r, 3);
    f = text_unet_read(&up.net, &t, tokens, mask, N);
    before = glide_output(&up, x, time, f, inputs(&t, &up.config));
    after = glide_output(&both, x, time, f, inputs(&t, &wide));
    for (size_t i = 0; i < before->len; i++)
        cr_expect_float_eq(after->x[i], before->x[i], 1e-5);
    tape_free(&t);
    params_free(&p), params_free(&q), params_free(&r), params_free(&s);
}

/* What is not known must not reach the network, and what is known must. */
Test(glide, unknown_pixels_are_hidden) {
    Tape t = {.no_grad = true};
    Params p = {.seed = 1};
    const double time[N] = {1, 500, 900};
    Glide net = small(&p, "inpaint");
    Tensor *x = values(&t, "x", SIDE, 3);
    TextFeatures f = text_unet_read(&net.net, &t, tokens, mask, N);
    GlideInput in = inputs(&t, &net.config);
    Tensor *one = glide_output(&net, x, time, f, in);
    in.known->x[3 * (SIDE - 1)] += 1;            /* right half: unknown */
    Tensor *two = glide_output(&net, x, time, f, in);
    in.known->x[0] += 1;
    Tensor *three = glide_output(&net, x, time, f, in);
    cr_expect_eq(memcmp(one->x, two->x, one->len * sizeof *one->x), 0);
    cr_expect_neq(memcmp(one->x, three->x, one->len * sizeof *one->x), 0);
    tape_free(&t), params_free(&p);
}

/* ---- training -------------------------------------------------------------------------------- */

Test(glide, captions_are_left_out_and_read) {
    enum { CAPTIONS = 8000 };
    static const char *captions[CAPTIONS];
    Rng rng = rng_new(1, "drop");
    int left = 0;
    for (int i = 0; i < CAPTIONS; i++) captions[i] = "a red dress";
    drop_captions(CAPTIONS, captions, 0.2, &rng);
    for (int i = 0; i < CAPTIONS; i++) left += !*captions[i];
    cr_expect_float_eq((double)left / CAPTIONS, 0.2, 0.02);
    static const char *const texts[] = {"abcde", "", "ab"};
    Bpe bpe = bpe_train(BPE_CLIP, 1, texts, 0);
    Arena arena = {0};
    Glide m = {.config = {.text = {.length = 4}}};
    Texts t = texts_new(&arena, &m, &bpe, 3, texts);
    for (int i = 0; i < 4; i++) {
        cr_expect(t.mask[i] && !t.mask[4 + i] && t.mask[8 + i] == (i < 2));
        cr_expect_eq(t.tokens[4 + i], bpe.end);
    }
    cr_expect(t.tokens[8] == t.tokens[0] && t.tokens[9] != bpe.end && t.tokens[10] == bpe.end);
    arena_free(&arena), bpe_free(&bpe);
    static const char *const cases[] = {"Ab CD", "ab cd"};       /* GPT-2's rules keep the case */
    Bpe gpt2 = bpe_train(BPE_GPT2, 1, cases, 0);
    t = texts_new(&arena, &m, &gpt2, 2, cases);
    cr_expect_eq(memcmp(t.tokens, t.tokens + 4, 4 * sizeof *t.tokens), 0);
    int ids[4];
    uint8_t there[4];
    cr_expect_eq(bpe_tokenize_masked(&gpt2, cases[0], 4, ids, there), 5, "cut, and said so");
    arena_free(&arena), bpe_free(&gpt2);
}

/* One rectangle, at least a quarter of the side; at times everything; never nothing. */
Test(glide, erased_regions_are_rectangles) {
    enum { B = 400, PIXELS = SIDE * SIDE };
    Tape t = {.no_grad = true};
    Rng rng = rng_new(1, "erase");
    Tensor *m = erase(&t, B, SIDE, &rng);
    int all = 0;
    for (int i = 0; i < B; i++) {
        int top = SIDE, left = SIDE, bottom = -1, right = -1, erased = 0;
        for (int p = 0; p < PIXELS; p++) {
            real v = m->x[i * PIXELS + p];
            cr_assert(v == 0 || v == 1);
            if (v == 1) continue;
            int y = p / SIDE, x = p % SIDE;
            top = y < top ? y : top, bottom = y > bottom ? y : bottom;
            left = x < left ? x : left, right = x > right ? x : right;
            erased++;
        }
        int height = bottom - top + 1, width = right - left + 1;
        cr_assert(height >= SIDE / 4 && width >= SIDE / 4 && erased == height * width);
        all += erased == PIXELS;
    }
    cr_expect(all > B / 16 && all < B / 4, "%d of %d erased as a whole", all, B);
    tape_free(&t);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static real *array(Arena *a, const char *name, int side, int channels) {
    size_t n = (size_t)(N * side * side * channels);
    real *x = arena_get(a, n * sizeof *x);
    test_values(name, -1, 1, n, x);
    return x;
}

/* The table's last text is the empty one. Each picture has its own text, small picture and mask,
 * also when it is not the first; both answers see the same x_t. */
Test(glide, guidance_by_texts_is_both_answers_mixed) {
    enum { FIRST = 1, HERE = 2 };
    for (size_t k = 0; k < 3; k++) {
        Tape t = {.no_grad = true};
        Params p = {.seed = 1};
        Glide net = small(&p, names[k]);
        NoiseSchedule s = schedule_cosine(10);
        int with_empty[16], length = 4;
        uint8_t masks[16] = {0};
        memcpy(with_empty, tokens, sizeof tokens), memcpy(masks, mask, sizeof mask);
        memset(with_empty + N * length, 0, sizeof(int) * 4);
        TextTable table = text_table_new(&t.arena, &net.net, N + 1, with_empty, masks);
        const GlideConfig *c = &net.config;
        GuidedTexts g = {&net, &table, 3, c->low ? array(&t.arena, "low", LOW, 3) : NULL,
                         c->inpaints ? array(&t.arena, "known", SIDE, 3) : NULL,
                         c->inpaints ? array(&t.arena, "mask", SIDE, 1) : NULL};
        Step at = {.schedule = &s, .t = 5, .first = FIRST, .n = HERE, .height = SIDE,
                   .width = SIDE, .channels = 3, .tape = &t};
        Tensor *x = t_input(&t, NULL, SHAPE(HERE, SIDE, SIDE, 3));
        test_values("xt", -2, 2, x->len, x->x);
        NetworkDenoiser d = guided_texts(&g);
        Tensor *got = d.output(d.network, &at, x);
        g.scale = 1;
        Tensor *with = d.output(d.network, &at, x);
        g.scale = 0;
        Tensor *without = d.output(d.network, &at, x);
        for (int i = 0; i < HERE; i++) {         /* both: picture by picture, by hand */
            size_t len = SIDE * SIDE * 3, at_i = (size_t)(FIRST + i);
            Tensor *one = t_input(&t, x->x + (size_t)i * len, SHAPE(1, SIDE, SIDE, 3));
            GlideInput in = {0};
            if (g.low) in.low = t_input(&t, g.low + at_i * LOW * LOW * 3, SHAPE(1, LOW, LOW, 3));
            if (g.known) {
                in.known = t_input(&t, g.known + at_i * len, SHAPE(1, SIDE, SIDE, 3));
                in.mask = t_input(&t, g.mask + at_i * SIDE * SIDE, SHAPE(1, SIDE, SIDE, 1));
            }
            TextFeatures f = text_unet_read(&net.net, &t, tokens + at_i * 4, mask + at_i * 4, 1);
            TextFeatures none = text_unet_read(&net.net, &t, with_empty + N * 4, masks + N * 4, 1);
            Tensor *want = glide_output(&net, one, &s.time[5], f, in);
            Tensor *empty = glide_output(&net, one, &s.time[5], none, in);
            for (size_t j = 0; j < want->len; j++) {
                size_t here = (size_t)i * want->len + j;
                cr_expect_float_eq(with->x[here], want->x[j], 1e-4, "%s", names[k]);
                cr_expect_float_eq(without->x[here], empty->x[j], 1e-4, "%s, empty", names[k]);
            }
        }
        for (size_t i = 0; i < got->len; i++) {
            double a = (double)with->x[i], b = (double)without->x[i];
            double want = i % 6 < 3 ? b + 3 * (a - b) : a;
            cr_expect_float_eq(got->x[i], want, 1e-4, "%s, number %zu", names[k], i);
        }
        schedule_free(&s), tape_free(&t), params_free(&p);
    }
}

/* GLIDE's order of channels: x_t, what is known, the mask; a small picture behind them */
Test(glide, known_pixels_stand_before_their_mask) {
    Tape t = {.no_grad = true};
    Params p = {.seed = 1};
    Glide net = small(&p, "inpaint");
    const double time[N] = {3, 3, 3};
    GlideInput in = inputs(&t, &net.config);
    Tensor *xt = values(&t, "xt", SIDE, 3), *all = t_input(&t, NULL, SHAPE(N, SIDE, SIDE, 7));
    for (int i = 0; i < N * SIDE * SIDE; i++) {
        for (int c = 0; c < 3; c++) {
            all->x[7 * i + c] = xt->x[3 * i + c];
            all->x[7 * i + 3 + c] = in.known->x[3 * i + c] * in.mask->x[i];
        }
        all->x[7 * i + 6] = in.mask->x[i];
    }
    TextFeatures f = text_unet_read(&net.net, &t, tokens, mask, N);
    Tensor *got = glide_output(&net, xt, time, f, in), *want = text_unet(&net.net, all, time, f);
    for (size_t i = 0; i < want->len; i++) cr_expect_eq(got->x[i], want->x[i]);
    tape_free(&t), params_free(&p);
}

/* What is read from captions, and behind them from the empty one. */
Test(glide, the_last_text_of_a_table_is_empty) {
    static const char *const captions[] = {"red", "blue"}, *const empty[] = {""};
    Arena arena = {0};
    Params p = {.seed = 1};
    Bpe bpe = bpe_train(BPE_CLIP, 2, captions, 0);
    GlideConfig c = small_config("base");
    c.text.vocabulary = bpe.size;
    Glide net = glide_new(&p, c);
    move_params(&p, 0.1);
    TextTable two = captions_table(&arena, &net, &bpe, 2, captions);
    TextTable none = captions_table(&arena, &net, &bpe, 0, empty);
    size_t len = (size_t)(c.text.length * c.text.width);
    cr_assert(two.n == 3 && none.n == 1);
    for (size_t i = 0; i < len; i++)
        cr_expect_float_eq(two.tokens[2 * len + i], none.tokens[i], 1e-5);
    cr_expect_neq(memcmp(two.tokens, none.tokens, len * sizeof(real)), 0);
    cr_expect_neq(memcmp(two.tokens, two.tokens + len, len * sizeof(real)), 0);
    arena_free(&arena), bpe_free(&bpe), params_free(&p);
}

/* A CLIP that reads, and a base whose texts it reads */
typedef struct {
    Params clip_params, params;
    ClipText clip;
    Bpe bpe;
    Glide net;
} ReadByClip;

static void read_by_clip_new(ReadByClip *r) {
    static const char *const words[] = {"red", "blue"};
    *r = (ReadByClip){.clip_params.seed = 2, .params.seed = 1,
                      .bpe = bpe_train(BPE_CLIP, 2, words, 0)};
    ClipTextConfig text = {.context = 6, .vocabulary = r->bpe.size, .width = 8, .depth = 1,
                           .heads = 2};
    r->clip = clip_text_new(scope(&r->clip_params, "text"), text, 0);
    params_freeze(&r->clip_params, true);
    GlideConfig c = small_config("base");
    glide_read_by_clip(&c, &r->clip);
    r->net = glide_new(&r->params, c);
    move_params(&r->params, 0.1);
}

static void read_by_clip_free(ReadByClip *r) {
    bpe_free(&r->bpe), params_free(&r->clip_params), params_free(&r->params);
}

/* Attention gets what CLIP makes of every token, the time's embedding the end of text, wherever it
 * is; no transformer is made. */
Test(glide, clip_reads_in_the_transformers_place) {
    static const char *const captions[] = {"red", "", "red blue"};
    ReadByClip r;
    Tape t = {.no_grad = true};
    read_by_clip_new(&r);
    cr_expect_null(params_find(&r.params, "text.tokens.table"));
    Texts texts = texts_new(&t.arena, &r.net, &r.bpe, N, captions);
    TextFeatures f = text_unet_read(&r.net.net, &t, texts.tokens, texts.mask, N);
    Tensor *want = clip_text_tokens(&r.clip, &t, texts.tokens, N, 6);
    for (size_t i = 0; i < want->len; i++) cr_expect_float_eq(f.tokens->x[i], want->x[i], 1e-6);
    static const int ends[] = {4, 1, 5};         /* start, letters, end; the last is cut */
    for (int i = 0; i < N; i++) {
        cr_expect_eq(texts.tokens[6 * i + ends[i]], r.bpe.end);
        cr_expect_eq(texts.tokens[6 * i], r.bpe.start);
        Tensor *end = t_reshape(t_slice(t_slice(want, 0, i, 1), 1, ends[i], 1), SHAPE(1, 8));
        Tensor *emb = linear(&r.net.net.text_proj, end);
        for (size_t j = 0; j < emb->len; j++)
            cr_expect_float_eq(f.emb->x[(size_t)i * emb->len + j], emb->x[j], 1e-5);
    }
    tape_free(&t), read_by_clip_free(&r);
}

/* Are as many summaries 0 as asked, the others as they were, and the tokens? */
Test(glide, summaries_are_dropped_and_tokens_stay) {
    enum { TEXTS = 5000, E = 3 };
    Tape t = {0};
    Rng rng = rng_new(1, "summaries");
    Tensor *emb = t_input(&t, NULL, SHAPE(TEXTS, E)), *all = t_input(&t, NULL, SHAPE(TEXTS, 1, 2));
    test_values("emb", 1, 2, emb->len, emb->x);
    TextFeatures text = {emb, all};
    drop_summaries(&text, 0.3, &rng);
    int dropped = 0;
    for (int i = 0; i < TEXTS; i++) {
        const real *was = emb->x + i * E, *is = text.emb->x + i * E;
        bool gone = is[0] == 0 && is[1] == 0 && is[2] == 0;
        cr_expect(gone || !memcmp(is, was, E * sizeof *is));
        dropped += gone;
    }
    cr_expect_float_eq((double)dropped / TEXTS, 0.3, 0.03);
    cr_expect_eq(text.tokens, all);
    tape_free(&t);
}

/* x_T is multiplied by its temperature, and nothing else is. */
Test(glide, a_start_can_be_less_noisy) {
    NoiseSchedule s = schedule_cosine(10);
    Sampler m = {.schedule = &s, .height = 4, .width = 4, .channels = 3, .seed = 1};
    real x[2 * 48], y[2 * 48];
    start_noise(&m, 0, 2, x);
    m.start_temperature = 0.997;
    start_noise(&m, 0, 2, y);
    for (int i = 0; i < 2 * 48; i++)
        cr_expect_float_eq(y[i], 0.997 * (double)x[i], 1e-6 * fabs((double)x[i]) + 1e-9);
    sampler_free(&m), schedule_free(&s);
}

static uint8_t byte_of(real x) { return (uint8_t)lround(((double)x + 1) * 127.5); }

/* Whatever the network draws, kept pixels come out with the bytes they went in with. */
Test(glide, inpainting_keeps_what_is_known_to_the_byte) {
    Arena arena = {0};
    Params p = {.seed = 1};
    Glide net = small(&p, "inpaint");
    size_t n = N * SIDE * SIDE * 3;
    real *known = array(&arena, "known", SIDE, 3), *keep = array(&arena, "keep", SIDE, 1);
    real *x = arena_get(&arena, n * sizeof *x);
    as_bytes(n, known);
    for (size_t i = 0; i < n / 3; i++) keep[i] = keep[i] > 0;
    TextTable table = text_table_new(&arena, &net.net, N, tokens, mask);
    TextSampler s;
    text_sampler_open(&s, &net, (TextDrawing){
        .text = &table, .scale = 3, .chain = schedule_cosine(10), .known = known, .mask = keep,
        .seed = 5});
    draw_images(&s.sampler, N - 1, x, (Drawing){.at_once = 2, .quiet = true});
    int changed = 0;
    for (size_t i = 0; i < n / N * (N - 1); i++) {
        if (keep[i / 3] > 0) cr_expect_eq(byte_of(x[i]), byte_of(known[i]), "number %zu", i);
        else changed += byte_of(x[i]) != byte_of(known[i]);
    }
    cr_expect_gt(changed, 100);
    text_sampler_close(&s), arena_free(&arena), params_free(&p);
}

/* With few steps a picture changes little: noise is added for the steps that are taken away again,
 * and no more. */
Test(glide, editing_changes_more_with_more_steps) {
    Arena arena = {0};
    Params p = {.seed = 1};
    Glide net = small(&p, "base");
    size_t n = SIDE * SIDE * 3;
    TextTable table = text_table_new(&arena, &net.net, N, tokens, mask);
    double moved[2];
    for (int k = 0; k < 2; k++) {
        real *x = array(&arena, "picture", SIDE, 3), *was = array(&arena, "picture", SIDE, 3);
        TextSampler s;
        text_sampler_open(&s, &net, (TextDrawing){.text = &table, .scale = 1,
                                                  .chain = schedule_cosine(50), .seed = 5});
        draw_images(&s.sampler, 1, x, (Drawing){.at_once = 1, .quiet = true,
                                                .last_steps = k ? 40 : 1});
        k_axpy(n, -1, was, x, true);
        moved[k] = sqrt(k_sum_squares(n, x) / (double)n);
        text_sampler_close(&s);
    }
    cr_expect_lt(moved[0], 0.1, "one step moves %g", moved[0]);
    cr_expect_gt(moved[1], 5 * moved[0], "forty steps move %g", moved[1]);
    arena_free(&arena), params_free(&p);
}

Test(glide, bytes_are_what_pictures_have) {
    real x[256], y[256];
    uint8_t pixels[256];
    for (int i = 0; i < 256; i++) pixels[i] = (uint8_t)i;
    Images m = {.count = 1, .height = 16, .width = 16, .channels = 1, .pixels = pixels};
    images_get(&m, 1, NULL, -1, 1, x, NULL);
    memcpy(y, x, sizeof y);
    for (int i = 0; i < 256; i++) y[i] += (real)(i % 2 ? 0.003 : -0.003);
    as_bytes(256, y);
    cr_expect_eq(memcmp(x, y, sizeof x), 0);
    real outside[2] = {-3, 2};
    as_bytes(2, outside);
    cr_expect(outside[0] == -1 && outside[1] == 1);
}

/* A small picture's pixel is the mean of four bytes, rounded; it is known where all four are. */
Test(glide, halves_of_pictures_and_masks) {
    Arena arena = {0};
    real x[4 * 4 * 3], keep[16];
    for (int i = 0; i < 48; i++) x[i] = (real)(-1 + 2.0 * (i % 7) / 255);
    for (int i = 0; i < 16; i++) keep[i] = i != 5;
    const real *small_one = images_downsample(&arena, 1, 4, x);
    const real *known = halve_mask(&arena, 1, 4, keep);
    for (int y = 0; y < 2; y++)
        for (int u = 0; u < 2; u++) {
            double sum = 0;
            for (int k = 0; k < 4; k++)
                sum += (double)x[((2 * y + k / 2) * 4 + 2 * u + k % 2) * 3];
            double byte = (sum / 4 + 1) * 127.5;
            double got = ((double)small_one[(y * 2 + u) * 3] + 1) * 127.5;
            cr_expect(fabs(got - byte) < 0.5 + 1e-3 && fabs(got - round(got)) < 1e-3);
            cr_expect_eq(known[y * 2 + u], y || u);
        }
    arena_free(&arena);
}

/* ---- learning -------------------------------------------------------------------------------- */

typedef struct {
    Glide net;
    NoiseSchedule s;
    const int *tokens, *at;
} Whole;

static Tensor *loss_of(Tape *t, void *context) {
    const Whole *w = context;
    Rng noise = rng_new(1, "noise");
    NoisyImages b = noisy_images(&w->s, values(t, "x0", SIDE, 3), w->at, &noise);
    TextFeatures f = text_unet_read(&w->net.net, t, w->tokens, mask, N);
    Tensor *output = glide_output(&w->net, b.xt, b.time, f, inputs(t, &w->net.config));
    return t_mse(output, t_concat(b.eps, b.x0, 3));
}

#ifdef REAL_DOUBLE
/* Through the text's transformer, its padding, the small picture, the known one; for inpainting,
 * through what CLIP reads. (L_hybrid itself: tests/test_diffusion.c.) */
Test(glide, gradients_through_text_upsampler_and_inpainting) {
    for (size_t k = 0; k < 3; k++) {
        Params p = {.seed = 2}, frozen = {.seed = 3};
        ClipText clip = clip_text_new(scope(&frozen, "text"), (ClipTextConfig){
            .context = 4, .vocabulary = WORDS, .width = 8, .depth = 1, .heads = 2}, 0);
        params_freeze(&frozen, true);
        GlideConfig c = small_config(names[k]);
        if (c.inpaints) glide_read_by_clip(&c, &clip);
        static const int at[N] = {2, 7, 15};
        Whole w = {glide_new(&p, c), schedule_cosine(20), tokens, at};
        move_params(&p, 0.1);
        GradientCheck check = {.samples = 3, .h = 1e-4, .zero = "none"};
        double error = gradient_error_of(&p, loss_of, &w, check);
        cr_expect(is_near(__FILE__, __LINE__, error, 1e-6), "%s: %g", names[k], error);
        schedule_free(&w.s), params_free(&p), params_free(&frozen);
    }
}
#endif

/* Three pictures are learned with their texts, at one time and with hardly anything of them left;
 * after another text the network is wrong. */
Test(glide, a_handful_of_pictures_is_learned) {
    Params p = {.seed = 1};
    static const int late[N] = {19, 19, 19}, other[N * 4] = {1, 2, 0, 0, 0, 0, 0, 0, 3, 9, 3, 9};
    Whole w = {glide_new(&p, small_config("base")), schedule_cosine(20), tokens, late};
    Adam adam = {ADAM_DEFAULTS};
    Tape t = {0};
    double first = 0, last = 0;
    for (int step = 0; step < 300; step++) {
        tape_reset(&t);
        Tensor *loss = loss_of(&t, &w);
        last = (double)loss->x[0];
        if (!step) first = last;
        params_zero_grad(&p);
        backward(loss);
        adam_step(&adam, &p, 3e-3, 1);
    }
    cr_expect_lt(last, 0.25 * first, "from %g to %g", first, last);
    w.tokens = other;
    double wrong = (double)loss_of(&t, &w)->x[0];
    cr_expect_gt(wrong, 2 * last, "%g after other texts, %g after its own", wrong, last);
    adam_free(&adam), tape_free(&t), schedule_free(&w.s), params_free(&p);
}
