/* test_emoji.c — the captioned emoji: ligatures, names, pictures, parts, the cache. */
#include "testing.h"

#include "data/emoji.h"
#include "data/emoji_font.h"
#include "data/gsub.h"
#include "data/sha256.h"
#include "stops.h"

#include <math.h>
#include <sys/stat.h>

SUITE(emoji);

/* ---- area averages --------------------------------------------------------------------------- */

/* the mean over the area of output pixel (i,j), by its definition */
static double area_mean(const uint8_t *pixels, size_t stride, int side, int size, int i, int j,
                        int c) {
    double sum = 0, scale = (double)side / size;
    for (int y = 0; y < side; y++) {
        double h = fmin(y + 1, (i + 1) * scale) - fmax(y, i * scale);
        for (int x = 0; x < side && h > 0; x++) {
            double w = fmin(x + 1, (j + 1) * scale) - fmax(x, j * scale);
            if (w > 0) sum += h * w * pixels[(size_t)y * stride + 3 * x + c];
        }
    }
    return sum / (scale * scale);
}

/* is each pixel the mean over its area, for sizes that divide and do not, also enlarged, also cut
 * out of a wider picture? */
Test(emoji, area_average_is_the_mean_over_the_area) {
    enum { WIDTH = 40 };
    uint8_t pixels[WIDTH * WIDTH * 3], out[64 * 64 * 3];
    real x[WIDTH * WIDTH * 3];
    int sides[] = {1, 2, 7, 17, 34, 40}, sizes[] = {1, 3, 8, 17, 32, 64};
    test_values("pixels", 0, 256, WIDTH * WIDTH * 3, x);
    for (int i = 0; i < WIDTH * WIDTH * 3; i++) pixels[i] = (uint8_t)x[i];
    for (int k = 0; k < 36; k++) {
        int side = sides[k / 6], size = sizes[k % 6];
        area_average(pixels, WIDTH * 3, side, size, out);
        for (int i = 0; i < size * size * 3; i++) {
            double m = area_mean(pixels, WIDTH * 3, side, size, i / 3 / size, i / 3 % size, i % 3);
            cr_assert(fabs(out[i] - m) <= 0.5 + 1e-9, "%d to %d, number %d: %d, the mean is %g",
                      side, size, i, out[i], m);
        }
    }
}

/* ---- ligatures ------------------------------------------------------------------------------- */

/* A table of one lookup of type 4. Coverage: glyphs 5 (format 1) or 5 to 6 (2). 5 7 8 becomes 20,
 * 5 7 becomes 21; 6 5 becomes 22 (format 2 alone). */
static size_t make_gsub(uint8_t *bytes, int format, bool extension) {
    uint16_t head[] = {1, 0, 0, 0, 10,                   /* version, scripts, features, lookups */
                       1, 4, 4, 0, 1, 8};                /* a lookup at +4, its subtable at +8 */
    uint16_t leap[] = {1, 4, 0, 8};                      /* type 7: type 4 follows, at +8 */
    uint16_t one[] = {1, 8, 1, 14,  1, 1, 5,             /* coverage, a set at +14 */
                      2, 6, 14,  20, 3, 7, 8,  21, 2, 7};
    uint16_t two[] = {1, 10, 2, 20, 40,  2, 1, 5, 6, 0,  /* sets at +20, +40 */
                      2, 6, 14,  20, 3, 7, 8,  21, 2, 7,
                      1, 4,  22, 2, 5};
    uint16_t all[64];
    size_t n = 0;
    memcpy(all, head, sizeof head), n += sizeof head / 2;
    if (extension) {
        all[6 + 1] = 7;
        memcpy(all + n, leap, sizeof leap), n += 4;
    }
    if (format == 1) memcpy(all + n, one, sizeof one), n += sizeof one / 2;
    else memcpy(all + n, two, sizeof two), n += sizeof two / 2;
    for (size_t i = 0; i < n; i++) {
        bytes[2 * i] = (uint8_t)(all[i] >> 8);
        bytes[2 * i + 1] = (uint8_t)all[i];
    }
    return 2 * n;
}

static void becomes(const Gsub *g, int n, const uint16_t *in, int m, const uint16_t *out) {
    uint16_t glyphs[16];
    memcpy(glyphs, in, (size_t)n * sizeof *in);
    cr_assert_eq(gsub_ligate(g, glyphs, n), m);
    cr_assert_arr_eq(glyphs, out, (size_t)m * sizeof *out);
}
#define GLYPHS(...) (int)(sizeof (uint16_t[]){__VA_ARGS__} / 2), (uint16_t[]){__VA_ARGS__}

/* are ligatures read in both forms of coverage, directly and through a leap, and put in where they
 * fit? */
Test(emoji, ligatures_are_put_in) {
    uint8_t bytes[128];
    char message[GSUB_MESSAGE];
    for (int k = 0; k < 4; k++) {
        Gsub g;
        size_t n = make_gsub(bytes, 1 + k % 2, k / 2);
        cr_assert(gsub_parse(&g, bytes, n, message), "%s", message);
        cr_assert_eq(g.count, k % 2 ? 3 : 2);
        becomes(&g, GLYPHS(5, 7, 8), GLYPHS(20));
        becomes(&g, GLYPHS(5, 7), GLYPHS(21));
        becomes(&g, GLYPHS(5, 7, 9), GLYPHS(21, 9));
        becomes(&g, GLYPHS(1, 5, 7, 8, 5, 7), GLYPHS(1, 20, 21));
        becomes(&g, GLYPHS(5), GLYPHS(5));
        becomes(&g, GLYPHS(7, 5), GLYPHS(7, 5));
        if (k % 2) becomes(&g, GLYPHS(6, 5, 7), GLYPHS(22, 7));
        gsub_free(&g);
    }
}

/* is a table refused wherever it is cut off, and one whose offsets all lead to the same place? */
Test(emoji, hostile_ligatures_are_refused) {
    uint8_t bytes[4096];
    char message[GSUB_MESSAGE];
    Gsub g;
    for (int k = 0; k < 4; k++) {
        size_t n = make_gsub(bytes, 1 + k % 2, k / 2);
        for (size_t cut = 0; cut < n; cut++) {
            uint8_t *exact = malloc(cut + 1);      /* so that AddressSanitizer sees a step outside */
            memcpy(exact, bytes, cut);
            cr_assert_not(gsub_parse(&g, exact, cut, message), "cut at %zu of %zu", cut, n);
            cr_assert(strstr(message, "outside"), "%s", message);
            free(exact);
        }
    }
    size_t n = make_gsub(bytes, 1, false);
    memset(bytes + n, 0, sizeof bytes - n);
    for (int i = 0; i < 1000; i++) bytes[12 + 2 * i] = 0x07, bytes[13 + 2 * i] = 0xD4;   /* +2004 */
    bytes[10] = 0x03, bytes[11] = 0xE8;                /* 1000 lookups, all at 10 + 2004 */
    uint8_t *at = bytes + 2014;
    memcpy(at, (uint8_t[]){0, 4, 0, 0, 0x03, 0xE8}, 6);  /* each of 1000 subtables, all at +0 */
    cr_assert_not(gsub_parse(&g, bytes, sizeof bytes, message));
    cr_assert(strstr(message, "overlap") || strstr(message, "format"), "%s", message);
}

/* ---- names ----------------------------------------------------------------------------------- */

static const char list[] =
    "# emoji-test.txt\n# group: Empty\n# subgroup: empty\n\n"
    "# group: People & Body\n\n# subgroup: person-role\n"
    "1F469 200D 1F680                  ; fully-qualified     # x E4.0 woman astronaut\n"
    "1F469 1F3FD 200D 1F680 ; fully-qualified # x E4.0 woman astronaut: medium skin tone\n"
    "1F468 200D 2695                   ; minimally-qualified # x E4.0 man health worker\n"
    "# subgroup: family\n"
    "1F46A                             ; fully-qualified     # x E0.6 family\n"
    "# group: Flags\n# subgroup: country-flag\n"
    "1F1E8 1F1EE            ; fully-qualified # x E2.0 flag: C\xC3\xB4te d\xE2\x80\x99Ivoire\n";

/* are names, code points, groups and subgroups those of the file, without what is not fully
 * qualified and groups that are empty? */
Test(emoji, names_are_read) {
    EmojiNames n;
    char message[EMOJI_MESSAGE];
    cr_assert(emoji_names_parse(&n, list, sizeof list - 1, message), "%s", message);
    cr_assert(n.count == 4 && n.groups == 2 && n.subgroups == 3);
    cr_assert_str_eq(n.emoji[1].name, "woman astronaut: medium skin tone");
    cr_assert(n.emoji[1].codes == 4 && n.emoji[1].code[1] == 0x1F3FD);
    cr_assert_str_eq(n.emoji[3].name, "flag: C\xC3\xB4te d\xE2\x80\x99Ivoire");
    cr_assert_str_eq(n.subgroup[n.emoji[2].subgroup], "family");
    cr_assert_str_eq(n.group[n.group_of[n.emoji[2].subgroup]], "People & Body");
    cr_assert_str_eq(n.group[n.group_of[n.emoji[3].subgroup]], "Flags");
    emoji_names_free(&n);
}

static void names_refused(const char *text, size_t length, const char *part) {
    EmojiNames n;
    char message[EMOJI_MESSAGE] = "";
    cr_assert_not(emoji_names_parse(&n, text, length, message), "read: %s", text);
    cr_assert(strstr(message, part), "'%s' is not in: %s", part, message);
}

/* is a broken list refused with the line? */
Test(emoji, broken_names_are_refused) {
#define HEAD "# group: G\n# subgroup: s\n"
    static const struct { const char *text, *part; } bad[] = {
        {"", "line 1: the file ends"},
        {HEAD "1F600 ; component # x E1.0 face\n", "holds no fully-qualified"},
        {"1F600 ; fully-qualified # x E1.0 face\n", "line 1: an emoji before the first subgroup"},
        {"# group: G\n1F600 ; fully-qualified # x E1.0 face\n", "line 2: an emoji before"},
        {HEAD "# group: H\n1F600 ; fully-qualified # x E1.0 face\n", "line 4: an emoji before"},
        {HEAD "hello\n", "line 3: no code points"},
        {HEAD "; fully-qualified # x E1.0 face\n", "no code points"},
        {HEAD "1F600", "no code points"},
        {HEAD "110000 ; fully-qualified # x E1.0 face\n", "no code points"},
        {HEAD "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 ; fully-qualified # x E1.0 f\n", "too many"},
        {HEAD "1F600 ; fully-qualified # x E1.0 \n", "no name"},
        {HEAD "1F600 ; fully-qualified # x\n", "no name"},
        {HEAD "1F600 ; fully-qualified # x E1.0 a\tb\n", "no name"},
        {"# group: \n", "line 1: a group has no name"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        names_refused(bad[i].text, strlen(bad[i].text), bad[i].part);
    }
    names_refused("a\0b", 3, "zero byte");
}

static const char *concept_of(const char *codes, const char *subgroup, char *text) {
    EmojiNames n;
    char message[EMOJI_MESSAGE];
    char *line = text_format("# group: G\n# subgroup: %s\n%s ; fully-qualified # x E1.0 name\n",
                             subgroup, codes);
    cr_assert(emoji_names_parse(&n, line, strlen(line), message), "%s", message);
    emoji_concept(&n, 0, text);
    emoji_names_free(&n);
    free(line);
    return text;
}

/* is what differs in tone, hair, gender or style alone one concept, and nothing else? */
Test(emoji, concepts_leave_out_variations) {
    static const char *const rows[][2] = {
        {"1F469 200D 1F680", "1F9D1-1F680"}, {"1F468 1F3FD 200D 1F680", "1F9D1-1F680"},
        {"1F9D1 200D 1F680", "1F9D1-1F680"}, {"1F9D1 200D 2708 FE0F", "1F9D1-2708"},
        {"1F575 FE0F 200D 2640 FE0F", "1F575"}, {"1F575 1F3FB 200D 2642 FE0F", "1F575"},
        {"1F468 200D 1F9B0", "1F9D1"}, {"1F471 1F3FF", "1F9D1"}, {"1F9D4 200D 2640 FE0F", "1F9D1"},
        {"1FAF1 1F3FB 200D 1FAF2 1F3FF", "1F91D"}, {"1F91D 1F3FF", "1F91D"},
        {"2640 FE0F", "2640"}, {"2764 FE0F 200D 1F525", "2764-1F525"},
        {"0023 FE0F 20E3", "23-20E3"}};
    char text[EMOJI_CONCEPT];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_str_eq(concept_of(rows[i][0], "any", text), rows[i][1]);
    }
    cr_assert_str_eq(concept_of("1F468 200D 1F469 200D 1F466", "family", text), "family");
}

/* ---- the set --------------------------------------------------------------------------------- */

/* the versions that the numbers below belong to */
#define FONT_2_042 "e5899ed38b8ed83e08bd3ac5de09791e9d19d288333a796de1d35ad17396f1ec"
#define UNICODE_15 "8445f23ac8388e096be19d0262e14fceff856ff52093f2356dc89485f1a853db"

static int caption_order(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void captions_are_unique(const Images *m) {
    size_t n = (size_t)m->count;
    const char **sorted = malloc(n * sizeof *sorted);
    memcpy(sorted, m->captions, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, caption_order);
    for (size_t i = 1; i < n; i++) cr_assert_str_neq(sorted[i], sorted[i - 1]);
    free(sorted);
}

/* Are all 3,655 there, with their names and groups, pixel by pixel as FreeType and HarfBuzz find
 * them? (The sum was taken when each of the glyphs was the one that hb_shape gives.) */
static void all_of_unicode_15_are_there(Captioned c) {
    char hex[65];
    cr_assert(c.all.height == 32 && c.all.width == 32 && c.all.channels == 3);
    captions_are_unique(&c.all);
    if (strstr(c.source, FONT_2_042) && strstr(c.source, UNICODE_15)) {
        cr_assert(c.all.count == 3655 && c.classes == 99 && c.groups == 9);
        cr_assert(c.train.count == 3226 && c.validation.count == 220 && c.test.count == 161 &&
                  c.held_out.count == 48);
        sha256(c.all.pixels, (size_t)c.all.count * 32 * 32 * 3, hex);
        cr_assert_str_eq(hex, "2956667ad48d171be2276f05824ac1b1966ba4148da497600d9daa2c41a3f22b");
    } else {
        cr_log_warn("%s: not the versions whose pictures are known", c.source);
    }
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* Gender, role and tone in a caption, found without the program's code: "woman", "pilot", "dark".
 * A person without gender is "person". */
typedef struct {
    char gender[16], role[80], tone[80];
} Person;

static Person person(const char *caption) {
    Person p = {"person", "", ""};
    static const char *const genders[] = {"woman", "man", "person"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(genders[i]);
        if (strncmp(caption, genders[i], n) || caption[n] != ' ') continue;
        strcpy(p.gender, genders[i]);
        caption += n + 1;
        break;
    }
    const char *colon = strstr(caption, ": "), *tone = colon ? strstr(colon, "skin tone") : NULL;
    snprintf(p.role, sizeof p.role, "%.*s", tone ? (int)(colon - caption) : 79, caption);
    if (tone) snprintf(p.tone, sizeof p.tone, "%s", colon + 2);
    return p;
}

/* does any picture of the set show these parts? NULL: any */
static bool shows(const Images *m, const char *gender, const char *role, const char *tone) {
    for (int i = 0; i < m->count; i++) {
        Person p = person(m->captions[i]);
        if ((!gender || !strcmp(p.gender, gender)) && (!role || !strcmp(p.role, role)) &&
            (!tone || !strcmp(p.tone, tone))) {
            return true;
        }
    }
    return false;
}

/* Is every combination on the list in the font, never in training, and all its parts are: of a
 * triple each two together, of a pair each one, with and without a tone? */
static void held_out_is_new_but_its_parts_are_not(Captioned c) {
    const Images *t = &c.train;
    int triples = 0, pairs = 0;
    for (const char *const *name = emoji_held_out_triples; *name; name++, triples++) {
        Person p = person(*name);
        cr_assert(*p.tone && shows(&c.held_out, p.gender, p.role, p.tone), "%s", *name);
        cr_assert_not(shows(t, p.gender, p.role, p.tone), "%s is trained on", *name);
        cr_assert(shows(t, p.gender, p.role, NULL), "no %s %s", p.gender, p.role);
        cr_assert(shows(t, p.gender, NULL, p.tone), "no %s in %s", p.gender, p.tone);
        cr_assert(shows(t, NULL, p.role, p.tone), "no %s in %s", p.role, p.tone);
    }
    for (const char *const *name = emoji_held_out_pairs; *name; name++, pairs++) {
        Person p = person(*name);
        cr_assert_str_empty(p.tone);
        cr_assert(shows(&c.held_out, p.gender, p.role, ""), "%s", *name);
        cr_assert_not(shows(t, p.gender, p.role, NULL), "%s is trained on", *name);
        cr_assert(shows(t, p.gender, NULL, NULL) && shows(t, NULL, p.role, NULL), "%s", *name);
    }
    for (int i = 0; i < c.held_out.count; i++) {
        Person p = person(c.held_out.captions[i]);
        cr_assert(shows(t, NULL, p.role, p.tone) && shows(t, p.gender, NULL, p.tone));
    }
    cr_assert_eq(c.held_out.count, triples + 6 * pairs, "a pair comes in five tones and without");
}

/* does no role, hand or couple stand in two of the three parts, in whatever tone or gender? */
static void no_name_is_in_both(const Images *a, const Images *b) {
    for (int i = 0; i < a->count; i++) {
        Person p = person(a->captions[i]);
        cr_assert_not(shows(b, NULL, p.role, NULL), "%s", a->captions[i]);
    }
}

static void thumbs(const Images *m, uint8_t *out) {
    size_t side = (size_t)m->height;
    for (size_t i = 0; i < (size_t)m->count; i++) {
        area_average(m->pixels + i * side * side * 3, side * 3, (int)side, 16, out + i * 768);
    }
}

/* the smallest root mean square difference between pictures of two sets, at 16x16 */
static double nearest(const Images *a, const Images *b) {
    uint8_t *s = malloc((size_t)a->count * 768), *t = malloc((size_t)b->count * 768);
    int least = INT32_MAX;
    thumbs(a, s);
    thumbs(b, t);
    for (int i = 0; i < a->count * b->count; i++) {
        const uint8_t *p = s + (size_t)(i / b->count) * 768, *q = t + (size_t)(i % b->count) * 768;
        int sum = 0;
        for (int k = 0; k < 768; k++) sum += (p[k] - q[k]) * (p[k] - q[k]);
        if (sum < least) least = sum;
    }
    free(s);
    free(t);
    return sqrt(least / 768.0);
}

/* Do near-duplicates never straddle two parts: neither by name nor by their pixels? (At 16x16, made
 * from 32x32 here, from the font's own size there: so not to the last digit of the bound, 13.) */
static void near_duplicates_are_in_one_part(Captioned c) {
    no_name_is_in_both(&c.test, &c.train);
    no_name_is_in_both(&c.test, &c.validation);
    no_name_is_in_both(&c.validation, &c.train);
    cr_assert_gt(nearest(&c.test, &c.train), 12.7);
    cr_assert_gt(nearest(&c.test, &c.validation), 12.7);
    cr_assert_gt(nearest(&c.validation, &c.train), 12.7);
    cr_assert_lt(nearest(&c.held_out, &c.train), 12, "variations of these are in training");
}

/* Is the split the same for every size, and are the pictures of one size the means of the next? */
static void sizes_agree(Captioned c, Captioned d) {
    uint8_t half[32 * 32 * 3];
    int n = c.all.count;
    cr_assert(d.all.count == n && d.train.count == c.train.count && d.test.count == c.test.count);
    cr_assert_arr_eq(c.concept, d.concept, (size_t)n * sizeof *c.concept);
    cr_assert_arr_eq(c.number, d.number, (size_t)n * sizeof *c.number);
    cr_assert_arr_eq(c.all.labels, d.all.labels, (size_t)n);
    for (int i = 0; i < n; i++) {
        cr_assert_str_eq(c.all.captions[i], d.all.captions[i]);
        area_average(d.all.pixels + (size_t)i * 64 * 64 * 3, 64 * 3, 64, 32, half);
        for (int k = 0; k < 32 * 32 * 3; k++) {
            int v = c.all.pixels[(size_t)i * 32 * 32 * 3 + (size_t)k];
            cr_assert(abs(v - half[k]) <= 1, "%s: %d, %d", c.all.captions[i], v, half[k]);
        }
    }
}

Test(emoji, mirror_images_are_held_out_with_their_originals) {
    cr_expect(emoji_held_out("woman running: light skin tone"));
    cr_expect(emoji_held_out("woman running facing right: light skin tone"));
    cr_expect(emoji_held_out("woman judge: dark skin tone"));
    cr_expect(!emoji_held_out("woman running facing right: dark skin tone"));
    cr_expect(!emoji_held_out("woman judges"));
}

static int named(const Captioned *c, const char *name) {
    int i = 0;
    while (i < c->all.count && strcmp(c->all.captions[i], name)) i++;
    cr_assert_lt(i, c->all.count, "%s", name);
    return i;
}

/* Do captions get the words of their group that they lack, and no others? */
static void groups_are_named(Captioned c) {
    static const char *const rows[][2] = {
        {"grapes", "grapes, food fruit"}, {"cat face", "cat face, animal mammal"},
        {"flag: France", "flag: France, country"},
        {"grinning face", "grinning face, smiling"}};
    char text[EMOJI_CAPTION];
    for (int i = 0; i < 4; i++) {
        cr_expect_str_eq(emoji_caption(&c, named(&c, rows[i][0]), text), rows[i][1]);
    }
    for (int i = 0; i < c.all.count; i++) {
        size_t n = strlen(c.all.captions[i]);
        cr_assert(!strncmp(emoji_caption(&c, i, text), c.all.captions[i], n));
        cr_assert(!text[n] || text[n] == ',');
        cr_assert_lt(strlen(text), EMOJI_CAPTION - 1);
    }
}

/* the questions above, of one set: drawing it takes the time */
Test(emoji, the_set_is_right) {
    char *folder = temporary_folder();
    Captioned c = emoji_load(32, folder), d = emoji_load(64, folder);
    all_of_unicode_15_are_there(c);
    held_out_is_new_but_its_parts_are_not(c);
    near_duplicates_are_in_one_part(c);
    sizes_agree(c, d);
    groups_are_named(c);
    captioned_free(&c);
    captioned_free(&d);
}

/* ---- the cache ------------------------------------------------------------------------------- */

static char *names_file(const char *folder, const char *text) {
    char *path = path_join(folder, "names.txt");
    file_write(path, text, strlen(text));
    return path;
}

static ino_t inode(const char *path) {
    struct stat s;
    cr_assert_eq(stat(path, &s), 0, "%s", path);
    return s.st_ino;
}

/* Is the file made once, and anew when the list changes or the file is broken? Are emoji that the
 * font has not left out? */
Test(emoji, cache_is_made_anew_when_stale_or_broken) {
    static const char junk[] = "no safetensors at all";
    char *folder = temporary_folder(), *names = names_file(folder, list);
    char *path = path_join(folder, "emoji-32.safetensors"), *longer;
    Captioned c = emoji_load_from(32, EMOJI_FONT, names, folder);
    cr_assert(c.all.count == 4 && c.classes == 3 && c.groups == 2);
    cr_assert_str_eq(c.class_name[1], "family");
    cr_assert_eq(c.group_of[2], 1);
    captioned_free(&c);
    ino_t first = inode(path);
    c = emoji_load_from(32, EMOJI_FONT, names, folder);
    cr_assert_eq(inode(path), first, "it was written again");
    captioned_free(&c);

    longer = text_format("%s%s", list, "1F600 ; fully-qualified # x E1.0 grinning face\n"
                                       "10FFFF ; fully-qualified # x E1.0 nothing\n");
    free(names);
    names = names_file(folder, longer);
    c = emoji_load_from(32, EMOJI_FONT, names, folder);
    cr_assert_eq(c.all.count, 5);
    captioned_free(&c);
    file_write(path, junk, sizeof junk);
    c = emoji_load_from(32, EMOJI_FONT, names, folder);
    cr_assert_eq(c.all.count, 5);
    captioned_free(&c);
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    file_write(path, bytes, n - 1);
    file_unmap(bytes, n);
    c = emoji_load_from(32, EMOJI_FONT, names, folder);
    cr_assert_eq(c.all.count, 5);
    captioned_free(&c);
    free(longer);
    free(names);
    free(path);
}

typedef struct {
    const char *font, *names, *cache;
} Files;

static void load_it(void *context) {
    Files *f = context;
    emoji_load_from(32, f->font, f->names, f->cache);
}

/* do missing packages and files of another kind end in one line that says what to do? */
Test(emoji, bad_sources_end_in_one_line) {
    char *folder = temporary_folder(), *bad = names_file(folder, "hello\n");
    Files files = {"/nowhere/font.ttf", EMOJI_NAMES, folder};
    expect_stop(1, "/nowhere/font.ttf: not found; the emoji are made from the packages "
                   "fonts-noto-color-emoji and unicode-data", load_it, &files);
    files = (Files){EMOJI_FONT, "/nowhere/list.txt", folder};
    expect_stop(1, "/nowhere/list.txt: not found; the emoji are made", load_it, &files);
    files = (Files){EMOJI_NAMES, EMOJI_NAMES, folder};
    expect_stop(1, "cannot be read as a font", load_it, &files);
    files = (Files){EMOJI_FONT, bad, folder};
    expect_stop(1, "names.txt: line 1: no code points", load_it, &files);
    free(bad);
}
