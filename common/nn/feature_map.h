/* feature_map.h — features of maps that are filled one position after the other.
 *
 * An autoregressive network draws a map position by position, and a new one changes nothing at
 * earlier positions. So each of its layers keeps what it was given, and computes the next position
 * from what its kernel covers of it: nothing is computed twice. */
#ifndef FEATURE_MAP_H
#define FEATURE_MAP_H

#include "tensor/tensor.h"

typedef struct {
    int n, height, width, channels;
    real *x;                     /* (n,height,width,channels), in the arena */
} FeatureMap;

/* a copy of x (n,height,width,channels) */
FeatureMap feature_map_of(Arena *arena, const Tensor *x);
/* n maps of zeros */
FeatureMap feature_map_new(Arena *arena, int n, int height, int width, int channels);
/* x (n,1,w,channels) becomes positions (row,column) ... (row,column+w-1) */
void feature_map_put(FeatureMap *m, const Tensor *x, int row, int column);
/* What a kernel of rows x columns covers, its upper left corner at (row,column), with zeros outside
 * the map: (n,rows,columns,channels) on the tape */
Tensor *feature_map_window(const FeatureMap *m, Tape *t, int row, int column, int rows,
                           int columns);

#endif
