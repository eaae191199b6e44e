#include "settings.h"

#include "eval/scores.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TIMESTEPS = 10000 };

Settings o = {
    .common = {.seed = 1, .steps = 16000, .batch = 32, .lr = 5e-4, .config = "default",
               .out = "build/runs/iddpm"},
    .schedule = "cosine",
    .variance = "learned",
    .timesteps = 1000,
    .objective = "hybrid",
    .times = "auto",
    .warmup = 500,
    .preview = 50,
    .clip = 1,
    .ema = 0.9999,
    .sampler = "ddpm",
    .pictures = 64,
    .class = -1,
    .samples = 1000,
    .bound = 64,
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|cifar10|imagenet64|imagenet64-cond|lsun"),
    {"schedule", 0, .s = &o.schedule, .choices = "linear|cosine", .keep = KEEP_MODEL,
     .help = "how fast noise covers the picture"},
    {"timesteps", 'T', .i = &o.timesteps, .min = 2, .max = MOST_TIMESTEPS, .meta = "T",
     .keep = KEEP_MODEL, .help = "steps from picture to noise; the paper: 4000"},
    {"variance", 'v', .s = &o.variance, .choices = "learned|small|large", .keep = KEEP_MODEL,
     .help = "of a step back: the network's, beta~, or beta"},
    {"classes", 0, .i = &o.classes, .min = 0, .max = 256, .meta = "N", .keep = KEEP_MODEL,
     .help = "classes that the network is told; 0: none, Fashion-MNIST has 10"},
    {"width", 0, .i = &o.width, .min = 0, .max = 512, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels of the first level, a multiple of 32; 0: as --config says"},
    {"objective", 0, .s = &o.objective, .choices = "simple|hybrid|vlb", .only = "train",
     .help = "L_simple; with the bound for the variance; the bound alone"},
    {"times", 0, .s = &o.times, .choices = "auto|uniform|importance", .only = "train",
     .help = "how timesteps are drawn; auto: by importance for vlb, else uniformly"},
    {"warmup", 0, .i = &o.warmup, .min = 0, .max = 1e9, .meta = "N", .only = "train",
     .help = "steps in which the learning rate rises"},
    {"clip", 0, .d = &o.clip, .min = 0, .max = 1e9, .meta = "X", .only = "train",
     .help = "largest norm of a gradient; 0: any"},
    {"dropout", 0, .d = &o.dropout, .min = 0, .max = 0.95, .meta = "X", .only = "train",
     .help = "share of the features that a block leaves out"},
    {"ema", 0, .d = &o.ema, .min = 0, .max = 1, .meta = "X", .only = "train",
     .help = "decay of the averaged weights"},
    {"preview", 0, .i = &o.preview, .min = 0, .max = MOST_TIMESTEPS, .meta = "N",
     .keep = KEEP_DEFAULT, .only = "train",
     .help = "steps in which a checkpoint's samples.png is drawn; 0: none"},
    {"respace", 0, .s = &o.respace, .meta = "STEPS", .keep = KEEP_NOT, .only = "sample eval",
     .help = "steps back: so many, \"50\"; of each section, \"10,15,20\"; every k-th, \"ddim50\" "
             "(default: 100, or all)"},
    {"sampler", 0, .s = &o.sampler, .choices = "ddpm|small|large|ddim", .keep = KEEP_NOT,
     .only = "sample eval",
     .help = "the model's variance, a fixed one in its place, or DDIM"},
    {"eta", 0, .d = &o.eta, .min = 0, .max = 1, .meta = "X", .keep = KEEP_NOT,
     .only = "sample eval", .help = "noise of ddim's steps: 0 none, 1 as with beta~"},
    {"class", 0, .i = &o.class, .min = -1, .max = 255, .meta = "K", .keep = KEEP_NOT,
     .only = "sample", .help = "draw this class alone; -1: all in turn"},
    {"pictures", 'n', .i = &o.pictures, .min = 1, .max = 10000, .meta = "N", .keep = KEEP_NOT,
     .only = "sample", .help = "how many to draw"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "pictures to draw and score"},
    {"bound", 0, .i = &o.bound, .min = 0, .max = 10000, .meta = "N", .keep = KEEP_NOT,
     .only = "eval", .help = "test images for the bound"},
    {"bound-respace", 0, .s = &o.bound_respace, .meta = "STEPS", .keep = KEEP_NOT, .only = "eval",
     .help = "the bound of a chain of these steps (default: all)"},
    {0}};

/* the paper's recipes for CIFAR-10 and ImageNet; steps are for their data and processors */
#define PAPER "lr=0.0001 warmup=0 batch=128 timesteps=4000 "
static const Preset presets[] = {{"cifar10", PAPER "dropout=0.3 steps=500000"},
                                 {"imagenet64", PAPER "steps=1500000"},
                                 {0}};

Cli cli = {.program = "iddpm",
           .about = "Improved denoising diffusion: a learned variance, fewer steps.",
           .options = options,
           .presets = presets};

ModelConfig named_config(void) {
    ModelConfig c = model_config(o.common.config);
    int groups = c.unet.style.groups;
    if (o.classes) c.classes = o.classes;
    if (o.width % groups)
        usage_error("--width %d: groups of channels are normalised; a multiple of %d", o.width,
                    groups);
    if (o.width) c.unet.width = o.width;
    return c;
}

ModelConfig chosen_config(void) {
    ModelConfig c = named_config();
    if (c.unet.in != 1)
        usage_error("--config %s: a network for colour pictures of another size; info counts it, "
                    "train takes default", o.common.config);
    c.unet.style.dropout = o.dropout;
    return c;
}

Diffusion chosen_chain(void) {
    bool cosine = !strcmp(o.schedule, "cosine");
    if (!cosine && o.timesteps <= 20)
        usage_error("--timesteps %d: too few for --schedule linear, whose last beta is 20 / T",
                    o.timesteps);
    Diffusion d = cosine ? diffusion_cosine(o.timesteps) : diffusion_linear(o.timesteps);
    diffusion_rescale_time(&d);
    return d;
}

Diffusion respaced_chain(const Diffusion *all, const char *option, const char *sections) {
    int steps[MOST_TIMESTEPS], n = all->T;
    for (int t = 0; t < n; t++) steps[t] = t;
    if (sections) n = space_timesteps(all->T, sections, steps);
    if (!n)
        usage_error("--%s %s: not steps of %d; \"50\", \"10,15,20\" or \"ddim50\" are", option,
                    sections, all->T);
    return diffusion_respaced(all, n, steps);
}

Diffusion sampling_chain(const Diffusion *all) {
    const char *sections = o.respace ? o.respace : o.timesteps > 100 ? "100" : NULL;
    Diffusion d = respaced_chain(all, "respace", sections);
    int first = d.step[d.T - 1];
    if (d.alpha_bar[d.T - 1] > 0.5)
        usage_error("--respace %s: begins at step %d of %d, where most of the picture should be left, "
                    "but drawing begins with noise", sections, first + 1, all->T);
    return d;
}

Fashion load_data(void) {
    Fashion data = fashion_load(o.common.data);
    if (data.validation.count < 1 || data.test.count < SCORE_MINIMUM)
        fail("%s: %d images for training and %d for testing; at least 10 and %d are needed",
             o.common.data, data.train.count + data.validation.count, data.test.count,
             SCORE_MINIMUM);
    if (o.classes && data.classes != o.classes)
        fail("%s: pictures of %d classes, but the network is told one of %d (--classes)",
             o.common.data ? o.common.data : FASHION_FOLDER, data.classes, o.classes);
    return data;
}

real *new_images(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * PIXELS * sizeof(real));
}

Grid garments(int count, int columns) {
    return (Grid){.count = count, .height = SIDE, .width = SIDE, .channels = 1,
                  .columns = columns, .enlarge = 2, .low = -1, .high = 1};
}

void save_garments(char *path, const real *images, int count, int columns) {
    picture_save(path, images, garments(count, columns), cli.line);
    free(path);
}
