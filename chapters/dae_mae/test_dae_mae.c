/* test_dae_mae.c — the masked autoencoder, the probe, the program. */
#include "programs.h"

SUITE(mae);

/* Are options refused that mean nothing to the network? */
#ifndef REAL_DOUBLE
PROGRAM_SUITE(dae_mae_program);

Test(dae_mae_program, options_of_the_other_half_are_refused) {
    expect_refusal("dae_mae", "train --config dae --mask-ratio 0.5", 2, "means nothing");
}
#endif
