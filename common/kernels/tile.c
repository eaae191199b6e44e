/* tile.c — writing a finished tile; see tile.h. */
#include "tile.h"

/* `width` numbers from column j on; a constant width becomes one move */
INLINE void store_columns(const Tile *t, const real *bias, real *const c[TILE_ROWS], int rows,
                          int j, int width, bool add)
{
    vec start = bias ? vload_part(bias + j * VEC, width) : (vec){0};
    for (int i = 0; i < rows; i++) {
        vec v = t->v[i][j] + start;
        real *at = c[i] + j * VEC;
        vstore_part(at, add ? v + vload_part(at, width) : v, width);
    }
}

void tile_store_part(const Tile *t, const real *bias, real *const c[TILE_ROWS], int rows, int cols,
                     bool add)
{
    for (int j = 0; j * VEC < cols; j++) {
        int width = cols - j * VEC;
        if (width >= VEC) store_columns(t, bias, c, rows, j, VEC, add);
        else if (width == HALF) store_columns(t, bias, c, rows, j, HALF, add);
        else store_columns(t, bias, c, rows, j, width, add);
    }
}
