#include "eval/references.h"

#include <string.h>

static Images scenes_of(Arena *arena, const Wardrobe *w, Part part, int count) {
    size_t n = (size_t)count, each = (size_t)w->size * (size_t)w->size * 3;
    uint8_t *pixels = arena_get(arena, n * each), *labels = arena_get(arena, n);
    Scene *scenes = arena_get(arena, n * sizeof *scenes);
    wardrobe_get(w, part, 1, 0, count, &(SceneBatch){.pixels = pixels, .scenes = scenes});
    for (int i = 0; i < count; i++) labels[i] = (uint8_t)scenes[i].garment[0].class;
    return (Images){.count = count, .height = w->size, .width = w->size, .channels = 3,
                    .pixels = pixels, .labels = labels};
}

Reference wardrobe_reference(Arena *arena, const Wardrobe *w, int count) {
    return (Reference){.train = scenes_of(arena, w, PART_TRAIN, count),
                       .test = scenes_of(arena, w, PART_TEST, count),
                       .classes = WARDROBE_CLASSES, .class_names = wardrobe_class};
}

static Images shuffled(Arena *arena, const Images *m) {
    size_t n = (size_t)m->count, each = (size_t)(m->height * m->width * m->channels);
    uint8_t *pixels = arena_get(arena, n * each), *labels = arena_get(arena, n);
    int *order = arena_get(arena, n * sizeof *order);
    Rng rng = rng_new(1, "order");
    rng_permutation(&rng, m->count, order);
    for (size_t i = 0; i < n; i++) {
        memcpy(pixels + i * each, m->pixels + (size_t)order[i] * each, each);
        labels[i] = m->labels[order[i]];
    }
    return (Images){.count = m->count, .height = m->height, .width = m->width,
                    .channels = m->channels, .pixels = pixels, .labels = labels};
}

Reference emoji_reference(Arena *arena, const Captioned *emoji) {
    int unseen = emoji->validation.count + emoji->test.count;
    Images test = images_part(&emoji->all, emoji->train.count, unseen);
    return (Reference){.train = shuffled(arena, &emoji->train), .test = shuffled(arena, &test),
                       .classes = emoji->classes, .class_names = emoji->class_name};
}
