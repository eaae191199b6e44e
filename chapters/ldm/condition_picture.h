/* condition_picture.h — sheets that show what pictures were drawn for. */
#ifndef CONDITION_PICTURE_H
#define CONDITION_PICTURE_H

#include "condition.h"
#include "train/program.h"

/* Three rows, of up to 12 pictures: what the model was given (boxes, a map, a picture with a hole, a
 * small picture), what it drew, x (n,64,64,3), and the scene it was taken from; what a box's garment
 * is stands in the caption. Frees `path`. */
void save_conditions(const Cli *cli, char *path, Condition kind, int factor, const Pictures *p,
                     const real *x);
/* the given alone, of picture i: (64,64,3) in [-1,1] */
void condition_picture(Condition kind, const Pictures *p, int i, int factor, real *x);

#endif
