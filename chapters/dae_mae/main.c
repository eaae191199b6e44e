/* dae_mae — train, sample from, evaluate denoising and masked autoencoders on Fashion-MNIST: the
 * options, and which half a command is for. Part 1's commands are in denoise.c, part 2's in
 * mask.c. */
#include "settings.h"

#include "base/error.h"
#include "experiments/finetune.h"
#include "experiments/toy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Settings o = {
    .common = {COMMON_DEFAULTS("dae_mae"), .steps = 8000, .batch = 128, .lr = 2e-3},
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
     .keep = KEEP_MODEL, .help = "corruption of the training images (dae, vincent2008)"},
    {"level", 0, .d = &o.level, .min = 0, .max = 10, .meta = "X", .keep = KEEP_MODEL,
     .help = "probability that a pixel is corrupted; gaussian: standard deviation"},
    {"alpha", 0, .d = &o.alpha, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "weight of the corrupted pixels in the loss"},
    {"beta", 0, .d = &o.beta, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "weight of the other pixels in the loss"},
    {"plain", 0, .s = &o.plain, .meta = "FILE", .keep = KEEP_NOT, .only = "sample eval",
     .help = "weights trained with --corruption none, to compare with"},
    /* masked autoencoder */
    {"mask-ratio", 0, .d = &o.mask_ratio, .min = 0, .max = 1, .meta = "X", .keep = KEEP_MODEL,
     .help = "share of the patches that are masked"},
    {"norm-targets", 0, .b = &o.norm_targets, .keep = KEEP_MODEL,
     .help = "predict each patch normalised by its own mean and standard deviation"},
    {"mask-tokens-in-encoder", 0, .b = &o.mask_tokens_in_encoder, .keep = KEEP_MODEL,
     .help = "give mask tokens to the encoder, too (an ablation of the paper)"},
    {"image", 0, .s = &o.image, .meta = "FILE", .keep = KEEP_NOT, .only = "sample",
     .help = "PNG or JPEG to reconstruct (vit-*, with the authors' weights)"},
    {"schedule", 0, .i = &o.schedule, .min = 1, .max = 1e9, .meta = "N", .only = "train",
     .help = "length of the learning rate schedule, warm-up and cosine, in steps"},
    {"weights", 'w', .s = &o.common.weights, .meta = "FILE", .keep = KEEP_NOT, .only = "finetune",
     .help = "finetune: the masked autoencoder whose encoder the classifier starts from"},
    {"labels", 0, .i = &o.labels, .min = 0, .max = 1e6, .meta = "N", .keep = KEEP_NOT,
     .only = "finetune", .help = "number of labelled images, equally many per class; 0: all"},
    {"scratch", 0, .b = &o.scratch, .keep = KEEP_NOT, .only = "finetune",
     .help = "start from random weights instead of pre-trained ones"},
    {"finetune-steps", 0, .i = &o.finetune_steps, .min = 0, .max = 1e9, .meta = "N",
     .keep = KEEP_NOT, .only = "finetune", .help = "training steps of the classifier"},
    {"finetune-lr", 0, .d = &o.finetune_lr, .min = 0, .max = 1e3, .meta = "X", .keep = KEEP_NOT,
     .only = "finetune", .help = "learning rate of the classifier"},
    {0}};

/* options that only one half has; the other refuses them */
static const char *const of_masking[] = {"mask-ratio", "norm-targets", "mask-tokens-in-encoder",
                                         "image", "schedule", NULL};
static const char *const of_denoising[] = {"corruption", "level", "alpha", "beta", "plain", NULL};

static const Preset presets[] = {
    {"dae", "corruption=gaussian level=0.5 steps=2500 batch=128 lr=0.001"},
    {"vincent2008", "corruption=masking level=0.3 steps=41250 batch=20 lr=0.1"},
    {0}};

static int train(void), sample(void), eval(void), info(void), run_toy(void), run_finetune(void);
static const Command commands[] = {
    STANDARD_COMMANDS,
    {"toy", "compare denoisers with the exact score in the plane; CSV files are written to --out",
     run_toy},
    {"finetune", "train a classifier from a masked autoencoder's encoder, or from scratch",
     run_finetune},
    {0}};

Cli cli = {.program = "dae_mae",
           .about = "Denoising and masked autoencoders.",
           .common = &o.common,
           .commands = commands,
           .options = options,
           .presets = presets};

/* ---- what both halves use -------------------------------------------------------------------- */

MaeShape chosen_shape(bool for_data) {
    MaeShape s = mae_shape_named(o.common.config);
    s.mask_tokens_in_encoder = o.mask_tokens_in_encoder;
    int N = patches_of(&s), keep = (int)(N * (1 - o.mask_ratio));
    if (keep < 1 || keep >= N)
        usage_error("--mask-ratio %g: of %d patches at least one must be hidden, and one be seen",
                    o.mask_ratio, N);
    if (for_data && s.side != 28)
        usage_error("--config %s: made for colour images of %d pixels, which are not here; only "
                    "info and sample know it", o.common.config, s.side);
    return s;
}

/* the probes of eval alone see labels */
Fashion load_data(void) {
    bool labelled = !strcmp(cli.command, "eval");
    return (labelled ? fashion_load_least : fashion_load_unlabelled)(o.common.data, 200, 20);
}

/* ---- which half ------------------------------------------------------------------------------ */

static bool denoising(void) {
    return !strcmp(o.common.config, "dae") || !strcmp(o.common.config, "vincent2008");
}

static bool reads_weights(void) {
    return !strcmp(cli.command, "sample") || !strcmp(cli.command, "eval") ||
           (!strcmp(cli.command, "finetune") && !o.scratch);
}

/* Takes --config from the checkpoint that the command reads, which decides what is to be done. Then
 * ends the program with one line if an option was given that means nothing to this --config. */
static void resolve_options(void) {
    char *checkpoint = path_join(o.common.out, "checkpoint.safetensors");
    if (reads_weights()) weights_options(&cli);
    else if (o.common.resume && access(checkpoint, F_OK) == 0)
        checkpoint_options(checkpoint, &cli, true);
    free(checkpoint);
    for (const char *const *name = denoising() ? of_masking : of_denoising; *name; name++)
        if (cli_given(&cli, *name))
            usage_error("--%s means nothing to --config %s", *name, o.common.config);
}

static int run(int (*mae)(void), int (*dae)(void)) {
    resolve_options();
    return denoising() ? dae() : mae();
}

static int train(void) { return run(mae_train, dae_train); }
static int sample(void) { return run(mae_sample, dae_sample); }
static int eval(void) { return run(mae_eval, dae_eval); }
static int info(void) { return run(mae_info, dae_info); }

static int run_finetune(void) {
    resolve_options();
    if (denoising()) usage_error("finetune: --config %s has no such command", o.common.config);
    return finetune(&cli, chosen_shape(true), o.labels, o.scratch,
                    (FineTuning){o.finetune_steps, o.common.batch, o.finetune_lr});
}

static int run_toy(void) {
    resolve_options();
    return toy(o.common.out, o.common.seed, o.common.quiet);
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
