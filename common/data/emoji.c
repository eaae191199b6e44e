#include "data/emoji.h"

#include "data/emoji_font.h"
#include "data/sha256.h"
#include "base/file.h"
#include "base/printable.h"
#include "kernels/kernels.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Counted up when the same sources shall give another file: older caches are then made anew. */
static const char version[] = "1";

/* ---- the sources ----------------------------------------------------------------------------- */

typedef struct {
    const char *font_path, *names_path;
    const uint8_t *names;
    size_t names_length;
    char font_sha256[65], names_sha256[65];
} Sources;

static const uint8_t *map_source(const char *path, size_t *length, char sha[static 65]) {
    if (access(path, R_OK)) {
        fail("%s: not found; the emoji are made from the packages fonts-noto-color-emoji and "
             "unicode-data, which `make setup` installs", path);
    }
    const uint8_t *bytes = file_map(path, length);
    sha256(bytes, *length, sha);
    return bytes;
}

static Sources sources_open(const char *font, const char *names) {
    Sources s = {.font_path = font, .names_path = names};
    size_t length;
    const uint8_t *bytes = map_source(font, &length, s.font_sha256);
    file_unmap(bytes, length);
    s.names = map_source(names, &s.names_length, s.names_sha256);
    return s;
}

static void sources_close(Sources *s) {
    file_unmap(s->names, s->names_length);
}

/* ---- drawing --------------------------------------------------------------------------------- */

enum { THUMB = 16, THUMB_BYTES = THUMB * THUMB * 3 };

/* all pictures, in the order of emoji-test.txt */
typedef struct {
    EmojiNames names;                 /* those that the font has */
    int size;
    uint8_t *pixels;                  /* (count,size,size,3) */
    uint8_t *thumbs;                  /* (count,THUMB,THUMB,3): the same for every size */
    int32_t *concept;                 /* (count): the first emoji of the same concept */
    int part_count[PARTS];
    int *order;                       /* part by part */
} Drawing;

static void draw_all(Drawing *d, const char *path) {
    EmojiFont *font = emoji_font_open(path);
    size_t bytes = (size_t)d->size * d->size * 3;
    int n = 0, listed = d->names.count, side;
    d->pixels = memory_new((size_t)listed, bytes, "%d emoji", listed);
    d->thumbs = memory_new((size_t)listed, THUMB_BYTES, "%d emoji", listed);
    for (int k = 0; k < listed; k++) {
        EmojiName *e = &d->names.emoji[k];
        const uint8_t *square = emoji_font_draw(font, e, &side);
        if (!square) {
            notice("%s: has no picture of %s", path, e->name);
            continue;
        }
        area_average(square, (size_t)side * 3, side, d->size, d->pixels + (size_t)n * bytes);
        area_average(square, (size_t)side * 3, side, THUMB, d->thumbs + (size_t)n * THUMB_BYTES);
        d->names.emoji[n++] = *e;
    }
    emoji_font_close(font);
    if (!n) fail("%s: has no picture of any of the %d emoji", path, listed);
    notice("emoji: %d of %d drawn at %d pixels", n, listed, d->size);
    d->names.count = n;
}

/* ---- concepts -------------------------------------------------------------------------------- */

/* Pictures that differ by less than this root mean square, of 255, are nearly the same. At 13 the
 * 24 clocks are all one, and the flags of France, Clipperton Island and St. Martin, but not yet
 * any two animals. */
enum { NEARLY = 13 };

static int root(const int32_t *concept, int k) {
    while (concept[k] != k) k = concept[k];
    return k;
}

/* the concept of both is that of the earlier one */
static void join(int32_t *concept, int a, int b) {
    a = root(concept, a), b = root(concept, b);
    concept[a > b ? a : b] = a < b ? a : b;
}

static bool nearly_the_same(const uint8_t *a, const uint8_t *b) {
    int64_t left = (int64_t)NEARLY * NEARLY * THUMB_BYTES;
    for (int i = 0; i < THUMB_BYTES && left > 0; i += THUMB) {      /* most differ early */
        int sum = 0;
        for (int j = i; j < i + THUMB; j++) sum += (a[j] - b[j]) * (a[j] - b[j]);
        left -= sum;
    }
    return left > 0;
}

static void find_concepts(Drawing *d) {
    int n = d->names.count;
    char (*key)[EMOJI_CONCEPT] = memory_new((size_t)n, sizeof *key, "%d emoji", n);
    d->concept = memory_new((size_t)n, sizeof *d->concept, "%d emoji", n);
    for (int k = 0; k < n; k++) {
        emoji_concept(&d->names, k, key[k]);
        d->concept[k] = k;
        for (int j = 0; j < k; j++) {
            if (root(d->concept, j) == root(d->concept, k)) continue;
            if (!strcmp(key[j], key[k]) || nearly_the_same(d->thumbs + (size_t)j * THUMB_BYTES,
                                                           d->thumbs + (size_t)k * THUMB_BYTES)) {
                join(d->concept, j, k);
            }
        }
    }
    for (int k = 0; k < n; k++) d->concept[k] = root(d->concept, k);
    free(key);
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* of a whole concept, by the hash of what its first emoji shows */
static Part concept_part(const EmojiNames *names, int first) {
    char key[EMOJI_CONCEPT];
    double u = (double)(hash_name(0, emoji_concept(names, first, key)) >> 11) * 0x1p-53;
    return u < 0.9 ? PART_TRAIN : u < 0.95 ? PART_VALIDATION : PART_TEST;
}

static Part part_of(const Drawing *d, int k) {
    Part part = concept_part(&d->names, d->concept[k]);
    return part == PART_TRAIN && emoji_held_out(d->names.emoji[k].name) ? PART_HELD_OUT : part;
}

static void find_order(Drawing *d) {
    int n = 0;
    d->order = memory_new((size_t)d->names.count, sizeof *d->order, "%d emoji", d->names.count);
    for (int p = 0; p < PARTS; p++) {
        for (int k = 0; k < d->names.count; k++) {
            if (part_of(d, k) != (Part)p) continue;
            d->order[n++] = k;
            d->part_count[p]++;
        }
    }
}

/* ---- the cache ------------------------------------------------------------------------------- */

/* lines of text, as the file holds them */
typedef struct {
    char *text;
    size_t length, room;
} Lines;

static void add_line(Lines *l, const char *line) {
    size_t n = strlen(line);
    l->text = memory_grow(l->text, &l->room, l->length + n + 1, 1, "lines of text");
    memcpy(l->text + l->length, line, n);
    l->length += n;
    l->text[l->length++] = '\n';
}

static void fill_pixels(const StOutput *t, uint8_t *bytes) {
    const Drawing *d = t->source;
    size_t n = (size_t)d->size * d->size * 3;
    for (int i = 0; i < d->names.count; i++) {
        memcpy(bytes + (size_t)i * n, d->pixels + (size_t)d->order[i] * n, n);
    }
}

static void save(const char *path, const Drawing *d, const Sources *s) {
    size_t n = (size_t)d->names.count, size = (size_t)d->size;
    int32_t *concept = memory_new(n, sizeof *concept, "%zu emoji", n);
    uint8_t *label = memory_new(n, 1, "%zu emoji", n);
    Lines captions = {0}, classes = {0}, groups = {0};
    for (size_t i = 0; i < n; i++) {
        const EmojiName *e = &d->names.emoji[d->order[i]];
        concept[i] = d->concept[d->order[i]];
        label[i] = (uint8_t)e->subgroup;
        add_line(&captions, e->name);
    }
    for (int i = 0; i < d->names.subgroups; i++) add_line(&classes, d->names.subgroup[i]);
    for (int i = 0; i < d->names.groups; i++) add_line(&groups, d->names.group[i]);
    StOutput tensors[] = {
        {"pixels", ST_U8, 4, {n, size, size, 3}, d, fill_pixels},
        {"labels", ST_U8, 1, {n}, label, NULL},
        {"concepts", ST_I32, 1, {n}, concept, NULL},
        {"numbers", ST_I32, 1, {n}, d->order, NULL},
        {"parts", ST_I32, 1, {PARTS}, d->part_count, NULL},
        {"group_of", ST_I32, 1, {(size_t)d->names.subgroups}, d->names.group_of, NULL},
        {"captions", ST_U8, 1, {captions.length}, captions.text, NULL},
        {"classes", ST_U8, 1, {classes.length}, classes.text, NULL},
        {"groups", ST_U8, 1, {groups.length}, groups.text, NULL}};
    const char *metadata[] = {"version", version, "font", s->font_sha256, "names", s->names_sha256,
                              "licence", "SIL Open Font License 1.1, as the font", NULL};
    safetensors_write(path, tensors, sizeof tensors / sizeof *tensors, metadata);
    free(concept);
    free(label);
    free(captions.text);
    free(classes.text);
    free(groups.text);
}

static void make(const char *path, int size, const Sources *s) {
    char message[EMOJI_MESSAGE];
    Drawing d = {.size = size};
    if (!emoji_names_parse(&d.names, (const char *)s->names, s->names_length, message)) {
        fail("%s: %s", s->names_path, message);
    }
    draw_all(&d, s->font_path);
    find_concepts(&d);
    find_order(&d);
    save(path, &d, s);
    emoji_names_free(&d.names);
    free(d.pixels);
    free(d.thumbs);
    free(d.concept);
    free(d.order);
}

/* ---- reading it ------------------------------------------------------------------------------ */

/* the tensor's bytes if it has this type and so many numbers (any, if 0); else NULL */
static const void *find(const Captioned *c, const char *name, StType type, size_t len) {
    const StTensor *t = safetensors_find(&c->file, name);
    return t && t->type == type && (!len || t->len == len) ? t->data : NULL;
}

static bool made_from(const Captioned *c, const Sources *s) {
    const char *v = safetensors_metadata(&c->file, "version");
    const char *f = safetensors_metadata(&c->file, "font");
    const char *n = safetensors_metadata(&c->file, "names");
    return v && f && n && !strcmp(v, version) && !strcmp(f, s->font_sha256) &&
           !strcmp(n, s->names_sha256);
}

/* Points line[0..] at the lines of a tensor; returns how many there are, at most `room`. The text
 * is copied to `to`, which moves on. */
static int cut_lines(const Captioned *c, const char *name, const char **line, int room, char **to) {
    const StTensor *t = safetensors_find(&c->file, name);
    int n = 0;
    for (size_t begin = 0, i = 0; t && i < t->len && n < room; i++) {
        (*to)[i] = (char)t->data[i];
        if (t->data[i] != '\n') continue;
        (*to)[i] = 0;
        make_printable(*to + begin, '?');
        line[n++] = *to + begin;
        begin = i + 1;
    }
    if (t) *to += t->len;
    return n;
}

static bool read_texts(Captioned *c) {
    size_t length = 0;
    static const char *const names[] = {"captions", "classes", "groups"};
    for (int i = 0; i < 3; i++) {
        if (!find(c, names[i], ST_U8, 0)) return false;
        length += safetensors_find(&c->file, names[i])->len;
    }
    size_t count = (size_t)c->all.count;
    const char **captions = memory_new(count, sizeof *captions, "%zu captions", count);
    char *to = c->text = memory_new(length, 1, "captions of %zu bytes", length);
    c->memory[0] = captions;
    c->all.captions = captions;
    int n = cut_lines(c, "captions", captions, c->all.count, &to);
    c->classes = cut_lines(c, "classes", c->class_name, CAPTIONED_LABELS, &to);
    c->groups = cut_lines(c, "groups", c->group_name, CAPTIONED_LABELS, &to);
    return n == c->all.count;
}

/* Do the parts make up the whole, and does every number point at something? */
static bool in_range(const Captioned *c, const int32_t count[PARTS]) {
    int64_t sum = 0;
    for (int i = 0; i < PARTS; i++) {
        if (count[i] < 0) return false;
        sum += count[i];
    }
    for (int k = 0; k < c->classes; k++)
        if (c->group_of[k] < 0 || c->group_of[k] >= c->groups) return false;
    for (int i = 0; i < c->all.count; i++)
        if (c->number[i] < 0 || c->number[i] >= c->all.count || c->all.labels[i] >= c->classes)
            return false;
    return sum == c->all.count;
}

static bool read_numbers(Captioned *c, int size) {
    size_t n = (size_t)c->all.count;
    int32_t count[PARTS];
    const void *parts = find(c, "parts", ST_I32, PARTS);
    const void *group_of = find(c, "group_of", ST_I32, (size_t)c->classes);
    c->all.pixels = find(c, "pixels", ST_U8, n * (size_t)size * (size_t)size * 3);
    c->all.labels = find(c, "labels", ST_U8, n);
    c->concept = find(c, "concepts", ST_I32, n);
    c->number = find(c, "numbers", ST_I32, n);
    if (!parts || !group_of || !c->all.pixels || !c->all.labels || !c->concept || !c->number) {
        return false;
    }
    memcpy(count, parts, sizeof count);
    memcpy(c->group_of, group_of, (size_t)c->classes * sizeof *c->group_of);
    if (!in_range(c, count)) return false;
    captioned_parts(c, count);
    return true;
}

/* Fills `c` from the file; false: it is not there, broken, or made from something else. */
static bool read_cache(Captioned *c, const char *path, int size, const Sources *s) {
    char message[ST_MESSAGE];
    size_t length;
    *c = (Captioned){0};
    if (access(path, R_OK)) return false;
    const uint8_t *bytes = file_map(path, &length);
    if (!safetensors_parse(&c->file, bytes, length, message)) {
        file_unmap(bytes, length);
        return false;
    }
    c->file.bytes = bytes;
    c->file.length = length;
    const StTensor *labels = safetensors_find(&c->file, "labels");
    int count = labels && labels->len <= INT32_MAX ? (int)labels->len : 0;
    c->all = (Images){.count = count, .height = size, .width = size, .channels = 3};
    if (count && made_from(c, s) && read_texts(c) && read_numbers(c, size)) return true;
    captioned_free(c);
    return false;
}

Captioned emoji_load_from(int size, const char *font, const char *names, const char *cache) {
    if (size != 32 && size != 64 && size != 128) die("emoji_load: %d pixels; 32, 64, 128", size);
    char *path = text_format("%s/emoji-%d.safetensors", cache, size);
    Sources s = sources_open(font, names);
    Captioned c;
    if (!read_cache(&c, path, size, &s)) {
        folder_create(cache);
        file_by_all(true);                   /* each machine has a cache */
        make(path, size, &s);
        file_by_all(false);
        if (!read_cache(&c, path, size, &s)) fail("%s: cannot be read back", path);
    }
    c.source = text_format("emoji of %s (sha256 %s) and %s (sha256 %s)", font, s.font_sha256, names,
                           s.names_sha256);
    sources_close(&s);
    free(path);
    return c;
}

/* Is the word, in any case, one of the text's? */
static bool holds_word(const char *text, const char *word, size_t n) {
    for (; *text; text++) {
        if (!strncasecmp(text, word, n) && !isalpha((unsigned char)text[n])) return true;
        while (isalpha((unsigned char)*text)) text++;
        if (!*text) break;
    }
    return false;
}

char *emoji_caption(const Captioned *c, int i, char text[static EMOJI_CAPTION]) {
    const char *name = c->all.captions[i], *word = c->class_name[c->all.labels[i]];
    size_t used = (size_t)snprintf(text, EMOJI_CAPTION, "%s", name);
    const char *between = ", ";
    while (*word && used < EMOJI_CAPTION) {             /* "food-fruit" */
        size_t n = strcspn(word, "-");
        if (!holds_word(name, word, n)) {
            used += (size_t)snprintf(text + used, EMOJI_CAPTION - used, "%s%.*s", between, (int)n,
                                     word);
            between = " ";
        }
        word += n + (word[n] == '-');
    }
    return text;
}

Captioned emoji_load(int size, const char *cache) {
    return emoji_load_from(size, EMOJI_FONT, EMOJI_NAMES, cache ? cache : EMOJI_CACHE);
}
