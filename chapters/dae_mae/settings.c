#include "train/results.h"
#include "settings.h"

#include "train/checkpoint.h"
#include "base/file.h"
#include "io/picture.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Settings o = {
    .common = {.seed = 1, .steps = 8000, .batch = 128, .lr = 2e-3, .config = "default",
               .out = "build/runs/dae_mae"},
    .corruption = "masking",
    .level = 0.5,
    .alpha = 1,
    .beta = 1,
    .mask_ratio = 0.75,
    .schedule = 8000,
    .finetune_lr = 5e-4,
    .finetune_steps = 1000,
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|vit-b16|vit-l16|vit-h14|dae|vincent2008"),
    /* denoising autoencoder */
    {"corruption", 0, .s = &o.corruption, .choices = "none|masking|salt-pepper|gaussian",
     .keep = KEEP_MODEL, .help = "what spoils the pictures that are trained on"},
    {"level", 0, .d = &o.level, .min = 0, .max = 10, .meta = "X", .keep = KEEP_MODEL,
     .help = "probability that a pixel is spoilt; gaussian: standard deviation"},
    {"alpha", 0, .d = &o.alpha, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "weight of spoilt pixels in the loss"},
    {"beta", 0, .d = &o.beta, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "weight of the others"},
    {"plain", 0, .s = &o.plain, .meta = "FILE", .keep = KEEP_NOT, .only = "sample eval",
     .help = "weights of the same --config trained with --corruption none, shown beside these"},
    /* masked autoencoder */
    {"mask-ratio", 0, .d = &o.mask_ratio, .min = 0, .max = 1, .meta = "X", .keep = KEEP_MODEL,
     .help = "share of the patches that is hidden"},
    {"norm-targets", 0, .b = &o.norm_targets, .keep = KEEP_MODEL,
     .help = "predict each patch less its mean, over its standard deviation"},
    {"mask-tokens-in-encoder", 0, .b = &o.mask_tokens_in_encoder, .keep = KEEP_MODEL,
     .help = "the encoder sees hidden patches too, as mask tokens (the paper's ablation)"},
    {"schedule", 0, .i = &o.schedule, .min = 1, .max = 1e9, .meta = "N", .only = "train",
     .help = "steps over which the learning rate rises, then falls to 0"},
    {"labels", 0, .i = &o.labels, .min = 0, .max = 1e6, .meta = "N", .keep = KEEP_NOT,
     .only = "finetune", .help = "labelled pictures, as many of each class; 0: all"},
    {"scratch", 0, .b = &o.scratch, .keep = KEEP_NOT, .only = "finetune",
     .help = "start from random weights instead of --weights"},
    {"finetune-steps", 0, .i = &o.finetune_steps, .min = 0, .max = 1e9, .meta = "N",
     .keep = KEEP_NOT, .only = "finetune", .help = "training steps of the classifier"},
    {"finetune-lr", 0, .d = &o.finetune_lr, .min = 0, .max = 1e3, .meta = "X", .keep = KEEP_NOT,
     .only = "finetune", .help = "its learning rate"},
    {0}};

/* options that only one half has; the other refuses them */
static const char *const of_masking[] = {"mask-ratio", "norm-targets", "mask-tokens-in-encoder",
                                         "schedule", NULL};
static const char *const of_denoising[] = {"corruption", "level", "alpha", "beta", "plain", NULL};

static const Preset presets[] = {
    {"dae", "corruption=gaussian level=0.5 steps=2500 batch=128 lr=0.001"},
    {"vincent2008", "corruption=masking level=0.3 steps=41250 batch=20 lr=0.1"},
    {0}};

static const Command commands[] = {
    {"train", "train a network, write log, checkpoints and pictures to --out"},
    {"sample", "draw what trained weights make of test pictures"},
    {"eval", "measure trained weights"},
    {"info", "list the network's parameters"},
    {"toy", "compare a small denoiser with the exact score in the plane, write numbers to --out"},
    {"finetune", "train a classifier from a masked autoencoder's encoder, or from nothing"},
    {0}};

Cli cli = {.program = "dae_mae",
           .about = "Learning by repairing: denoising and masked autoencoders.",
           .commands = commands,
           .options = options,
           .presets = presets};

bool denoising(void) {
    return !strcmp(o.common.config, "dae") || !strcmp(o.common.config, "vincent2008");
}

/* ---- the command line ------------------------------------------------------------------------ */

static bool reads_weights(void) {
    return !strcmp(cli.command, "sample") || !strcmp(cli.command, "eval") ||
           (!strcmp(cli.command, "finetune") && !o.scratch);
}

void settle_settings(void) {
    if (reads_weights()) {
        char *path = weights_path(&o.common);
        checkpoint_options(path, &cli, false);
        free(path);
    } else if (o.common.resume) {
        char *path = path_join(o.common.out, "checkpoint.safetensors");
        if (access(path, F_OK) == 0) checkpoint_options(path, &cli, true);
        free(path);
    }
    for (const char *const *name = denoising() ? of_masking : of_denoising; *name; name++)
        if (cli_given(&cli, *name))
            usage_error("--%s means nothing to --config %s", *name, o.common.config);
}

/* ---- what commands share --------------------------------------------------------------------- */

Fashion load_data(void) {
    enum { LEAST = 20 };
    Fashion data = fashion_load(o.common.data);
    if (data.validation.count < LEAST || data.test.count < LEAST)
        fail("%s: %d images for training and %d for testing; at least %d and %d are needed",
             o.common.data, data.train.count + data.validation.count, data.test.count, 10 * LEAST,
             LEAST);
    return data;
}

void save_grid(char *path, const real *pictures, int rows, int columns) {
    picture_save(path, pictures,
                 (Grid){.count = rows * columns, .height = 28, .width = 28, .channels = 1,
                        .columns = columns, .enlarge = 2, .low = 0, .high = 1},
                 cli.line);
    free(path);
}
