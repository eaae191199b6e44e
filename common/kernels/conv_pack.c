/* conv_pack.c — weights in panels; see conv.h. */
#include "conv.h"
#include "tile.h"
#include "sizes.h"

void conv_pack_tap(const ConvWeights *k, int tap, int j0, real *panel) {
    const real *w = k->w + (size_t)tap * k->ic * k->oc;
    int from = k->exchanged ? k->oc : k->ic, to = k->exchanged ? k->ic : k->oc;
    int cols = least(TILE_COLS, to - j0), c = 0;
    if (cols < TILE_COLS) memset(panel, 0, (size_t)from * TILE_COLS * sizeof(real));
    if (!k->exchanged) {
        for (; c < from; c++)
            memcpy(panel + c * TILE_COLS, w + (size_t)c * k->oc + j0, cols * sizeof(real));
        return;
    }
    const real *rows = w + (size_t)j0 * k->oc;
    for (; cols == TILE_COLS && c + VEC <= from; c += VEC)
        for (int j = 0; j < TILE_COLS; j += VEC)
            vtranspose(rows + (size_t)j * k->oc + c, k->oc, panel + c * TILE_COLS + j, TILE_COLS);
    for (; c < from; c++)
        for (int j = 0; j < cols; j++) panel[c * TILE_COLS + j] = rows[(size_t)j * k->oc + c];
}
