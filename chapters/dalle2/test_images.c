/* test_images.c — decoder and upsamplers: published sizes and names, what they are given and what
 * is left out, parts and damage, gradients, learning. */
#include "dalle2.h"
#include "nn/optim.h"
#include "nn/unet_config.h"
#include "official_file.h"
#include "testing.h"

#include <string.h>
#include <unistd.h>

SUITE(images);

enum { B = 3, SIDE = 8, N = 4, CLIP = 6 };

static Tensor *values(Tape *t, const char *name, int rank, const int *shape) {
    Tensor *x = t_input(t, NULL, rank, shape);
    test_values(name, -1, 1, x->len, x->x);
    return x;
}

/* captions of 2, 0 and 4 tokens */
static const uint8_t mask[B * N] = {1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1};
static const double times[B] = {1, 500, 900};

static CaptionFeatures some_text(Tape *t) {
    uint8_t *there = arena_get(&t->arena, sizeof mask);
    memcpy(there, mask, sizeof mask);
    return (CaptionFeatures){values(t, "tokens", SHAPE(B, N, CLIP)),
                             values(t, "embedding", SHAPE(B, CLIP)), there};
}

static DecoderConfig small_decoder(void) {
    DecoderConfig c = {.unet = adm_family(8, 1), .clip = CLIP, .tokens = 4};
    unet_levels(&c.unet, 1, 2);
    unet_attend_at(&c.unet, SIDE, 4, 4);
    c.unet.head_channels = 8, c.unet.style.groups = 2, c.unet.context = 8;
    c.unet.resampling = RESAMPLE_CONV;
    return c;
}

static UpsamplerConfig small_upsampler(void) {
    UpsamplerConfig c = upsampler_config("64");
    c.unet.width = 8, c.unet.levels = 2, c.unet.head_channels = 8, c.unet.style.groups = 2;
    c.side = 8, c.low = 4, c.crop = 4;
    return c;
}

static Decoder moved_decoder(Params *p) {
    Decoder m = decoder_new(p, small_decoder());
    move_params(p, 0.1);
    return m;
}

static Upsampler moved_upsampler(Params *p) {
    Upsampler m = upsampler_new(p, small_upsampler());
    move_params(p, 0.1);
    return m;
}

/* ---- published networks ---------------------------------------------------------------------- */

Test(images, published_networks_have_the_published_number_of_parameters) {
    static const size_t counts[3] = {893318086, 691579523, 267146691};
    for (int i = 0; i < 3; i++) {
        Params p = {.shapes_only = true};
        if (i == 0) decoder_new(&p, decoder_config("karlo"));
        else upsampler_new(&p, upsampler_config(i == 1 ? "64-256" : "256-1024"));
        cr_expect_eq(params_count(&p), counts[i], "%zu, not %zu", params_count(&p), counts[i]);
        params_free(&p);
    }
}

static void expect_read(const OfficialMap *map, Params *p, Params *q) {
    char *path = official_round_trip(map, p, q);
    unlink(path), free(path);
}

/* Files under the official names give every weight back. */
Test(images, official_weights_are_read) {
    Arena arena = {0};
    Params p[2] = {{.seed = 1}, {.seed = 1}}, q[2] = {{.seed = 2}, {.seed = 2}};
    DecoderConfig decoder = small_decoder();
    UpsamplerConfig upsampler = small_upsampler();
    moved_decoder(&p[0]), decoder_new(&q[0], decoder);
    moved_upsampler(&p[1]), upsampler_new(&q[1], upsampler);
    OfficialMap maps[2] = {decoder_official(&arena, &decoder),
                           upsampler_official(&arena, &upsampler)};
    for (int i = 0; i < 2; i++) {
        expect_read(&maps[i], &p[i], &q[i]);
        params_free(&p[i]), params_free(&q[i]);
    }
    arena_free(&arena);
}

/* ---- the decoder ----------------------------------------------------------------------------- */

static Tensor *decoded(Tape *t, const Decoder *m, const bool *without, CaptionFeatures text) {
    Tensor *z = decoder_image(m, values(t, "z", SHAPE(B, CLIP)), without);
    return decoder_output(m, values(t, "x", SHAPE(B, SIDE, SIDE, 3)), times, z, text);
}

static bool same(const Tensor *a, const Tensor *b, int item) {
    size_t n = a->len / B;
    return !memcmp(a->x + (size_t)item * n, b->x + (size_t)item * n, n * sizeof *a->x);
}

/* Where no token of the caption is, nothing is read; where one is, it is. The image's tokens, here
 * its only way in, are there even without any caption: the second item's. */
Test(images, padding_is_not_read_and_the_image_is) {
    Tape t = {.no_grad = true};
    Params p = {.seed = 1};
    Decoder m = moved_decoder(&p);
    k_fill(m.image_emb.w->len, 0, m.image_emb.w->x);
    const bool none[B] = {0}, second[B] = {false, true, false};
    CaptionFeatures text = some_text(&t);
    Tensor *y = decoded(&t, &m, none, text);
    text.tokens->x[2 * CLIP] += 1;                       /* the first caption's third token */
    Tensor *padded = decoded(&t, &m, none, text);
    text.tokens->x[CLIP] += 1;                           /* its second */
    Tensor *other = decoded(&t, &m, none, text);
    Tensor *without = decoded(&t, &m, second, text);
    for (int b = 0; b < B; b++) {
        cr_expect(same(y, padded, b), "padding of caption 0 reaches image %d", b);
        cr_expect_eq(same(padded, other, b), b != 0, "image %d", b);
        cr_expect_eq(same(other, without, b), b != 1, "image %d", b);
    }
    tape_free(&t), params_free(&p);
}

/* What is left out is the same for every z, and is learned. */
Test(images, no_image_is_learned_numbers) {
    Tape t = {.no_grad = true};
    Params p = {.seed = 1};
    Decoder m = moved_decoder(&p);
    const bool without[B] = {true, false, true};
    Tensor *z = values(&t, "z", SHAPE(B, CLIP)), *given = decoder_image(&m, z, without);
    for (int b = 0; b < B; b++)
        cr_expect_eq(memcmp(given->x + b * CLIP, without[b] ? m.no_image->x : z->x + b * CLIP,
                            CLIP * sizeof *z->x), 0, "image %d", b);
    tape_free(&t), params_free(&p);
}

/* ---- the upsampler --------------------------------------------------------------------------- */

/* Of any size: it has no attention, and is trained on parts. */
Test(images, an_upsampler_takes_images_of_any_size) {
    Tape t = {.no_grad = true};
    Params p = {.seed = 1};
    Upsampler m = moved_upsampler(&p);
    Tensor *y = upsampler_output(&m, values(&t, "x", SHAPE(B, 12, 6, 3)), times,
                                 values(&t, "low", SHAPE(B, 6, 3, 3)));
    cr_expect(y->shape[1] == 12 && y->shape[2] == 6 && y->shape[3] == 3);
    for (int i = 0; i < p.count; i++)
        cr_expect(!strstr(p.list[i]->name, "attention"), "%s", p.list[i]->name);
    tape_free(&t), params_free(&p);
}

/* Each pixel is its own place: a part of the small image is where that of the large one is. */
Test(images, parts_are_of_the_same_place) {
    enum { MANY = 200 };
    Tape t = {.no_grad = true};
    UpsamplerConfig c = small_upsampler();
    Rng rng = rng_new(1, "parts");
    Tensor *x0 = t_input(&t, NULL, SHAPE(MANY, 8, 8, 3));
    Tensor *low = t_input(&t, NULL, SHAPE(MANY, 4, 4, 3));
    for (int i = 0; i < MANY * 64 * 3; i++)
        x0->x[i] = (real)(i / 3 % 64 / 8 / 2 * 4 + i / 3 % 8 / 2);
    for (int i = 0; i < MANY * 16 * 3; i++) low->x[i] = (real)(i / 3 % 16);
    Crops parts = crop_pairs(&c, x0, low, &rng);
    int seen[9] = {0};
    for (int b = 0; b < MANY; b++)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                real of_low = parts.low->x[((b * 2 + i / 2) * 2 + j / 2) * 3];
                cr_expect_eq(parts.x0->x[((b * 4 + i) * 4 + j) * 3], of_low, "image %d", b);
                if (!i && !j) seen[(int)of_low / 4 * 3 + (int)of_low % 4]++;
            }
    for (int k = 0; k < 9; k++) cr_expect_gt(seen[k], 0, "no part begins at place %d", k);
    tape_free(&t);
}

/* Blur keeps what is even, and the sum inside; half of the images have none. Noise has at most the
 * deviation that is said. */
Test(images, small_images_are_blurred_and_noisy) {
    enum { MANY = 400, PIXELS = 7 * 7, MIDDLE = 3 * (3 * 7 + 3) };
    Tape t = {.no_grad = true};
    UpsamplerConfig c = small_upsampler();
    Rng rng = rng_new(1, "corruption");
    Tensor *x = t_input(&t, NULL, SHAPE(MANY, 7, 7, 3));
    for (int i = 0; i < MANY * PIXELS * 3; i++) x->x[i] = i % (PIXELS * 3) == MIDDLE;
    c.noise = 0;
    corrupt(&c, x, &rng);
    int blurred = 0;
    for (int b = 0; b < MANY; b++) {
        const real *one = x->x + b * PIXELS * 3;
        cr_expect_float_eq(k_sum(PIXELS * 3, one), 1, 1e-5);
        cr_expect_float_eq(one[MIDDLE + 1], 0, 0, "channels mix");
        cr_expect_float_eq(one[MIDDLE - 3], one[MIDDLE + 21], 1e-6, "not the same on all sides");
        blurred += one[MIDDLE] < 1 - 1e-4;
    }
    cr_expect(blurred > MANY / 4 && blurred < MANY * 5 / 8, "%d of %d are blurred", blurred, MANY);
    k_fill(x->len, (real)0.5, x->x);
    c.noise = 0.05;
    corrupt(&c, x, &rng);
    k_axpy(x->len, 1, x->x, x->x, false);
    double squares = 0;
    for (size_t i = 0; i < x->len; i++) squares += pow((double)x->x[i] - 0.5, 2);
    double deviation = sqrt(squares / (double)x->len);       /* 0.05 times a uniform number's */
    cr_expect_float_eq(deviation, 0.05 / sqrt(3), 0.003);
    tape_free(&t);
}

/* ---- learning -------------------------------------------------------------------------------- */

typedef struct {
    Decoder decoder;
    Upsampler upsampler;
    NoiseSchedule s;
    bool enlarges;
} Whole;

static const int at[B] = {2, 7, 15};

static Tensor *loss_of(Tape *t, void *context) {
    const Whole *w = context;
    static const bool without[B] = {false, true, false};
    Rng noise = rng_new(1, "noise");
    Tensor *x0 = values(t, "x0", SHAPE(B, SIDE, SIDE, 3));
    if (w->enlarges)
        return t_mean(upsampler_losses(&w->upsampler, &w->s,
                                       (Crops){x0, values(t, "low", SHAPE(B, 4, 4, 3))}, at,
                                       &noise).each);
    Tensor *z = decoder_image(&w->decoder, values(t, "z", SHAPE(B, CLIP)), without);
    return t_mean(decoder_losses(&w->decoder, &w->s, x0, z, some_text(t), at, &noise).mse);
}

#ifdef REAL_DOUBLE
/* Through z's two ways, no image, the captions' two, the small image. (L_hybrid itself:
 * tests/test_diffusion.c.) */
Test(images, gradients_of_decoder_and_upsampler) {
    for (int k = 0; k < 2; k++) {
        Params p = {.seed = 2};
        Whole w = {.s = schedule_cosine(20), .enlarges = k};
        if (k) w.upsampler = moved_upsampler(&p);
        else w.decoder = moved_decoder(&p);
        GradientCheck check = {.samples = 3, .h = 1e-4};
        double error = gradient_error_of(&p, loss_of, &w, check);
        cr_expect(is_near(__FILE__, __LINE__, error, 1e-6), "%s: %g", k ? "upsampler" : "decoder",
                  error);
        schedule_free(&w.s), params_free(&p);
    }
}
#endif

/* Three images are learned, from what is known of them. */
Test(images, a_handful_of_images_is_learned) {
    for (int k = 0; k < 2; k++) {
        Params p = {.seed = 1};
        Whole w = {.s = schedule_cosine(20), .enlarges = k};
        if (k) w.upsampler = upsampler_new(&p, small_upsampler());
        else w.decoder = decoder_new(&p, small_decoder());
        Adam adam = {ADAM_DEFAULTS};
        Tape t = {0};
        double first = 0, last = 0;
        for (int step = 0; step < 120; step++) {
            tape_reset(&t);
            Tensor *loss = loss_of(&t, &w);
            last = (double)loss->x[0];
            if (!step) first = last;
            params_zero_grad(&p);
            backward(loss);
            adam_step(&adam, &p, 5e-3, 1);
        }
        cr_expect_lt(last, 0.4 * first, "%d: from %g to %g", k, first, last);
        adam_free(&adam), tape_free(&t), schedule_free(&w.s), params_free(&p);
    }
}
