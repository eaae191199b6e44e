/* vqvae2 — train, sample from, evaluate the two-level autoencoder and the priors over its codes. */
#include "commands.h"
#include "models.h"
#include "settings.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

static int info(void) {
    Models m = {0};
    for (int s = 0; s < STAGES; s++) {
        if (!has_stage(s)) continue;
        build(&m, s);
        const Params *p = &m.params[s];
        for (int i = 0; i < p->count; i++) printf("%s\n", t_describe(p->list[i]));
    }
    for (int s = 0; s < STAGES; s++)
        if (has_stage(s))
            printf("%s: %zu parameters\n", stage_names[s], params_count(&m.params[s]));
    models_free(&m);
    return 0;
}

int main(int argc, char **argv) {
    threads_sleep_when_waiting(argv);
    cli_parse(&cli, argc, argv);
    if (o.common.threads) threads_set(o.common.threads);
    if (o.prior_channels % 16)
        usage_error("--prior-channels: %d is no multiple of 16", o.prior_channels);
    if (!strcmp(cli.command, "train")) return train();
    if (!strcmp(cli.command, "sample")) return sample();
    if (!strcmp(cli.command, "eval")) return eval();
    return info();
}
