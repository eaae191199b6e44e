/* picture_decode.h — a user's PNG or JPEG file, made square and brought to size; through stb_image.
 *
 * The middle square is taken and brought to size by area averages; what is transparent lies on
 * white, grey becomes RGB. What a camera noted about rotation (EXIF) is not read. Files that break
 * off, and PNG files whose checksums do not match, are refused. */
#ifndef PICTURE_DECODE_H
#define PICTURE_DECODE_H

#include "kernels/real.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DECODE_MESSAGE = 200,
       DECODE_PIXELS_MAX = 64 << 20,     /* of the picture */
       DECODE_BYTES_MAX = 256 << 20 };   /* of the file */

/* The file's bytes as (size,size,3) in out. False: with one line in `message`; a file that breaks
 * off is an error, whatever part of it could be shown. */
bool picture_decode(const uint8_t *bytes, size_t length, int size, uint8_t *out,
                    char message[static DECODE_MESSAGE]);
/* The whole picture as it is, (height,width,3), to be freed; NULL with a message. */
uint8_t *picture_decode_whole(const uint8_t *bytes, size_t length, int *width, int *height,
                              char message[static DECODE_MESSAGE]);
/* the same of a file; fails with one line */
uint8_t *picture_read_whole(const char *path, int *width, int *height);

/* fails with one line where width / height of the two pictures differs by more than a hundredth: a
 * mask would not lie where it was drawn */
void pictures_of_one_shape(const char *picture, const char *mask);

/* A file as x (size,size,3), byte 0 as `low`, 255 as `high`; fails with one line. */
void picture_read(const char *path, int size, double low, double high, real *x);

#endif
