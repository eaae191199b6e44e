#include "text_to_image.h"

#include "bands.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "data/bicubic.h"
#include "data/picture_decode.h"
#include "diffusion/guidance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* all that is known before latents are drawn; arrays in the arena */
typedef struct {
    const TextToImage *t;
    Arena arena;
    int h, w, e;                         /* of a latent */
    real *context;                       /* (2,77,768): of the negative prompt, of the prompt */
    real *hole;                          /* (h,w): 1 where to repaint; NULL: no mask */
    real *start;                         /* (h,w,e): the picture's latent; NULL: none */
    real *beside;                        /* (h,w,1+e): hole, latent of what is left; NULL: none */
} Plan;

static size_t latent_size(const Plan *p) {
    return (size_t)p->h * (size_t)p->w * (size_t)p->e;
}

static real *reals(Plan *p, size_t n) {
    return arena_get(&p->arena, n * sizeof(real));
}

/* ---- a user's pictures ----------------------------------------------------------------------- */

/* the middle of the picture in `path`, of the wanted shape, as large: (height,width,3) in out */
static void read_picture(const char *path, int width, int height, uint8_t *out) {
    char message[DECODE_MESSAGE];
    size_t length;
    int w, h;
    const uint8_t *bytes = file_map(path, &length);
    uint8_t *x = picture_decode_whole(bytes, length, &w, &h, message);
    if (!x) fail("%s: %s", path, message);
    bool wide = (double)w * height > (double)h * width;
    int large_h = wide ? height : (int)((double)h * width / w + 0.5);
    int large_w = wide ? (int)((double)w * height / h + 0.5) : width;
    if (large_h < height) large_h = height;
    if (large_w < width) large_w = width;
    uint8_t *large = malloc((size_t)large_h * (size_t)large_w * 3);
    if (!large) fail("out of memory: %s", path);
    bicubic_resize(h, w, x, large_h, large_w, large);
    int top = (large_h - height) / 2, left = (large_w - width) / 2;
    for (int i = 0; i < height; i++)
        memcpy(out + (size_t)i * (size_t)width * 3,
               large + ((size_t)(top + i) * (size_t)large_w + (size_t)left) * 3, (size_t)width * 3);
    free(large), free(x);
    file_unmap(bytes, length);
}

/* 1 in the hole: (height,width) */
static void read_hole(const TextToImage *t, real *hole) {
    size_t pixels = (size_t)t->width * (size_t)t->height;
    uint8_t *rgb = malloc(pixels * 3);
    if (!rgb) fail("out of memory: %s", t->mask);
    read_picture(t->mask, t->width, t->height, rgb);
    for (size_t i = 0; i < pixels; i++) hole[i] = rgb[3 * i] > 127;
    free(rgb);
}

/* z = scale (mean + sigma noise) of a picture (height,width,3) in [-1,1] */
static void encode_picture(Plan *p, const FirstStage *f, const real *x, const char *stream,
                           real *z) {
    const TextToImage *t = p->t;
    Tape tape = {.no_grad = true};
    Rng rng = rng_new(t->cli->common->seed, stream);
    Tensor *noise = t_input(&tape, NULL, SHAPE(1, p->h, p->w, p->e));
    rng_normal(&rng, noise->len, noise->x);
    Tensor *moments = encode(f, t_input(&tape, x, SHAPE(1, t->height, t->width, 3)));
    Tensor *sample = posterior_sample(posterior(moments), noise);
    k_affine(sample->len, sample->x, (real)t->model.latent_scale, 0, z);
    tape_free(&tape);
}

/* the hole at the latents' size: the nearest pixel, as the network was trained */
static void shrink_hole(Plan *p, const real *hole, int f) {
    p->hole = reals(p, (size_t)p->h * (size_t)p->w);
    for (int i = 0; i < p->h; i++)
        for (int j = 0; j < p->w; j++)
            p->hole[i * p->w + j] = hole[(size_t)i * (size_t)f * (size_t)p->t->width +
                                         (size_t)(j * f)];
}

/* what the nine-channel U-Net is given beside z: the hole, and the latent of the picture with grey
 * in the hole */
static void make_beside(Plan *p, const FirstStage *f, const real *hole, real *x) {
    size_t pixels = (size_t)p->h * (size_t)p->w, e = (size_t)p->e;
    size_t all = (size_t)p->t->width * (size_t)p->t->height;
    real *z = reals(p, latent_size(p));
    for (size_t i = 0; i < 3 * all; i++) x[i] = hole[i / 3] > 0 ? 0 : x[i];
    encode_picture(p, f, x, "masked", z);
    p->beside = reals(p, pixels * (e + 1));
    for (size_t i = 0; i < pixels; i++) {
        p->beside[i * (e + 1)] = p->hole[i];
        memcpy(p->beside + i * (e + 1) + 1, z + i * e, e * sizeof *z);
    }
}

static void read_image(Plan *p, FirstStageConfig config) {
    const TextToImage *t = p->t;
    size_t n = (size_t)t->width * (size_t)t->height * 3;
    uint8_t *bytes = malloc(n);
    real *x = malloc(n * sizeof *x), *hole = t->mask ? malloc(n / 3 * sizeof *hole) : NULL;
    if (!bytes || !x || (t->mask && !hole)) fail("out of memory: %s", t->image);
    Params params = {0};
    FirstStage f = sd_load_first_stage(&t->checkpoint, config, true, &params);
    read_picture(t->image, t->width, t->height, bytes);
    for (size_t i = 0; i < n; i++) x[i] = (real)(bytes[i] / 127.5 - 1);
    p->start = reals(p, latent_size(p));
    encode_picture(p, &f, x, "image", p->start);
    if (hole) read_hole(t, hole), shrink_hole(p, hole, downsampling_factor(&config));
    if (t->model.unet.in > p->e) make_beside(p, &f, hole, x);
    free(bytes), free(x), free(hole);
    params_free(&params);
}

/* ---- before the first step ------------------------------------------------------------------- */

static void read_texts(Plan *p) {
    const TextToImage *t = p->t;
    Bpe bpe = bpe_load(t->vocabulary);
    const char *texts[2] = {t->negative ? t->negative : "", t->prompt ? t->prompt : ""};
    size_t one = (size_t)sd_text_config.context * (size_t)sd_text_config.width;
    p->context = reals(p, 2 * one);
    sd_read_prompts(&t->checkpoint, &bpe, 2, texts, p->context);
    bpe_free(&bpe);
}

static void check(const TextToImage *t) {
    bool hole = t->model.unet.in > t->model.unet.out;
    if (!t->vocabulary) fail("which --vocab? CLIP's is bpe_simple_vocab_16e6.txt.gz");
    if (hole && (!t->image || !t->mask))
        fail("this network repaints a hole: it needs --image and --mask");
    if (t->mask && !t->image) fail("--mask says where to repaint an --image");
}

/* ---- drawing --------------------------------------------------------------------------------- */

int steps_of_strength(int steps, double strength) {
    int n = (int)(strength * steps);
    return n < 1 ? 1 : n > steps ? steps : n;
}

/* latents (h,w,e) -> (8h,8w,3) in [-1,1] */
static void decode_latent(const Plan *p, const FirstStage *f, const real *z, int h, int w,
                          real *x) {
    size_t n = (size_t)h * (size_t)w * (size_t)p->e;
    real *scaled = malloc(n * sizeof *scaled);
    if (!scaled) fail("out of memory");
    k_affine(n, z, (real)(1 / p->t->model.latent_scale), 0, scaled);
    int rows = p->t->rows ? p->t->rows : band_rows(w * downsampling_factor(&f->config));
    decode_in_bands(f, scaled, h, w, rows, x);
    free(scaled);
}

static Grid picture_grid(const Plan *p, int count, int h, int w, int f) {
    return (Grid){.count = count, .height = h * f, .width = w * f, .channels = 3, .low = -1,
                  .high = 1, .columns = p->t->pictures < 4 ? p->t->pictures : 4, .enlarge = 1};
}

/* The predicted latent at a quarter of its size, decoded: a sixteenth of the work */
static void save_preview(const Plan *p, const FirstStage *f, const real *x0) {
    enum { TIMES = 4 };
    int h = p->h / TIMES, w = p->w / TIMES, factor = downsampling_factor(&f->config);
    Arena arena = {0};
    Tape tape = {.no_grad = true};
    Tensor *z = t_input(&tape, x0, SHAPE(1, p->h, p->w, p->e));
    z = t_avg_pool2(t_avg_pool2(z));
    real *x = arena_get(&arena, (size_t)(h * factor) * (size_t)(w * factor) * 3 * sizeof *x);
    decode_latent(p, f, z->x, h, w, x);
    char *path = path_join(p->t->cli->common->out, "preview.png");
    Grid g = picture_grid(p, 1, h, w, factor);
    g.columns = 1;
    save_grid(p->t->cli, path, x, g);
    tape_free(&tape), arena_free(&arena);
}

/* where the steps of picture `number` begin: noise, or the user's picture with noise; z is filled,
 * the first index returned */
static int begin(const Plan *p, Sampler *m, int number, real *z) {
    const NoiseSchedule *s = m->schedule;
    start_noise(m, number, 1, z);
    if (!p->start || p->beside) return s->T - 1;
    int t = steps_of_strength(s->T, p->t->strength) - 1;
    q_sample(s, t, latent_size(p), p->start, z, z);
    return t;
}

static void draw(const Plan *p, Sampler *m, const FirstStage *decoder, real *z) {
    const TextToImage *t = p->t;
    size_t size = latent_size(p);
    Progress progress;
    for (int i = 0; i < t->pictures; i++) {
        real *x = z + (size_t)i * size;
        int first = begin(p, m, i, x);
        progress_start(&progress, "draw", 0, first + 1, t->cli->common->quiet);
        for (int k = first; k >= 0; k--) {
            Prediction y = sample_step(m, k, i, 1, x);
            if (t->preview && (first - k + 1) % t->preview == 0) save_preview(p, decoder, y.x0);
            progress_update(&progress, first + 1 - k, "");
        }
        progress_end(&progress, first + 1, "");
    }
}

/* every picture the same text, hole and picture */
static real *repeated(Plan *p, const real *x, size_t n) {
    real *all = reals(p, (size_t)p->t->pictures * n);
    for (int i = 0; x && i < p->t->pictures; i++) memcpy(all + (size_t)i * n, x, n * sizeof *x);
    return x ? all : NULL;
}

/* latents (pictures,h,w,e) */
static void draw_latents(Plan *p, const FirstStage *decoder, real *z) {
    const TextToImage *t = p->t;
    size_t one = (size_t)sd_text_config.context * (size_t)sd_text_config.width;
    Params params = {0};
    LdmUNet net = sd_load_unet(&t->checkpoint, t->model.unet, &params);
    LdmCondition c = {.net = &net, .context = repeated(p, p->context + one, one),
                      .without = p->context, .tokens = sd_text_config.context,
                      .width = sd_text_config.width, .scale = t->scale, .beside_channels = p->e + 1,
                      .beside = repeated(p, p->beside, (size_t)p->h * (size_t)p->w *
                                                       (size_t)(p->e + 1))};
    NetworkDenoiser network = network_denoiser(ldm_output, &c, (Parameterization){PREDICT_NOISE,
                                                                                 FIXED_SMALL});
    NoiseSchedule all = schedule_sqrt_linear(1000, t->model.beta_first, t->model.beta_last);
    char sections[32];
    snprintf(sections, sizeof sections, "ldm%d", t->steps);
    NoiseSchedule few = schedule_respaced(&all, sections);
    KnownPixels known = {0};
    Sampler m = {.denoiser = &network.denoiser, .schedule = &few, .method = t->method,
                 .eta = t->eta, .height = p->h, .width = p->w, .channels = p->e,
                 .seed = t->cli->common->seed};
    if (p->hole && !p->beside) {         /* four channels: what is known is put back every step */
        size_t pixels = (size_t)p->h * (size_t)p->w;
        real *keep = reals(p, pixels);
        k_affine(pixels, p->hole, -1, 1, keep);
        known = blended_denoiser(&network.denoiser, repeated(p, p->start, latent_size(p)),
                                 repeated(p, keep, pixels), m.seed);
        m.denoiser = &known.denoiser;
    }
    draw(p, &m, decoder, z);
    sampler_free(&m);
    schedule_free(&few), schedule_free(&all), params_free(&params);
}

static double peak_memory(void) {        /* MiB */
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

int text_to_image(const TextToImage *t) {
    FirstStageConfig config;
    Plan p = {.t = t, .e = t->model.unet.out};
    first_stage_published(t->model.first_stage, &config);
    int f = downsampling_factor(&config);
    p.h = t->height / f, p.w = t->width / f;
    check(t);
    free(output_path(t->cli, "samples.png"));
    sd_report(&t->checkpoint);
    read_texts(&p);
    if (t->image) read_image(&p, config);
    size_t pixels = (size_t)t->width * (size_t)t->height * 3;
    real *z = reals(&p, (size_t)t->pictures * latent_size(&p));
    Params params = {0};
    FirstStage decoder = {0};
    if (t->preview) decoder = sd_load_first_stage(&t->checkpoint, config, false, &params);
    double began = seconds_now();
    draw_latents(&p, t->preview ? &decoder : NULL, z);
    double drawn = seconds_now();
    if (!t->preview) decoder = sd_load_first_stage(&t->checkpoint, config, false, &params);
    real *x = reals(&p, (size_t)t->pictures * pixels);
    for (int i = 0; i < t->pictures; i++)
        decode_latent(&p, &decoder, z + (size_t)i * latent_size(&p), p.h, p.w,
                      x + (size_t)i * pixels);
    samples_save(t->cli, x, picture_grid(&p, t->pictures, p.h, p.w, f));
    if (!t->cli->common->quiet)
        printf("latents in %.1f s (weights read included), decoded in %.1f s, peak memory %.0f "
               "MiB\n", drawn - began, seconds_now() - drawn, peak_memory());
    params_free(&params), arena_free(&p.arena);
    return 0;
}
