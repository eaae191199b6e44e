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

double normal_kl(double mean1, double log_variance1, double mean2, double log_variance2) {
    double difference = mean1 - mean2, log_ratio = log_variance1 - log_variance2;
    return 0.5 * (-1 - log_ratio + exp(log_ratio) + difference * difference * exp(-log_variance2));
}

/* The normal distribution's cumulative probability, within 3e-4 (Page 1977): the function that the
 * paper's code uses, and the published bits per dimension were measured with. */
static double normal_cdf(double x) {
    return 0.5 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

double discretized_log_likelihood(double x, double mean, double log_scale) {
    const double half_bin = 1.0 / 255, least = 1e-12;
    double precision = exp(-log_scale);
    double below = normal_cdf(precision * (x - mean + half_bin));
    double above = 1 - normal_cdf(precision * (x - mean - half_bin));
    if (x < -0.999) return log(fmax(below, least));
    if (x > 0.999) return log(fmax(above, least));
    return log(fmax(below + above - 1, least));
}
