/* bicubic.h — RGB pictures at other sizes, byte by byte as Pillow's Image.resize(BICUBIC) makes
 * them: networks trained on pictures that went through it see the same here. */
#ifndef BICUBIC_H
#define BICUBIC_H

#include <stdint.h>

/* x (height,width,3) -> y (out_height,out_width,3). Keys' cubic with a = -1/2, stretched by the
 * scale where a side becomes smaller; first along the rows, then along the columns, rounded to
 * bytes after each. */
void bicubic_resize(int height, int width, const uint8_t *x, int out_height, int out_width,
                    uint8_t *y);
/* The shorter side to `size`, then the middle square: (size,size,3) in y (torchvision's Resize and
 * CenterCrop, CLIP's preprocessing). */
void bicubic_square(int height, int width, const uint8_t *x, int size, uint8_t *y);

#endif
