/* wardrobe.h — captioned scenes without end: one or two garments of Fashion-MNIST, each in one of
 * ten colours, on near-white ground. "an orange coat above a blue bag".
 *
 * A scene is a function of (part, seed, index) alone, made when it is asked for, byte by byte the
 * same on every machine and for any number of threads. Its caption, boxes, map and mask are known
 * exactly, so what a model draws for a caption can be measured.
 *
 * Parts, as in captioned.h. Training scenes show training garments, validation scenes those for
 * validation, the other two test garments. Some combinations are held out: no scene of the first
 * three parts shows them, each scene of the fourth shows one.
 *   - ten pairs of class and colour, each class and each colour in one of them ("a red pullover");
 *     training shows each of these classes and colours in all its other pairs
 *   - six ordered pairs of classes side by side, and six one above the other ("a coat to the left
 *     of a bag"); training shows them the other way round, and in the other direction
 *
 * Interface:
 *   - wardrobe_open, wardrobe_free; wardrobe_data_open, wardrobe_data_free
 *   - wardrobe_get                   scenes first..first+n-1: pictures, scenes, maps, masks
 *   - wardrobe_scene                 what one of them shows, without drawing it
 *   - wardrobe_again                 another scene of the same caption
 *   - wardrobe_find                  the next one of so many garments, in these colours and classes
 *   - scene_caption, scene_parse     scenes to captions, and back
 *   - scene_mistaken                 a caption that is wrong in one point
 *   - wardrobe_draw                  a scene of the caller's own, as for calibration */
#ifndef WARDROBE_H
#define WARDROBE_H

#include "data/captioned.h"
#include "data/fashion.h"

enum { WARDROBE_CLASSES = 10, WARDROBE_COLOURS = 10, SCENE_CAPTION = 100, SCENE_GARMENTS = 2,
       SCENE_LABELS = 1 + WARDROBE_CLASSES };       /* of a map: the ground, the classes */

extern const char *const wardrobe_class[WARDROBE_CLASSES];       /* "T-shirt", "trousers", ... */
extern const char *const wardrobe_colour[WARDROBE_COLOURS];      /* "red", "orange", ... */
extern const uint8_t wardrobe_palette[WARDROBE_COLOURS][3];      /* as they are on bright cloth */

/* of the first garment to the second */
typedef enum { ALONE, LEFT_OF, ABOVE, RIGHT_OF, BELOW, RELATIONS } Relation;
static inline bool side_by_side(Relation r) { return r == LEFT_OF || r == RIGHT_OF; }

typedef struct {
    int class, colour;
    int image;                        /* its number in the part's images of Fashion-MNIST */
    int side, top, left;              /* the square it is drawn in, pixels */
    /* the smallest rectangle that holds all of its pixels: filled when it is drawn */
    struct { int top, left, height, width; } box;
} Garment;

typedef enum { HELD_NOTHING, HELD_COLOUR, HELD_RELATION } HeldOut;

typedef struct {
    int count;                        /* garments: 1 or 2, in the caption's order */
    Garment garment[SCENE_GARMENTS];
    Relation relation;
    int wording;                      /* which of several ways to say it */
    uint8_t ground[3];                /* its colour */
    HeldOut held_out;
} Scene;

typedef struct {
    int size;                         /* 64: one or two garments; 32: one */
    const Images *garments[PARTS];
    int *by_class[PARTS];             /* numbers of images, class after class */
    int start[PARTS][WARDROBE_CLASSES + 1];
} Wardrobe;

/* `data` must outlive it, and hold every class in every part: else fails with one line. */
Wardrobe wardrobe_open(const Fashion *data, int size);
void     wardrobe_free(Wardrobe *w);

/* the wardrobe with its garments; folder: of the IDX files, or NULL: Debian's */
typedef struct {
    Fashion fashion;
    Wardrobe wardrobe;
} WardrobeData;
/* *d must not be moved: the wardrobe points into it */
void wardrobe_data_open(WardrobeData *d, const char *folder, int size);
void wardrobe_data_free(WardrobeData *d);

/* which scenes, and where they go; NULL: not wanted */
typedef struct {
    const uint64_t *index;            /* (n) their numbers; NULL: first, first + 1, ... */
    real *images;                     /* (n,size,size,3), byte 0 as `low`, 255 as `high` */
    double low, high;
    uint8_t *pixels;                  /* (n,size,size,3), the bytes themselves */
    Scene *scenes;                    /* (n) */
    uint8_t *map;                     /* (n,size,size): 0 the ground, 1 + class of a garment */
    uint8_t *mask;                    /* (n,size,size): 0 the ground, 1, 2: which garment */
} SceneBatch;

void wardrobe_get(const Wardrobe *w, Part part, uint64_t seed, uint64_t first, int n,
                  const SceneBatch *out);
Scene wardrobe_scene(const Wardrobe *w, Part part, uint64_t seed, uint64_t index);
/* Another scene of its caption: other garments, places and ground. */
Scene wardrobe_again(const Wardrobe *w, Part part, Scene s, Rng *rng);
/* what scenes are to show; 0: anything */
typedef struct {
    int count;                        /* of garments */
    unsigned colours, classes;        /* bit k: colour k, or class k, may be among them */
} SceneKind;

/* The first scene from `index` on that is of this kind; there must be some. */
uint64_t wardrobe_find(const Wardrobe *w, Part part, uint64_t seed, uint64_t index, SceneKind kind);
/* draws it with garments of `part` and fills its boxes; pixels (size,size,3), map, mask (size,size)
 * or NULL */
void wardrobe_draw(const Wardrobe *w, Part part, Scene *s, uint8_t *pixels, uint8_t *map,
                   uint8_t *mask);

/* "a pair of purple trousers below a red bag"; returns text */
char *scene_caption(const Scene *s, char text[static SCENE_CAPTION]);
/* Classes, colours, relation and wording of a caption; false: it is none of ours. */
bool scene_parse(const char *caption, Scene *s);
/* What the scene shows that training never does. */
HeldOut scene_held_out(const Scene *s);
bool held_out_colour(int class, int colour);
/* for LEFT_OF and ABOVE; the other two are these with the garments exchanged */
bool held_out_relation(Relation r, int first_class, int second_class);
/* A caption's scene in one wording for all that say the same: of two garments the left, or upper,
 * one first; a caption that is none of ours stays as it is. Returns `caption` or text. */
const char *scene_plainest(const char *caption, char text[static SCENE_CAPTION]);
/* the same scene described from the other garment: "above" becomes "below" */
Scene scene_exchanged(Scene s);
/* other scenes: each garment where the other one was; each in the other's colour */
Scene scene_places_swapped(Scene s), scene_colours_swapped(Scene s);
/* Another scene that differs in one point alone, by chance: of two garments the places or the colours
 * are swapped, or one has another class. It is none that training holds out. false: no such scene was
 * found. */
bool scene_mistaken(const Scene *s, Rng *rng, Scene *wrong);

#endif
