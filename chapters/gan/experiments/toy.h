/* toy.h — the theory of Goodfellow et al. 2014, section 4, where everything can be computed: points
 * in the plane, from distributions whose densities are known.
 *
 *   - optimal_discriminator   D*(x) = p(x) / (p(x) + q(x))                        (proposition 1)
 *   - game_value              V(D) = E_p log D(x) + E_q log(1 - D(x)), by summing over a grid;
 *                             at D* it is -log 4 + 2 JSD(p,q), so -log 4 for q = p  (theorem 1)
 *   - fit_discriminator       a small D trained against a fixed q
 *   - slopes                  the gradients of the two losses at the generator's points
 *   - toy_gan_step            both networks learning */
#ifndef TOY_H
#define TOY_H

#include "../gan.h"
#include "nn/optim.h"

typedef struct {
    double (*density)(double x, double y);
    void (*draw)(int n, Rng *rng, real *points);      /* (n,2) */
} Plane;

extern const Plane ring;      /* eight Gaussians on a circle: the data */
extern const Plane narrow_ring;    /* the same with a sigma of narrow_sigma */
extern const Plane blob;      /* one broad Gaussian over all of it */
extern const Plane corner;    /* a narrow one far outside */

enum { RING_MODES = 8 };
extern const double narrow_sigma;
void ring_centre(int k, double *x, double *y);      /* of mode k */

double optimal_discriminator(const Plane *p, const Plane *q, double x, double y);

/* in-64-64-out, the network of G and of D */
typedef struct {
    Linear l[3];
    SpectralNorm spectral[3];      /* where .w is set, the layer's weight is normalised */
    double leak;                   /* of leaky ReLUs; 0: the activation is SiLU */
} Perceptron;
Perceptron perceptron_new(Params *params, const char *name, int in, int out);
Tensor *perceptron(const Perceptron *n, Tensor *x);

/* the grid sums run over: side x side points in [-reach, reach]^2 */
enum { TOY_SIDE = 81 };
extern const double toy_reach;
void toy_grid(real *points);                                     /* (TOY_SIDE^2,2) */
/* D at the points of the grid */
void toy_discriminator(const Perceptron *d, double *probability);
/* probability NULL: that of D* */
double game_value(const Plane *p, const Plane *q, const double *probability);
/* mean of |D - D*| over (p+q)/2 */
double distance_to_optimum(const Plane *p, const Plane *q, const double *probability);

typedef struct {
    Params params;
    Perceptron net;
    Adam adam;
    Rng rng;
    Tape tape;
} Player;

/* in place: tensors point to their Params */
void player_start(Player *p, const char *name, int in, int out, uint64_t seed);
/* spectral normalisation in all layers of its network; name as in player_start */
void player_spectral(Player *p, const char *name);
void player_free(Player *p);

/* one step of D, real points from p and generated ones from q */
void fit_discriminator(Player *d, const Plane *p, const Plane *q, int batch, double lr);

/* Mean over points drawn from q of the length of the gradient that the minimax and the
 * non-saturating loss send to each; and the mean of D there */
typedef struct {
    double minimax, non_saturating, probability;
} Slopes;
Slopes slopes(const Player *d, const Plane *q, int n, Rng *rng);

/* One step of D, then one of G, for data from p; G maps N(0,I) of dimension TOY_CODE to points. */
enum { TOY_CODE = 4 };
void toy_gan_step(Player *g, Player *d, const Plane *p, Loss loss, int batch, double lr);
void toy_samples(Player *g, int n, real *points);

#endif
