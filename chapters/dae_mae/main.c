/* dae_mae — train, look at, measure denoising and masked autoencoders on Fashion-MNIST. */
#include "dae.h"
#include "mae.h"
#include "settings.h"
#include "base/error.h"
#include "toy.h"

#include <string.h>

typedef struct {
    const char *command;
    int (*mae)(void), (*dae)(void);
} Job;

static const Job jobs[] = {{"train", mae_train, dae_train},
                           {"sample", mae_sample, dae_sample},
                           {"eval", mae_eval, dae_eval},
                           {"info", mae_info, dae_info},
                           {"finetune", mae_finetune, NULL}};

int main(int argc, char **argv) {
    threads_sleep_when_waiting(argv);
    for (Option *option = cli.options; option->name; option++)   /* the table all chapters share */
        if (!strcmp(option->name, "weights")) option->only = "sample eval finetune";
    cli_parse(&cli, argc, argv);
    settle_settings();
    if (o.common.threads) threads_set(o.common.threads);
    if (!strcmp(cli.command, "toy")) return toy(o.common.out, o.common.seed, o.common.quiet);
    const Job *job = jobs;
    while (strcmp(job->command, cli.command)) job++;
    if (denoising() && !job->dae)
        usage_error("%s: --config %s has no such command", job->command, o.common.config);
    return denoising() ? job->dae() : job->mae();
}
