/* vqvae — train, sample from, evaluate a vector-quantised autoencoder and its prior on
 * Fashion-MNIST. */
#include "commands.h"
#include "models.h"
#include "settings.h"

#include <stdio.h>
#include <string.h>

static int info(void) {
    Params autoencoder = {0}, prior = {0};
    Vqvae v = new_autoencoder(&autoencoder);
    new_prior(&prior);
    for (int i = 0; i < autoencoder.count; i++) printf("%s\n", t_describe(autoencoder.list[i]));
    printf("autoencoder: %zu parameters, %d codes of %d numbers among them\n\n",
           vqvae_count(&v, &autoencoder), o.codes, o.dim);
    for (int i = 0; i < prior.count; i++) printf("%s\n", t_describe(prior.list[i]));
    printf("prior: %zu parameters\n", params_count(&prior));
    params_free(&autoencoder), params_free(&prior);
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
