/* lettering.h — small text in pictures: words under the images of a grid. */
#ifndef LETTERING_H
#define LETTERING_H

#include <stdint.h>

enum { LINE_HEIGHT = 12, CAPTION_LINES = 4 };    /* pixels; the rest of a long text is left out */

/* How many lines `text` takes when its words are put into lines of `width` pixels. */
int lettering_lines(const char *text, int width);
/* Draws it in black, each line centred, from the top of an area `width` pixels wide in a picture
 * whose rows are `row` bytes apart. Letters outside ASCII become question marks. */
void lettering_draw(const char *text, int width, int channels, uint8_t *corner, int row);

#endif
