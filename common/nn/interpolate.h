/* interpolate.h — codes between two others. */
#ifndef INTERPOLATE_H
#define INTERPOLATE_H

#include "kernels/real.h"

/* `steps` codes on the straight line from a to b, both included */
void interpolate_codes(int code, const real *a, const real *b, int steps, real *codes);

#endif
