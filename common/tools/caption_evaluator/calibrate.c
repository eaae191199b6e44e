#include "calibrate.h"

#include "eval/references.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- ways to be wrong ------------------------------------------------------------------------ */

/* What is drawn is not what the caption says (`redraw` changes the scene), or not drawn well
 * (`corrupt` changes the pixels, (n,64,64,3) in [0,1]). */
typedef struct {
    const char *name;
    Part part;
    void (*redraw)(const Wardrobe *w, Rng *rng, Scene *s);
    void (*corrupt)(int n, real *x, double strength);
    double strength;
    int size;                    /* 0: 64; 32: pictures of 32 pixels */
    bool shuffled;               /* captions are dealt out anew */
} Row;

static int other(Rng *rng, int value, int count) {
    return (value + 1 + (int)rng_below(rng, (uint32_t)count - 1)) % count;
}

static void wrong_colour(const Wardrobe *w, Rng *rng, Scene *s) {
    (void)w;
    s->garment[0].colour = other(rng, s->garment[0].colour, WARDROBE_COLOURS);
}

static void wrong_class(const Wardrobe *w, Rng *rng, Scene *s) {
    Garment *g = &s->garment[0];
    g->class = other(rng, g->class, WARDROBE_CLASSES);
    const int *start = w->start[PART_TEST] + g->class;
    int which = (int)rng_below(rng, (uint32_t)(start[1] - start[0]));
    g->image = w->by_class[PART_TEST][start[0] + which];
}

/* each garment where the other one was: the caption's relation is wrong */
static void swapped(const Wardrobe *w, Rng *rng, Scene *s) {
    (void)w, (void)rng;
    if (s->count < 2) return;
    Garment *a = &s->garment[0], *b = &s->garment[1], old = *a;
    a->top = b->top, a->left = b->left, a->side = b->side;
    b->top = old.top, b->left = old.left, b->side = old.side;
}

/* each garment in the other one's colour */
static void exchanged_colours(const Wardrobe *w, Rng *rng, Scene *s) {
    (void)w, (void)rng;
    if (s->count < 2) return;
    int colour = s->garment[0].colour;
    s->garment[0].colour = s->garment[1].colour;
    s->garment[1].colour = colour;
}

static void missing(const Wardrobe *w, Rng *rng, Scene *s) {
    (void)w, (void)rng;
    s->count--;
}

static void add_noise(int n, real *x, double strength) {
    Rng rng = rng_new(1, "added noise");
    size_t len = (size_t)n * NET_PIXELS;
    Arena arena = {0};
    real *noise = arena_get(&arena, len * sizeof *noise);
    rng_normal(&rng, len, noise);
    k_axpy(len, (real)strength, noise, x, true);
    k_clamp(len, x, 0, 1, x);
    arena_free(&arena);
}

static void only_noise(int n, real *x, double strength) {
    (void)strength;
    Rng rng = rng_new(1, "noise");
    rng_uniform(&rng, (size_t)n * NET_PIXELS, x);
}

/* mean over a square of 2 by + 1 pixels, of those inside the picture */
static real mean_around(const real *x, int i, int j, int c, int by) {
    real sum = 0;
    int count = 0;
    for (int u = i - by; u <= i + by; u++) {
        for (int v = j - by; v <= j + by; v++) {
            if (u < 0 || v < 0 || u >= NET_SIDE || v >= NET_SIDE) continue;
            sum += x[(u * NET_SIDE + v) * 3 + c];
            count++;
        }
    }
    return sum / (real)count;
}

static void blur(int n, real *x, double strength) {
    static real old[NET_PIXELS];
    for (int p = 0; p < n; p++, x += NET_PIXELS) {
        memcpy(old, x, sizeof old);
        for (int k = 0; k < NET_PIXELS; k++) {
            x[k] = mean_around(old, k / 3 / NET_SIDE, k / 3 % NET_SIDE, k % 3, (int)strength);
        }
    }
}

static const Row rows[] = {
    {.name = "test scenes", .part = PART_TEST},
    {.name = "held-out scenes", .part = PART_HELD_OUT},
    {"test scenes of 32 pixels", PART_TEST, .size = 32},
    {"held-out scenes of 32 pixels", PART_HELD_OUT, .size = 32},
    {"noise 0.05", PART_TEST, .corrupt = add_noise, .strength = 0.05},
    {"noise 0.1", PART_TEST, .corrupt = add_noise, .strength = 0.1},
    {"noise 0.2", PART_TEST, .corrupt = add_noise, .strength = 0.2},
    {"noise 0.4", PART_TEST, .corrupt = add_noise, .strength = 0.4},
    {"blur 3x3", PART_TEST, .corrupt = blur, .strength = 1},
    {"blur 7x7", PART_TEST, .corrupt = blur, .strength = 3},
    {"blur 11x11", PART_TEST, .corrupt = blur, .strength = 5},
    {"one wrong colour", PART_TEST, .redraw = wrong_colour},
    {"one wrong class", PART_TEST, .redraw = wrong_class},
    {"one garment missing", PART_TEST, .redraw = missing},
    {"garments swapped", PART_TEST, .redraw = swapped},
    {"colours exchanged", PART_TEST, .redraw = exchanged_colours},
    {"captions shuffled", PART_TEST, .shuffled = true},
    {"uniform noise", PART_TEST, .corrupt = only_noise},
    {0}};                                                   /* the last has no name */

/* ---- scores ---------------------------------------------------------------------------------- */

/* Scenes first..first+n-1 as the row has them: what is said in `scenes`, what is drawn in x. */
static void draw(const Wardrobe *w, const Row *r, int first, int n, Scene *scenes, real *x) {
    uint8_t pixels[NET_PIXELS];
    size_t each = (size_t)w->size * (size_t)w->size * 3;
    for (int i = 0; i < n; i++) {
        Scene s = scenes[i] = wardrobe_scene(w, r->part, 1, (uint64_t)(first + i));
        Rng rng = rng_new((uint64_t)(first + i), "wrong");
        if (r->redraw) r->redraw(w, &rng, &s);
        wardrobe_draw(w, r->part, &s, pixels, NULL, NULL);
        for (size_t k = 0; k < each; k++) x[(size_t)i * each + k] = (real)pixels[k] / 255;
    }
    if (r->corrupt) r->corrupt(n, x, r->strength);
}

/* `evaluator` NULL: captions alone */
static CaptionScores scores_of_row(const CaptionEvaluator *e, const Wardrobe *w, const Row *r,
                                   int n, const Evaluator *evaluator, Scores *scores) {
    Arena arena = {0};
    Scene *scenes = arena_get(&arena, (size_t)n * sizeof *scenes);
    Found *found = arena_get(&arena, (size_t)n * sizeof *found);
    real *x = arena_get(&arena, (size_t)n * NET_PIXELS * sizeof *x);
    draw(w, r, 0, n, scenes, x);
    caption_evaluator_apply(e, n, w->size, x, found, NULL);
    if (evaluator) *scores = scores_of(evaluator, n, x, NULL);
    CaptionScores c = r->shuffled ? caption_scores_shuffled(n, found, scenes)
                                  : caption_scores(n, found, scenes);
    arena_free(&arena);
    return c;
}

CaptionScores caption_scores_of_part(const CaptionEvaluator *e, const Wardrobe *w, Part part,
                                     int n) {
    return scores_of_row(e, w, &(Row){.name = "part", .part = part}, n, NULL, NULL);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void add_scores(cJSON *m, const char *name, const CaptionScores *c, bool quiet) {
    cJSON *j = caption_scores_json(c);
    json_item(m, name, j);
    if (!quiet) {
        printf("%-10s whole %5.1f %%  count %5.1f  class %5.1f  colour %5.1f  relation %5.1f\n",
               name, 100 * c->whole, 100 * c->count, 100 * c->class, 100 * c->colour,
               100 * c->relation);
    }
}

void evaluate_parts(const CaptionEvaluator *e, const Wardrobe *w, int n, cJSON *metrics,
                    bool quiet) {
    static const Row parts[] = {{.name = "validation", .part = PART_VALIDATION},
                                {.name = "test", .part = PART_TEST},
                                {.name = "held_out", .part = PART_HELD_OUT},
                                {.name = "shuffled", .part = PART_TEST, .shuffled = true}};
    for (int i = 0; i < 4; i++) {
        CaptionScores c = scores_of_row(e, w, &parts[i], n, NULL, NULL);
        add_scores(metrics, parts[i].name, &c, quiet);
    }
}

static void csv_row(FILE *f, const char *name, const CaptionScores *c, const Scores *s) {
    fprintf(f, "%s,%d,%.4f,%.4f,%.4f,%.4f,%.4f,", name, c->pictures, c->whole, c->count,
            c->garment, c->class, c->colour);
    if (c->pairs) fprintf(f, "%.4f", c->relation);
    fprintf(f, ",%.6g,%.6g,%.4f,%.4f,%.4f\n", s->frechet, s->kernel.mean, s->regions.precision,
            s->regions.recall, s->regions.coverage);
}

void calibrate_scenes(const CaptionEvaluator *e, const Wardrobe *w, int n, const char *path,
                      bool quiet) {
    AtomicFile f = file_create(path);
    Wardrobe sizes[2] = {*w, *w};                /* the same garments, smaller pictures */
    Evaluator evaluators[2];
    Arena arena = {0};
    sizes[1].size = 32;
    for (int k = 0; k < 2; k++) {
        evaluators[k] = evaluator_open(caption_evaluator_net(e, sizes[k].size),
                               wardrobe_reference(&arena, &sizes[k], n));
    }
    fprintf(f.stream, "scenes,n,whole,count,garment,class,colour,relation,frechet,kernel,"
                      "precision,recall,coverage\n");
    for (const Row *r = rows; r->name; r++) {
        int k = r->size == 32;
        Scores s;
        CaptionScores c = scores_of_row(e, &sizes[k], r, n, &evaluators[k], &s);
        csv_row(f.stream, r->name, &c, &s);
        if (!quiet) csv_row(stdout, r->name, &c, &s);
    }
    file_commit(&f);
    for (int k = 0; k < 2; k++) evaluator_free(&evaluators[k]);
    arena_free(&arena);
}
