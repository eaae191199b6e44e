#include "measures.h"

#include "io/picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- scenes and features --------------------------------------------------------------------- */

static int dim(const FrozenClip *f) {
    return f->net.config.dim;
}

static real *numbers(Arena *a, size_t n) {
    return arena_get(a, n * sizeof(real));
}

static size_t picture_size(const Wardrobe *w) {
    return (size_t)w->size * (size_t)w->size * 3;
}

/* the scene's picture, in [0,1] */
static void draw(const Wardrobe *w, Part part, Scene *s, real *x) {
    uint8_t pixels[64 * 64 * 3];
    wardrobe_draw(w, part, s, pixels, NULL, NULL);
    for (size_t i = 0; i < picture_size(w); i++) x[i] = (real)pixels[i] / 255;
}

/* features (n,D) of the scenes' pictures */
static real *features_of_scenes(const FrozenClip *f, const Wardrobe *w, Part part, Arena *a, int n,
                                Scene *scenes) {
    real *x = numbers(a, (size_t)n * picture_size(w));
    real *features = numbers(a, (size_t)n * (size_t)dim(f));
    for (int i = 0; i < n; i++) draw(w, part, &scenes[i], x + (size_t)i * picture_size(w));
    frozen_clip_images(f, n, x, features);
    return features;
}

/* features (n,D) of the scenes' captions */
static real *features_of_captions(const FrozenClip *f, Arena *a, int n, const Scene *scenes) {
    char (*text)[SCENE_CAPTION] = arena_get(a, (size_t)n * sizeof *text);
    const char **texts = arena_get(a, (size_t)n * sizeof *texts);
    real *features = numbers(a, (size_t)n * (size_t)dim(f));
    for (int i = 0; i < n; i++) texts[i] = scene_caption(&scenes[i], text[i]);
    frozen_clip_texts(f, n, texts, features);
    return features;
}

/* The next n scenes of the part with so many garments (0: any) that `wanted`, if there is one,
 * accepts beside those that are there already. */
static Scene *choose_scenes(const Wardrobe *w, Part part, Arena *a, int n, int garments,
                            bool (*wanted)(const Scene *s, int n, const Scene *others)) {
    Scene *scenes = arena_get(a, (size_t)n * sizeof *scenes);
    uint64_t index = 0;
    for (int i = 0; i < n; ) {
        Scene s = wardrobe_scene(w, part, 0, index++);
        if (garments && s.count != garments) continue;
        if (!wanted || wanted(&s, i, scenes)) scenes[i++] = s;
    }
    return scenes;
}

static double cosine(const FrozenClip *f, const real *a, const real *b) {
    double sum = 0;
    for (int d = 0; d < dim(f); d++) sum += (double)a[d] * (double)b[d];
    return sum;
}

/* the row of `table` (n,D) nearest to x (D) */
static int nearest(const FrozenClip *f, int n, const real *table, const real *x) {
    int best = 0;
    double most = -2;
    for (int i = 0; i < n; i++) {
        double c = cosine(f, table + (size_t)i * (size_t)dim(f), x);
        if (c > most) most = c, best = i;
    }
    return best;
}

/* ---- zero-shot ------------------------------------------------------------------------------- */

enum { CLASSES = WARDROBE_CLASSES, COLOURS = WARDROBE_COLOURS, WORDINGS = 6 };

/* Features of classes, colours and their pairs, each (.,D): `bare`: of one short text */
typedef struct {
    real *class, *colour, *pair, *bare_class, *bare_colour;
} Prompts;

/* mean of n rows of length 1, from row `first` on, `step` rows apart; of length 1 again */
static void mean_direction(const FrozenClip *f, const real *rows, int first, int step, int n,
                           real *mean) {
    double square = 0;
    for (int d = 0; d < dim(f); d++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += (double)rows[(size_t)(first + i * step) * (size_t)dim(f) + (size_t)d];
        mean[d] = (real)sum;
        square += sum * sum;
    }
    for (int d = 0; d < dim(f); d++) mean[d] = (real)((double)mean[d] / sqrt(square));
}

/* all classes in all colours in all wordings, caption (class COLOURS + colour) WORDINGS + w */
static real *all_captions(const FrozenClip *f, Arena *a) {
    Scene *scenes = arena_get(a, CLASSES * COLOURS * WORDINGS * sizeof *scenes);
    for (int i = 0; i < CLASSES * COLOURS * WORDINGS; i++) {
        scenes[i] = (Scene){.count = 1, .relation = ALONE, .wording = i % WORDINGS};
        scenes[i].garment[0].colour = i / WORDINGS % COLOURS;
        scenes[i].garment[0].class = i / WORDINGS / COLOURS;
    }
    return features_of_captions(f, a, CLASSES * COLOURS * WORDINGS, scenes);
}

static const char *const *bare_classes(Arena *a) {
    enum { ROOM = 24 };
    char (*text)[ROOM] = arena_get(a, CLASSES * sizeof *text);
    const char **texts = arena_get(a, CLASSES * sizeof *texts);
    for (int i = 0; i < CLASSES; i++) {
        bool plural = !strcmp(wardrobe_class[i], "trousers");
        snprintf(text[i], ROOM, "%s%s", plural ? "" : "a ", wardrobe_class[i]);
        texts[i] = text[i];
    }
    return texts;
}

static Prompts prompts_new(const FrozenClip *f, Arena *a) {
    size_t D = (size_t)dim(f);
    const real *all = all_captions(f, a);
    Prompts p = {numbers(a, CLASSES * D), numbers(a, COLOURS * D),
                 numbers(a, CLASSES * COLOURS * D), numbers(a, CLASSES * D),
                 numbers(a, COLOURS * D)};
    for (int i = 0; i < CLASSES * COLOURS; i++)
        mean_direction(f, all, i * WORDINGS, 1, WORDINGS, p.pair + (size_t)i * D);
    for (int i = 0; i < CLASSES; i++)
        mean_direction(f, p.pair, i * COLOURS, 1, COLOURS, p.class + (size_t)i * D);
    for (int i = 0; i < COLOURS; i++)
        mean_direction(f, p.pair, i, COLOURS, CLASSES, p.colour + (size_t)i * D);
    frozen_clip_texts(f, CLASSES, bare_classes(a), p.bare_class);
    frozen_clip_texts(f, COLOURS, wardrobe_colour, p.bare_colour);
    return p;
}

ZeroShot zero_shot(const FrozenClip *f, const Wardrobe *w, Part part, int n) {
    Arena a = {0};
    ZeroShot z = {.scenes = n};
    Prompts p = prompts_new(f, &a);
    Scene *scenes = choose_scenes(w, part, &a, n, 1, NULL);
    const real *x = features_of_scenes(f, w, part, &a, n, scenes);
    for (int i = 0; i < n; i++, x += dim(f)) {
        int class = scenes[i].garment[0].class, colour = scenes[i].garment[0].colour;
        z.class += nearest(f, CLASSES, p.class, x) == class;
        z.colour += nearest(f, COLOURS, p.colour, x) == colour;
        z.pair += nearest(f, CLASSES * COLOURS, p.pair, x) == class * COLOURS + colour;
        z.bare_class += nearest(f, CLASSES, p.bare_class, x) == class;
        z.bare_colour += nearest(f, COLOURS, p.bare_colour, x) == colour;
    }
    z.class /= n, z.colour /= n, z.pair /= n, z.bare_class /= n, z.bare_colour /= n;
    arena_free(&a);
    return z;
}

/* ---- recall ---------------------------------------------------------------------------------- */

/* how many of n numbers, `step` apart, are larger than that of place `own` */
static int rank_of(int n, const real *x, size_t step, int own) {
    int rank = 0;
    for (int i = 0; i < n; i++) rank += x[(size_t)i * step] > x[(size_t)own * step];
    return rank;
}

static Recall recall_features(const FrozenClip *f, Arena *a, int n, const real *images,
                              const real *texts) {
    Recall r = {.pairs = n};
    real *cosines = numbers(a, (size_t)n * (size_t)n);
    frozen_clip_cosines(f, n, images, n, texts, cosines);
    for (int i = 0; i < n; i++) {
        int text = rank_of(n, cosines + (size_t)i * (size_t)n, 1, i);
        int image = rank_of(n, cosines + i, (size_t)n, i);
        r.text_1 += text < 1, r.text_5 += text < 5;
        r.image_1 += image < 1, r.image_5 += image < 5;
    }
    r.text_1 /= n, r.text_5 /= n, r.image_1 /= n, r.image_5 /= n;
    return r;
}

/* equal but for the wording, the garments' images and their places; described from either garment */
static bool same_meaning(const Scene *a, const Scene *b) {
    Scene s = *a;
    if (s.count == 2 && s.relation != b->relation) s = scene_exchanged(s);
    if (s.count != b->count || s.relation != b->relation) return false;
    for (int i = 0; i < s.count; i++)
        if (s.garment[i].class != b->garment[i].class ||
            s.garment[i].colour != b->garment[i].colour) return false;
    return true;
}

static bool is_new(const Scene *s, int n, const Scene *others) {
    for (int i = 0; i < n; i++)
        if (same_meaning(s, &others[i])) return false;
    return true;
}

Recall recall_scenes(const FrozenClip *f, const Wardrobe *w, Part part, int n) {
    Arena a = {0};
    Scene *scenes = choose_scenes(w, part, &a, n, 0, is_new);
    const real *images = features_of_scenes(f, w, part, &a, n, scenes);
    Recall r = recall_features(f, &a, n, images, features_of_captions(f, &a, n, scenes));
    arena_free(&a);
    return r;
}

Recall recall_images(const FrozenClip *f, const Images *set) {
    Arena a = {0};
    int n = set->count;
    real *images = numbers(&a, (size_t)n * (size_t)dim(f));
    real *texts = numbers(&a, (size_t)n * (size_t)dim(f));
    frozen_clip_images(f, n, images_new(&a, set, n, 0, 1, NULL), images);
    frozen_clip_texts(f, n, set->captions, texts);
    Recall r = recall_features(f, &a, n, images, texts);
    arena_free(&a);
    return r;
}

/* ---- order ----------------------------------------------------------------------------------- */

static bool relation_held_out(const Scene *s, int n, const Scene *others) {
    (void)n, (void)others;
    return s->held_out == HELD_RELATION;
}

Order order_of_two(const FrozenClip *f, const Wardrobe *w, Part part, int n) {
    Arena a = {0};
    Order o = {.scenes = n};
    int side = 0;
    size_t D = (size_t)dim(f);
    Scene *scenes = choose_scenes(w, part, &a, n, 2,
                                  part == PART_HELD_OUT ? relation_held_out : NULL);
    Scene *turned = arena_get(&a, (size_t)n * sizeof *turned);
    Scene *swapped = arena_get(&a, (size_t)n * sizeof *swapped);
    for (int i = 0; i < n; i++) {
        turned[i] = scene_places_swapped(scenes[i]);
        swapped[i] = scene_colours_swapped(scenes[i]);
    }
    const real *x = features_of_scenes(f, w, part, &a, n, scenes);
    const real *right = features_of_captions(f, &a, n, scenes);
    const real *order = features_of_captions(f, &a, n, turned);
    const real *colours = features_of_captions(f, &a, n, swapped);
    for (size_t i = 0; i < (size_t)n; i++) {
        double own = cosine(f, x + i * D, right + i * D);
        bool known = own > cosine(f, x + i * D, order + i * D);
        o.order += known;
        if (side_by_side(scenes[i].relation)) side++, o.beside += known;
        else o.stacked += known;
        if (scenes[i].garment[0].colour == scenes[i].garment[1].colour) continue;
        o.two_colours++;
        o.colours += own > cosine(f, x + i * D, colours + i * D);
    }
    o.order /= n;
    o.beside /= side ? side : 1;
    o.stacked /= n > side ? n - side : 1;
    o.colours /= o.two_colours ? o.two_colours : 1;
    arena_free(&a);
    return o;
}

/* ---- similarity as a picture ----------------------------------------------------------------- */

enum { MOST_SHOWN = 12, VALUE = 8 };

/* from white, the smallest cosine, to dark blue, the largest */
static void fill_cell(size_t size, double share, real *x) {
    const double dark[3] = {0.03, 0.19, 0.42};
    for (size_t i = 0; i < size; i++) x[i] = (real)(1 - share * (1 - dark[i % 3]));
}

void similarity_picture(const FrozenClip *f, const Wardrobe *w, Part part, int n,
                        const char *path, const char *command) {
    Arena a = {0};
    if (n > MOST_SHOWN) n = MOST_SHOWN;
    size_t size = picture_size(w), side = (size_t)n + 1;
    char text[MOST_SHOWN][SCENE_CAPTION], value[MOST_SHOWN * MOST_SHOWN][VALUE];
    const char **captions = arena_get(&a, side * side * sizeof *captions);
    real cosines[MOST_SHOWN * MOST_SHOWN], low = 2, high = -2;
    real *cells = numbers(&a, side * side * size);
    Scene *scenes = choose_scenes(w, part, &a, n, 0, is_new);
    const real *images = features_of_scenes(f, w, part, &a, n, scenes);
    frozen_clip_cosines(f, n, images, n, features_of_captions(f, &a, n, scenes), cosines);
    for (int i = 0; i < n * n; i++) {
        low = cosines[i] < low ? cosines[i] : low;
        high = cosines[i] > high ? cosines[i] : high;
    }
    k_fill(side * side * size, 1, cells);
    captions[0] = "";
    for (int i = 0; i < n; i++) {
        captions[1 + i] = scene_caption(&scenes[i], text[i]);
        size_t row = (size_t)(1 + i) * side;
        captions[row] = "";
        draw(w, part, &scenes[i], cells + row * size);
        for (int j = 0; j < n; j++) {
            double c = (double)cosines[i * n + j], share = (c - (double)low) / (double)(high - low);
            snprintf(value[i * n + j], VALUE, "%.2f", c);
            captions[row + 1 + (size_t)j] = value[i * n + j];
            fill_cell(size, share, cells + (row + 1 + (size_t)j) * size);
        }
    }
    picture_save(path, cells, (Grid){.count = (int)(side * side), .height = w->size,
                                     .width = w->size, .channels = 3, .columns = (int)side,
                                     .enlarge = 128 / w->size, .low = 0, .high = 1,
                                     .captions = captions}, command);
    arena_free(&a);
}
