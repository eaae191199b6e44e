#include "wardrobe.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/wardrobe.h"
#include "io/picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ON_SHEET = 24, COLUMNS = 6 };

static Part part_named(const char *name) {
    static const char *const names[PARTS] = {"train", "validation", "test", "held-out"};
    int p = 0;
    while (strcmp(names[p], name)) p++;
    return (Part)p;
}

static void write_picture(const WardrobeOptions *o, int i, const real *x, const char *command) {
    char *name = text_format("%05d.png", i), *path = path_join(o->out, name);
    picture_save(path, x, (Grid){.count = 1, .height = o->size, .width = o->size, .channels = 3,
                                 .low = 0, .high = 1}, command);
    free(path);
    free(name);
}

static void write_sheet(const WardrobeOptions *o, int n, const real *x, const Scene *scenes,
                        const char *command) {
    char text[ON_SHEET][SCENE_CAPTION], *path = path_join(o->out, "sheet.png");
    const char *captions[ON_SHEET];
    for (int i = 0; i < n; i++) captions[i] = scene_caption(&scenes[i], text[i]);
    picture_save(path, x, (Grid){.count = n, .height = o->size, .width = o->size, .channels = 3,
                                 .columns = COLUMNS, .enlarge = 128 / o->size, .low = 0, .high = 1,
                                 .captions = captions}, command);
    printf("%d scenes in %s, sheet: %s\n", o->count, o->out, path);
    free(path);
}

int write_wardrobe(const WardrobeOptions *o, const char *command) {
    enum { AT_ONCE = 240 };
    Fashion data = fashion_load(o->data);
    Wardrobe w = wardrobe_open(&data, o->size);
    size_t area = (size_t)o->size * (size_t)o->size * 3;
    real *x = memory_new(AT_ONCE * area, sizeof *x, "%d scenes", AT_ONCE);
    Scene scenes[AT_ONCE];
    char caption[SCENE_CAPTION], *path = path_join(o->out, "captions.txt");
    folder_create(o->out);
    AtomicFile f = file_create(path);
    for (int i = 0; i < o->count; i += AT_ONCE) {
        int n = o->count - i < AT_ONCE ? o->count - i : AT_ONCE;
        wardrobe_get(&w, part_named(o->part), o->seed, (uint64_t)i, n,
                     &(SceneBatch){.images = x, .low = 0, .high = 1, .scenes = scenes});
        for (int k = 0; k < n; k++) {
            write_picture(o, i + k, x + (size_t)k * area, command);
            fprintf(f.stream, "%05d.png\t%s\n", i + k, scene_caption(&scenes[k], caption));
        }
        if (!i) write_sheet(o, n < ON_SHEET ? n : ON_SHEET, x, scenes, command);
    }
    file_commit(&f);
    free(path);
    free(x);
    wardrobe_free(&w);
    fashion_free(&data);
    return 0;
}
