/* wardrobe.c — which scene stands at an index. */
#include "data/wardrobe.h"

#include "base/memory.h"
#include "kernels/kernels.h"

#include <stdlib.h>

/* ---- the garments ---------------------------------------------------------------------------- */

static void sort_by_class(Wardrobe *w, Part part) {
    static const char *const names[PARTS] = {"training", "validation", "test", "test"};
    const Images *m = w->garments[part];
    int *place = w->start[part];
    w->by_class[part] = memory_new((size_t)m->count, sizeof(int), "%d garments", m->count);
    for (int class = 0, n = 0; class < WARDROBE_CLASSES; class++) {
        place[class] = n;
        for (int i = 0; i < m->count; i++) {
            if (m->labels[i] == class) w->by_class[part][n++] = i;
        }
        if (n == place[class]) {
            fail("the wardrobe: there is no %s among the %d %s images; all ten classes are "
                 "needed", wardrobe_class[class],
                 m->count, names[part]);
        }
        place[class + 1] = n;
    }
}

Wardrobe wardrobe_open(const Fashion *data, int size) {
    if (size != 32 && size != 64) die("wardrobe_open: %d pixels; 32, 64", size);
    Wardrobe w = {.size = size, .garments = {[PART_TRAIN] = &data->train,
                                             [PART_VALIDATION] = &data->validation,
                                             [PART_TEST] = &data->test,
                                             [PART_HELD_OUT] = &data->test}};
    for (int p = 0; p < PARTS; p++) sort_by_class(&w, (Part)p);
    return w;
}

void wardrobe_free(Wardrobe *w) {
    for (int p = 0; p < PARTS; p++) free(w->by_class[p]);
    *w = (Wardrobe){0};
}

void wardrobe_data_open(WardrobeData *d, const char *folder, int size) {
    d->fashion = fashion_load(folder);
    d->wardrobe = wardrobe_open(&d->fashion, size);
}

void wardrobe_data_free(WardrobeData *d) {
    wardrobe_free(&d->wardrobe), fashion_free(&d->fashion);
}

/* ---- what is shown --------------------------------------------------------------------------- */

/* Each scene has 256 numbers of the part's stream to itself. */
static Rng scene_rng(Part part, uint64_t seed, uint64_t index) {
    static const char *const streams[PARTS] = {"wardrobe train", "wardrobe validation",
                                               "wardrobe test", "wardrobe held out"};
    Rng rng = rng_new(seed, streams[part]);
    rng.next = index << 8;
    return rng;
}

static int below(Rng *rng, int n) {
    return (int)rng_below(rng, (uint32_t)n);
}

static bool shows_twice(const Scene *s) {
    const Garment *a = &s->garment[0], *b = &s->garment[1];
    return s->count == 2 && a->class == b->class && a->colour == b->colour;
}

/* Classes, colours and relation, any: at 64 pixels 3 of 10 scenes have one garment. */
static void choose_any(const Wardrobe *w, Rng *rng, Scene *s) {
    s->count = w->size < 64 || below(rng, 10) < 3 ? 1 : 2;
    s->relation = s->count == 1 ? ALONE : (Relation)(LEFT_OF + below(rng, 4));
    for (int i = 0; i < s->count; i++) {
        s->garment[i].class = below(rng, WARDROBE_CLASSES);
        s->garment[i].colour = below(rng, WARDROBE_COLOURS);
    }
}

/* Of the held-out part the first half of the scenes have a class in a colour that training does not
 * show, the others two classes in such a relation; at 32 pixels all are of the first kind. */
static void choose(const Wardrobe *w, Part part, Rng *rng, Scene *s) {
    HeldOut wanted = part != PART_HELD_OUT ? HELD_NOTHING
                   : w->size < 64 || below(rng, 2) ? HELD_COLOUR : HELD_RELATION;
    do choose_any(w, rng, s);
    while (scene_held_out(s) != wanted || shows_twice(s));
    s->held_out = wanted;
}

/* ---- where and how --------------------------------------------------------------------------- */

/* somewhere in a field of the picture, at least `side` pixels each way */
static void put(Rng *rng, int side, int top, int left, int height, int width, Garment *g) {
    g->side = side;
    g->top = top + below(rng, height - side + 1);
    g->left = left + below(rng, width - side + 1);
}

static void place(int size, Rng *rng, Scene *s) {
    if (s->count == 1) {
        int side = size * 3 / 4 + below(rng, size / 5 + 1), margin = (size - side) / 4;
        put(rng, side, margin, margin, size - 2 * margin, size - 2 * margin, &s->garment[0]);
        return;
    }
    bool first = s->relation == LEFT_OF || s->relation == ABOVE;
    bool beside = side_by_side(s->relation);
    int half = size / 2, cross = size * 3 / 4;         /* a field's size along and across */
    for (int i = 0; i < 2; i++) {
        int along = (i == 0) == first ? 0 : half, edge = (size - cross) / 2;
        int side = half - 4 + below(rng, 5);
        if (beside) put(rng, side, edge, along, cross, half, &s->garment[i]);
        else put(rng, side, along, edge, half, cross, &s->garment[i]);
    }
}

/* what classes, colours and relation leave open */
static void choose_rest(const Wardrobe *w, Part part, Rng *rng, Scene *s) {
    for (int i = 0; i < s->count; i++) {
        Garment *g = &s->garment[i];
        const int *start = w->start[part] + g->class;
        g->image = w->by_class[part][start[0] + below(rng, start[1] - start[0])];
    }
    place(w->size, rng, s);
    /* half of the captions are of the plainest wording */
    s->wording = (below(rng, 2) ? 0 : below(rng, 3)) + (below(rng, 3) ? 0 : 3);
    int grey = 242 + below(rng, 10);
    for (int c = 0; c < 3; c++) s->ground[c] = (uint8_t)(grey + below(rng, 4));
}

Scene wardrobe_scene(const Wardrobe *w, Part part, uint64_t seed, uint64_t index) {
    Rng rng = scene_rng(part, seed, index);
    Scene s = {0};
    choose(w, part, &rng, &s);
    choose_rest(w, part, &rng, &s);
    return s;
}

Scene wardrobe_again(const Wardrobe *w, Part part, Scene s, Rng *rng) {
    int wording = s.wording;
    choose_rest(w, part, rng, &s);
    s.wording = wording;
    return s;
}

static bool is_of_kind(const Scene *s, SceneKind kind) {
    if (kind.count && s->count != kind.count) return false;
    for (int i = 0; i < s->count; i++) {
        const Garment *g = &s->garment[i];
        if (kind.colours && !(kind.colours >> g->colour & 1)) return false;
        if (kind.classes && !(kind.classes >> g->class & 1)) return false;
    }
    return true;
}

uint64_t wardrobe_find(const Wardrobe *w, Part part, uint64_t seed, uint64_t index,
                       SceneKind kind) {
    if (kind.count > 1 && w->size < 64)
        die("wardrobe_find: scenes of %d pixels have one garment", w->size);
    for (;; index++) {
        Scene s = wardrobe_scene(w, part, seed, index);
        if (is_of_kind(&s, kind)) return index;
    }
}

/* ---- a batch --------------------------------------------------------------------------------- */

typedef struct {
    const Wardrobe *w;
    Part part;
    uint64_t seed, first;
    const SceneBatch *out;
    real value[256];
} Job;

static void make_one(int i, void *context) {
    const Job *j = context;
    const SceneBatch *out = j->out;
    size_t area = (size_t)j->w->size * (size_t)j->w->size, k = (size_t)i;
    uint64_t index = out->index ? out->index[i] : j->first + k;
    Scene s = wardrobe_scene(j->w, j->part, j->seed, index);
    if (out->images || out->pixels || out->map || out->mask || out->scenes) {
        uint8_t drawn[64 * 64 * 3], *pixels = out->pixels ? out->pixels + k * area * 3 : drawn;
        wardrobe_draw(j->w, j->part, &s, pixels, out->map ? out->map + k * area : NULL,
                      out->mask ? out->mask + k * area : NULL);
        for (size_t p = 0; out->images && p < area * 3; p++) {
            out->images[k * area * 3 + p] = j->value[pixels[p]];
        }
    }
    if (out->scenes) out->scenes[i] = s;
}

void wardrobe_get(const Wardrobe *w, Part part, uint64_t seed, uint64_t first, int n,
                  const SceneBatch *out) {
    Job j = {.w = w, .part = part, .seed = seed, .first = first, .out = out};
    for (int v = 0; v < 256; v++) j.value[v] = (real)(out->low + (out->high - out->low) * v / 255);
    parallel_items(n, 50000, make_one, &j);
}
