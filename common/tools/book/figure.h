/* figure.h — what stands under a picture: where it comes from. */
#ifndef BOOK_FIGURE_H
#define BOOK_FIGURE_H

/* The command that made the picture (a path from the top of the repository), for a reader to repeat:
 * the one that a program has written into it, without the options that say where and how fast; for
 * a plot the one that draws it again. NULL: neither is known. To be freed. */
char *figure_command(const char *path);
/* The animated picture of what the film strip `path` shows; NULL: there is none. To be freed. */
char *figure_film(const char *path);

#endif
