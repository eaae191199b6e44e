/* ae.c — what 0: try_in is an image (28,28), try_out its code (32); 1: try_in is a code, try_out the
 * image */
#include "../../../../chapters/ae/ae.h"
#include "try.h"

static Autoencoder net;

const char *const try_files[] = {"ae/weights.safetensors", NULL};

void EXPORT(try_start)(void);
int  EXPORT(try_draw)(int what);

void try_start(void) {
    net = autoencoder_new(try_params, architecture_named("default"), 32);
}

int try_draw(int what) {
    if (what) decode_all(&net, 1, try_in, try_out);
    else encode_all(&net, 1, try_in, try_out);
    return what ? PIXELS : 32;
}
