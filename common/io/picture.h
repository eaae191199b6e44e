/* picture.h — images as PNG files: a grid of rows and columns with a small gap; or several such
 * grids one after the other, a film.
 *
 * The command line that made it stands in the file, as a tEXt chunk "parameters" that image tools
 * show. */
#ifndef PICTURE_H
#define PICTURE_H

#include "kernels/real.h"

typedef struct {
    int count, height, width, channels;   /* of the images; 1 channel: grey, 3: RGB */
    int columns;                          /* 0: about as many as rows */
    int enlarge;                          /* each pixel becomes so many squared; 0: 1 */
    double low, high;                     /* values shown as black and white; others are clamped */
    const char *const *captions;          /* a text under each image; NULL: none (lettering.h) */
    /* "real|generated": a text to the left of each row, above each column; NULL: none */
    const char *row_labels, *column_labels;
} Grid;

/* Atomic; fails with one line, also if the picture would have more than 2,000,000,000 bytes before it
 * is packed. parameters: Cli.line, or NULL. Values that are not numbers are drawn
 * red (white if grey) so that they are seen. */
void picture_save(const char *path, const real *images, Grid g, const char *parameters);

/* The same in memory, for tests: bytes of the PNG, to be freed */
uint8_t *picture_encode(const real *images, Grid g, const char *parameters, size_t *length);

typedef struct {
    int frames;
    double seconds, last;                /* how long each frame is shown; how long the last; < 65 */
} Film;

/* The same of `frames` grids, images (frames, g.count, height, width, channels): an animated PNG,
 * which browsers play over and over (PNG specification, third edition). Captions are those of
 * g in every frame. */
void film_save(const char *path, const real *images, Grid g, Film f, const char *parameters);
uint8_t *film_encode(const real *images, Grid g, Film f, const char *parameters, size_t *length);

#endif
