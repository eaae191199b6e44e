#include "data/captioned.h"

#include <stdlib.h>

void captioned_parts(Captioned *c, const int32_t count[static PARTS]) {
    Images *part[PARTS] = {&c->train, &c->validation, &c->test, &c->held_out};
    for (int p = 0, first = 0; p < PARTS; first += count[p++]) {
        *part[p] = images_part(&c->all, first, count[p]);
    }
}

void captioned_free(Captioned *c) {
    safetensors_close(&c->file);
    for (size_t i = 0; i < sizeof c->memory / sizeof *c->memory; i++) free(c->memory[i]);
    free(c->text);
    free(c->source);
    *c = (Captioned){0};
}
