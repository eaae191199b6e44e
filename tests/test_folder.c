/* test_folder.c — a user's own pictures: PNG and JPEG files, captions.txt, class folders. */
#include "testing.h"

#include "data/folder.h"
#include "data/picture_decode.h"
#include "io/picture.h"
#include "stops.h"

#include <math.h>
#include <sys/stat.h>
#include <zlib.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

SUITE(folder);

/* ---- files ----------------------------------------------------------------------------------- */

typedef struct {
    uint8_t bytes[1 << 16];
    size_t n;
} File;

static void take(void *context, void *data, int n) {
    File *f = context;
    cr_assert_leq(f->n + (size_t)n, sizeof f->bytes);
    memcpy(f->bytes + f->n, data, (size_t)n);
    f->n += (size_t)n;
}

static File *png(int width, int height, int channels, const uint8_t *pixels) {
    static File f;
    f.n = 0;
    stbi_write_png_to_func(take, &f, width, height, channels, pixels, 0);
    return &f;
}

static File *jpeg(int width, int height, const uint8_t *pixels) {
    static File f;
    f.n = 0;
    stbi_write_jpg_to_func(take, &f, width, height, 3, pixels, 95);
    return &f;
}

/* one colour, 10x10 */
static File *plain(uint8_t r, uint8_t g, uint8_t b) {
    uint8_t pixels[300];
    for (int i = 0; i < 100; i++) memcpy(pixels + 3 * i, (uint8_t[]){r, g, b}, 3);
    return png(10, 10, 3, pixels);
}

static void put(const char *folder, const char *name, const void *bytes, size_t n) {
    char *path = path_join(folder, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    folder_create(path);
    *slash = '/';
    file_write(path, bytes, n);
    free(path);
}

static void put_text(const char *folder, const char *name, const char *text) {
    put(folder, name, text, strlen(text));
}

/* What is written to stderr while a folder is read, up to 4095 bytes */
static Captioned load_and_listen(const char *folder, int size, char said[4096]) {
    FILE *f = tmpfile();
    fflush(NULL);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(f), STDERR_FILENO);
    Captioned c = folder_load(folder, size);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(f);
    said[fread(said, 1, 4095, f)] = 0;
    fclose(f);
    return c;
}

/* ---- one picture ----------------------------------------------------------------------------- */

static void decoded(const File *f, int size, uint8_t *out) {
    char message[DECODE_MESSAGE];
    cr_assert(picture_decode(f->bytes, f->n, size, out, message), "%s", message);
}

/* is the middle square taken, upright and lying, odd and even, and is it brought to size? */
Test(folder, middle_square_is_taken) {
    uint8_t wide[4 * 2 * 3], tall[2 * 5 * 3], out[4 * 3], middle[] = {20, 30, 60, 70};
    for (int i = 0; i < 8; i++) memset(wide + 3 * i, 10 * (i + 1), 3);
    decoded(png(4, 2, 3, wide), 2, out);
    for (int i = 0; i < 4; i++) cr_assert_eq(out[3 * i], middle[i]);
    decoded(png(4, 2, 3, wide), 1, out);
    cr_assert_eq(out[0], 45);
    for (int i = 0; i < 10; i++) memset(tall + 3 * i, i, 3);
    decoded(png(2, 5, 3, tall), 2, out);
    for (int i = 0; i < 4; i++) cr_assert_eq(out[3 * i], i + 2);
}

/* does what is transparent lie on white, with or without grey, and does grey become RGB? */
Test(folder, transparent_lies_on_white_and_grey_becomes_rgb) {
    uint8_t out[3];
    decoded(png(1, 1, 4, (uint8_t[]){200, 100, 0, 0}), 1, out);
    cr_assert(out[0] == 255 && out[1] == 255 && out[2] == 255, "colour of what is not seen");
    decoded(png(1, 1, 4, (uint8_t[]){200, 100, 0, 51}), 1, out);
    cr_assert(out[0] == 244 && out[1] == 224 && out[2] == 204);
    decoded(png(1, 1, 4, (uint8_t[]){200, 100, 0, 255}), 1, out);
    cr_assert(out[0] == 200 && out[1] == 100 && out[2] == 0);
    decoded(png(1, 1, 2, (uint8_t[]){100, 51}), 1, out);
    cr_assert(out[0] == 224 && out[1] == 224 && out[2] == 224);
    decoded(png(1, 1, 1, (uint8_t[]){77}), 1, out);
    cr_assert(out[0] == 77 && out[1] == 77 && out[2] == 77);
}

/* is half a transparent edge the mean of what is seen, not of colours that are not? */
Test(folder, hidden_colours_do_not_leak_into_means) {
    uint8_t out[3], pixels[] = {0, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0};
    decoded(png(2, 2, 4, pixels), 1, out);
    cr_assert(out[0] == 128 && out[1] == 128 && out[2] == 128, "%d %d %d", out[0], out[1], out[2]);
}

static void undecodable(const uint8_t *bytes, size_t n, const char *part) {
    char message[DECODE_MESSAGE] = "";
    static uint8_t out[64 * 64 * 3];
    uint8_t *exact = malloc(n + 1);
    memcpy(exact, bytes, n);
    cr_assert_not(picture_decode(exact, n, 16, out, message), "%zu bytes were read", n);
    cr_assert(strstr(message, part) && !strchr(message, '\n'), "'%s' is not in: %s", part, message);
    free(exact);
}

static uint8_t *noise(int n) {
    static uint8_t pixels[48 * 48 * 3];
    static real x[48 * 48 * 3];
    test_values("noise", 0, 256, 48 * 48 * 3, x);
    for (int i = 0; i < n; i++) pixels[i] = (uint8_t)x[i];
    return pixels;
}

/* Is a PNG or JPEG that breaks off refused wherever that is; is one with bytes behind its end, as
 * cameras write them, read? */
Test(folder, files_cut_short_are_refused) {
    static uint8_t out[16 * 16 * 3];
    File *f = jpeg(48, 48, noise(48 * 48 * 3));
    for (size_t n = 0; n < f->n; n += n < 700 ? 1 : 37) undecodable(f->bytes, n, "");
    undecodable(f->bytes, f->n - 1, "is cut short");
    undecodable(f->bytes, f->n / 2, "is cut short");
    f->n += 100;
    decoded(f, 16, out);
    f = png(48, 48, 3, noise(48 * 48 * 3));
    for (size_t n = 0; n < f->n; n += n < 100 ? 1 : 97) undecodable(f->bytes, n, "");
}

/* is a JPEG's colour what was put in, about? */
Test(folder, jpeg_is_read) {
    uint8_t out[3], pixels[64 * 3];
    for (int i = 0; i < 64; i++) memcpy(pixels + 3 * i, (uint8_t[]){200, 100, 50}, 3);
    decoded(jpeg(8, 8, pixels), 1, out);
    cr_assert(abs(out[0] - 200) < 4 && abs(out[1] - 100) < 4 && abs(out[2] - 50) < 4);
}

/* another size in a PNG file's header, whose checksum is made right */
static void set_size(File *f, uint32_t width, uint32_t height) {
    uint32_t numbers[3] = {width, height};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 4; i++) f->bytes[16 + 4 * k + i] = (uint8_t)(numbers[k] >> 8 * (3 - i));
    numbers[2] = (uint32_t)crc32(0, f->bytes + 12, 17);
    for (int i = 0; i < 4; i++) f->bytes[29 + i] = (uint8_t)(numbers[2] >> 8 * (3 - i));
}

/* are absurd sizes, other formats and no bytes at all refused before memory is taken for them? */
Test(folder, absurd_files_are_refused) {
    File *f = plain(1, 2, 3);
    undecodable(f->bytes, 0, "cannot be read");
    undecodable((const uint8_t *)"hello, world", 12, "cannot be read as PNG or JPEG");
    set_size(f, 16384, 16384);
    undecodable(f->bytes, f->n, "has 16384x16384 pixels, at most 67108864");
    set_size(f, 65536, 1);
    undecodable(f->bytes, f->n, "is broken");
    set_size(f, 4096, 4096);
    undecodable(f->bytes, f->n, "is broken");
}

/* are pictures in other formats called what they are? */
Test(folder, other_formats_are_named) {
    static const struct { const char *bytes, *name; } rows[] = {
        {"RIFF\x10\x20\x30\x40WEBPVP8 ", "is a WebP file; PNG and JPEG are read"},
        {"GIF89a hello", "GIF"}, {"BM12345678", "BMP"}, {"II*\x08 abcdef", "TIFF"},
        {"1234ftypheic", "HEIF"}, {"1234ftypavif", "AVIF"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        undecodable((const uint8_t *)rows[i].bytes, strlen(rows[i].bytes), rows[i].name);
}

/* is a PNG noticed of which a byte is not what was written, and one taken whose text is damaged? */
Test(folder, damaged_png_files_are_refused) {
    static uint8_t out[16 * 16 * 3];
    File *f = png(48, 48, 3, noise(48 * 48 * 3));
    for (size_t at = 16; at < f->n - 12; at += 211) {
        f->bytes[at] ^= 0x10;
        undecodable(f->bytes, f->n, "");
        f->bytes[at] ^= 0x10;
    }
    f->bytes[600] ^= 0x10;
    undecodable(f->bytes, f->n, "is damaged: a checksum does not match");
    f->bytes[600] ^= 0x10;
    uint8_t text[16] = {0, 0, 0, 4, 't', 'E', 'X', 't', 'a', 0, 'b', 'c', 1, 2, 3, 4};
    memmove(f->bytes + 33 + 16, f->bytes + 33, f->n - 33);
    memcpy(f->bytes + 33, text, 16);
    f->n += 16;
    decoded(f, 16, out);
}

/* ---- captions.txt ---------------------------------------------------------------------------- */

/* are file and caption separated, trimmed, and odd lines refused by name? */
Test(folder, captions_are_told_apart) {
    static const struct { const char *line, *file, *caption, *refused; } rows[] = {
        {"a.png\ta red house", "a.png", "a red house", NULL},
        {"b c/d.jpg\t  two\twords \r", "b c/d.jpg", "two words", NULL},
        {"..a/b..\tx", "..a/b..", "x", NULL},
        {"e.png\tna\xC3\xAFve \xF0\x9F\x98\x80", "e.png", "na\xC3\xAFve \xF0\x9F\x98\x80", NULL},
        {"a.png a red house", 0, 0, "has no tab"},
        {"a.png\t \x01 ", 0, 0, "its caption is empty"},
        {"\tcaption", 0, 0, "names no file"},
        {"/etc/passwd\tx", 0, 0, "outside of the folder"},
        {"../x.png\tx", 0, 0, "outside of the folder"},
        {"a/../../x.png\tx", 0, 0, "outside of the folder"},
        {"a/..\tx", 0, 0, "outside of the folder"},
        {"a.png\t\xFF\xFE", 0, 0, "is not UTF-8"},
        {"a.png\tna\xC3", 0, 0, "is not UTF-8"},
        {"a.png\tred \xC2\x9B" "31m", "a.png", "red  31m", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *line = text_format("%s", rows[i].line), message[CAPTION_MESSAGE] = "";
        const char *file, *caption;
        bool good = captions_line(line, &file, &caption, message);
        cr_assert_eq(good, !rows[i].refused, "%s: %s", rows[i].line, message);
        if (good) {
            cr_assert_str_eq(file, rows[i].file);
            cr_assert_str_eq(caption, rows[i].caption);
        } else {
            cr_assert(strstr(message, rows[i].refused), "%s: %s", rows[i].line, message);
        }
        free(line);
    }
    char *line = text_format("a\t%01001d", 0), message[CAPTION_MESSAGE];
    const char *file, *caption;
    cr_assert_not(captions_line(line, &file, &caption, message));
    cr_assert(strstr(message, "longer than 1000"));
    free(line);
}

/* Are pictures read with their captions, in the order of their names; two captions of one file kept
 * together; bad ones named and left out? */
Test(folder, captions_txt_is_read) {
    char *folder = temporary_folder(), said[4096], name[32], text[4096] = "\xEF\xBB\xBF";
    for (int i = 0; i < 50; i++) {
        File *f = plain((uint8_t)i, 0, 0);
        sprintf(name, "%02d.png", i);
        put(folder, name, f->bytes, f->n);
        sprintf(text + strlen(text), "%02d.png\tnumber %d\r\n", 49 - i, 49 - i);
    }
    for (int i = 0; i < 50; i++) sprintf(text + strlen(text), "%02d.png\tagain %d\n\n", i, i);
    strcat(text, "bad.png\tbroken\nno tab\ngone\x1b.png\tnot there\n../up.png\tup\nin\ta folder");
    put(folder, "bad.png", plain(0, 0, 0)->bytes, 50);
    put_text(folder, "in/x", "");
    put_text(folder, "captions.txt", text);
    Captioned c = load_and_listen(folder, 32, said);
    cr_assert(strstr(said, "/bad.png: is cut short"), "%s", said);
    cr_assert(strstr(said, "/captions.txt:152: has no tab between file and caption; left out"));
    cr_assert(strstr(said, "/gone?.png: No such file or directory; left out"), "%s", said);
    cr_assert(strstr(said, "/captions.txt:154: names a file outside"), "%s", said);
    cr_assert(strstr(said, "/in: is not a plain file; left out"), "%s", said);
    cr_assert(strstr(said, "100 used, 5 left out"), "%s", said);

    cr_assert(c.all.count == 100 && c.validation.count == 4 && c.test.count == 4 &&
              c.held_out.count == 0 && c.classes == 1 && c.all.height == 32);
    for (int i = 0; i < 100; i++) {
        int k = c.number[i] / 2;
        sprintf(name, c.number[i] % 2 ? "again %d" : "number %d", k);
        cr_assert_str_eq(c.all.captions[i], name);
        cr_assert_eq(c.all.pixels[(size_t)i * 32 * 32 * 3], k, "its pixels are another's");
        cr_assert_eq(c.concept[i], 2 * k);
        cr_assert(i == 0 || i == c.train.count || i == c.train.count + 4 ||
                  c.number[i] > c.number[i - 1], "each part is in the order of names");
    }
    for (int i = 0; i < c.train.count; i++) {
        for (int j = c.train.count; j < 100; j++) cr_assert_neq(c.concept[i], c.concept[j]);
    }
    captioned_free(&c);
}

/* Do class folders give labels and captions? Is the split the same when it is read again, and does
 * it stay when other names come? */
Test(folder, class_folders_are_read) {
    char *folder = temporary_folder(), said[4096], name[64];
    static const char *const classes[] = {"cat", "dog", "tree house"};
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 3; i++) {
            File *f = plain((uint8_t)(100 * k + i), 0, 0);
            sprintf(name, "%s/%d.%s", classes[k], i, i ? "PNG" : "png");
            put(folder, name, f->bytes, f->n);
        }
    }
    put_text(folder, "cat/notes.txt", "not a picture, and not by its name");
    put_text(folder, ".hidden/0.png", "no picture");
    put_text(folder, "dog/bad.jpg", "no picture");
    Captioned c = load_and_listen(folder, 16, said), d = load_and_listen(folder, 16, said);
    cr_assert(strstr(said, "/dog/bad.jpg: cannot be read as PNG or JPEG"));
    cr_assert_not(strstr(said, "notes"));
    cr_assert(c.all.count == 9 && c.classes == 3 && c.validation.count == 1 && c.test.count == 1);
    for (int i = 0; i < 9; i++) {
        int value = c.all.pixels[(size_t)i * 16 * 16 * 3];
        cr_assert_eq(c.all.labels[i], value / 100);
        cr_assert_str_eq(c.all.captions[i], classes[value / 100]);
        cr_assert_str_eq(c.class_name[c.all.labels[i]], classes[value / 100]);
        cr_assert_eq(c.number[i], 3 * (value / 100) + value % 100);
    }
    cr_assert_arr_eq(c.all.pixels, d.all.pixels, 9 * 16 * 16 * 3);
    cr_assert_str_eq(c.source, d.source);
    captioned_free(&c);
    captioned_free(&d);
}

static void load_it(void *context) {
    folder_load(context, 32);
}

static void put_picture(const char *folder, const char *name, int value) {
    File *f = plain((uint8_t)value, 0, 0);
    put(folder, name, f->bytes, f->n);
}

/* Are folders without pictures no classes, and does no label point at one of them? */
Test(folder, folders_without_pictures_are_no_classes) {
    char *folder = temporary_folder(), said[4096], name[64];
    static const char *const classes[] = {"b", "d"};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 3; i++) {
            sprintf(name, "%s/%d.png", classes[k], i);
            put_picture(folder, name, 100 * k + i);
        }
    put_text(folder, "__MACOSX/b/._0.png", "what a Mac puts into archives");
    put_text(folder, "a/notes.txt", "empty but for this");
    put_text(folder, "c/broken.png", "no picture");
    put_text(folder, "e/photo.webp", "RIFF....WEBP");
    Captioned c = load_and_listen(folder, 16, said);
    cr_assert(c.classes == 2 && c.all.count == 6, "%d classes", c.classes);
    cr_assert(!strcmp(c.class_name[0], "b") && !strcmp(c.class_name[1], "d"));
    for (int i = 0; i < 6; i++) {
        int value = c.all.pixels[(size_t)i * 16 * 16 * 3];
        cr_assert_eq(c.all.labels[i], value / 100);
        cr_assert_str_eq(c.all.captions[i], classes[value / 100]);
    }
    static const char *const expected[] = {
        "/__MACOSX: has no PNG or JPEG files; it is no class", "/a: has no PNG or JPEG files",
        "/c: has no picture that can be used; it is no class", "/e: has no PNG or JPEG files",
        "/c/broken.png: cannot be read", "/e/photo.webp: PNG and JPEG files are read; left out",
        "6 used, 3 left out; not read: folders: 1, .txt: 1, .webp: 1"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        cr_expect(strstr(said, expected[i]), "'%s' is not in: %s", expected[i], said);
    captioned_free(&c);
}

/* Is what is passed over named: other formats, folders in class folders, pictures beside them? */
Test(folder, what_is_not_read_is_named) {
    char *folder = temporary_folder(), said[4096];
    for (int i = 0; i < 4; i++) {
        char name[64];
        sprintf(name, "a/%d.png", i);
        put_picture(folder, name, i);
    }
    put_text(folder, "a/photo.webp", "RIFF....WEBP");
    put_text(folder, "a/scan.BMP", "BM");
    put_text(folder, "a/renamed.png", "RIFF....WEBPVP8 ");
    put_text(folder, "a/Thumbs.db", "of some other system");
    put_picture(folder, "a/more/5.png", 5);
    put_picture(folder, "loose.png", 6);
    put_text(folder, "captions.csv", "a/1.png,a cat");
    Captioned c = load_and_listen(folder, 16, said);
    cr_assert(c.all.count == 4);
    static const char *const expected[] = {
        "/a/photo.webp: PNG and JPEG files are read; left out", "/a/scan.BMP: PNG and JPEG",
        "/a/renamed.png: is a WebP file", "/a/more: a folder inside of a class folder is not read",
        "/loose.png: lies in no class folder", "/captions.csv: captions are read from captions.txt",
        "4 used, 6 left out; not read: .db: 1, folders: 1, .webp: 1, .BMP: 1"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        cr_expect(strstr(said, expected[i]), "'%s' is not in: %s", expected[i], said);
    cr_expect_not(strstr(said, "Thumbs"));
    captioned_free(&c);
}

/* A data set one folder too deep, or of other formats alone: does the refusal say what is there? */
Test(folder, a_refusal_says_what_was_seen_and_what_is_read) {
    char *deep = temporary_folder(), *webp = temporary_folder(), said[4096];
    put_picture(deep, "train/cat/0.png", 0);
    put_picture(deep, "test/cat/0.png", 0);
    for (int i = 0; i < 3; i++) {
        char name[64];
        sprintf(name, "cat/%d.webp", i);
        put_text(webp, name, "RIFF....WEBP");
    }
    put_picture(webp, "dog/0.png", 0);
    cr_assert_eq(stop_and_listen(load_it, deep, said), 1);
    cr_expect(strstr(said, "/train/cat: a folder inside of a class folder is not read"));
    cr_expect(strstr(said, "class folders with PNG or JPEG files; not read: folders: 2"), "%s",
              said);
    cr_assert_eq(stop_and_listen(load_it, webp, said), 1);
    cr_expect(strstr(said, "has 1 pictures that can be used; at least 3 are needed"), "%s", said);
    cr_expect(strstr(said, "PNG and JPEG are read; left out: 3; not read: .webp: 3\n"), "%s", said);
}

/* Captions that an editor saved as UTF-16, with its mark or without: are they called that? */
Test(folder, captions_in_utf16_are_refused_by_name) {
    static const char *const beginnings[] = {"\xFF\xFE", "\xFE\xFF", ""};
    static const char text[] = "0.png\tred\n1.png\tblue\n";
    for (int k = 0; k < 3; k++) {
        char *folder = temporary_folder(), bytes[200];
        size_t n = strlen(beginnings[k]);
        memcpy(bytes, beginnings[k], n);
        for (size_t i = 0; text[i]; i++)
            bytes[n + 2 * i + (k != 1)] = 0, bytes[n + 2 * i + (k == 1)] = text[i];
        put(folder, "captions.txt", bytes, n + 2 * strlen(text));
        expect_stop(1, "captions.txt: is UTF-16; save it as UTF-8", load_it, folder);
    }
}

/* is a folder of nothing, or of too little, refused in one line? */
Test(folder, folders_without_pictures_are_refused) {
    char *folder = temporary_folder(), *empty = temporary_folder();
    expect_stop(1, "/nowhere: cannot be read: No such file", load_it, "/nowhere");
    expect_stop(1, "has neither captions.txt (lines FILE<tab>caption) nor class folders", load_it,
                folder);
    put_text(empty, "captions.txt", "");
    expect_stop(1, "has 0 pictures that can be used; at least 3 are needed", load_it, empty);
    File *f = plain(1, 2, 3);
    put(folder, "one/a.png", f->bytes, f->n);
    put(folder, "one/b.png", f->bytes, f->n);
    expect_stop(1, "has 2 pictures that can be used", load_it, folder);
}
