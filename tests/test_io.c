/* test_io.c — files: half precision, safetensors, atomic writing, PNG and npy pictures. */
#define _GNU_SOURCE   /* memmem */
#include "testing.h"

#include "base/error.h"
#include "base/file.h"
#include "io/half.h"
#include "io/lettering.h"
#include "io/npy.h"
#include "io/picture.h"
#include "train/program.h"
#include "io/safetensors.h"
#include "stops.h"

#include <float.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <zlib.h>

#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

SUITE(io);

/* ---- helpers ---------------------------------------------------------------------------------- */

static bool file_is(const char *path, const char *text) {
    size_t n;
    const uint8_t *x = file_map(path, &n);
    bool same = n == strlen(text) && memcmp(x, text, n) == 0;
    file_unmap(x, n);
    return same;
}

/* ---- half precision --------------------------------------------------------------------------- */

/* does every one of the 65,536 halves become the float it stands for, and come back? */
Test(io, half_goes_to_float_and_back_for_all_65536) {
    for (uint32_t h = 0; h < 65536; h++) {
        int exponent = h >> 10 & 31, fraction = h & 1023;
        double sign = h & 0x8000 ? -1 : 1;
        double value = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
        float f = half_to_float((uint16_t)h);
        cr_assert_eq(!!signbit(f), h >> 15, "sign of %04x", h);
        if (exponent == 31) {
            cr_assert(fraction ? isnan(f) : isinf(f), "%04x is %g", h, (double)f);
            cr_assert(fraction ? isnan(half_to_float(half_from_float(f)))
                               : half_from_float(f) == h);
        } else {
            cr_assert_eq((double)f, sign * value, "%04x is %g, not %g", h, (double)f, value);
            cr_assert_eq(half_from_float(f), h, "%04x comes back as %04x", h, half_from_float(f));
        }
    }
}

/* Between two neighbouring halves, does every float round to the nearer, and a tie to the even one?
 * The half-way point and the floats beside it are tried for all pairs; up to infinity. */
Test(io, half_rounds_to_nearest_even_at_every_boundary) {
    for (uint16_t h = 0; h < 0x7c00; h++) {
        double below = (double)half_to_float(h);
        double above = h == 0x7bff ? 65536 : (double)half_to_float((uint16_t)(h + 1));
        float middle = (float)((below + above) / 2); /* exact: one bit more than a half has */
        uint16_t even = h & 1 ? (uint16_t)(h + 1) : h;
        cr_assert_eq(half_from_float(middle), even, "%a: %04x", (double)middle, h);
        cr_assert_eq(half_from_float(nextafterf(middle, 0)), h);
        cr_assert_eq(half_from_float(nextafterf(middle, INFINITY)), h + 1);
        cr_assert_eq(half_from_float(-middle), even | 0x8000);
    }
    cr_assert_eq(half_from_float(FLT_MAX), 0x7c00);
    cr_assert_eq(half_from_float(0x1p-149f), 0);
    cr_assert_eq((double)bfloat16_to_float(0x3fc0), 1.5);
}

/* ---- safetensors ------------------------------------------------------------------------------ */

/* Bytes of a file: the header's length, the header, `zeros` bytes of data. */
static size_t make_file(uint8_t *out, const char *header, size_t zeros) {
    uint64_t n = strlen(header);
    memcpy(out, &n, 8);
    memcpy(out + 8, header, n);
    memset(out + 8 + n, 0, zeros);
    return 8 + n + zeros;
}

static void accepted(const char *header, size_t zeros) {
    static uint8_t bytes[100000];
    char message[ST_MESSAGE];
    Safetensors s;
    size_t n = make_file(bytes, header, zeros);
    cr_assert(safetensors_parse(&s, bytes, n, message), "%s: %s", header, message);
    safetensors_close(&s);
}

static void refused(const char *header, size_t zeros, const char *part) {
    uint8_t *bytes =
        malloc(8 + strlen(header) + zeros); /* exact, so that a sanitizer sees reads beyond */
    char message[ST_MESSAGE] = "";
    Safetensors s;
    size_t n = make_file(bytes, header, zeros);
    cr_assert_not(safetensors_parse(&s, bytes, n, message), "accepted: %s", header);
    cr_assert(strstr(message, part), "'%s' is not in: %s", part, message);
    cr_assert_null(strchr(message, '\n'));
    free(bytes);
}

/* are files that the format allows read? */
Test(io, safetensors_reads_what_the_format_allows) {
    accepted("{}", 0);
    accepted("  {}  ", 0);
    accepted("{\"__metadata__\":{\"a\":\"b\"}}", 0);
    accepted("{\"__metadata__\":null}", 0);
    accepted("{\"test\":{\"dtype\":\"I32\",\"shape\":[2,0],\"data_offsets\":[0, 0]}}", 0);
    accepted("{\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4);
    accepted("{\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[4,8]},"
             "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
             "\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]}}", 8);
    accepted("{\"x\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,3],\"data_offsets\":[0,3]}}", 3);
}

/* is everything else refused, with a line that says what is wrong? */
Test(io, safetensors_refuses_everything_else) {
#define ENTRY(t, shape, offsets) "\"dtype\":\"" t "\",\"shape\":" shape ",\"data_offsets\":" offsets
#define ONE(t, shape, offsets) "{\"x\":{" ENTRY(t, shape, offsets) "}}"
    refused("", 0, "its header is not one JSON object");
    refused("[]", 0, "not one JSON object");
    refused("{", 0, "not one JSON object");
    refused("{} x", 0, "not one JSON object");
    refused("{}{}", 0, "not one JSON object");
    refused("{\"x\":3}", 0, "x is not described by an object");
    refused("{\"x\":{}}", 0, "x has no \"dtype\"");
    refused("{\"__metadata__\":3}", 0, "__metadata__ is not an object");
    refused("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__ a is not a text");
    refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "two __metadata__");
    refused(ONE("F8", "[1]", "[0,1]"), 1, "x has the type F8");
    refused(ONE("F32", "3", "[0,4]"), 4, "x has no \"shape\"");
    refused(ONE("F32", "[-1]", "[0,4]"), 4, "its shape is not sizes");
    refused(ONE("F32", "[1.5]", "[0,4]"), 4, "its shape is not sizes");
    refused(ONE("F32", "[1e300]", "[0,4]"), 4, "its shape is not sizes");
    refused(ONE("F32", "[\"1\"]", "[0,4]"), 4, "its shape is not sizes");
    refused(ONE("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "more than 8 axes");
    refused(ONE("F32", "[4294967296,4294967296]", "[0,4]"), 4, "too large to be counted");
    refused(ONE("F64", "[2305843009213693952]", "[0,0]"), 0, "its shape is not sizes");
    refused(ONE("F64", "[4294967296,536870912]", "[0,0]"), 0, "does not make the 0 bytes");
    refused(ONE("F32", "[1]", "[0]"), 4, "no \"data_offsets\"");
    refused(ONE("F32", "[1]", "[0,4,8]"), 4, "no \"data_offsets\"");
    refused(ONE("F32", "[1]", "[4,0]"), 4, "bytes 4 to 0, are not within the 4");
    refused(ONE("F32", "[1]", "[0,8]"), 4, "bytes 0 to 8, are not within the 4");
    refused(ONE("F32", "[2]", "[0,4]"), 4, "shape (2) of F32 does not make the 4 bytes");
    refused(ONE("F32", "[1]", "[0,4]"), 5, "5 bytes follow the header, its tensors have 4");
    refused(ONE("F32", "[1]", "[0,4],\"shape\":[1]"), 4, "x has shape twice");
    refused(ONE("F32", "[1]", "[0,4],\"scale\":[1]"), 4, "more than dtype, shape and data_offsets");
    refused(ONE("U8", "[1]", "[1,2]"), 2, "there is a hole");
    refused("{\"x\":{" ENTRY("U8", "[2]", "[0,2]") "},\"y\":{" ENTRY("U8", "[2]", "[1,3]") "}}", 3,
            "tensors overlap");
    refused("{\"x\":{" ENTRY("U8", "[2]", "[0,2]") "},\"y\":{" ENTRY("U8", "[2]", "[0,2]") "}}", 2,
            "tensors overlap");
    refused("{\"x\":{" ENTRY("U8", "[1]", "[0,1]") "},\"x\":{" ENTRY("U8", "[1]", "[1,2]") "}}", 2,
            "two tensors called x");
    refused("{\"x\":{" ENTRY("U8", "[1]", "[0,1]") "},\"x\":{" ENTRY("U8", "[1]", "[0,1]") "}}", 1,
            "two tensors called x");
    refused("{\"__metadata__\":{\"b\":\"1\",\"a\":\"2\",\"b\":\"3\"}}", 0,
            "__metadata__ has b twice");
    refused("{\"a\\nb\":3}", 0, "a?b is not described");
    refused(ONE("U8", "[1]", "[0,1]"), 0, "are not within the 0 there are");
}

/* A header of millions of values takes fifty times its size in memory, and minutes: refused at once? */
Test(io, safetensors_refuses_hostile_headers, .timeout = 20) {
    static const char *const parts[] = {"[],", "1,", "\"a\":1,", "[["};
    size_t most = 20000000;
    uint8_t *bytes = malloc(8 + most);
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        char message[ST_MESSAGE];
        uint64_t n = most;
        Safetensors s;
        memcpy(bytes, &n, 8);
        memset(bytes + 8, ' ', most);
        size_t at = 8 + (size_t)sprintf((char *)bytes + 8, "{\"x\":%s", k == 2 ? "{" : "[");
        while (at < most) at = (size_t)(stpcpy((char *)bytes + at, parts[k]) - (char *)bytes);
        cr_assert_not(safetensors_parse(&s, bytes, 8 + most, message));
        cr_expect(strstr(message, "holds more than 1500000 values"), "%zu: %s", k, message);
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    cr_expect_lt(used.ru_maxrss, 1500000, "%ld KiB", used.ru_maxrss);
    free(bytes);
}

/* is a file refused that is shorter than its header, or whose header cannot be one? */
Test(io, safetensors_refuses_short_files) {
    char message[ST_MESSAGE];
    Safetensors s;
    uint8_t bytes[16] = {9};
    cr_assert_not(safetensors_parse(&s, bytes, 0, message));
    cr_assert_str_eq(message, "holds 0 bytes, a safetensors file has at least 8");
    cr_assert_not(safetensors_parse(&s, bytes, 16, message));
    cr_assert_str_eq(message, "is cut short: it declares a header of 9 bytes, 8 follow");
    memset(bytes, 0xff, 8);
    cr_assert_not(safetensors_parse(&s, bytes, 16, message));
    cr_assert(strstr(message, "declare a header of 18446744073709551615 bytes"), "%s", message);
}

/* are several types written, in the order and with the padding of the format, and read back
 * exactly? */
Test(io, safetensors_writes_and_reads_back_every_type) {
    double d[2] = {1.0 / 3, -2};
    float f[3] = {1.5f, -0.25f, 3e38f};
    uint16_t h[1] = {0x3c00};
    int64_t i[1] = {-7};
    uint8_t u[5] = {1, 2, 3, 4, 5};
    StOutput out[] = {{.name = "u", .type = ST_U8, .rank = 1, .shape = {5}, .source = u},
                      {.name = "h", .type = ST_F16, .rank = 0, .source = h},
                      {.name = "f", .type = ST_F32, .rank = 2, .shape = {3, 1}, .source = f},
                      {.name = "i", .type = ST_I64, .rank = 1, .shape = {1}, .source = i},
                      {.name = "d", .type = ST_F64, .rank = 1, .shape = {2}, .source = d},
                      {.name = "e", .type = ST_F32, .rank = 2, .shape = {0, 4}, .source = NULL}};
    const char *metadata[] = {"key", "a \"quoted\"\nvalue é", NULL},
               *path = place("all.safetensors");
    safetensors_write(path, out, 6, metadata);
    Safetensors s = safetensors_open(path);
    real x[3];
    cr_assert_eq(s.count, 6);
    cr_assert_eq((safetensors_find(&s, "d")->data - s.bytes) % 8, 0, "numbers are aligned");
    cr_assert_str_eq(safetensors_metadata(&s, "key"), metadata[1]);
    cr_assert_null(safetensors_metadata(&s, "other"));
    cr_assert_null(safetensors_find(&s, "other"));
    cr_assert_eq(memcmp(safetensors_find(&s, "u")->data, u, 5), 0);
    cr_assert_eq(memcmp(safetensors_find(&s, "i")->data, i, 8), 0);
    safetensors_get(safetensors_find(&s, "d"), x);
    cr_assert_eq(x[0], (real)d[0]);
    safetensors_get(safetensors_find(&s, "f"), x);
    cr_assert(x[0] == (real)1.5 && x[2] == (real)3e38f);
    safetensors_get(safetensors_find(&s, "h"), x);
    cr_assert_eq(x[0], 1);
    safetensors_close(&s);
}

static void open_it(void *path) {
    safetensors_open(path);
}

static void open_soon(void *path) {
    alarm(20);
    safetensors_open(path);
}

/* does an unreadable file end the program with one line that names it? */
Test(io, safetensors_open_names_the_file) {
    const char *path = place("bad.safetensors");
    file_write(path, "", 0);
    expect_stop(1, "bad.safetensors: holds 0 bytes", open_it, (void *)path);
    file_write(path, "\x02\0\0\0\0\0\0\0{x", 10);
    expect_stop(1, "bad.safetensors: its header is not one JSON object", open_it, (void *)path);
    expect_stop(1, "cannot be read: No such file", open_it, (void *)place("none"));
    expect_stop(1, "is not a plain file", open_it, "/tmp");
    const char *pipe = place("pipe");
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    expect_stop(1, "pipe: is not a plain file", open_soon, (void *)pipe);
}

/* ---- whole files or none ---------------------------------------------------------------------- */

static void write_much(void *path) {
    static char bytes[100000];
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){5000, 5000});
    file_write(path, bytes, sizeof bytes);
}

static void create_it(void *path) {
    file_write(path, "x", 1);
}

static void folder_it(void *path) {
    folder_create(path);
}

static int files_beside(const char *path) {
    char *folder = text_format("%s", path);
    int n = 0;
    *strrchr(folder, '/') = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)); ) n += *e->d_name != '.';
    if (d) closedir(d);
    free(folder);
    return n;
}

/* when the disk is full, does the old file stay, and nothing else lie about? */
Test(io, a_write_that_fails_leaves_the_old_file) {
    const char *path = place("kept.txt");
    file_write(path, "old\n", 4);
    expect_stop(1, "kept.txt: cannot be written: File too large", write_much, (void *)path);
    cr_assert(file_is(path, "old\n"));
    cr_assert_eq(files_beside(path), 1, "the temporary file is gone");
    file_write(path, "new\n", 4);
    cr_assert(file_is(path, "new\n"));
}

static void leave_two(void *path) {
    for (int i = 0; i < 20; i++) file_write(path, "old\n", 4);
    char *other = text_format("%s-too", (const char *)path);
    AtomicFile f = file_create(path), g = file_create(other);
    file_put(&f, "half", 4), file_sync(&f);
    file_put(&g, "half", 4), file_sync(&g);
    fail("something else");
}

/* does nothing half-written lie about either when the program ends for another reason? */
Test(io, unfinished_files_go_with_the_program) {
    const char *path = place("kept.txt");
    expect_stop(1, "something else", leave_two, (void *)path);
    cr_assert(file_is(path, "old\n"));
    cr_assert_eq(files_beside(path), 1, "a temporary file is left");
}

/* do folders and files that cannot be made end the program with a line that says what to do? */
Test(io, unwritable_folders_are_named) {
    const char *file = place("plain");
    char *below = path_join(file, "deep/er");
    file_write(file, "x", 1);
    expect_stop(
        1, "plain: the folder cannot be created: Not a directory; choose another folder with --out",
        folder_it, below);
    expect_stop(1, "cannot be created: Not a directory; choose", create_it, below);
    expect_stop(1, "cannot be created: No such file or directory", create_it, "/nowhere/at/all");
    expect_stop(1, "the name of the output folder is empty", folder_it, "");
    expect_stop(1, "/proc/x: the folder cannot be created", folder_it, "/proc/x");
    free(below);
    const char *deep = place("a/b//c/");
    folder_create(deep);
    folder_create(deep);
    cr_assert_eq(access(deep, W_OK), 0);
}

/* ---- pictures --------------------------------------------------------------------------------- */

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* does a decoder read the pixels that were meant: range, clamping, order, gap, enlargement? */
Test(io, pictures_decode_to_the_pixels_meant) {
    real x[] = {-1, 1, 0, 2, -3, (real)0.2, NAN, -1};       /* two images of 2x2 */
    Grid g = {.count = 2,
              .height = 2,
              .width = 2,
              .channels = 1,
              .columns = 2,
              .enlarge = 3,
              .low = -1,
              .high = 1};
    size_t n;
    uint8_t *png = picture_encode(x, g, "ae sample", &n);
    int w, h, c;
    uint8_t *p = stbi_load_from_memory(png, (int)n, &w, &h, &c, 0);
    cr_assert_not_null(p, "%s", stbi_failure_reason());
    cr_assert(w == 3 + 6 + 3 + 6 + 3 && h == 3 + 6 + 3 && c == 1, "%dx%d, %d channels", w, h, c);
    int expected[2][4] = {{0, 255, 128, 255}, {0, 153, 255, 0}};
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 36; k++) {
            int y = k / 6, at = (3 + y) * w + 3 + 9 * i + k % 6;
            cr_assert_eq(p[at], expected[i][y / 3 * 2 + k % 6 / 3], "image %d, pixel %d is %d", i,
                         k, p[at]);
        }
    }
    cr_assert_eq(p[0], 128, "the gap is grey");
    stbi_image_free(p);
    free(png);
}

static void draw_too_many(void *size) {
    const int *s = size;
    real x = 0;
    size_t n;
    picture_encode(&x, (Grid){.count = s[0], .height = s[1], .width = s[1], .channels = 3,
                              .columns = s[2], .high = 1}, NULL, &n);
}

/* Is a picture refused, before its images are looked at, whose bytes stb_image_write cannot count? */
Test(io, pictures_of_too_many_bytes_are_refused) {
    static const int sizes[][3] = {{44000, 128, 64}, {172000, 64, 0}, {2000000000, 32, 1},
                                   {1, 30000, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        expect_stop(1, "more than 2000000000 bytes; choose fewer", draw_too_many,
                    (void *)sizes[i]);
}

/* are colours kept in order, and odd numbers of images laid out? */
Test(io, pictures_in_colour_fill_the_last_row) {
    real x[3 * 3] = {1, 0, 0, 0, 1, 0, 0, 0, 1};            /* a red, a green and a blue pixel */
    Grid g = {.count = 3, .height = 1, .width = 1, .channels = 3, .low = 0, .high = 1};
    const char *path = place("c.png");
    int w, h, c;
    picture_save(path, x, g, NULL);
    uint8_t *p = stbi_load(path, &w, &h, &c, 0);
    cr_assert(p && w == 5 && h == 5 && c == 3, "two columns by two rows");
    int at[3] = {1 * 5 + 1, 1 * 5 + 3, 3 * 5 + 1};
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) cr_assert_eq(p[3 * at[i] + k], i == k ? 255 : 0);
    }
    cr_assert_eq(p[3 * (3 * 5 + 3)], 128, "an empty place is grey");
    stbi_image_free(p);
}

/* black pixels of row y between left and right */
static int ink(const uint8_t *p, int w, int y, int left, int right) {
    int n = 0;
    for (int x = left; x < right; x++) n += p[y * w + x] == 0;
    return n;
}

/* Do texts stand under their own images, in as many lines as they need, cut where there is no more
 * room, without a pixel outside their cells? */
Test(io, pictures_have_captions) {
    enum { SIDE = 40 };
    static real x[3 * SIDE * SIDE];
    const char *captions[3] = {"bag", "ankle boot", "caf\xc3\xa9 incomprehensibilities and a great "
                                                    "many more words than there is room for"};
    Grid g = {.count = 3, .height = SIDE, .width = SIDE, .channels = 1, .columns = 3, .low = -1,
              .high = 0, .captions = captions};
    size_t n;
    uint8_t *png = picture_encode(x, g, NULL, &n);
    int w, h, c;
    uint8_t *p = stbi_load_from_memory(png, (int)n, &w, &h, &c, 0);
    cr_assert(p && w == 3 * SIDE + 4 && h == SIDE + 4 * LINE_HEIGHT + 2 + 2, "%dx%d", w, h);
    for (int i = 0; i < 3; i++) {
        int lines = 0, left = 1 + i * (SIDE + 1);
        for (int l = 0; l < 4; l++) {
            int black = 0;
            for (int y = 0; y < LINE_HEIGHT; y++)
                black += ink(p, w, 1 + SIDE + l * LINE_HEIGHT + y, left, left + SIDE);
            lines += black > 0;
        }
        cr_expect_eq(lines, i == 0 ? 1 : i == 1 ? 2 : 4, "caption %d has %d lines", i, lines);
    }
    for (int y = 0; y < h; y++)
        for (int i = 0; i < 4; i++) cr_assert_eq(p[y * w + i * (SIDE + 1)], 128, "ink in a gap");
    cr_expect_eq(lettering_lines("", SIDE), 0);
    cr_expect_eq(lettering_lines("ankle boot", 200), 1);
    cr_expect_eq(lettering_lines("ankle", 1), 4, "a letter a line, and no more than there is room");
    stbi_image_free(p);
    free(png);
}

/* Do labels stand beside their rows and above their columns, and images where they belong? */
Test(io, rows_and_columns_have_labels) {
    enum { SIDE = 40, LEFT = 96, TOP = LINE_HEIGHT + 2 };
    static real x[4 * SIDE * SIDE];
    Grid g = {.count = 4, .height = SIDE, .width = SIDE, .channels = 1, .columns = 2, .low = -1,
              .high = 0, .row_labels = "real|", .column_labels = "|bag"};
    size_t n;
    uint8_t *png = picture_encode(x, g, NULL, &n);
    int w, h, c, black[4] = {0}, left = LEFT + 1, top = TOP + 1;
    uint8_t *p = stbi_load_from_memory(png, (int)n, &w, &h, &c, 0);
    cr_assert(p && w == LEFT + 2 * SIDE + 3 && h == TOP + 2 * SIDE + 3, "%dx%d", w, h);
    for (int y = 0; y < h; y++) {
        if (y < TOP) black[0] += ink(p, w, y, left, left + SIDE);
        if (y < TOP) black[1] += ink(p, w, y, left + SIDE + 1, w);
        if (y >= TOP) black[y < top + SIDE ? 2 : 3] += ink(p, w, y, 0, LEFT);
    }
    cr_expect(!black[0] && black[1] && black[2] && !black[3], "%d %d %d %d", black[0], black[1],
              black[2], black[3]);
    for (int y = TOP; y < h; y++)
        for (int i = 0; i < w - LEFT; i++) {
            bool gap = i % (SIDE + 1) == 0 || (y - TOP) % (SIDE + 1) == 0;
            cr_assert_eq(p[y * w + LEFT + i], gap ? 128 : 255, "at %d, %d", i, y);
        }
    stbi_image_free(p);
    free(png);
}

/* Is the command line in the file, as a tEXt chunk with the right length and CRC, in Latin-1? All
 * chunks are walked. */
Test(io, pictures_carry_the_command_line) {
    real x = 0;
    Grid g = {.count = 1, .height = 1, .width = 1, .channels = 1, .low = 0, .high = 1};
    size_t n;
    uint8_t *png = picture_encode(&x, g, "ae --x 'caf\xc3\xa9' \xe2\x82\xac \x01 \xff\xf0", &n);
    static const char text[] = "parameters\0ae --x 'caf\xe9' \\u{20ac} \\u{1} \xff\xf0";
    int chunks = 0, found = 0;
    for (size_t at = 8; at < n; chunks++) {
        uint32_t length = big_endian(png + at);
        const uint8_t *type = png + at + 4;
        cr_assert_leq(at + 12 + length, n);
        cr_assert_eq(big_endian(type + 4 + length), crc32(0, type, length + 4), "CRC of chunk %d",
                     chunks);
        if (memcmp(type, "tEXt", 4) == 0) {
            found++;
            cr_assert_eq(length, sizeof text - 1);
            cr_assert_arr_eq(type + 4, text, sizeof text - 1);
        }
        at += 12 + length;
    }
    cr_assert(found == 1 && chunks == 4, "IHDR, tEXt, IDAT, IEND: %d chunks", chunks);
    free(png);
}

/* ---- films ------------------------------------------------------------------------------------ */

/* The chunk at *at: its type, data and length; moves on to the next. The CRC must be right. */
static const uint8_t *next_chunk(const uint8_t *png, size_t n, size_t *at, char type[5],
                                 size_t *length) {
    cr_assert_leq(*at + 12, n);
    const uint8_t *chunk = png + *at;
    *length = big_endian(chunk);
    cr_assert_leq(*at + 12 + *length, n);
    memcpy(type, chunk + 4, 4), type[4] = 0;
    cr_assert_eq(big_endian(chunk + 8 + *length),
                 crc32(0, chunk + 4, (unsigned)*length + 4), "CRC of %s", type);
    *at += 12 + *length;
    return chunk + 8;
}

/* a still picture of `head` (signature and IHDR) and these compressed pixels must be `want` */
static void same_pixels(const uint8_t *head, const uint8_t *data, size_t n, const uint8_t *want,
                        size_t want_n) {
    static uint8_t png[20000];
    static const uint8_t end[] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
    int w, h, c, want_w, want_h, want_c;
    cr_assert_lt(n + 100, sizeof png);
    memcpy(png, head, 33);
    for (int i = 0; i < 4; i++) png[33 + i] = (uint8_t)(n >> (24 - 8 * i));
    memcpy(png + 37, "IDAT", 4), memcpy(png + 41, data, n), memset(png + 41 + n, 0, 4);
    memcpy(png + 45 + n, end, sizeof end);      /* stb does not look at CRCs; next_chunk did */
    uint8_t *p = stbi_load_from_memory(png, (int)(57 + n), &w, &h, &c, 0);
    uint8_t *q = stbi_load_from_memory(want, (int)want_n, &want_w, &want_h, &want_c, 0);
    cr_assert(p && q && w == want_w && h == want_h && c == want_c, "%s", stbi_failure_reason());
    cr_assert_arr_eq(p, q, (size_t)(w * h * c));
    stbi_image_free(p), stbi_image_free(q);
}

/* Is a film an animated PNG as the specification has it: acTL before the pixels, one fcTL to a
 * frame, all numbered in turn, and every frame the picture that is meant, for the time meant? */
Test(io, films_are_animated_pngs) {
    enum { FRAMES = 3, SIZE = 2 * 5 * 4 };
    real x[FRAMES * SIZE];
    for (int i = 0; i < FRAMES * SIZE; i++) x[i] = (real)(i * 37 % 101) / 100;
    Grid g = {.count = 2, .height = 5, .width = 4, .channels = 1, .columns = 2, .enlarge = 2,
              .low = 0, .high = 1};
    size_t n, length, at = 8;
    uint8_t *film = film_encode(x, g, (Film){FRAMES, 0.08, 1.5}, "ddpm sample", &n);
    uint32_t number = 0;
    int frame = -1;
    char type[5], order[200] = "";
    while (at < n) {
        const uint8_t *data = next_chunk(film, n, &at, type, &length);
        strcat(strcat(order, type), " ");
        if (!strcmp(type, "acTL")) {
            cr_expect(length == 8 && big_endian(data) == FRAMES && big_endian(data + 4) == 0);
        } else if (!strcmp(type, "fcTL")) {
            static const uint8_t rest[] = {0, 0};
            unsigned delay = (unsigned)(data[20] << 8 | data[21]);
            frame++;
            cr_expect(length == 26 && big_endian(data) == number++);
            cr_expect_arr_eq(data + 4, film + 16, 8, "frame %d has another size", frame);
            cr_expect(big_endian(data + 12) == 0 && big_endian(data + 16) == 0);
            cr_expect_eq(delay, frame < FRAMES - 1 ? 80 : 1500, "frame %d: %u ms", frame, delay);
            cr_expect_eq(data[22] << 8 | data[23], 1000);
            cr_expect_arr_eq(data + 24, rest, 2);
        } else if (!strcmp(type, "IDAT") || !strcmp(type, "fdAT")) {
            size_t want_n, skip = frame ? 4 : 0;
            if (frame) cr_expect_eq(big_endian(data), number++);
            uint8_t *want = picture_encode(x + frame * SIZE, g, NULL, &want_n);
            same_pixels(film, data + skip, length - skip, want, want_n);
            free(want);
        }
    }
    cr_expect_str_eq(order, "IHDR tEXt acTL fcTL IDAT fcTL fdAT fcTL fdAT IEND ");
    free(film);
}

/* Does who does not know of animation see the first frame? */
Test(io, a_film_is_a_picture_too) {
    real x[2 * 4] = {0, 1, 1, 0, 1, 1, 1, 1};
    Grid g = {.count = 1, .height = 2, .width = 2, .channels = 1, .low = 0, .high = 1};
    const char *path = place("film.png");
    int w, h, c;
    film_save(path, x, g, (Film){2, 0.1, 0.1}, NULL);
    uint8_t *p = stbi_load(path, &w, &h, &c, 0);
    cr_assert(p && w == 2 && h == 2 && c == 1);
    cr_assert_arr_eq(p, ((uint8_t[]){0, 255, 255, 0}), 4);
    stbi_image_free(p);
}

Test(io, a_film_without_frames_is_refused, .signal = SIGABRT) {
    real x = 0;
    size_t n;
    film_encode(&x, (Grid){.count = 1, .height = 1, .width = 1, .channels = 1, .high = 1},
                (Film){0, 1, 1}, NULL, &n);
}

/* is an .npy file laid out as version 1.0 asks? */
Test(io, npy_has_a_header_of_128_bytes) {
    real x[6] = {0, 1, 2, 3, 4, 5};
    const char *path = place("x.npy");
    npy_save(path, x, 2, (int[]){2, 3});
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    cr_assert_eq(n, 128 + sizeof x);
    cr_assert_arr_eq(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    cr_assert_not_null(memmem(bytes, 128, "'fortran_order': False, 'shape': (2,3,), }", 42));
    cr_assert_eq(bytes[127], '\n');
    cr_assert_arr_eq(bytes + 128, x, sizeof x);
    file_unmap(bytes, n);
}

/* are samples saved for the eye and as numbers between 0 and 1, whatever their range is? */
Test(io, samples_are_a_picture_and_numbers_between_0_and_1) {
    char *folder = temporary_folder();
    const struct { double low, high; } ranges[] = {{-1, 1}, {0, 1}, {0, 255}};
    for (size_t k = 0; k < 3; k++) {
        double low = ranges[k].low, range = ranges[k].high - low;
        real x[12];
        for (int i = 0; i < 12; i++) x[i] = (real)(low + range * i / 11);
        Cli cli = {.common = &(CommonOptions){.out = folder}};
        samples_save(&cli, x,
                     (Grid){.count = 2, .height = 2, .width = 3, .channels = 1, .low = low,
                            .high = ranges[k].high});
        char *numbers = path_join(folder, "samples.npy");
        char *picture = path_join(folder, "samples.png");
        Npy a = npy_open(numbers);
        cr_assert(a.rank == 4 && a.shape[0] == 2 && a.shape[1] == 2 && a.shape[2] == 3);
        for (size_t i = 0; i < 12; i++) cr_expect_float_eq(npy_number(&a, i), i / 11.0, 1e-6);
        cr_expect_eq(access(picture, R_OK), 0);
        npy_close(&a);
        cr_assert(unlink(numbers) == 0 && unlink(picture) == 0);
        free(numbers), free(picture);
    }
}

/* an .npy file in memory with this dictionary and `bytes` zeros after it; its length */
static size_t make_npy(uint8_t *file, const char *dict, size_t bytes) {
    size_t n = strlen(dict);
    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (uint8_t)n, file[9] = 0;
    memcpy(file + 10, dict, n);
    memset(file + 10 + n, 0, bytes);
    return 10 + n + bytes;
}

/* is what was written read back, and every type of number? */
Test(io, npy_is_read_back) {
    real x[6] = {0, -1, (real)2.5, 3, 4, 5};
    const char *path = place("x.npy");
    npy_save(path, x, 2, (int[]){2, 3});
    Npy a = npy_open(path);
    cr_assert(a.rank == 2 && a.shape[0] == 2 && a.shape[1] == 3 && a.len == 6);
    for (size_t i = 0; i < 6; i++) cr_assert_eq(npy_number(&a, i), (double)x[i]);
    npy_close(&a);

    static const struct { const char *type; size_t size; } types[] = {
        {"|u1", 1}, {"<i4", 4}, {"<i8", 8}, {"<f4", 4}, {"<f8", 8}};
    for (size_t k = 0; k < 5; k++) {
        uint8_t file[256];
        char dict[100], message[NPY_MESSAGE];
        snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (3,), }\n",
                 types[k].type);
        size_t n = make_npy(file, dict, 3 * types[k].size);
        uint8_t *second = file + n - 2 * types[k].size;
        int64_t i64 = -7;
        float f32 = -7;
        double f64 = -7;
        if (k == 0) *second = 7;
        else memcpy(second, k < 3 ? (void *)&i64 : k == 3 ? (void *)&f32 : (void *)&f64,
                    types[k].size);
        cr_assert(npy_parse(&a, file, n, message), "%s: %s", types[k].type, message);
        cr_assert_eq(npy_number(&a, 1), k == 0 ? 7 : -7, "%s", types[k].type);
        cr_assert_eq(npy_number(&a, 2), 0);
    }
}

/* is each kind of damage named? */
Test(io, npy_refuses_what_it_cannot_read) {
    static const struct { const char *dict; size_t bytes; const char *reason; } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 20, "declares 6 numbers"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 25, "25 bytes follow"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", 24, "Fortran order"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", 24, "type '>f4'"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", 24, "type [('a'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3), }", 24, "not one that NumPy"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967297), }", 4,
         "not one that NumPy"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3", 24, "not one that NumPy"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4,
         "not one that NumPy"},
        {"{'descr': '<f4', 'shape': (2, 3), }", 24, "not one that NumPy"},
    };
    uint8_t file[256];
    char message[NPY_MESSAGE];
    Npy a;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = make_npy(file, cases[i].dict, cases[i].bytes);
        cr_assert(!npy_parse(&a, file, n, message), "%s", cases[i].dict);
        cr_assert(strstr(message, cases[i].reason), "%s: %s", cases[i].dict, message);
    }
    size_t n = make_npy(file, cases[0].dict, 24);
    cr_assert(npy_parse(&a, file, n, message), "%s", message);
    for (size_t cut = 0; cut < n; cut++) cr_assert(!npy_parse(&a, file, cut, message));
    file[0] = 'x';
    cr_assert(!npy_parse(&a, file, n, message) && strstr(message, "is not an .npy file"));
}
