#include "eval/likelihood.h"

#include <math.h>

double bits_per_dimension(double nats, int dimensions) {
    return nats / (dimensions * log(2));
}
