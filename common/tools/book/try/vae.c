/* vae.c — try_in: z (32) -> the image's pixels in [0,1] */
#include "../../../../chapters/vae/vae.h"
#include "try.h"

#include <string.h>

static Vae net;

const char *const try_files[] = {"vae/weights.safetensors", NULL};

void EXPORT(try_start)(void);
int  EXPORT(try_draw)(int what);

void try_start(void) {
    net = vae_new(try_params, CONVOLUTIONAL, BERNOULLI, 32, 0);
}

int try_draw(int what) {
    (void)what;
    Tape t = {.no_grad = true};
    Tensor *image = mean_image(decode(&net, t_input(&t, try_in, SHAPE(1, 32)), NULL));
    memcpy(try_out, image->x, image->len * sizeof *try_out);
    tape_free(&t);
    return PIXELS;
}
