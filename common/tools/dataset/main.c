/* dataset — builds the captioned pictures, or reads a user's own, and shows what there is. */
#include "wardrobe.h"
#include "data/emoji.h"
#include "data/folder.h"
#include "train/program.h"
#include "base/file.h"
#include "io/picture.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *size, *out, *data;
    int pictures;
    WardrobeOptions wardrobe;
} o = {.size = "32", .out = EMOJI_CACHE, .wardrobe = {.count = 48, .part = "train", .seed = 1}};

static Option options[] = {
    {"size", 0, .s = &o.size, .choices = "32|64|128", .help = "pixels a side"},
    {"out", 'o', .s = &o.out, .meta = "DIR", .help = "where results go"},
    {"data", 'd', .s = &o.data, .meta = "DIR", .only = "folder wardrobe",
     .help = "folder: PNG and JPEG files with a captions.txt, or a folder for each class; "
             "wardrobe: garments (default: Fashion-MNIST)"},
    {"count", 'n', .i = &o.wardrobe.count, .min = 1, .max = 1e6, .meta = "N", .only = "wardrobe",
     .help = "scenes to write"},
    {"part", 0, .s = &o.wardrobe.part, .choices = "train|validation|test|held-out",
     .only = "wardrobe", .help = "of the scenes"},
    {"seed", 's', .u = &o.wardrobe.seed, .meta = "N", .only = "wardrobe", .help = "of the scenes"},
    {"pictures", 0, .i = &o.pictures, .min = 0, .max = 1e6, .meta = "N",
     .only = "emoji folder",
     .help = "on the contact sheet, chosen evenly; 0: all, if there are not too many"},
    {0}};

static int emoji(void), folder(void), wardrobe(void);
static const Command commands[] = {
    {"emoji", "build the 3,655 emoji of one size, and a contact sheet of all", emoji},
    {"folder", "read the pictures in --data and draw a contact sheet", folder},
    {"wardrobe", "write scenes of coloured garments as PNG files, captions.txt and a sheet",
     wardrobe},
    {0}};

static Cli cli = {.program = "dataset",
                  .about = "Captioned colour pictures for the text-to-image chapters.",
                  .options = options,
                  .commands = commands};

/* of a contact sheet with all pictures, and of one with some; bytes on a sheet of all, and on any */
enum { COLUMNS = 64, COLUMNS_OF_SOME = 12, BYTES_OF_ALL = 256 << 20, BYTES_MAX = 1000000000 };

/* image[place in the source] */
static void by_place(const Captioned *c, int *image) {
    for (int i = 0; i < c->all.count; i++) image[c->number[i]] = i;
}

/* What is drawn at each place of the sheet: all images in the order of their source, each group
 * starting a row, -1 where the row before ends; or so many, chosen evenly. Returns the number of
 * places. */
static int arrange(const Captioned *c, const int *image, int some, int *sheet) {
    int n = c->all.count, places = 0;
    for (int i = 0; i < some; i++) sheet[places++] = image[(2 * (int64_t)i + 1) * n / (2 * some)];
    for (int i = 0, group = 0; i < n && !some; i++) {
        int next = c->group_of[c->all.labels[image[i]]];
        while (next != group && places % COLUMNS) sheet[places++] = -1;
        group = next;
        sheet[places++] = image[i];
    }
    return places;
}

/* how many pictures are chosen; 0: all */
static int sheet_count(const Captioned *c) {
    int most = BYTES_OF_ALL / (3 * c->all.height * c->all.width);
    if (o.pictures || c->all.count <= most) return o.pictures < c->all.count ? o.pictures : 0;
    notice("the contact sheet shows %d of %d pictures, chosen evenly; --pictures N chooses others",
           most, c->all.count);
    return most;
}

static void contact_sheet(const Captioned *c, const char *path) {
    size_t n = (size_t)c->all.count, room = n + (size_t)c->groups * COLUMNS;
    int some = sheet_count(c), side = c->all.height;
    int *image = memory_new(n, sizeof *image, "a sheet of %zu pictures", n);
    int *sheet = memory_new(room, sizeof *sheet, "a sheet of %zu pictures", room);
    by_place(c, image);
    int places = arrange(c, image, some, sheet);
    size_t each = (size_t)side * side * 3;
    real *x = memory_new((size_t)places, each * sizeof *x, "a sheet of %d pictures", places);
    const char **captions = some ? memory_new((size_t)places, sizeof *captions, "captions") : NULL;
    for (int i = 0; captions && i < places; i++) captions[i] = c->all.captions[sheet[i]];
    for (int i = 0; i < places; i++) {
        if (sheet[i] >= 0) images_get(&c->all, 1, &sheet[i], 0, 1, x + (size_t)i * each, NULL);
        else for (size_t j = 0; j < each; j++) x[(size_t)i * each + j] = (real)0.5;
    }
    Grid grid = {.count = places, .height = side, .width = side, .channels = 3,
                 .columns = some ? COLUMNS_OF_SOME : COLUMNS, .low = 0, .high = 1,
                 .captions = captions};
    picture_save(path, x, grid, cli.line);
    free(captions);
    free(x);
    free(image);
    free(sheet);
}

static void describe(const Captioned *c) {
    printf("%d pictures of %dx%d pixels: %d for training, %d for validation, %d for test, %d held "
           "out\n", c->all.count, c->all.height, c->all.width, c->train.count, c->validation.count,
           c->test.count, c->held_out.count);
    int *count = memory_new((size_t)c->classes, sizeof *count, "%d classes", c->classes);
    for (int i = 0; i < c->all.count; i++) count[c->all.labels[i]]++;
    for (int g = 0; g < c->groups; g++) {
        int n = 0;
        for (int k = 0; k < c->classes; k++) n += c->group_of[k] == g ? count[k] : 0;
        printf("  %5d %s\n", n, c->group_name[g]);
    }
    free(count);
}

static int show(Captioned c) {
    const char *which = o.pictures ? "some" : "contact";
    char *name = text_format("%s-%s-%s.png", cli.command, which, o.size);
    char *path = path_join(o.out, name);
    describe(&c);
    contact_sheet(&c, path);
    printf("contact sheet: %s\n", path);
    free(name), free(path);
    captioned_free(&c);
    return 0;
}

/* before pictures are read */
static void check_sheet(void) {
    int side = atoi(o.size), most = BYTES_MAX / (3 * side * side);
    if (o.pictures > most)
        usage_error("--pictures %d: at most %d of %dx%d fit on a sheet", o.pictures, most, side,
                    side);
}

static int emoji(void) {
    check_sheet();
    folder_create(o.out);
    return show(emoji_load(atoi(o.size), o.out));
}

static int folder(void) {
    if (!o.data) usage_error("folder needs --data DIR");
    check_sheet();
    folder_create(o.out);
    return show(folder_load(o.data, atoi(o.size)));
}

static int wardrobe(void) {
    o.wardrobe.size = cli_given(&cli, "size") ? atoi(o.size) : 64;
    if (o.wardrobe.size == 128) usage_error("wardrobe: --size is 32 or 64");
    o.wardrobe.out = cli_given(&cli, "out") ? o.out : "build/wardrobe";
    o.wardrobe.data = o.data;
    return write_wardrobe(&o.wardrobe, cli.line);
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
