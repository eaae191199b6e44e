/* csv.h — tables of results as CSV files.
 *
 *     AtomicFile f = csv_create(o.common.out, "codes.csv", "class,h1,h2");
 *     fprintf(f.stream, "%d,%.5g,%.5g\n", ...);
 *     file_commit(&f); */
#ifndef CSV_H
#define CSV_H

#include "base/file.h"

/* folder/name with its first line, the columns' names. The folder is made if it is not there. Atomic:
 * nothing is seen of it before file_commit. */
AtomicFile csv_create(const char *folder, const char *name, const char *columns);

#endif
