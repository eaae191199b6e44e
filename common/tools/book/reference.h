/* reference.h — the page of the tensor library: each op with its formula, its gradient, and where it
 * is used, from tensor.h and the comments above the ops. */
#ifndef BOOK_REFERENCE_H
#define BOOK_REFERENCE_H

#include "prose.h"

void reference_page(Book *b, Page *p);

#endif
