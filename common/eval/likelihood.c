#include "eval/likelihood.h"

#include <math.h>

double bits_per_dimension(double nats, int dimensions) {
    return nats / (dimensions * log(2));
}

double nats_per_image(double bits_per_dim, int dimensions) {
    return bits_per_dim * dimensions * log(2);
}

double discrete_nats(double density_nats, int dimensions, int levels, double low, double high) {
    return density_nats + dimensions * log(levels / (high - low));
}
