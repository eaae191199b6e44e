/* features.h — how well a linear classifier does with the features that both halves' encoders have
 * learned, by probe.h. Prints unless --quiet, and adds to the metrics. */
#ifndef FEATURES_H
#define FEATURES_H

#include "../dae.h"
#include "../mae.h"
#include "data/fashion.h"
#include "train/program.h"

/* The code of `net`, of `plain` (NULL: none), of the same network before any training, and the
 * pixels themselves; each with all labels, and with 1,000 (mean and deviation of three subsets) */
void probe_denoisers(const Cli *cli, const Dae *net, const Dae *plain, const Fashion *data,
                     cJSON *metrics);

/* the mean of the patches' tokens, and the class token, with all labels */
void probe_encoder(const Cli *cli, const Encoder *e, const Fashion *data, cJSON *metrics);

#endif
