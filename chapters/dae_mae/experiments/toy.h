/* toy.h — the numbers of toy_score.h in csv files, for the plots. */
#ifndef TOY_H
#define TOY_H

#include <stdbool.h>
#include <stdint.h>

/* Trains one small network per sigma, half a minute in all, and writes to `folder`
 *   toy_score.csv          sigma and the three errors of toy_score.h
 *   toy_arrows.csv         r(x) - x and sigma^2 grad log p_sigma on a grid, sigma 0.3
 *   toy_chain.csv          points of the data and of the chain, with and without resampling
 *   toy_langevin.csv       points after Langevin steps at falling sigmas, at one small, at one large
 *   toy_chain_moments.csv, toy_langevin_moments.csv    what can be said of them in numbers
 * Returns the program's status. */
int toy(const char *folder, uint64_t seed, bool quiet);

#endif
