#include "eval/caption_sheet.h"

#include "base/error.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- captions -------------------------------------------------------------------------------- */

static int count_lines(const char *text, size_t length) {
    int n = 0;
    for (size_t i = 0; i < length; i++) n += text[i] == '\n' || i + 1 == length;
    return n;
}

/* the line's caption, ended by a zero byte */
static void take_caption(const char *line, size_t length, char text[static SCENE_CAPTION + 1]) {
    const char *tab = memchr(line, '\t', length);
    if (tab) length -= (size_t)(tab + 1 - line), line = tab + 1;
    while (length && strchr(" \r", line[length - 1])) length--;
    if (length > SCENE_CAPTION) length = SCENE_CAPTION;
    memcpy(text, line, length);
    text[length] = 0;
}

Scene *captions_read(Arena *arena, const char *path, int *n) {
    size_t length;
    const char *bytes = (const char *)file_map(path, &length), *at = bytes;
    int lines = count_lines(bytes, length);
    Scene *scenes = arena_get(arena, (size_t)(lines + 1) * sizeof *scenes);
    for (*n = 0; *n < lines; (*n)++) {
        char text[SCENE_CAPTION + 1];
        size_t rest = length - (size_t)(at - bytes);
        const char *end = memchr(at, '\n', rest);
        take_caption(at, end ? (size_t)(end - at) : rest, text);
        if (!scene_parse(text, &scenes[*n])) {
            fail("%s: line %d: \"%.60s\" is no caption of the wardrobe, such as \"a red sneaker\" "
                 "or \"an orange coat above a blue bag\"", path, *n + 1, text);
        }
        at = end ? end + 1 : bytes + length;
    }
    file_unmap((const uint8_t *)bytes, length);
    return scenes;
}

/* ---- the sheet ------------------------------------------------------------------------------- */

/* As many real scenes of each kind as the samples have: what is found in them, beside `scenes`. */
typedef struct {
    const CaptionEvaluator *e;
    const Wardrobe *w;
    Found *found;
    Scene *scenes;
    int n;
} Real;

/* the next scene of this kind, from *index on */
static Scene next_scene(const Wardrobe *w, HeldOut kind, uint64_t *index) {
    Part part = kind == HELD_NOTHING ? PART_TEST : PART_HELD_OUT;
    Scene s;
    do s = wardrobe_scene(w, part, 1, (*index)++);
    while (s.held_out != kind);
    return s;
}

static void draw_real(Real *r, HeldOut kind, int count) {
    enum { AT_ONCE = 256 };
    Arena arena = {0};
    size_t each = (size_t)r->w->size * (size_t)r->w->size * 3;
    uint8_t *pixels = arena_get(&arena, each);
    real *x = arena_get(&arena, AT_ONCE * each * sizeof *x);
    uint64_t index = 0;
    for (int i = 0; i < count; i += AT_ONCE) {
        int m = count - i < AT_ONCE ? count - i : AT_ONCE;
        for (int k = 0; k < m; k++) {
            Scene s = next_scene(r->w, kind, &index);
            wardrobe_draw(r->w, kind == HELD_NOTHING ? PART_TEST : PART_HELD_OUT, &s, pixels, NULL,
                          NULL);
            for (size_t p = 0; p < each; p++) x[(size_t)k * each + p] = (real)pixels[p] / 255;
            r->scenes[r->n + k] = s;
        }
        caption_evaluator_apply(r->e, m, r->w->size, x, r->found + r->n, NULL);
        r->n += m;
    }
    arena_free(&arena);
}

/* of the pictures of one kind */
static CaptionScores scores_of_kind(int n, const Found *found, const Scene *scenes, HeldOut kind) {
    Arena arena = {0};
    Found *f = arena_get(&arena, (size_t)n * sizeof *f);
    Scene *s = arena_get(&arena, (size_t)n * sizeof *s);
    int m = 0;
    for (int i = 0; i < n; i++) {
        if (scene_held_out(&scenes[i]) != kind) continue;
        f[m] = found[i];
        s[m++] = scenes[i];
    }
    CaptionScores c = m ? caption_scores(m, f, s) : (CaptionScores){0};
    arena_free(&arena);
    return c;
}

CaptionSheet caption_sheet(const CaptionEvaluator *e, const Wardrobe *w, int n, const real *x,
                           const Scene *scenes) {
    CaptionSheet s = {.n = n};
    Arena arena = {0};
    Found *found = arena_get(&arena, (size_t)n * sizeof *found);
    Real r = {e, w, arena_get(&arena, (size_t)n * sizeof(Found)),
              arena_get(&arena, (size_t)n * sizeof(Scene)), 0};
    memcpy(s.sha256, e->sha256, sizeof s.sha256);
    caption_evaluator_apply(e, n, w->size, x, found, NULL);
    s.samples = caption_scores(n, found, scenes);
    s.shuffled = caption_scores_shuffled(n, found, scenes);
    for (int k = 0; k < KINDS; k++) {
        s.kind[k] = scores_of_kind(n, found, scenes, (HeldOut)k);
        draw_real(&r, (HeldOut)k, s.kind[k].pictures);
        s.real_kind[k] = scores_of_kind(r.n, r.found, r.scenes, (HeldOut)k);
    }
    s.real_images = caption_scores(n, r.found, r.scenes);
    arena_free(&arena);
    return s;
}

/* ---- printing -------------------------------------------------------------------------------- */

static const char *percent(double share, char text[static 16]) {
    if (isnan(share)) return "-";
    snprintf(text, 16, "%.1f", 100 * share);
    return text;
}

static void print_row(const char *name, double a, double b, double c, const char *remark) {
    char x[16], y[16], z[16];
    printf("  %-30s %10s %10s %10s   %s\n", name, percent(a, x), percent(b, y), percent(c, z),
           remark);
}

void caption_sheet_print(const CaptionSheet *s) {
    static const char *const kinds[KINDS] = {"seen combinations", "held-out colours",
                                             "held-out relations"};
    printf("captions of N = %d pictures, evaluator %.12s\n\n", s->n, s->sha256);
    printf("  %-30s %10s %10s %10s\n", "", "samples", "test set", "shuffled");
#define ROW(name, of, remark)                                                                     \
    print_row(name, s->samples.of, s->real_images.of, s->shuffled.of, remark)
    ROW("all is as the caption says, %", whole, "best near the test set's");
    ROW("number of garments, %", count, "");
    ROW("garments: class and colour, %", garment, "");
    ROW("  class, %", class, "");
    ROW("  colour, %", colour, "");
    ROW("relation of two, %", relation, "");
    ROW("  side by side, %", beside, "");
    ROW("  one above the other, %", stacked, "");
#undef ROW
    for (int k = 0; k < KINDS; k++) {
        char remark[40];
        if (!s->kind[k].pictures) continue;
        snprintf(remark, sizeof remark, "all right; %d pictures", s->kind[k].pictures);
        print_row(kinds[k], s->kind[k].whole, s->real_kind[k].whole, NAN, remark);
    }
}

cJSON *caption_sheet_json(const CaptionSheet *s) {
    static const char *const kinds[KINDS] = {"seen", "held_out_colours", "held_out_relations"};
    cJSON *j = json_object();
    json_number(j, "n", s->n);
    json_text(j, "evaluator_sha256", s->sha256);
    json_item(j, "samples", caption_scores_json(&s->samples));
    json_item(j, "test_images", caption_scores_json(&s->real_images));
    json_item(j, "shuffled", caption_scores_json(&s->shuffled));
    for (int k = 0; k < KINDS; k++) {
        if (!s->kind[k].pictures) continue;
        cJSON *of = json_object();
        json_item(of, "samples", caption_scores_json(&s->kind[k]));
        json_item(of, "test_images", caption_scores_json(&s->real_kind[k]));
        json_item(j, kinds[k], of);
    }
    return j;
}
