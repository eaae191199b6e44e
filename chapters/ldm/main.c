/* ldm — latent diffusion: train a first stage and a conditional diffusion model of its latents on
 * the wardrobe; draw from them, or from a released checkpoint of Stable Diffusion.
 *
 * Training has two stages, each a run of its own in the same folder: autoencoder, diffusion. */
#include "base/error.h"
#include "published.h"
#include "settings.h"
#include "train/diffusion_options.h"
#include "train/emoji_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Settings o = {
    .common = {.seed = 1, .steps = 8000, .batch = 6, .lr = 5e-4, .config = "default",
               .out = "build/runs/ldm"},
    .factor = 4,
    .fs_width = 32,
    .kl = 1e-6,
    .perceptual = 0.2,
    .discriminator = 0.5,
    .disc_start = 4000,
    .stage = "all",
    .condition = "text",
    .text = "clip",
    .context = "attended",
    .width = 32,
    .diffusion_steps = 16000,
    .diffusion_batch = 16,
    .diffusion_lr = 5e-4,
    .warmup = 200,
    .preview = 25,
    .validation = 32,
    .p_uncond = 0.1,
    .clip = 1,
    .ema = 0.9999,
    .pictures = 32,
    .samples = 1500,
    .sampling_steps = 20,
    .scale = 3,
    .sampler = "ddim",
    .size = "512x512",
    .strength = 0.75,
};

/* The file of the first stage's weights keeps the options before "stage": several models may be
 * trained on one. */
static Option options[] = {
    COMMON_OPTIONS(o.common, "default|sd1|sd1-inpaint|ldm-text|cin256-v2|cin256|inpaint|layout|"
                             "semantic|celeba|churches|kl-f4|kl-f8|kl-f16|kl-f32|vq-f4|"
                             "vq-f4-noattn|vq-f8"),
    {"factor", 'f', .i = &o.factor, .min = 1, .max = 8, .meta = "1|2|4|8", .keep = KEEP_MODEL,
     .help = "downsampling factor of the latents; 1: diffusion of pixels, no first stage"},
    {"codes", 0, .i = &o.codes, .min = 0, .max = 65536, .meta = "K", .keep = KEEP_MODEL,
     .help = "codes of a VQ-regularised first stage; 0: KL-regularised"},
    {"first-width", 0, .i = &o.fs_width, .min = 8, .max = 512, .meta = "N", .multiple = 8,
     .keep = KEEP_MODEL, .help = "channels of the first stage at full resolution"},
    {"kl", 0, .d = &o.kl, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "weight of the latents' KL divergence"},
    {"perceptual", 0, .d = &o.perceptual, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "weight of the perceptual loss, on this project's own features"},
    {"discriminator", 0, .d = &o.discriminator, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "weight of the adversarial loss, relative to the reconstruction; 0: none"},
    {"disc-start", 0, .i = &o.disc_start, .min = 0, .max = 1e9, .meta = "N", .only = "train",
     .help = "steps before the adversarial loss is added"},
    {"stage", 0, .s = &o.stage, .choices = "all|autoencoder|diffusion", .keep = KEEP_NOT,
     .only = "train eval", .help = "stage to train; eval: all is diffusion"},
    {"autoencoder", 0, .s = &o.autoencoder, .meta = "FILE", .keep = KEEP_DEFAULT, .only = "train",
     .help = "weights of a first stage, or of both stages, to train diffusion on (default: "
             "those in --out)"},
    {"from", 0, .s = &o.from, .meta = "FILE", .keep = KEEP_DEFAULT, .only = "train",
     .help = "layout, inpaint: weights of a text model; its first stage is used, its U-Net "
             "trained on"},
    {"condition", 0, .s = &o.condition, .choices = CONDITION_NAMES, .keep = KEEP_MODEL,
     .help = "condition, by cross-attention or concatenation"},
    {"text", 0, .s = &o.text, .choices = "clip|learned", .keep = KEEP_MODEL,
     .help = "texts: read by the frozen CLIP, or by a transformer trained with the U-Net"},
    {"context", 0, .s = &o.context, .choices = "attended|pooled", .keep = KEEP_MODEL,
     .help = "texts and layouts: all tokens are attended to, or one that sums them up"},
    {"width", 0, .i = &o.width, .min = 32, .max = 512, .meta = "N", .multiple = 32,
     .keep = KEEP_MODEL, .help = "channels of the U-Net"},
    STAGE_STEPS("diffusion-steps", o.diffusion_steps, "training steps of diffusion"),
    STAGE_BATCH("diffusion-batch", o.diffusion_batch, "diffusion's images in a batch"),
    STAGE_LR("diffusion-lr", o.diffusion_lr, "diffusion's learning rate"),
    DIFFUSION_STEPS(o, "diffusion: "),
    EMOJI_SHARE(o.emoji),
    {"p-uncond", 0, .d = &o.p_uncond, .min = 0, .max = 1, .meta = "P", .only = "train",
     .help = "share of texts and layouts dropped in training, for guidance"},
    VALIDATION_SIZE(o.validation, 1, 256, "unseen scenes that validation of either stage is on"),
    DIFFUSION_PREVIEW(o, 1000),
    {"preview", 0, .i = &o.preview, .min = 0, .max = 1000, .meta = "N", .keep = KEEP_NOT,
     .only = "sample",
     .help = "Stable Diffusion: write preview.png every N steps (never, unless given)"},
    {"steps", 'n', .i = &o.sampling_steps, .min = 1, .max = 1000, .meta = "N", .keep = KEEP_NOT,
     .only = "sample eval",
     .help = "sampling steps, evenly spaced among 1000: a few more where N does not divide it"},
    {"sampler", 0, .s = &o.sampler, .choices = "ddim|plms|ancestral", .keep = KEEP_NOT,
     .help = "sampling method"},
    DIFFUSION_ETA(o),
    {"scale", 0, .d = &o.scale, .min = 0, .max = 100, .meta = "S", .keep = KEEP_NOT,
     .only = "sample eval",
     .help = "classifier-free guidance scale; 1: none (Stable Diffusion: 7.5 unless given)"},
    {"pictures", 'p', .i = &o.pictures, .min = 1, .max = 10000, .meta = "N", .keep = KEEP_NOT,
     .only = "sample", .help = "number of images to draw (Stable Diffusion: 1 unless given)"},
    {"prompt", 0, .list = &o.prompt, .meta = "TEXT", .only = "sample", .help = "a caption to draw"},
    SCENE_SAMPLES(o.samples),
    EMOJI_SAMPLES(o.emoji_samples),
    {"negative", 0, .s = &o.negative, .meta = "TEXT", .keep = KEEP_NOT, .only = "sample",
     .help = "Stable Diffusion: negative prompt"},
    {"image", 0, .s = &o.image, .meta = "FILE", .keep = KEEP_NOT, .only = "sample",
     .help = "Stable Diffusion: image to start from"},
    {"strength", 0, .d = &o.strength, .min = 0, .max = 1, .meta = "X", .keep = KEEP_NOT,
     .only = "sample",
     .help = "--image: share of the sampling steps applied; more steps change more"},
    {"mask", 0, .s = &o.mask, .meta = "FILE", .keep = KEEP_NOT, .only = "sample",
     .help = "mask of --image: white is redrawn"},
    {"size", 0, .s = &o.size, .meta = "WxH", .keep = KEEP_NOT, .only = "sample",
     .help = "Stable Diffusion: size of the image, multiples of 64"},
    {"vocab", 0, .s = &o.vocab, .meta = "FILE", .keep = KEEP_NOT, .only = "sample",
     .help = "CLIP's bpe_simple_vocab_16e6.txt, gzipped or not"},
    {"rows", 0, .i = &o.rows, .min = 0, .max = 65536, .meta = "N", .multiple = 2,
     .keep = KEEP_NOT, .only = "sample",
     .help = "rows the decoder computes at a time; 0: chosen to save memory"},
    {"full", 0, .b = &o.full, .keep = KEEP_NOT, .only = "sample",
     .help = "Stable Diffusion: keep weights in memory in full precision"},
    {"raw", 0, .b = &o.raw, .keep = KEEP_NOT, .only = "sample",
     .help = "Stable Diffusion: weights without averaging, where a file has both"},
    {0}};

static int train(void), sample(void), eval(void), info(void), random_weights(void);
Cli cli = {.program = "ldm",
           .about = "Latent diffusion and Stable Diffusion.",
           .common = &o.common,
           .commands = (const Command[]){STANDARD_COMMANDS,
                                         {"random", "write sd1's or sd1-inpaint's networks with "
                                          "random weights, under the official names",
                                          random_weights},
                                         {0}},
           .options = options};

static bool is_ours(void) { return !strcmp(o.common.config, "default"); }

static bool is_stable_diffusion(void) { return !strncmp(o.common.config, "sd1", 3); }

static void need_ours(void) {
    if (!is_ours())
        usage_error("--config %s: is for info%s; what is trained here is the default",
                    o.common.config, is_stable_diffusion() ? " and sample" : "");
}

static void check_factor(void) {
    if (o.factor & (o.factor - 1)) usage_error("--factor %d: 1, 2, 4 or 8", o.factor);
    if (o.fs_width % (o.fs_width < 32 ? 4 : 8)) usage_error("--first-width %d", o.fs_width);
}

/* ---- train, eval ----------------------------------------------------------------------------- */

static int train(void) {
    bool all = !strcmp(o.stage, "all"), first = all || !strcmp(o.stage, "autoencoder");
    need_ours(), check_factor();
    if (!first) cli_refuse(&cli, "steps batch lr", "--stage autoencoder");
    if (o.autoencoder && first)
        usage_error("--autoencoder: --stage %s trains one itself", o.stage);
    if (o.factor == 1 && !strcmp(o.stage, "autoencoder"))
        usage_error("--factor 1: latents are the pictures, without an autoencoder");
    if (o.factor == 1 && o.autoencoder)
        usage_error("--factor 1: diffusion of pixels, for which there is no --autoencoder");
    if (o.from && (o.autoencoder || first))
        usage_error("--from: has a first stage; --stage diffusion, without --autoencoder");
    if (o.from && o.common.init) usage_error("--from: --init has the U-Net's weights already");
    if (o.from && !is_attended(condition_called(o.condition)))
        usage_error("--from: the U-Net of a text model attends to tokens; --condition %s has none",
                    o.condition);
    if (o.emoji > 0 && !knows_emoji(condition_called(o.condition)))
        usage_error("--emoji %g: of emoji no boxes and no map are known, which --condition %s asks for",
                    o.emoji, o.condition);
    int status = first && o.factor > 1 ? train_autoencoder() : 0;
    if (status || !strcmp(o.stage, "autoencoder")) return status;
    return train_diffusion();
}

static void refuse_eta(void) {
    if (sampling_method() != DDIM) cli_refuse(&cli, "eta", "--sampler ddim");
}

static int eval(void) {
    need_ours(), refuse_eta();
    return !strcmp(o.stage, "autoencoder") ? eval_autoencoder() : eval_diffusion();
}

/* ---- Stable Diffusion ------------------------------------------------------------------------ */

/* --config; only Stable Diffusion reads with that text encoder */
static SdModel published(void) {
    SdModel m = {.text = sd_text_config};
    published_ldm(o.common.config, &m.latents);
    first_stage_published(m.latents.first_stage, &m.first_stage);
    return m;
}

static int sample(void) {
    refuse_eta();
    if (is_stable_diffusion()) return text_to_image(published());
    need_ours();
    cli_refuse(&cli, "negative image strength mask size vocab rows full raw preview",
               "--config sd1");
    return sample_trained();
}

static int random_weights(void) {
    if (!is_stable_diffusion()) usage_error("random: --config sd1 or sd1-inpaint");
    SdModel m = published();
    char *path = output_path(&cli, "%s-random.safetensors", o.common.config);
    sd_write_random(path, &m, o.common.seed);
    free(path);
    return 0;
}

/* ---- info ------------------------------------------------------------------------------------ */

/* prints and frees them */
static void info_part(const char *what, Params *p) {
    print_parameters(what, p);
    params_free(p);
}

/* what is trained here */
static int info_ours(void) {
    Model m = {.first_params.shapes_only = true, .params.shapes_only = true};
    check_factor();
    model_new_first_stage(&m);
    model_new_diffusion(&m);
    if (o.factor > 1) print_parameters("first stage", &m.first_params);
    print_parameters("diffusion", &m.params);
    model_free(&m);
    return 0;
}

static int info(void) {
    FirstStageConfig first;
    if (is_ours()) return info_ours();
    Params text = {.shapes_only = true}, unet = text, stage = text, discriminator = text;
    if (first_stage_published(o.common.config, &first)) {
        first_stage_new(&stage, first), patchgan_new(&discriminator, patchgan_published);
        info_part("first stage", &stage), info_part("discriminator", &discriminator);
        return 0;
    }
    SdModel m = published();
    if (is_stable_diffusion()) {
        clip_text_new(scope(&text, "text"), m.text, 0);
        info_part("text encoder", &text);
    }
    ldm_unet_new(&unet, m.latents.unet), first_stage_new(&stage, m.first_stage);
    info_part("U-Net", &unet), info_part("first stage", &stage);
    return 0;
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
