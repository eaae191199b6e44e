#include "settings.h"

#include "eval/scores.h"

#include <string.h>

Settings o = {
    .common = {.seed = 1, .steps = 8000, .batch = 64, .lr = 5e-4, .config = "default",
               .out = "build/runs/vqvae2"},
    .levels = 2,
    .codes = 256,
    .width = 64,
    .dim = 32,
    .stage = "all",
    .attention = "top",
    .top_steps = 15000,
    .bottom_steps = 10000,
    .prior_batch = 32,
    .prior_lr = 5e-4,
    .prior_channels = 64,
    .classes = 10,
    .samples = 2000,
    .temperature = 1,
    .keep = 1,
};

/* The rows from "stage" on do not describe the autoencoder, and its weights do not remember them:
 * priors of several kinds may be trained for one autoencoder. */
static Option options[] = {
    COMMON_OPTIONS(o.common, "default|emoji|rosinality"),
    {"levels", 0, .i = &o.levels, .min = 1, .max = 2, .meta = "N", .keep = KEEP_MODEL,
     .help = "1: without the top, to compare with"},
    {"codes", 0, .i = &o.codes, .min = 2, .max = 65536, .meta = "K", .keep = KEEP_MODEL,
     .help = "codes in each codebook"},
    {"width", 0, .i = &o.width, .min = 2, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels of the autoencoder"},
    {"dim", 0, .i = &o.dim, .min = 1, .max = 1024, .meta = "D", .keep = KEEP_MODEL,
     .help = "numbers in a code's vector"},
    {"stage", 0, .s = &o.stage, .choices = "all|autoencoder|top|bottom", .keep = KEEP_NOT,
     .only = "train eval", .help = "this one alone (eval: all or autoencoder)"},
    {"autoencoder", 0, .s = &o.autoencoder, .meta = "FILE", .keep = KEEP_DEFAULT, .only = "train",
     .help = "weights that priors are trained for (default: the ones in --out)"},
    {"attention", 0, .s = &o.attention, .choices = "none|top|both", .keep = KEEP_MODEL,
     .help = "which priors attend to all earlier positions"},
    {"classes", 0, .i = &o.classes, .min = 1, .max = 256, .meta = "N", .keep = KEEP_MODEL,
     .help = "classes that priors are told"},
    {"prior-channels", 0, .i = &o.prior_channels, .min = 16, .max = 1024, .meta = "N",
     .keep = KEEP_MODEL, .help = "channels of the priors, a multiple of 16"},
    {"top-steps", 0, .i = &o.top_steps, .min = 0, .max = 1e9, .meta = "N", .keep = KEEP_DEFAULT,
     .only = "train", .help = "training steps of the top prior; --steps are the autoencoder's"},
    {"bottom-steps", 0, .i = &o.bottom_steps, .min = 0, .max = 1e9, .meta = "N",
     .keep = KEEP_DEFAULT, .only = "train", .help = "training steps of the bottom prior"},
    {"prior-batch", 0, .i = &o.prior_batch, .min = 1, .max = 65536, .meta = "N", .only = "train",
     .help = "pictures of codes at a time"},
    {"prior-lr", 0, .d = &o.prior_lr, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "learning rate of the priors"},
    {"temperature", 'T', .d = &o.temperature, .min = 0, .max = 100, .meta = "X", .keep = KEEP_NOT,
     .only = "sample eval", .help = "divides logits: below 1 likelier codes, less variety"},
    {"keep", 'k', .d = &o.keep, .min = 0.001, .max = 1, .meta = "X", .keep = KEEP_NOT,
     .only = "sample eval", .help = "share of samples kept, those the classifier is surest of"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "pictures to draw and score"},
    {0}};

static const Preset presets[] = {
    {"emoji", "batch=32 steps=4000 top-steps=3000 bottom-steps=1500"},
    {"rosinality", "width=128 dim=64 codes=512 lr=0.0003 batch=128 steps=20000"},
    {0}};

Cli cli = {.program = "vqvae2",
                  .about = "VQ-VAE-2: pictures as two levels of codes, and priors that write them.",
                  .options = options,
                  .presets = presets};

const char *const stage_names[] = {"autoencoder", "top", "bottom"};

bool garments(void) {
    return !strcmp(o.common.config, "default");
}

int side(void) { return garments() ? 32 : 64; }

bool has_stage(int stage) {
    return stage != TOP || o.levels == 2;
}

Cli autoencoder_cli(void) {
    static Option rows[sizeof options / sizeof *options];
    size_t n = 0;
    for (; strcmp(options[n].name, "stage"); n++) rows[n] = options[n];
    rows[n] = (Option){0};
    Cli c = cli;
    c.options = rows;
    c.presets = NULL;          /* they speak of the other rows, too; the file says what they set */
    return c;
}
