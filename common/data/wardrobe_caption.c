/* wardrobe_caption.c — what scenes are called, and which are held out. */
#include "data/wardrobe.h"

#include <stdio.h>
#include <string.h>

const char *const wardrobe_class[WARDROBE_CLASSES] = {
    "T-shirt", "trousers", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "boot"};
const char *const wardrobe_colour[WARDROBE_COLOURS] = {
    "red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "brown", "grey"};

enum { T_SHIRT, TROUSERS, PULLOVER, DRESS, COAT, SANDAL, SHIRT, SNEAKER, BAG, BOOT };
enum { RED, ORANGE, YELLOW, GREEN, TURQUOISE, BLUE, PURPLE, PINK, BROWN, GREY };

/* ---- held out -------------------------------------------------------------------------------- */

static const int held_colour[WARDROBE_CLASSES] = {
    [T_SHIRT] = GREY, [TROUSERS] = TURQUOISE, [PULLOVER] = RED, [DRESS] = YELLOW, [COAT] = PINK,
    [SANDAL] = PURPLE, [SHIRT] = BROWN, [SNEAKER] = ORANGE, [BAG] = GREEN, [BOOT] = BLUE};

static const int held_pair[2][6][2] = {
    /* the first to the left of the second */
    {{COAT, BAG}, {T_SHIRT, TROUSERS}, {SNEAKER, BOOT}, {DRESS, SANDAL}, {BAG, SHIRT},
     {PULLOVER, SNEAKER}},
    /* the first above the second */
    {{SHIRT, TROUSERS}, {DRESS, BOOT}, {BAG, SANDAL}, {PULLOVER, COAT}, {SNEAKER, T_SHIRT},
     {TROUSERS, BAG}}};

bool held_out_colour(int class, int colour) {
    return held_colour[class] == colour;
}

bool held_out_relation(Relation r, int first_class, int second_class) {
    if (r != LEFT_OF && r != ABOVE) return false;
    for (int i = 0; i < 6; i++) {
        const int *pair = held_pair[r == ABOVE][i];
        if (pair[0] == first_class && pair[1] == second_class) return true;
    }
    return false;
}

Scene scene_exchanged(Scene s) {
    static const Relation other[RELATIONS] = {[LEFT_OF] = RIGHT_OF, [RIGHT_OF] = LEFT_OF,
                                              [ABOVE] = BELOW, [BELOW] = ABOVE};
    if (s.count < 2) return s;
    Garment first = s.garment[0];
    s.garment[0] = s.garment[1];
    s.garment[1] = first;
    s.relation = other[s.relation];
    return s;
}

Scene scene_places_swapped(Scene s) {
    Garment first = s.garment[0];
    s.garment[0] = s.garment[1];
    s.garment[1] = first;
    return s;
}

Scene scene_colours_swapped(Scene s) {
    int first = s.garment[0].colour;
    s.garment[0].colour = s.garment[1].colour;
    s.garment[1].colour = first;
    return s;
}

HeldOut scene_held_out(const Scene *s) {
    Scene t = s->relation == RIGHT_OF || s->relation == BELOW ? scene_exchanged(*s) : *s;
    for (int i = 0; i < t.count; i++) {
        if (held_out_colour(t.garment[i].class, t.garment[i].colour)) return HELD_COLOUR;
    }
    return t.count == 2 && held_out_relation(t.relation, t.garment[0].class, t.garment[1].class)
               ? HELD_RELATION : HELD_NOTHING;
}

/* one of the garments with another class */
static Scene class_changed(Scene s, Rng *rng) {
    Garment *g = &s.garment[rng_below(rng, (uint32_t)s.count)];
    g->class = (g->class + 1 + (int)rng_below(rng, WARDROBE_CLASSES - 1)) % WARDROBE_CLASSES;
    return s;
}

static bool same_garments(const Scene *a, const Scene *b) {
    for (int i = 0; i < a->count; i++)
        if (a->garment[i].class != b->garment[i].class ||
            a->garment[i].colour != b->garment[i].colour) return false;
    return true;
}

bool scene_mistaken(const Scene *s, Rng *rng, Scene *wrong) {
    for (int attempt = 0; attempt < 8; attempt++) {
        switch (s->count == 2 ? rng_below(rng, 3) : 2) {
        case 0: *wrong = scene_places_swapped(*s); break;
        case 1: *wrong = scene_colours_swapped(*s); break;
        default: *wrong = class_changed(*s, rng);
        }
        if (!same_garments(s, wrong) && scene_held_out(wrong) == HELD_NOTHING) return true;
    }
    return false;
}

/* ---- captions -------------------------------------------------------------------------------- */

/* %1 and %2 are the garments. The first is the plainest. */
static const char *const wordings[RELATIONS][3] = {
    [ALONE] = {"%1", "a photo of %1", "a picture of %1"},
    [LEFT_OF] = {"%1 to the left of %2", "%1 left of %2", "%1 on the left and %2 on the right"},
    [ABOVE] = {"%1 above %2", "%1 over %2", "%1 at the top and %2 at the bottom"},
    [RIGHT_OF] = {"%1 to the right of %2", "%1 right of %2", "%1 on the right and %2 on the left"},
    [BELOW] = {"%1 below %2", "%1 under %2", "%1 at the bottom and %2 at the top"}};

/* Wordings 3 to 5 say "a pair of" trousers, sandals, ... where 0 to 2 do not. */
static const char *const pairs[WARDROBE_CLASSES] = {[TROUSERS] = "a pair of "};

static const char *article(const Garment *g, bool pair) {
    if (pairs[g->class]) return pair ? pairs[g->class] : "";
    return strchr("aeiou", *wardrobe_colour[g->colour]) ? "an " : "a ";
}

/* "a red sneaker", "an orange coat", "purple trousers", "a pair of purple trousers" */
static void noun_phrase(const Garment *g, bool pair, char *text) {
    snprintf(text, SCENE_CAPTION / 2, "%s%s %s", article(g, pair), wardrobe_colour[g->colour],
             wardrobe_class[g->class]);
}

char *scene_caption(const Scene *s, char text[static SCENE_CAPTION]) {
    char phrase[SCENE_GARMENTS][SCENE_CAPTION / 2], *to = text;
    for (int i = 0; i < s->count; i++) noun_phrase(&s->garment[i], s->wording >= 3, phrase[i]);
    for (const char *w = wordings[s->relation][s->wording % 3]; *w; w++) {
        if (*w == '%') to = stpcpy(to, phrase[*++w - '1']);
        else *to++ = *w;
    }
    *to = 0;
    return text;
}

/* ---- and back -------------------------------------------------------------------------------- */

/* the word of the list that *text starts with, and moves behind; -1: none */
static int parse_word(const char **text, const char *const *list, int count) {
    for (int i = 0; i < count; i++) {
        size_t n = strlen(list[i]);
        if (strncmp(*text, list[i], n) || ((*text)[n] && (*text)[n] != ' ')) continue;
        *text += n;
        return i;
    }
    return -1;
}

/* The garment whose phrase `text` starts with; returns what comes after it, or NULL. */
static const char *parse_phrase(const char *text, bool pair, Garment *g) {
    static const char *const openings[] = {"a pair of ", "an ", "a ", ""};
    for (int i = 0; i < 4; i++) {
        size_t n = strlen(openings[i]);
        if (strncmp(text, openings[i], n)) continue;
        const char *at = text + n;
        g->colour = parse_word(&at, wardrobe_colour, WARDROBE_COLOURS);
        if (g->colour < 0 || *at++ != ' ') continue;
        g->class = parse_word(&at, wardrobe_class, WARDROBE_CLASSES);
        if (g->class >= 0 && !strcmp(article(g, pair), openings[i])) return at;
    }
    return NULL;
}

/* Is the caption this wording, with any garments? */
static bool parse_wording(const char *caption, const char *wording, bool pair, Scene *s) {
    s->count = 0;
    for (; *wording; wording++) {
        if (*wording != '%') {
            if (*caption++ != *wording) return false;
            continue;
        }
        int which = *++wording - '1';
        if (!(caption = parse_phrase(caption, pair, &s->garment[which]))) return false;
        s->count++;
    }
    return !*caption;
}

bool scene_parse(const char *caption, Scene *s) {
    for (int r = 0; r < RELATIONS; r++) {
        for (int w = 0; w < 6; w++) {
            *s = (Scene){.relation = (Relation)r, .wording = w};
            if (!parse_wording(caption, wordings[r][w % 3], w >= 3, s)) continue;
            s->held_out = scene_held_out(s);
            return true;
        }
    }
    return false;
}

const char *scene_plainest(const char *caption, char text[static SCENE_CAPTION]) {
    Scene s;
    if (!scene_parse(caption, &s)) return caption;
    if (s.relation == RIGHT_OF || s.relation == BELOW) s = scene_exchanged(s);
    s.wording = 0;
    return scene_caption(&s, text);
}
