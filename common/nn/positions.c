#include "nn/positions.h"

#include <math.h>

void sin_cos_positions(int height, int width, int channels, real *table) {
    int quarter = channels / 4;
    for (int place = 0; place < height * width; place++) {
        real *row = table + (size_t)place * (size_t)channels;
        for (int i = 0; i < quarter; i++) {
            double omega = pow(10000, -i / (double)quarter);
            int column = place % width, line = place / width;
            row[i] = (real)sin(column * omega);
            row[quarter + i] = (real)cos(column * omega);
            row[2 * quarter + i] = (real)sin(line * omega);
            row[3 * quarter + i] = (real)cos(line * omega);
        }
    }
}
