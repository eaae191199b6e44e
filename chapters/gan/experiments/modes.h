/* modes.h — `gan modes`: mode dropping. The data are eight narrow Gaussians on a circle; how many of
 * them does G generate after training with each loss?
 *
 *   modes.csv           game, seed, and a ModeCount of 4,000 points of a trained G
 *   modes_summary.csv   means over the seeds, and standard deviations
 *   modes_points.csv    game, x, y: points by the G of the first seed */
#ifndef MODES_H
#define MODES_H

#include "base/arena.h"
#include "tensor/tensor.h"

typedef struct {
    int modes;            /* with a quarter of their share, n / 8, or more within 0.3 */
    double on_modes;      /* share of all points within 3 sigma of a mode's centre */
} ModeCount;
/* points (n,2), against the modes of narrow_ring (toy.h) */
ModeCount count_modes(int n, const real *points);

/* trains each game once for every seed from `seed` on; returns the exit status */
typedef struct {
    uint64_t seed;
    int seeds, steps;     /* steps of a training */
} Dropping;
int modes(const char *folder, Dropping d, bool quiet);

#endif
