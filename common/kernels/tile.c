/* tile.c — writing a finished tile; see tile.h. */
#include "tile.h"

void tile_store_part(const Tile *t, const real *bias, real *const c[TILE_ROWS], int rows, int cols,
                     bool add)
{
    for (int j = 0; j * VEC < cols; j++) {
        int width = cols - j * VEC < VEC ? cols - j * VEC : VEC;
        vec start = {0};
        if (bias) start = width == VEC ? vload(bias + j * VEC) : vload_part(bias + j * VEC, width);
        for (int i = 0; i < rows; i++) {
            vec v = t->v[i][j] + start;
            real *at = c[i] + j * VEC;
            if (width == VEC) vstore(at, add ? v + vload(at) : v);
            else vstore_part(at, add ? v + vload_part(at, width) : v, width);
        }
    }
}
