#include "io/csv.h"

#include <stdlib.h>

AtomicFile csv_create(const char *folder, const char *name, const char *columns) {
    folder_create(folder);
    char *path = path_join(folder, name);
    AtomicFile f = file_create(path);
    fprintf(f.stream, "%s\n", columns);
    free(path);
    return f;
}
