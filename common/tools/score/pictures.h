/* pictures.h — samples and labels from .npy files. Fails with one line. */
#ifndef SCORE_PICTURES_H
#define SCORE_PICTURES_H

#include "base/arena.h"
#include "kernels/kernels.h"

typedef struct {
    int height, width, channels;
} Geometry;

/* The height of the pictures in a file of colour pictures, (N,h,w,3) or (N,3,h,w); 0: it holds
 * something else. */
int pictures_side(const char *path);
/* (N,h,w,c), (N,c,h,w), (N,h*w*c), and (N,h,w) if grey, as (n,h,w,c) in [0,1]. range: "0:1", ... or
 * "auto" */
real *pictures_load(Arena *arena, const char *path, Geometry g, const char *range, bool quiet,
                    int *n);
/* (n) whole numbers below `classes` */
int *labels_load(Arena *arena, const char *path, int n, int classes);

#endif
