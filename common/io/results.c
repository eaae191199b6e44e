#include "io/results.h"

#include "io/file.h"

#include <stdio.h>

char *weights_path(const CommonOptions *o) {
    return o->weights ? text_format("%s", o->weights) : path_join(o->out, "weights.safetensors");
}

char *announced(const CommonOptions *o, const char *name) {
    char *path = path_join(o->out, name);
    if (!o->quiet) printf("%s\n", path);
    return path;
}
