#include "theory.h"

#include "io/csv.h"
#include "toy.h"

#include <math.h>
#include <stdio.h>

enum { EVERY = 50, BATCH = 256, POINTS = TOY_SIDE * TOY_SIDE, SAMPLES = 1000 };
static const double fitting_rate = 2e-2, game_rate = 2e-3;

/* factor of the learning rate at `step`: falls in the second half, so that D settles */
static double falling(int step, int steps) {
    return fmin(1, 2.0 * (steps - step) / steps);
}

/* D along the line y = 0, which crosses two of the ring's modes */
static void save_optimum(const char *folder, const Player *d) {
    static double probability[POINTS];
    static real at[2 * POINTS];
    AtomicFile f = csv_create(folder, "toy_optimum.csv", "x,density_real,density_fake,d,optimum");
    toy_grid(at);
    toy_discriminator(&d->net, probability);
    for (int i = TOY_SIDE / 2 * TOY_SIDE; i < (TOY_SIDE / 2 + 1) * TOY_SIDE; i++) {
        double x = (double)at[2 * i], y = (double)at[2 * i + 1];
        fprintf(f.stream, "%.4g,%.6g,%.6g,%.6g,%.6g\n", x, ring.density(x, y), blob.density(x, y),
                probability[i], optimal_discriminator(&ring, &blob, x, y));
    }
    file_commit(&f);
}

static double value_at(const Player *d, const Plane *q) {
    static double probability[POINTS];
    toy_discriminator(&d->net, probability);
    return game_value(&ring, q, probability);
}

/* V(D,G) of a G that learns too: means of log D over samples, since its density is not known */
static double value_on_samples(Player *g, const Player *d, Rng *rng) {
    enum { N = 4096 };
    static real x[2 * N], made[2 * N];
    ring.draw(N, rng, x);
    toy_samples(g, N, made);
    Tape t = {.no_grad = true};
    Tensor *on_real = perceptron(&d->net, t_input(&t, x, SHAPE(N, 2)));
    Tensor *on_fake = perceptron(&d->net, t_input(&t, made, SHAPE(N, 2)));
    double value = -(double)discriminator_loss(MINIMAX, on_real, on_fake)->x[0];
    tape_free(&t);
    return value;
}

static void save_samples(const char *folder, Player *g, Rng *rng) {
    static real x[2 * SAMPLES], made[2 * SAMPLES];
    AtomicFile f = csv_create(folder, "toy_samples.csv", "x,y,made");
    ring.draw(SAMPLES, rng, x);
    toy_samples(g, SAMPLES, made);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < SAMPLES; i++) {
            const real *at = (k ? made : x) + 2 * i;
            fprintf(f.stream, "%.5g,%.5g,%d\n", (double)at[0], (double)at[1], k);
        }
    file_commit(&f);
}

/* the four games, side by side */
static void play(const char *folder, uint64_t seed, int steps, bool quiet) {
    Player fixed, equal, d, g;
    player_start(&fixed, "fixed", 2, 1, seed), player_start(&equal, "equal", 2, 1, seed);
    player_start(&d, "d", 2, 1, seed), player_start(&g, "g", TOY_CODE, 2, seed);
    Rng rng = rng_new(seed, "toy");
    AtomicFile f = csv_create(folder, "toy_value.csv", "step,fixed,best,equal,game");
    double best = game_value(&ring, &blob, NULL);
    for (int step = 0; step <= steps; step++) {
        if (step % EVERY == 0)
            fprintf(f.stream, "%d,%.6g,%.6g,%.6g,%.6g\n", step, value_at(&fixed, &blob), best,
                    value_at(&equal, &ring), value_on_samples(&g, &d, &rng));
        if (step == steps) break;
        double factor = falling(step, steps);
        fit_discriminator(&fixed, &ring, &blob, BATCH, fitting_rate * factor);
        fit_discriminator(&equal, &ring, &ring, BATCH, fitting_rate * factor);
        toy_gan_step(&g, &d, &ring, NON_SATURATING, BATCH, game_rate * factor);
    }
    file_commit(&f);
    save_optimum(folder, &fixed);
    save_samples(folder, &g, &rng);
    if (!quiet)
        printf("value after %d steps: fixed G %.4f (best %.4f), p_g = p %.4f, both learning %.4f "
               "(-log 4 = %.4f)\n", steps, value_at(&fixed, &blob), best, value_at(&equal, &ring),
               value_on_samples(&g, &d, &rng), -log(4));
    player_free(&fixed), player_free(&equal), player_free(&d), player_free(&g);
}

/* the gradients that would reach G, while D becomes more and more certain */
static void save_gradients(const char *folder, uint64_t seed) {
    enum { UNTIL = 300 };
    Player d;
    player_start(&d, "gradient", 2, 1, seed);
    Rng rng = rng_new(seed, "gradient");
    AtomicFile f = csv_create(folder, "toy_gradient.csv", "step,d_fake,minimax,non_saturating");
    for (int step = 0; step <= UNTIL; step++) {
        Slopes s = slopes(&d, &corner, 512, &rng);
        fprintf(f.stream, "%d,%.6g,%.6g,%.6g\n", step, s.probability, s.minimax, s.non_saturating);
        fit_discriminator(&d, &ring, &corner, BATCH, game_rate);
    }
    file_commit(&f);
    player_free(&d);
}

int theory(const char *folder, uint64_t seed, int steps, bool quiet) {
    threads_set(1);              /* layers of 64 units are too small to be shared out */
    play(folder, seed, steps, quiet);
    save_gradients(folder, seed);
    if (!quiet) printf("%s/toy_*.csv\n", folder);
    return 0;
}
