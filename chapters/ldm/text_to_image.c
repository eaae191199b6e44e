/* text_to_image.c — the program's `sample` for a released checkpoint of Stable Diffusion: pictures
 * from a text, from a picture and a text (Meng et al. 2022, "SDEdit"), from a picture with a hole. */
#include "settings.h"

#include "base/memory.h"
#include "base/progress.h"
#include "bands.h"
#include "data/bicubic.h"
#include "data/picture_decode.h"
#include "diffusion/guidance.h"
#include "published.h"
#include "train/record.h"
#include "train/captions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* all that is known before latents are drawn; arrays in the arena */
typedef struct {
    SdCheckpoint checkpoint;
    ClipTextConfig text;
    PublishedLdm model;
    FirstStageConfig first_stage;
    Arena arena;
    int pictures, width, height;
    int f, h, w, e;                      /* a latent is (h,w,e), of height / f and width / f */
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

/* the middle of the picture in `path`, of the wanted shape, as large: (height,width,3) in [-1,1] */
static real *read_picture(Plan *p, const char *path) {
    int w, h, width = p->width, height = p->height;
    uint8_t *x = picture_read_whole(path, &w, &h);
    bool wide = (double)w * height > (double)h * width;
    int large_h = wide ? height : (int)((double)h * width / w + 0.5);
    int large_w = wide ? (int)((double)w * height / h + 0.5) : width;
    if (large_h < height) large_h = height;
    if (large_w < width) large_w = width;
    uint8_t *large = arena_get(&p->arena, (size_t)large_h * (size_t)large_w * 3);
    bicubic_resize(h, w, x, large_h, large_w, large);
    free(x);
    int top = (large_h - height) / 2, left = (large_w - width) / 2;
    real *out = reals(p, (size_t)width * (size_t)height * 3), *to = out;
    for (int i = top; i < top + height; i++) {
        const uint8_t *row = large + ((size_t)i * (size_t)large_w + (size_t)left) * 3;
        for (int k = 0; k < 3 * width; k++) *to++ = (real)(row[k] / 127.5 - 1);
    }
    return out;
}

/* z = scale (mean + sigma noise) of a picture (height,width,3) in [-1,1] */
static void encode_picture(Plan *p, const FirstStage *f, const real *x, const char *stream,
                           real *z) {
    Tape tape = {.no_grad = true};
    Rng rng = rng_new(o.common.seed, stream);
    Tensor *noise = t_input(&tape, NULL, SHAPE(1, p->h, p->w, p->e));
    rng_normal(&rng, noise->len, noise->x);
    Tensor *moments = encode(f, t_input(&tape, x, SHAPE(1, p->height, p->width, 3)));
    Tensor *sample = posterior_sample(posterior(moments), noise);
    k_affine(sample->len, sample->x, (real)p->model.latent_scale, 0, z);
    tape_free(&tape);
}

/* what the nine-channel U-Net is given beside z: the hole, and the latent of the picture x with grey
 * in the hole */
static void make_beside(Plan *p, const FirstStage *f, const real *mask, real *x) {
    size_t latents = (size_t)p->h * (size_t)p->w, pixels = (size_t)p->width * (size_t)p->height;
    real *z = reals(p, latent_size(p));
    for (size_t i = 0; i < 3 * pixels; i++) x[i] = mask[i / 3 * 3] > 0 ? 0 : x[i];
    encode_picture(p, f, x, "masked", z);
    p->beside = reals(p, latents * (size_t)(p->e + 1));
    hole_and_latent(latents, p->e, p->hole, z, p->beside);
}

static void read_image(Plan *p) {
    Params params = {0};
    FirstStage f = sd_load_first_stage(&p->checkpoint, p->first_stage, true, &params);
    if (o.mask) pictures_of_one_shape(o.image, o.mask);
    real *x = read_picture(p, o.image), *mask = o.mask ? read_picture(p, o.mask) : NULL;
    p->start = reals(p, latent_size(p));
    encode_picture(p, &f, x, "image", p->start);
    if (mask) {
        p->hole = reals(p, (size_t)p->h * (size_t)p->w);
        hole_of_latents(p->h, p->w, p->f, mask, p->hole);
        if (k_sum((size_t)(p->h * p->w), p->hole) == 0)
            fail("%s: nothing in it is white, so nothing is to be repainted", o.mask);
    }
    if (p->model.unet.in > p->e) make_beside(p, &f, mask, x);
    params_free(&params);
}

/* ---- before the first step ------------------------------------------------------------------- */

static void read_texts(Plan *p) {
    Bpe bpe = bpe_load(o.vocab);
    say_tokens(&cli, &bpe, &o.prompt, p->text.context, 2);
    CliList negative = {o.negative != NULL, {o.negative}};
    say_tokens(&cli, &bpe, &negative, p->text.context, 2);
    const char *texts[2] = {o.negative ? o.negative : "", o.prompt.count ? o.prompt.text[0] : ""};
    size_t one = (size_t)p->text.context * (size_t)p->text.width;
    p->context = reals(p, 2 * one);
    sd_read_prompts(&p->checkpoint, p->text, &bpe, 2, texts, p->context);
    bpe_free(&bpe);
}

static void check(const Plan *p) {
    bool hole = p->model.unet.in > p->model.unet.out;
    if (!o.vocab) usage_error("which --vocab? CLIP's is bpe_simple_vocab_16e6.txt.gz");
    if (!o.prompt.count) usage_error("which --prompt?");
    if (hole && (!o.image || !o.mask))
        usage_error("this network repaints a hole: it needs --image and --mask");
    if (o.mask && !o.image) usage_error("--mask says where to repaint an --image");
    if (cli_given(&cli, "strength") && !o.image)
        usage_error("--strength says how much of an --image to change");
}

static void read_size(Plan *p) {
    char end;
    if (sscanf(o.size, "%dx%d%c", &p->width, &p->height, &end) != 2 || p->width < 64 ||
        p->height < 64 || p->width % 64 || p->height % 64 || p->width > 4096 || p->height > 4096)
        usage_error("--size %s: WIDTHxHEIGHT, multiples of 64 up to 4096", o.size);
    p->h = p->height / p->f, p->w = p->width / p->f;
}

static Plan plan_open(SdModel m) {
    Plan p = {.checkpoint = {o.common.weights, o.full, o.raw}, .text = m.text,
              .model = m.latents, .first_stage = m.first_stage,
              .pictures = cli_given(&cli, "pictures") ? o.pictures : 1};
    if (!o.common.weights) usage_error("--config %s: which --weights?", o.common.config);
    cli_refuse(&cli, "factor codes first-width condition text context width",
               "the networks trained here");
    if (o.prompt.count > 1) usage_error("one --prompt at a time");
    p.f = downsampling_factor(&p.first_stage), p.e = p.model.unet.out;
    read_size(&p);
    check(&p);
    samples_open(&cli);
    remove_output(&cli, "preview.png");
    sd_report(&p.checkpoint);
    read_texts(&p);
    if (o.image) read_image(&p);
    return p;
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* latents (h,w,e) -> (8h,8w,3) in [-1,1] */
static void decode_latent(const Plan *p, const FirstStage *f, const real *z, int h, int w,
                          real *x) {
    size_t n = (size_t)h * (size_t)w * (size_t)p->e;
    real *scaled = memory_new(n, sizeof *scaled, "latents of %dx%d", w, h);
    k_affine(n, z, (real)(1 / p->model.latent_scale), 0, scaled);
    int rows = o.rows ? o.rows : band_rows(w * p->f);
    decode_in_bands(f, scaled, h, w, rows, x);
    free(scaled);
}

static Grid picture_grid(const Plan *p, int count, int h, int w) {
    return (Grid){.count = count, .height = h * p->f, .width = w * p->f, .channels = 3, .low = -1,
                  .high = 1, .columns = count < 4 ? count : 4, .enlarge = 1};
}

/* The predicted latent at a quarter of its size, decoded: a sixteenth of the work */
static void save_preview(const Plan *p, const FirstStage *f, const real *x0) {
    Tape tape = {.no_grad = true};
    Tensor *z = t_avg_pool2(t_avg_pool2(t_input(&tape, x0, SHAPE(1, p->h, p->w, p->e))));
    int h = z->shape[1], w = z->shape[2];
    real *x = arena_get(&tape.arena, (size_t)(h * p->f) * (size_t)(w * p->f) * 3 * sizeof *x);
    decode_latent(p, f, z->x, h, w, x);
    save_grid(&cli, path_join(o.common.out, "preview.png"), x, picture_grid(p, 1, h, w));
    tape_free(&tape);
}

/* where the steps of picture `number` begin: noise, or the user's picture with noise, which the
 * network of nine channels is shown anyway, and begins with only if --strength says so; z is filled,
 * the first index returned */
static int begin(const Plan *p, Sampler *m, int number, real *z) {
    start_noise(m, number, 1, z);
    if (!p->start || (p->beside && !cli_given(&cli, "strength"))) return m->schedule->T - 1;
    return start_from_latent(m->schedule, o.strength, latent_size(p), p->start, z);
}

static void draw(const Plan *p, Sampler *m, const FirstStage *decoder, real *z) {
    int preview = cli_given(&cli, "preview") ? o.preview : 0;
    size_t size = latent_size(p);
    Progress progress;
    for (int i = 0; i < p->pictures; i++) {
        real *x = z + (size_t)i * size;
        int first = begin(p, m, i, x);
        progress_start(&progress, "draw", 0, first + 1, o.common.quiet);
        for (int k = first; k >= 0; k--) {
            Prediction y = sample_step(m, k, i, 1, x);
            if (preview && (first - k + 1) % preview == 0) save_preview(p, decoder, y.x0);
            progress_update(&progress, first + 1 - k, "");
        }
        progress_end(&progress, first + 1, "");
    }
}

/* every picture the same text, hole and picture */
static real *for_all(Plan *p, const real *x, size_t n) {
    return x ? n_copies(&p->arena, p->pictures, n, x) : NULL;
}

/* what the U-Net is given of all pictures */
static LdmCondition conditions_of(Plan *p, const LdmUNet *net) {
    int N = p->text.context, width = p->text.width;
    size_t text = (size_t)N * (size_t)width, pixels = (size_t)p->h * (size_t)p->w;
    return (LdmCondition){
        .net = net, .context = for_all(p, p->context + text, text), .without = p->context,
        .tokens = N, .width = width, .beside_channels = p->e + 1,
        .beside = for_all(p, p->beside, pixels * (size_t)(p->e + 1)),
        .scale = cli_given(&cli, "scale") ? o.scale : 7.5};
}

/* of four channels: what is known is put back every step */
static KnownPixels known_of(Plan *p, const Denoiser *of) {
    size_t pixels = (size_t)p->h * (size_t)p->w;
    real *keep = reals(p, pixels);
    k_affine(pixels, p->hole, -1, 1, keep);
    return blended_denoiser(of, for_all(p, p->start, latent_size(p)), for_all(p, keep, pixels),
                            o.common.seed);
}

/* latents (pictures,h,w,e) */
static void draw_latents(Plan *p, const FirstStage *decoder, real *z) {
    Params params = {0};
    LdmUNet net = sd_load_unet(&p->checkpoint, p->model.unet, &params);
    LdmCondition c = conditions_of(p, &net);
    NetworkDenoiser network = network_denoiser(ldm_output, &c, (Parameterization){PREDICT_NOISE,
                                                                                 FIXED_SMALL});
    NoiseSchedule all = schedule_sqrt_linear(PUBLISHED_TIMESTEPS, p->model.beta_first,
                                             p->model.beta_last);
    NoiseSchedule few = schedule_respaced_to(&all, "ldm", o.sampling_steps);
    KnownPixels known;
    Sampler m = {.denoiser = &network.denoiser, .schedule = &few, .method = sampling_method(),
                 .eta = o.eta, .height = p->h, .width = p->w, .channels = p->e,
                 .seed = o.common.seed};
    if (p->hole && !p->beside) known = known_of(p, m.denoiser), m.denoiser = &known.denoiser;
    draw(p, &m, decoder, z);
    sampler_free(&m);
    schedule_free(&few), schedule_free(&all), params_free(&params);
}

int text_to_image(SdModel m) {
    Plan p = plan_open(m);
    bool early = cli_given(&cli, "preview") && o.preview;      /* else after the U-Net is gone */
    size_t n = (size_t)p.pictures, pixels = (size_t)p.width * (size_t)p.height * 3;
    real *z = reals(&p, n * latent_size(&p));
    Params params = {0};
    FirstStage decoder = {0};
    if (early) decoder = sd_load_first_stage(&p.checkpoint, p.first_stage, false, &params);
    double began = seconds_now();
    draw_latents(&p, &decoder, z);
    double drawn = seconds_now();
    if (!early) decoder = sd_load_first_stage(&p.checkpoint, p.first_stage, false, &params);
    real *x = reals(&p, n * pixels);
    for (size_t i = 0; i < n; i++)
        decode_latent(&p, &decoder, z + i * latent_size(&p), p.h, p.w, x + i * pixels);
    samples_save(&cli, x, picture_grid(&p, p.pictures, p.h, p.w));
    if (!o.common.quiet)
        printf("latents in %.1f s (weights read included), decoded in %.1f s, peak memory %.0f "
               "MiB\n", drawn - began, seconds_now() - drawn, peak_memory() / 0x1p20);
    params_free(&params), arena_free(&p.arena);
    return 0;
}
