#include "io/npy.h"

#include "io/file.h"

#include <stdlib.h>
#include <string.h>

void npy_save(const char *path, const real *x, int rank, const int *shape) {
    /* magic, version 1.0, length of the rest of the header; the numbers start at byte 128 */
    char header[128] = "\x93NUMPY\x01\x00\x76\x00";
    size_t len = 1;
    char *dims = text_format("%s", "");
    for (int i = 0; i < rank; i++) {
        len *= (size_t)shape[i];
        char *more = text_format("%s%d,", dims, shape[i]);
        free(dims);
        dims = more;
    }
    char *dict = text_format("{'descr': '<f%zu', 'fortran_order': False, 'shape': (%s), }",
                             sizeof(real), dims);
    memset(header + 10, ' ', sizeof header - 10);
    memcpy(header + 10, dict, strlen(dict));
    header[sizeof header - 1] = '\n';

    AtomicFile f = file_create(path);
    file_put(&f, header, sizeof header);
    file_put(&f, x, len * sizeof *x);
    file_commit(&f);
    free(dict);
    free(dims);
}
