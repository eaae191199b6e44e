/* likelihood.h — the units of likelihoods. A text must say which it uses, and of what.
 *
 * A picture of D numbers (pixels times channels), each one of `levels` values (256 for bytes), has
 * a negative log-likelihood in nats per image; in bits per dimension it is that / (D ln 2). Real
 * densities apply to pixels that were made continuous: x = low + (high - low) (k + u) / levels with
 * u uniform in [0,1). Then -ln p(x), averaged over u, is an upper bound on -ln P(k) after adding
 * D ln(levels / (high - low)), the volume of one level's cell (Theis et al. 2016, section 3.1). */
#ifndef LIKELIHOOD_H
#define LIKELIHOOD_H

double bits_per_dimension(double nats_per_image, int dimensions);
double nats_per_image(double bits_per_dim, int dimensions);
/* from -ln of a density over pixels scaled to low..high to -ln of their levels' probability */
double discrete_nats(double density_nats, int dimensions, int levels, double low, double high);

#endif
