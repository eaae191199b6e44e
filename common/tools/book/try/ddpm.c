/* ddpm.c — the way back from noise, a step at a time. what 0: begins, with the seed try_in[0], in
 * try_in[1] steps; 1: one step. try_out: x_t, then the x_0 that the network sees in it, both in
 * [-1,1], then how many steps are left. */
#include "../../../../chapters/ddpm/ddpm.h"
#include "diffusion/sampler.h"
#include "try.h"

#include <string.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE };

static Model net;
static NetworkDenoiser network;
static ClippedDenoiser clipped;
static NoiseSchedule all, few;
static Sampler sampler;
static int left;

const char *const try_files[] = {"ddpm/weights.safetensors", NULL};

void EXPORT(try_start)(void);
int  EXPORT(try_draw)(int what);

void try_start(void) {
    net = model_new(try_params, unet_config("default"));
    network = unet_denoiser(&net, PREDICT_NOISE, FIXED_SMALL);
    clipped = clipped_denoiser(&network.denoiser);
    all = ddpm_schedule(false);
}

static void begin(uint64_t seed, int steps) {
    sampler_free(&sampler), schedule_free(&few);
    few = schedule_strided(&all, steps);
    sampler = (Sampler){.denoiser = &clipped.denoiser, .schedule = &few, .height = SIDE, .width = SIDE,
                        .channels = 1, .seed = seed, .start_key = TIMESTEPS};
    start_noise(&sampler, 0, 1, try_out);
    memset(try_out + PIXELS, 0, PIXELS * sizeof *try_out);
    left = steps;
}

int try_draw(int what) {
    if (what == 0) begin((uint64_t)try_in[0], (int)try_in[1]);
    else if (left) {
        Prediction p = sample_step(&sampler, --left, 0, 1, try_out);
        memcpy(try_out + PIXELS, p.x0, PIXELS * sizeof *try_out);
    }
    try_out[2 * PIXELS] = (real)left;
    return 2 * PIXELS + 1;
}
