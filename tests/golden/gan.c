/* gan.c — the DCGAN pair of pytorch/examples, of any width, channels and side. */
#include "../../chapters/gan/gan.h"
#include "golden.h"

static Design design_of(const Golden *g, const char *width) {
    return (Design){.architecture = DCGAN64, .code = golden_int(g, "nz", 100),
                    .width = golden_int(g, width, 64), .channels = golden_int(g, "nc", 3),
                    .side = golden_int(g, "image_size", 64), .low = -1};
}

/* statistics that moved say that the official pass was a training one */
static bool training(const Golden *g) {
    return golden_holds(g, "out.after.");
}

static void run_generator(Golden *g) {
    Generator net = generator_new(&g->params, design_of(g, "ngf"));
    golden_load(g);
    golden_output(g, "main", generator(&net, golden_input(g, "z"), NULL, training(g)));
}

static void run_discriminator(Golden *g) {
    Discriminator net = discriminator_new(&g->params, design_of(g, "ndf"));
    golden_load(g);
    Tensor *logits = discriminator(&net, golden_input(g, "x"), NULL, training(g));
    golden_output(g, "main", t_sigmoid(logits));
}

const GoldenModel golden_gan[] = {
    {"dcgan_g", .run = run_generator, .map = &generator_official},
    {"dcgan_d", .run = run_discriminator, .map = &discriminator_official},
    {0}};
