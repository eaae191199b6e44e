/* folder.h — a user's own pictures, PNG or JPEG, as a captioned set. Two layouts:
 *
 *     DIR/captions.txt         lines "FILE<tab>caption", FILE inside DIR; several lines may name
 *                              the same one
 *     DIR/CLASS/any.png        without captions.txt: one folder a class, whose name is both label
 *                              and caption
 *
 * Pictures are made square and brought to size as picture_decode.h says. Those that cannot be used,
 * pictures in other formats and folders inside of class folders are left out, and the first hundred
 * named on stderr. A folder of which no picture can be used is no class. captions.txt is UTF-8. A
 * twentieth of the files, at least one, is for validation, and
 * as many for test: those whose names have the lowest hashes. */
#ifndef FOLDER_H
#define FOLDER_H

#include "data/captioned.h"

#include <stdbool.h>

enum { CAPTION_MAX = 1000, CAPTION_MESSAGE = 200 };

/* Fails with one line when fewer than three pictures can be used. */
Captioned folder_load(const char *folder, int size);

/* One line of captions.txt, without its end, cut in place; for tests. False: with one line in
 * `message`. */
bool captions_line(char *line, const char **file, const char **caption,
                   char message[static CAPTION_MESSAGE]);

#endif
