/* real.h — the one number type of the library: float, or double with -DREAL_DOUBLE.
 * Programs run in float. The same sources, vector kernels included, compile in double for the
 * gradient checks: in float a wrong epsilon or a dropped term hides under any usable tolerance. */
#ifndef REAL_H
#define REAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef REAL_DOUBLE
typedef double real;
#define REAL_EPS 2.220446049250313e-16
#else
typedef float real;
#define REAL_EPS 1.1920929e-7f
#endif

#endif
