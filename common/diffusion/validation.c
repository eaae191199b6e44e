#include "diffusion/validation.h"

bool validation_next(Validation *v) {
    if (!v->B) v->noise = rng_new(1, "validation");
    v->first += v->B;
    if (v->first >= v->n) return false;
    v->B = v->n - v->first < VALIDATION_BATCH ? v->n - v->first : VALIDATION_BATCH;
    tape_reset(&v->tape);
    v->tape.no_grad = true;
    Images part = images_part(v->images, v->first, v->B);
    Tensor *x0 = t_input(&v->tape, NULL, SHAPE(v->B, part.height, part.width, part.channels));
    images_get(&part, v->B, NULL, -1, 1, x0->x, v->labels);
    v->batch = noisy_images(v->schedule, x0, v->t + v->first, &v->noise);
    return true;
}

void validation_free(Validation *v) {
    tape_free(&v->tape);
}
