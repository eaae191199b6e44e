#include "eval/emoji_naming.h"

#include "base/error.h"

#include <string.h>

EmojiNamer emoji_namer(Arena *arena, const FrozenClip *clip, const Captioned *emoji) {
    int side = clip->net.config.image.side, n = emoji->all.count;
    if (side != emoji->all.height)
        fail("CLIP sees images of %dx%d, not of %dx%d", side, side, emoji->all.height,
             emoji->all.width);
    EmojiNamer e = {.clip = clip, .emoji = emoji};
    e.names = arena_get(arena, (size_t)(n * clip->net.config.dim) * sizeof *e.names);
    frozen_clip_texts(clip, n, emoji->all.captions, e.names);
    return e;
}

/* the number of the name with the largest of these cosines; of equal ones the first */
static int nearest(int n, const real *cosine) {
    int best = 0;
    for (int k = 1; k < n; k++)
        if (cosine[k] > cosine[best]) best = k;
    return best;
}

static int group_of(const Captioned *c, int number) {
    return c->group_of[c->all.labels[number]];
}

EmojiNaming emoji_naming(const EmojiNamer *e, int n, const int *number, const real *x) {
    Arena arena = {0};
    const Captioned *c = e->emoji;
    int all = c->all.count, name = 0, concept = 0, group = 0;
    real *images = arena_get(&arena, (size_t)(n * e->clip->net.config.dim) * sizeof *images);
    real *cosine = arena_get(&arena, (size_t)n * (size_t)all * sizeof *cosine);
    frozen_clip_images(e->clip, n, x, images);
    frozen_clip_cosines(e->clip, n, images, all, e->names, cosine);
    for (int i = 0; i < n; i++) {
        int found = nearest(all, cosine + (size_t)i * (size_t)all), wanted = number[i];
        name += !strcmp(c->all.captions[found], c->all.captions[wanted]);
        concept += c->concept[found] == c->concept[wanted];
        group += group_of(c, found) == group_of(c, wanted);
    }
    arena_free(&arena);
    return (EmojiNaming){n, (double)name / n, (double)concept / n, (double)group / n};
}

EmojiNaming emoji_naming_real(const EmojiNamer *e, int n, const int *number) {
    Arena arena = {0};
    int side = e->emoji->all.height;
    real *x = arena_get(&arena, (size_t)n * (size_t)(side * side * 3) * sizeof *x);
    images_get(&e->emoji->all, n, number, 0, 1, x, NULL);
    EmojiNaming s = emoji_naming(e, n, number, x);
    arena_free(&arena);
    return s;
}

cJSON *emoji_naming_json(const EmojiNaming *s) {
    cJSON *to = json_object();
    json_number(to, "pictures", s->pictures);
    json_number(to, "name", s->name);
    json_number(to, "concept", s->concept);
    json_number(to, "group", s->group);
    return to;
}
