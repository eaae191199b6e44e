/* iddpm — train, sample from, evaluate improved denoising diffusion models on Fashion-MNIST. */
#include "commands.h"
#include "settings.h"

#include <stdio.h>
#include <string.h>

static int info(void) {
    Params params = {0};
    model_new(&params, named_config());
    for (int i = 0; i < params.count; i++) printf("%s\n", t_describe(params.list[i]));
    printf("%zu parameters\n", params_count(&params));
    params_free(&params);
    return 0;
}

int main(int argc, char **argv) {
    threads_sleep_when_waiting(argv);
    cli_parse(&cli, argc, argv);
    if (o.common.threads) threads_set(o.common.threads);
    if (!strcmp(cli.command, "train")) return train();
    if (!strcmp(cli.command, "sample")) return sample();
    if (!strcmp(cli.command, "eval")) return eval();
    return info();
}
