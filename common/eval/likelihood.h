/* likelihood.h — the units of likelihoods. A text must say which it uses, and of what.
 *
 * A picture of D numbers (pixels times channels) has a negative log-likelihood in nats per image;
 * in bits per dimension it is that / (D ln 2). */
#ifndef LIKELIHOOD_H
#define LIKELIHOOD_H

double bits_per_dimension(double nats_per_image, int dimensions);

#endif
