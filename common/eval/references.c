#include "eval/references.h"

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

Reference emoji_reference(const Captioned *emoji) {
    int unseen = emoji->validation.count + emoji->test.count;
    return (Reference){.train = emoji->train,
                       .test = images_part(&emoji->all, emoji->train.count, unseen),
                       .classes = emoji->classes, .class_names = emoji->class_name};
}
