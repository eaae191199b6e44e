/* gan.c — `what` images from the noise of seed try_in[0] to that of seed try_in[1], at the share
 * try_in[2] of the great circle between them: the pixels of one, in [0,1] */
#include "../../../../chapters/gan/gan.h"
#include "try.h"

static Generator net;

const char *const try_files[] = {"gan/weights.safetensors", NULL};

void EXPORT(try_start)(void);
int  EXPORT(try_draw)(int what);

void try_start(void) {
    net = generator_new(try_params, design_named("default", false, true));
}

int try_draw(int what) {
    enum { STEPS = 65 };
    static real ends[2][TRY_NUMBERS], z[STEPS * 256];
    (void)what;
    for (int k = 0; k < 2; k++) {
        Rng rng = rng_new((uint64_t)try_in[k], "z");
        draw_noise(&net.design, 1, &rng, ends[k]);
    }
    interpolate_noise(&net.design, ends[0], ends[1], STEPS, z);
    int step = (int)(try_in[2] * (STEPS - 1) + (real)0.5);
    generate(&net, 1, z + step * net.design.code, NULL, try_out);
    return PIXELS;
}
