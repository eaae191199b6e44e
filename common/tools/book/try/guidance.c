/* guidance.c — from noise to a garment of the class that a classifier steers to, a step at a time.
 * what 0: begins, with the seed try_in[0], in try_in[1] steps, towards class try_in[2] at the scale
 * try_in[3]; 1: one step. try_out: x_t, then the x_0 that the network sees in it, both in [-1,1],
 * then how many steps are left. */
#include "../../../../chapters/guidance/guidance.h"
#include "diffusion/sampler.h"
#include "try.h"

#include <stdio.h>
#include <string.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE };

const char *const try_files[] = {"guidance/weights.safetensors",
                                 "guidance/classifier-weights.safetensors", NULL};

static ClassUNet net;
static NoisyClassifier classifier;
static Labelled labelled;
static NetworkDenoiser network;
static ClippedDenoiser clipped;
static Tape tape;
static ClassGuide guide;
static ScoreGuidance steered;
static NoiseSchedule all, few;
static Sampler sampler;
static int left, label;

void EXPORT(try_start)(void);
int  EXPORT(try_draw)(int what);

void try_start(void) {
    ModelConfig c = model_config("default");
    net = class_unet_new(&try_params[0], c.unet, c.classes);
    UNetConfig half = classifier_config("default");
    half.out = 10;
    classifier = noisy_classifier_new(&try_params[1], half, SIDE);
    params_freeze(&try_params[1], true);
    labelled = (Labelled){&net, &label};
    network = labelled_denoiser(&labelled, LEARNED_RANGE);
    clipped = clipped_denoiser(&network.denoiser);
    all = model_schedule(&c);
}

static void begin(uint64_t seed, int steps, int class, double scale) {
    char sections[16];
    sampler_free(&sampler), schedule_free(&few);
    label = class;
    guide = class_guide(&classifier, &label, &tape);
    steered = score_guidance(&clipped.denoiser, guide_gradient, &guide, scale);
    snprintf(sections, sizeof sections, "%d", steps);
    few = schedule_respaced(&all, sections);
    sampler = (Sampler){.denoiser = scale > 0 ? &steered.denoiser : &clipped.denoiser,
                        .schedule = &few, .height = SIDE, .width = SIDE, .channels = 1,
                        .seed = seed};
    start_noise(&sampler, 0, 1, try_out);
    memset(try_out + PIXELS, 0, PIXELS * sizeof *try_out);
    left = steps;
}

int try_draw(int what) {
    if (what == 0) begin((uint64_t)try_in[0], (int)try_in[1], (int)try_in[2], (double)try_in[3]);
    else if (left) {
        Prediction p = sample_step(&sampler, --left, 0, 1, try_out);
        memcpy(try_out + PIXELS, p.x0, PIXELS * sizeof *try_out);
    }
    try_out[2 * PIXELS] = (real)left;
    return 2 * PIXELS + 1;
}
