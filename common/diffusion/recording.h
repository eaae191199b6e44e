/* recording.h — pictures on their way from noise, as a strip and as a film.
 *
 *     Recording r = recording_new(&arena, T, columns, pixels);
 *     for (int done = 1; done <= T; done++) {
 *         ... a step back: x becomes x_{t-1}, start is what it was predicted to become ...
 *         recording_take(&r, done, x, start);
 *     }
 *     recording_strip(&r, grid, path, cli.line);
 *     recording_film(&r, grid, path, cli.line);
 *
 * The grid says how high, wide and grey a picture is; its counts do not matter. */
#ifndef RECORDING_H
#define RECORDING_H

#include "base/arena.h"
#include "io/picture.h"
#include "kernels/kernels.h"

typedef struct {
    int steps, frames, taken;   /* of the whole way; kept of them; so far */
    int columns;                /* the first so many pictures are kept */
    size_t pixels;              /* numbers of a picture */
    real *images;               /* (frames,2,columns,pixels): x_t above, the predicted x0 below */
} Recording;

/* up to 30 frames of T steps, the last of them the end */
Recording recording_new(Arena *arena, int T, int columns, size_t pixels);
/* after `done` steps: x, start (columns or more, pixels). Keeps them if a frame is due. */
void recording_take(Recording *r, int done, const real *x, const real *start);
/* the first picture at up to ten moments side by side, with the number of steps below */
void recording_strip(const Recording *r, Grid g, const char *path, const char *parameters);
/* all of them, moving */
void recording_film(const Recording *r, Grid g, const char *path, const char *parameters);

#endif
