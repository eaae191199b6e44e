/* dae_mae — train, sample from, evaluate denoising and masked autoencoders on Fashion-MNIST. */
#include "base/error.h"
#include "experiments/toy.h"
#include "settings.h"

/* --config says which half of the chapter is meant */
static int choose(int (*mae)(void), int (*dae)(void)) {
    settle_settings();
    if (denoising() && !dae)
        usage_error("%s: --config %s has no such command", cli.command, o.common.config);
    return denoising() ? dae() : mae();
}

static int train(void) { return choose(mae_train, dae_train); }
static int sample(void) { return choose(mae_sample, dae_sample); }
static int eval(void) { return choose(mae_eval, dae_eval); }
static int info(void) { return choose(mae_info, dae_info); }
static int tune(void) { return choose(finetune, NULL); }

static int in_the_plane(void) {
    settle_settings();
    return toy(o.common.out, o.common.seed, o.common.quiet);
}

static const Command commands[] = {
    STANDARD_COMMANDS,
    {"toy", "compare a small denoiser with the exact score in the plane, write numbers to --out",
     in_the_plane},
    {"finetune", "train a classifier from a masked autoencoder's encoder, or from nothing", tune},
    {0}};

int main(int argc, char **argv) {
    cli.commands = commands;
    return program_main(&cli, argc, argv);
}
