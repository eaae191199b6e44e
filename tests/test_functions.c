/* test_functions.c — the vector functions where their cases meet: each neighbourhood of a
 * threshold, number by number. One NaN here ends a training run that has gone well for hours. */
#include "testing.h"

#include <math.h>

SUITE(functions);

enum { AROUND = 4000 };

/* the 2 * AROUND numbers next to `centre` */
static int neighbours(double centre, real *x) {
    real up = (real)centre, down = (real)centre;
    for (int i = 0; i < AROUND; i++) {
        x[AROUND + i] = up;
        up = sizeof(real) == 8 ? (real)nextafter((double)up, INFINITY)
                               : (real)nextafterf((float)up, INFINITY);
        down = sizeof(real) == 8 ? (real)nextafter((double)down, -INFINITY)
                                 : (real)nextafterf((float)down, -INFINITY);
        x[AROUND - 1 - i] = down;
    }
    return 2 * AROUND;
}

static const double thresholds[] = {
    0,        0.34657359, 0.69314718, 1,        20,        40,       87.336544,
    88.37626, 88.7228,    88.722839,  103.2789, 708.39641, 709.7827, 709.782712893384};

/* Does a function of a number that is one give a number? exp may be infinite, nothing may be NaN. */
Test(functions, no_number_becomes_nan) {
    static const struct {
        const char *name;
        UnaryForward *f;
    } functions[] = {
        {"exp", k_exp}, {"tanh", k_tanh}, {"sigmoid", k_sigmoid}, {"softplus", k_softplus},
        {"elu", k_elu}, {"silu", k_silu}, {"gelu", k_gelu},       {"gelu_tanh", k_gelu_tanh}};
    static real x[2 * AROUND], y[2 * AROUND];
    for (size_t k = 0; k < sizeof thresholds / sizeof *thresholds; k++)
        for (int sign = -1; sign <= 1; sign += 2) {
            int n = neighbours(sign * thresholds[k], x);
            for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
                functions[f].f((size_t)n, x, 0, 0, y);
                for (int i = 0; i < n; i++)
                    cr_assert(!isnan((double)y[i]), "%s(%.17g) is NaN", functions[f].name,
                              (double)x[i]);
            }
        }
}

/* Is exp right up to its limits, and never falling? */
Test(functions, exp_rises_and_is_accurate_next_to_its_limits) {
    static real x[2 * AROUND], y[2 * AROUND];
    double largest = sizeof(real) == 8 ? 709.78 : 88.72;
    for (size_t k = 0; k < sizeof thresholds / sizeof *thresholds; k++) {
        if (thresholds[k] > largest) continue;
        int n = neighbours(thresholds[k], x);
        k_exp((size_t)n, x, 0, 0, y);
        for (int i = 0; i < n; i++) {
            double want = exp((double)x[i]);
            cr_assert(fabs((double)y[i] - want) <= 4 * (double)REAL_EPS * want,
                      "exp(%.17g) = %.17g, expected %.17g", (double)x[i], (double)y[i], want);
        }
    }
}
