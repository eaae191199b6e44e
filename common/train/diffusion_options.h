/* diffusion_options.h — options that several diffusion chapters have, as rows of their tables (cli.h);
 * `o` is the struct that holds the values, under the options' names. */
#ifndef DIFFUSION_OPTIONS_H
#define DIFFUSION_OPTIONS_H

#include "eval/scores.h"
#include "train/cli.h"

/* warmup, clip, ema. `of`: "", or in a program of several trainings which one: "diffusion: " */
#define DIFFUSION_STEPS(o, of) DIFFUSION_STEPS_CLIPPED(o, of, "clip", clip)
/* the same where --clip is something else */
#define DIFFUSION_STEPS_CLIPPED(o, of, named, field)                                               \
    {"warmup", 0, .i = &(o).warmup, .min = 0, .max = 1e9, .meta = "N", .only = "train",            \
     .help = of "steps over which the learning rate rises from 0"},                                \
    {named, 0, .d = &(o).field, .min = 0, .max = 1e9, .meta = "X", .only = "train",                \
     .help = of "gradients are clipped to this norm; 0: no clipping"},                             \
    {"ema", 0, .d = &(o).ema, .min = 0, .max = 1, .meta = "X", .only = "train",                    \
     .help = of "decay of the moving average of the weights"}

/* preview; most: of the steps back */
#define DIFFUSION_PREVIEW(o, most)                                                                 \
    {"preview", 0, .i = &(o).preview, .min = 0, .max = most, .meta = "N", .keep = KEEP_DEFAULT,    \
     .only = "train",                                                                              \
     .help = "sampling steps of the samples.png saved with each checkpoint; 0: none"}

/* all of these, and dropout */
#define DIFFUSION_TRAINING(o, most)                                                                \
    DIFFUSION_STEPS(o, ""),                                                                        \
    {"dropout", 0, .d = &(o).dropout, .min = 0, .max = 0.95, .meta = "X", .only = "train",         \
     .help = "dropout probability in the residual blocks"},                                        \
    DIFFUSION_PREVIEW(o, most)

/* respace, eta; respaced: of the steps, what a default is */
#define DIFFUSION_RESPACE(o, respaced)                                                             \
    {"respace", 0, .s = &(o).respace, .meta = "STEPS", .keep = KEEP_NOT, .only = "sample eval",    \
     .help = "sampling steps: \"50\"; per section, \"10,15,20\"; every k-th, \"ddim50\"" respaced}
#define DIFFUSION_ETA(o)                                                                           \
    {"eta", 0, .d = &(o).eta, .min = 0, .max = 1, .meta = "X", .keep = KEEP_NOT,                   \
     .only = "sample eval", .help = "noise in the steps of ddim: 0 none, 1 as much as with beta~"}

/* class; of: "", or which of several samplings it is for */
#define DIFFUSION_CLASS(o, of)                                                                     \
    {"class", 0, .i = &(o).class, .min = -1, .max = 999, .meta = "K", .keep = KEEP_NOT,            \
     .only = "sample", .help = of "draw this class only; -1: all classes in turn"}

/* pictures, samples */
#define DIFFUSION_SAMPLES(o)                                                                       \
    {"pictures", 'n', .i = &(o).pictures, .min = 1, .max = 10000, .meta = "N", .keep = KEEP_NOT,   \
     .only = "sample", .help = "number of images to draw"},                                        \
    {"samples", 0, .i = &(o).samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",             \
     .keep = KEEP_NOT, .only = "eval", .help = "number of samples to draw and score"}

#endif
