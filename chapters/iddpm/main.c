/* iddpm — improved denoising diffusion models: their networks. */
#include "iddpm.h"
#include "io/cli.h"

#include <stdio.h>

static struct {
    const char *config;
} o = {.config = "default"};

static Option options[] = {
    {"config", 'c', .s = &o.config, .choices = "default|cifar10|imagenet64|imagenet64-cond|lsun",
     .help = "network"},
    {0}};

static const Command commands[] = {{"info", "print the network and its number of parameters"}, {0}};

static Cli cli = {.program = "iddpm",
                  .about = "Improved denoising diffusion: a learned variance, fewer steps.",
                  .commands = commands,
                  .options = options};

static int info(void) {
    Params params = {0};
    unet_new(&params, unet_design(o.config));
    for (int i = 0; i < params.count; i++) printf("%s\n", t_describe(params.list[i]));
    printf("%zu parameters\n", params_count(&params));
    params_free(&params);
    return 0;
}

int main(int argc, char **argv) {
    threads_sleep_when_waiting(argv);
    cli_parse(&cli, argc, argv);
    return info();
}
