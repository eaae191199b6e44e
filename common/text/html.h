/* html.h — HTML's character references: "&amp;" is "&", "&#233;" and "&eacute;" are "é".
 *
 * As the HTML standard reads them and Python's html.unescape does: names that need no semicolon are
 * known without it ("&ltb" is "<b"), numbers that Windows-1252 meant otherwise are what it meant,
 * and what is no reference stays as it is. */
#ifndef HTML_H
#define HTML_H

#include "text/buffer.h"

/* adds `text` with its references resolved, once */
void html_unescape(const char *text, size_t length, Buffer *out);

#endif
