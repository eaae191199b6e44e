/* levels.h — each level and each prior measured: errors without a level, codes in use, and
 * what codes cost, also the bottom's with another image's top. Printed unless --quiet, and put into
 * the metrics. Means over at most 2,000 images of each part. */
#ifndef LEVELS_H
#define LEVELS_H

#include "../model.h"
#include "train/program.h"

void report_autoencoder(const Cli *cli, const ImageSet *d, const Vqvae2 *v, cJSON *metrics);
/* after report_autoencoder */
void report_priors(const Cli *cli, const ImageSet *d, const Model *m, cJSON *metrics);

#endif
