#include "data/fashion.h"

#include "base/file.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS, SIDE = 28, CLASSES = 10,
       CLASSES_MAX = 256 };

const char *const fashion_files[4] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                      "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};

/* of the decompressed files: packagers compress them anew, so sums of .gz files differ */
static const char *const published[4] = {
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"};

static const char *const fashion_names[CLASSES] = {
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};

/* "0", "1", ...: what other classes are called */
static const char *const *numbers(void) {
    static char text[CLASSES_MAX][12];
    static const char *names[CLASSES_MAX];
    for (int k = 0; k < CLASSES_MAX && !names[CLASSES_MAX - 1]; k++) {
        snprintf(text[k], sizeof text[k], "%d", k);
        names[k] = text[k];
    }
    return names;
}

/* FOLDER/NAME or FOLDER/NAME.gz, whichever is there; to be freed */
static char *find_file(const char *folder, const char *name, bool given) {
    char *plain = path_join(folder, name), *gz = text_format("%s.gz", plain);
    bool has_plain = access(plain, F_OK) == 0;
    if (!has_plain && access(gz, F_OK) != 0) {
        if (given) fail("%s[.gz]: not found; --data DIR needs %s, %s, %s and %s, plain or .gz",
                        plain, fashion_files[0], fashion_files[1], fashion_files[2],
                        fashion_files[3]);
        fail("%s: not found; get Fashion-MNIST by `apt-get install dataset-fashion-mnist`, or give "
             "--data DIR with %s[.gz], %s[.gz], %s[.gz] and %s[.gz]", gz, fashion_files[0],
             fashion_files[1], fashion_files[2], fashion_files[3]);
    }
    free(has_plain ? gz : plain);
    return has_plain ? plain : gz;
}

/* images: (n,28,28); labels: (n), as many as there are images */
static void check_images(const Idx *m, const char *path) {
    if (m->rank != 3) fail("%s: has %d axes, images have 3: number, rows, columns", path, m->rank);
    if (m->shape[1] != SIDE || m->shape[2] != SIDE) {
        fail("%s: its images are %dx%d, %dx%d is expected", path, m->shape[1], m->shape[2], SIDE,
             SIDE);
    }
}

static void check_labels(const Idx *l, const Idx *images, const char *path) {
    if (l->rank != 1) fail("%s: has %d axes, labels have 1", path, l->rank);
    if (l->shape[0] != images->shape[0]) {
        fail("%s: has %d labels for %d images", path, l->shape[0], images->shape[0]);
    }
}

static int count_classes(const Fashion *f) {
    int classes = CLASSES;
    for (int k = TRAIN_LABELS; k <= TEST_LABELS; k += TEST_LABELS - TRAIN_LABELS)
        for (size_t i = 0; i < f->file[k].len; i++)
            if (f->file[k].data[i] >= classes) classes = f->file[k].data[i] + 1;
    return classes;
}

/* one file: opened, checked, compared with the published one */
static void load_file(Fashion *f, int k, const char *folder, bool given) {
    char *path = find_file(folder, fashion_files[k], given);
    f->file[k] = idx_open(path);
    if (k == TRAIN_IMAGES || k == TEST_IMAGES) check_images(&f->file[k], path);
    else check_labels(&f->file[k], &f->file[k - 1], path);
    if (strcmp(f->file[k].sha256, published[k]) != 0) {
        if (!given) fail("%s: is not the published file (sha256 %.16s..., expected %.16s...); "
                         "reinstall dataset-fashion-mnist, or give --data DIR", path,
                         f->file[k].sha256, published[k]);
        f->standard = false;
    }
    free(path);
}

/* `count` images from number `first` on */
static Images part(const Idx *images, const Idx *labels, int first, int count) {
    return (Images){.count = count, .height = SIDE, .width = SIDE, .channels = 1,
                    .pixels = images->data + (size_t)first * SIDE * SIDE,
                    .labels = labels->data + first};
}

void fashion_need_classes(const Fashion *f, int known) {
    if (f->classes > known)
        fail("%s: has %d classes, labels 0 to %d; here %d are known", f->folder, f->classes,
             f->classes - 1, known);
}

static Fashion load(const char *folder, int known_classes) {
    Fashion f = {.standard = true, .folder = folder ? folder : FASHION_FOLDER};
    for (int k = 0; k < 4; k++) load_file(&f, k, f.folder, folder != NULL);
    f.classes = count_classes(&f);
    f.class_names = f.standard ? fashion_names : numbers();
    fashion_need_classes(&f, known_classes);
    if (!f.standard) notice("note: %s is not the published Fashion-MNIST", folder);
    int n = f.file[TRAIN_IMAGES].shape[0], held_out = n < 50000 ? n / 10 : 5000;
    f.train = part(&f.file[TRAIN_IMAGES], &f.file[TRAIN_LABELS], 0, n - held_out);
    f.validation = part(&f.file[TRAIN_IMAGES], &f.file[TRAIN_LABELS], n - held_out, held_out);
    f.test = part(&f.file[TEST_IMAGES], &f.file[TEST_LABELS], 0, f.file[TEST_IMAGES].shape[0]);
    return f;
}

Fashion fashion_load(const char *folder) {
    return load(folder, CLASSES);
}

Fashion fashion_load_any(const char *folder) {
    return load(folder, CLASSES_MAX);
}

static void need_images(const Fashion *f, int training, int testing) {
    int n = f->train.count + f->validation.count;
    if (n < training || f->test.count < testing)
        fail("%s: %d images for training and %d for testing; at least %d and %d are needed",
             f->folder, n, f->test.count, training, testing);
}

Fashion fashion_load_least(const char *folder, int training, int testing) {
    Fashion f = fashion_load(folder);
    need_images(&f, training, testing);
    return f;
}

Fashion fashion_load_unlabelled(const char *folder, int training, int testing) {
    Fashion f = fashion_load_any(folder);
    need_images(&f, training, testing);
    return f;
}

void fashion_free(Fashion *f) {
    for (int k = 0; k < 4; k++) idx_close(&f->file[k]);
    *f = (Fashion){0};
}
