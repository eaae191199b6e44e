/* drawing.h — many pictures: in groups that the network sees together, saved as they come, with
 * progress and a film of the first ones on their way.
 *
 * A picture depends on the seed and its number alone: drawing more gives the same first ones. The
 * same bits on any number of threads; in groups of another size to rounding, since convolutions lay
 * out several pictures together. Several processes (base/processes.h) draw a group each in turn,
 * and then all have all pictures. */
#ifndef DRAWING_H
#define DRAWING_H

#include "base/progress.h"
#include "diffusion/recording.h"
#include "diffusion/sampler.h"

typedef struct {
    int at_once;                            /* pictures the network sees together */
    bool quiet;
    /* unless NULL called with the number of pictures that are drawn: after the last, and in between
     * if that does not take more than a tenth of the time, and there is one process. What is saved
     * is kept if the program is stopped. */
    void (*save)(void *context, int n, const real *x);
    void *context;
    Recording *recording;                   /* of the first pictures, or NULL */
    /* Not 0: x holds pictures, to which noise is added and taken away again in the last so many
     * steps of the way: what is large in them stays (SDEdit, Meng et al. 2022). */
    int last_steps;
    bool from_x;                            /* x holds x_T: pictures do not start from noise */
} Drawing;

/* Steps that are left to be drawn of a picture to start from: its share of them, at least one
 * (rounded down, as in CompVis/stable-diffusion's img2img) */
int steps_of_strength(int steps, double strength);

/* `most`, or fewer of more than 32x32 pixels: as much memory as `most` of that size */
int drawn_at_once(const Sampler *m, int most);

/* n pictures x (n,height,width,channels), numbers 0, 1, ... */
void draw_images(Sampler *m, int n, real *x, Drawing how);

#endif
