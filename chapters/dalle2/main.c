/* dalle2 — from a caption to CLIP's embedding of an image, from the embedding to the image. Five
 * stages, each a run of its own in the same folder: two priors, the decoder of 16x16 images, the
 * upsamplers to 32x32 and 64x64. */
#include "settings.h"

#include "base/error.h"
#include "base/file.h"
#include "train/captioned_source.h"
#include "train/diffusion_options.h"
#include "train/scene_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Settings o = {
    .common = {.seed = 1, .steps = 4000, .batch = 64, .lr = 8e-4, .config = "default",
               .out = "build/runs/dalle2"},
    .stage = "all",
    .ar_steps = 3000,
    .decoder_steps = 24000,
    .upsampler_steps = 5000,
    .decoder_batch = 16,
    .upsampler_batch = 16,
    .fit = 4096,
    .warmup = 200,
    .preview = 25,
    .emoji = 0.25,
    .no_text = 0.1,
    .no_image = 0.1,
    .no_caption = 0.5,
    .max_norm = 1,
    .ema = 0.9999,
    .pictures = 8,
    .samples = 1500,
    .prior = "diffusion",
    .prior_respace = "64",
    .prior_scale = 1,
    .respace = "50",
    .sampler = "ddpm",
    .scale = 2,
};

#define DRAWS "sample eval vary interpolate edit reconstruct"
#define PICTURES "vary interpolate edit reconstruct"

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|karlo"),
    {"stage", 0, .s = &o.stage, .choices = "all|prior|ar|decoder|upsampler32|upsampler64",
     .keep = KEEP_NOT, .only = "train info", .help = "stage to train"},
    {"clip", 0, .s = &o.clip, .meta = "FILE", .keep = KEEP_DEFAULT,
     .help = "weights of CLIP (default: the committed ones)"},
    STAGE_STEPS("ar-steps", o.ar_steps,
                "training steps of the autoregressive prior; --steps are the diffusion prior's"),
    STAGE_STEPS("decoder-steps", o.decoder_steps, "training steps of the decoder"),
    STAGE_BATCH("decoder-batch", o.decoder_batch,
                "decoder's images in a batch; --batch: the priors' embeddings"),
    STAGE_STEPS("upsampler-steps", o.upsampler_steps, "training steps of each upsampler"),
    STAGE_BATCH("upsampler-batch", o.upsampler_batch, "upsamplers' images in a batch"),
    {"fit", 0, .i = &o.fit, .min = 200, .max = 100000, .meta = "N", .only = "train",
     .help = "embeddings for their mean, standard deviation and principal components"},
    EMOJI_SHARE(o.emoji),
    {"no-text", 0, .d = &o.no_text, .min = 0, .max = 1, .meta = "P", .only = "train",
     .help = "share of texts dropped in training the diffusion prior"},
    {"no-image", 0, .d = &o.no_image, .min = 0, .max = 1, .meta = "P", .only = "train",
     .help = "share of image embeddings dropped in training the decoder; 1: all"},
    {"no-caption", 0, .d = &o.no_caption, .min = 0, .max = 1, .meta = "P", .only = "train",
     .help = "share of captions dropped in training the decoder"},
    DIFFUSION_STEPS_CLIPPED(o, "", "max-norm", max_norm),
    DIFFUSION_PREVIEW(o, 1000),
    {"prompt", 'p', .list = &o.prompt, .meta = "TEXT", .only = "sample",
     .help = "a caption to draw; may be repeated"},
    {"weights", 'w', .s = &o.common.weights, .meta = "FILE", .keep = KEEP_NOT, .only = PICTURES,
     .help = "weights of the decoder (default: in --out), beside those of the other networks"},
    {"image", 'i', .list = &o.image, .meta = "FILE", .only = PICTURES,
     .help = "an image (PNG, JPEG); interpolate takes two"},
    {"from", 0, .s = &o.from, .meta = "TEXT", .keep = KEEP_NOT, .only = "edit",
     .help = "text that describes the image"},
    {"to", 0, .s = &o.to, .meta = "TEXT", .keep = KEEP_NOT, .only = "edit",
     .help = "text that describes what the image is changed to"},
    {"caption", 0, .s = &o.caption, .meta = "TEXT", .keep = KEEP_NOT, .only = "vary reconstruct",
     .help = "a caption for the decoder, beside the image's embedding"},
    {"pictures", 'n', .i = &o.pictures, .min = 1, .max = 1000, .meta = "N", .keep = KEEP_NOT,
     .only = "sample vary interpolate edit", .help = "number of images to draw"},
    SCENE_SAMPLES(o.samples),
    {"prior", 0, .s = &o.prior, .choices = "diffusion|ar|text|image|none", .keep = KEEP_NOT,
     .only = "sample eval", .help = "prior of the image embedding; text: the text's embedding in "
     "its place; none: the decoder gets the caption only; image (eval): the true image's"},
    {"prior-scale", 0, .d = &o.prior_scale, .min = 0, .max = 100, .meta = "S", .keep = KEEP_NOT,
     .only = "sample eval", .help = "guidance scale of the diffusion prior; 1: none"},
    {"prior-respace", 0, .s = &o.prior_respace, .meta = "STEPS", .keep = KEEP_NOT,
     .only = "sample eval", .help = "sampling steps of the prior"},
    {"scale", 0, .d = &o.scale, .min = 0, .max = 100, .meta = "S", .keep = KEEP_NOT,
     .only = DRAWS, .help = "guidance scale of the decoder; 1: none, the default for your own "
     "images; 0: no embedding and no caption"},
    {"respace", 0, .s = &o.respace, .meta = "STEPS", .keep = KEEP_NOT, .only = DRAWS,
     .help = "sampling steps: \"50\"; per section, \"10,15,20\"; every k-th, "
     "\"ddim50\", the default for your own images"},
    {"sampler", 0, .s = &o.sampler, .choices = "ddpm|ddim", .keep = KEEP_NOT, .only = "sample eval",
     .help = "sampler of the decoder"},
    {"eta", 0, .d = &o.eta, .min = 0, .max = 1, .meta = "X", .keep = KEEP_NOT,
     .only = "sample eval vary",
     .help = "noise in the steps of ddim, 0 none; vary: 1 if not given; with more, images "
             "differ more"},
    {0}};

static int train(void), info(void);
Cli cli = {.program = "dalle2",
           .about = "DALL-E 2 (unCLIP): a caption, CLIP's embedding of an image, the image.",
           .common = &o.common,
           .commands = (const Command[]){
               STANDARD_COMMANDS,
               {"vary", "draw other pictures with a picture's embedding", vary},
               {"interpolate", "draw what lies between two pictures", interpolate},
               {"edit", "change a picture by what differs between two texts", edit},
               {"reconstruct", "draw a picture again from parts of its embedding", reconstruct},
               {0}},
           .options = options};

/* ---- what the commands share ----------------------------------------------------------------- */

const char *const stage_names[STAGES] = {"prior", "ar", "decoder", "upsampler32", "upsampler64"};

char *clip_path(void) {
    return o.clip ? text_format("%s", o.clip) : own_file(CLIP_WEIGHTS);
}

char *stage_weights(Stage s) {
    return stage_weights_path(&cli, stage_names[s], stage_names[DECODER]);
}

/* ---- train, info ----------------------------------------------------------------------------- */

static bool is_published(void) { return strcmp(o.common.config, "default") != 0; }
static bool is_wanted(int s) { return !strcmp(o.stage, "all") || !strcmp(o.stage, stage_names[s]); }

static int train(void) {
    if (is_published())
        usage_error("--config %s: is not trained here; info counts it", o.common.config);
    if (o.preview == 1) usage_error("--preview 1: 0, or 2 steps and more");
    if (!is_wanted(PRIOR)) cli_refuse(&cli, "steps", "--stage prior");
    for (int s = 0; s < STAGES; s++) {
        if (!is_wanted(s)) continue;
        int status = s == PRIOR ? prior_train() : s == AR ? ar_train()
                   : s == DECODER ? decoder_train() : upsampler_train((Stage)s);
        if (status) return status;
    }
    return 0;
}

/* karlo has no autoregressive prior; its upsamplers' place is taken by the paper's */
static bool build(Params *p, int s) {
    const char *config = o.common.config;
    ClipConfig clip = clip_small(SIDE, 0);
    switch (s) {
    case PRIOR: prior_new(p, prior_config(config, clip.text.context, clip.dim)); break;
    case AR:
        if (!is_published()) ar_prior_new(p, ar_prior_config(clip.text.context, clip.dim));
        return !is_published();
    case DECODER: decoder_new(p, decoder_config(config)); break;
    case UPSAMPLER32: upsampler_new(p, upsampler_config(is_published() ? "64-256" : "32")); break;
    default: upsampler_new(p, upsampler_config(is_published() ? "256-1024" : "64"));
    }
    return true;
}

static int info(void) {
    static const char *const paper[] = {"prior", NULL, "decoder", "upsampler of 64x64 to 256x256",
                                        "upsampler of 256x256 to 1024x1024"};
    for (int s = 0; s < STAGES; s++) {
        Params p = {.shapes_only = true};
        if (is_wanted(s) && build(&p, s))
            print_parameters(is_published() ? paper[s] : stage_names[s], &p);
        params_free(&p);
    }
    return 0;
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
