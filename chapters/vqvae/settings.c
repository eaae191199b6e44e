#include "settings.h"

#include "eval/scores.h"
#include "prior.h"

Settings o = {
    .common = {.seed = 1, .steps = 10000, .batch = 64, .lr = 1e-3, .config = "default",
               .out = "build/runs/vqvae"},
    .hidden = 64,
    .residual = 32,
    .codes = 512,
    .dim = 32,
    .layers = 8,
    .width = 48,
    .head = 128,
    .prior_steps = 2500,
    .samples = 10000,
    .decay = 0.99,
    .beta = 0.25,
    .revive = 1,
    .prior_lr = 1e-3,
    .temperature = 1,
    .stage = "all",
    .codebook = "ema",
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|sonnet"),
    {"stage", 0, .s = &o.stage, .choices = "all|autoencoder|prior", .keep = KEEP_NOT,
     .only = "train eval", .help = "one of the two; the prior needs the autoencoder in --out"},
    {"hidden", 0, .i = &o.hidden, .min = 2, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels of the autoencoder's maps"},
    {"residual", 0, .i = &o.residual, .min = 1, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels inside its residual blocks"},
    {"codes", 'k', .i = &o.codes, .min = 2, .max = 8192, .meta = "K", .keep = KEEP_MODEL,
     .help = "codes in the codebook"},
    {"dim", 0, .i = &o.dim, .min = 1, .max = 1024, .meta = "D", .keep = KEEP_MODEL,
     .help = "numbers in a code"},
    {"codebook", 0, .s = &o.codebook, .choices = "ema|gradient", .keep = KEEP_MODEL,
     .help = "codes are averages of what chose them, or learned with the rest"},
    {"decay", 0, .d = &o.decay, .min = 0.001, .max = 0.99999, .meta = "X", .only = "train",
     .help = "of these averages"},
    {"revive", 0, .d = &o.revive, .min = 0, .max = 1e6, .meta = "N", .only = "train",
     .help = "a code chosen by fewer vectors a batch starts anew; 0: never"},
    {"beta", 0, .d = &o.beta, .min = 0, .max = 1000, .meta = "X", .only = "train",
     .help = "weight of the commitment"},
    {"layers", 0, .i = &o.layers, .min = 1, .max = PRIOR_LAYERS_MOST, .meta = "N",
     .keep = KEEP_MODEL, .help = "gated layers of the prior"},
    {"width", 0, .i = &o.width, .min = 1, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "its channels"},
    {"head", 0, .i = &o.head, .min = 1, .max = 4096, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels of its last hidden layer"},
    {"prior-steps", 0, .i = &o.prior_steps, .min = 0, .max = 1e9, .meta = "N",
     .keep = KEEP_DEFAULT, .only = "train", .help = "training steps of the prior"},
    {"prior-lr", 0, .d = &o.prior_lr, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "its learning rate"},
    {"temperature", 0, .d = &o.temperature, .min = 0.01, .max = 100, .meta = "T", .keep = KEEP_NOT,
     .only = "sample eval", .help = "below 1: likely codes become likelier"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "pictures to draw and score"},
    {0}};

static const Preset presets[] = {
    {"sonnet", "hidden=128 residual=32 codes=512 dim=64 batch=32 lr=0.0003"}, {0}};

Cli cli = {.program = "vqvae",
                  .about = "Pictures as integers, and a prior that writes them.",
                  .options = options,
                  .presets = presets};
