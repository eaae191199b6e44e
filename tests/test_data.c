/* test_data.c — IDX files, Fashion-MNIST, checksums, batches, bicubic pictures. */
#include "testing.h"

#include "data/batches.h"
#include "data/bicubic.h"
#include "data/fashion.h"
#include "data/idx.h"
#include "data/sha256.h"
#include "base/file.h"
#include "stops.h"

#include <sys/stat.h>
#include <time.h>
#include <zlib.h>

SUITE(data);

/* ---- helpers ---------------------------------------------------------------------------------- */

/* an IDX file in memory: header for `rank` sizes, then n bytes, byte k being k % modulo */
static size_t make_idx(uint8_t *out, int rank, const uint32_t *shape, size_t n, int modulo) {
    size_t at = 4;
    out[0] = out[1] = 0;
    out[2] = 8;
    out[3] = (uint8_t)rank;
    for (int i = 0; i < rank; i++) {
        for (int k = 3; k >= 0; k--) out[at++] = (uint8_t)(shape[i] >> 8 * k);
    }
    for (size_t k = 0; k < n; k++) out[at++] = (uint8_t)(k % (size_t)modulo);
    return at;
}

static void put_file(const char *folder, const char *name, const uint8_t *bytes, size_t n,
                     bool gz) {
    char *path = path_join(folder, name);
    if (gz) {
        gzFile f = gzopen(path, "wb1");
        gzwrite(f, bytes, (unsigned)n);
        gzclose(f);
    } else {
        file_write(path, bytes, n);
    }
    free(path);
}

/* a folder with a small data set in the four files: `train` and 5 test images */
static char *small_set(int train, bool gz) {
    char *folder = temporary_folder();
    static uint8_t bytes[100 * 784 + 16];
    for (int k = 0; k < 4; k++) {
        uint32_t shape[3] = {k < 2 ? (uint32_t)train : 5, 28, 28};
        int rank = k % 2 ? 1 : 3;
        size_t n = shape[0] * (rank == 3 ? 784 : 1);
        n = make_idx(bytes, rank, shape, n, rank == 3 ? 251 : 10);
        char *name = text_format("%s%s", fashion_files[k], gz ? ".gz" : "");
        put_file(folder, name, bytes, n, gz);
        free(name);
    }
    return folder;
}

static void idx_open_it(void *path) {
    idx_open(path);
}

static void fashion_load_it(void *folder) {
    fashion_load(folder);
}

/* writes the bytes to a file, plain and gzipped; opening either must fail with a line that holds
 * `part` */
static void refused(const uint8_t *bytes, size_t n, const char *part) {
    char *folder = temporary_folder();
    put_file(folder, "plain", bytes, n, false);
    put_file(folder, "x.gz", bytes, n, true);
    char *plain = path_join(folder, "plain"), *gz = path_join(folder, "x.gz");
    expect_stop(1, part, idx_open_it, plain);
    expect_stop(1, part, idx_open_it, gz);
    free(plain);
    free(gz);
}

/* ---- IDX -------------------------------------------------------------------------------------- */

/* is what was written read, plain and gzipped? */
Test(data, idx_reads_what_the_header_says) {
    uint8_t bytes[100];
    size_t n = make_idx(bytes, 2, (uint32_t[]){3, 4}, 12, 256);
    char message[IDX_MESSAGE], *folder = temporary_folder();
    Idx idx;
    cr_assert(idx_parse(&idx, bytes, n, message), "%s", message);
    cr_assert(idx.rank == 2 && idx.shape[0] == 3 && idx.shape[1] == 4 && idx.len == 12);
    for (int gz = 0; gz < 2; gz++) {
        put_file(folder, "f", bytes, n, gz);
        char *path = path_join(folder, "f");
        idx = idx_open(path);
        cr_assert(idx.len == 12 && idx.data[11] == 11);
        idx_close(&idx);
        free(path);
    }
}

/* is a file that is empty, cut short, too long or of another kind refused with one line that says
 * so? */
Test(data, idx_refuses_broken_files) {
    uint8_t bytes[100], broken[100];
    size_t n = make_idx(bytes, 3, (uint32_t[]){2, 2, 3}, 12, 256);
    refused(bytes, 0, "holds 0 bytes, an IDX file has at least 4");
    refused(bytes, 3, "holds 3 bytes");
    refused(bytes, 4, "ends inside its header: 4 bytes of 16");
    refused(bytes, 15, "ends inside its header: 15 bytes of 16");
    refused(bytes, n - 1, "is cut short: its header declares 12 bytes of data, 11 follow");
    refused(bytes, n + 1, "has surplus bytes: its header declares 12 bytes of data, 13 follow");
    memcpy(broken, bytes, n);
    broken[0] = 0x50;
    refused(broken, n, "starts with the bytes 50 00 08 03");
    memcpy(broken, bytes, n);
    broken[2] = 0x0d;
    refused(broken, n, "has numbers of type 0d");
    memcpy(broken, bytes, n);
    broken[3] = 0;
    refused(broken, n, "says it has 0 axes");
    broken[3] = 5;
    refused(broken, n, "says it has 5 axes");
}

/* are sizes whose product overflows, or that are zero, refused before anything is allocated by
 * them? */
Test(data, idx_refuses_hostile_sizes) {
    uint8_t bytes[100];
    size_t n = make_idx(bytes, 4, (uint32_t[]){1u << 31, 1u << 31, 4, 1}, 0, 256);
    refused(bytes, n, "says axis 0 has the size 2147483648: it cannot");
    n = make_idx(bytes, 4, (uint32_t[]){1u << 30, 1u << 30, 1u << 30, 1}, 0, 256);
    refused(bytes, n, "says axis 2 has the size 1073741824: it cannot");
    n = make_idx(bytes, 2, (uint32_t[]){0, 5}, 0, 256);
    refused(bytes, n, "says axis 0 has the size 0");
}

/* is a gzip file that breaks off, or whose checksum is wrong, refused, and so is what cannot be
 * opened? */
Test(data, idx_refuses_broken_gzip_and_unreadable_files) {
    static uint8_t bytes[60000], gz[60100];
    char *folder = temporary_folder();
    size_t n = make_idx(bytes, 1, (uint32_t[]){50000}, 50000, 256);
    for (size_t i = 8; i < n; i++) bytes[i] = (uint8_t)(i * i * 2654435761u >> 13);
    put_file(folder, "x.gz", bytes, n, true);
    char *path = path_join(folder, "x.gz");
    FILE *f = fopen(path, "rb");
    size_t length = fread(gz, 1, sizeof gz, f);
    fclose(f);
    put_file(folder, "cut.gz", gz, length / 2, false);
    char *cut = path_join(folder, "cut.gz"), *bad = path_join(folder, "bad.gz");
    expect_stop(1, "the compressed data is cut short", idx_open_it, cut);
    gz[length - 6] ^= 1;
    put_file(folder, "bad.gz", gz, length, false);
    expect_stop(1, "bad.gz: cannot be read: ", idx_open_it, bad);
    expect_stop(1, "cannot be read: Is a directory", idx_open_it, folder);
    expect_stop(1, "cannot be read: No such file", idx_open_it, "/nowhere/at/all");
    free(path);
    free(cut);
    free(bad);
}

/* ---- SHA-256 ---------------------------------------------------------------------------------- */

/* are the published examples (FIPS 180-4), and lengths around a block's end, right? */
Test(data, sha256_gives_the_known_answers) {
    static uint8_t million[1000000];
    char hex[65];
    memset(million, 'a', sizeof million);
    sha256("", 0, hex);
    cr_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256("abc", 3, hex);
    cr_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
    cr_assert_str_eq(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    sha256(million, sizeof million, hex);
    cr_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    sha256(million, 55, hex);
    cr_assert_str_eq(hex, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    sha256(million, 64, hex);
    cr_assert_str_eq(hex, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

/* ---- Fashion-MNIST ---------------------------------------------------------------------------- */

/* is the installed data set the published one, with 6,000 training images a class, read within a
 * second? */
Test(data, fashion_mnist_is_the_published_one) {
    struct stat s;
    cr_assert(stat(FASHION_FOLDER, &s) == 0,
              "Fashion-MNIST is not installed: apt-get install dataset-fashion-mnist");
    Fashion f = fashion_load(NULL);
    cr_assert(f.standard);
    cr_assert(f.train.count == 55000 && f.validation.count == 5000 && f.test.count == 10000);
    cr_assert(f.train.height == 28 && f.train.width == 28 && f.train.channels == 1);
    int count[10] = {0};
    for (int i = 0; i < f.train.count; i++) count[f.train.labels[i]]++;
    for (int i = 0; i < f.validation.count; i++) count[f.validation.labels[i]]++;
    for (int c = 0; c < 10; c++) cr_assert_eq(count[c], 6000, "class %d has %d", c, count[c]);
    cr_assert_str_eq(f.class_names[9], "Ankle boot");
    cr_assert_eq(f.train.labels[0], 9, "the first training image is an ankle boot");
    cr_assert_eq(f.validation.pixels, f.train.pixels + (size_t)55000 * 784, "no image is in both");
    fashion_free(&f);
}

/* does a user's own folder work, plain or gzipped, with a note, and its own split? */
Test(data, fashion_reads_a_folder_of_the_users_own) {
    for (int gz = 0; gz < 2; gz++) {
        Fashion f = fashion_load(small_set(50, gz));
        cr_assert_not(f.standard);
        cr_assert(f.train.count == 45 && f.validation.count == 5 && f.test.count == 5);
        cr_assert_str_eq(f.class_names[3], "3");
        fashion_free(&f);
    }
}

/* is a folder refused where a file is missing, of the wrong shape, or does not fit the others? */
Test(data, fashion_refuses_folders_that_do_not_fit) {
    uint8_t bytes[20000];
    expect_stop(1, "/nowhere/train-images-idx3-ubyte[.gz]: not found; --data DIR needs",
                fashion_load_it, "/nowhere");
    char *folder = small_set(20, false);
    size_t n = make_idx(bytes, 3, (uint32_t[]){20, 5, 7}, 700, 256);
    put_file(folder, fashion_files[0], bytes, n, false);
    expect_stop(1, "its images are 5x7, 28x28 is expected", fashion_load_it, folder);
    n = make_idx(bytes, 1, (uint32_t[]){20}, 20, 10);
    put_file(folder, fashion_files[0], bytes, n, false);
    expect_stop(1, "has 1 axes, images have 3", fashion_load_it, folder);
    folder = small_set(20, false);
    n = make_idx(bytes, 1, (uint32_t[]){19}, 19, 10);
    put_file(folder, fashion_files[1], bytes, n, false);
    expect_stop(1, "has 19 labels for 20 images", fashion_load_it, folder);
    n = make_idx(bytes, 1, (uint32_t[]){20}, 20, 11);
    put_file(folder, fashion_files[1], bytes, n, false);
    expect_stop(1, "has 11 classes, labels 0 to 10; here 10 are known", fashion_load_it, folder);
}

/* EMNIST: are more classes counted where any number will do, and refused where ten are known? */
Test(data, fashion_counts_classes) {
    uint8_t bytes[300];
    char *folder = small_set(20, false);
    size_t n = make_idx(bytes, 1, (uint32_t[]){20}, 20, 27);
    bytes[n - 1] = 46;
    put_file(folder, fashion_files[1], bytes, n, false);
    Fashion f = fashion_load_any(folder);
    cr_assert_eq(f.classes, 47);
    cr_assert_str_eq(f.class_names[46], "46");
    cr_assert_str_eq(f.class_names[255], "255");
    fashion_need_classes(&f, 47);
    fashion_free(&f);
    expect_stop(1, "has 47 classes, labels 0 to 46; here 10 are known", fashion_load_it, folder);
    f = fashion_load_any(NULL);
    cr_assert(f.classes == 10 && f.standard && !strcmp(f.class_names[9], "Ankle boot"));
    fashion_free(&f);
}

/* do bytes become values of the stated range, in the order asked for? */
Test(data, images_get_maps_bytes_to_the_range) {
    uint8_t pixels[] = {0, 255, 51, 102, 204, 153}, labels[] = {7, 8, 9};
    Images m = {
        .count = 3, .height = 1, .width = 2, .channels = 1, .pixels = pixels, .labels = labels};
    real x[6];
    int label[3];
    images_get(&m, 3, (int[]){2, 0, 1}, -1, 1, x, label);
    double expected[] = {0.6, 0.2, -1, 1, -0.6, -0.2};
    for (int i = 0; i < 6; i++) cr_assert_float_eq((double)x[i], expected[i], 1e-6);
    cr_assert(label[0] == 9 && label[1] == 7 && label[2] == 8);
    images_get(&m, 1, NULL, 0, 1, x, NULL);
    cr_assert(x[0] == 0 && x[1] == 1, "the ends of the range are exact");
}

/* ---- batches ---------------------------------------------------------------------------------- */

/* does every image come once an epoch, though batches do not divide the set, in another order each
 * time? */
Test(data, batches_cover_every_image_once_an_epoch) {
    enum { COUNT = 103, BATCH = 10, EPOCHS = 3 };
    Batches b = batches_new(COUNT, 1);
    int order[EPOCHS * COUNT + BATCH], n = 0;
    while (n < EPOCHS * COUNT) {
        batches_next(&b, BATCH, order + n);
        n += BATCH;
    }
    for (int e = 0; e < EPOCHS; e++) {
        int seen[COUNT] = {0};
        for (int i = 0; i < COUNT; i++) seen[order[e * COUNT + i]]++;
        for (int i = 0; i < COUNT; i++)
            cr_assert_eq(seen[i], 1, "image %d came %d times", i, seen[i]);
    }
    cr_assert(memcmp(order, order + COUNT, COUNT * sizeof(int)) != 0);
    batches_free(&b);
}

/* does the order go on exactly from the one integer that is saved, wherever that was? */
Test(data, batches_go_on_exactly_from_next) {
    for (int cut = 0; cut < 25; cut++) {
        Batches a = batches_new(10, 5), b = batches_new(10, 5);
        int index[40], rest[40];
        batches_next(&a, cut, index);
        b.next = a.next;
        batches_next(&a, 15, index);
        batches_next(&b, 15, rest);
        cr_assert_arr_eq(index, rest, 15 * sizeof(int));
        batches_free(&a);
        batches_free(&b);
    }
}

/* do the order and the seed go together? */
Test(data, batches_depend_on_the_seed_alone) {
    Batches a = batches_new(1000, 5), b = batches_new(1000, 5), c = batches_new(1000, 6);
    int x[1000], y[1000], z[1000];
    batches_next(&a, 1000, x);
    for (int i = 0; i < 1000; i += 8) batches_next(&b, 8, y + i);
    batches_next(&c, 1000, z);
    cr_assert_arr_eq(x, y, sizeof x);
    cr_assert(memcmp(x, z, sizeof x) != 0);
    batches_free(&a);
    batches_free(&b);
    batches_free(&c);
}

/* ---- bicubic --------------------------------------------------------------------------------- */

/* a picture with edges everywhere, the same as was given to Pillow 9.4 */
static void test_picture(int height, int width, uint8_t *x) {
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++, x += 3) {
            x[0] = (uint8_t)((j * 37 + i * 11) % 256);
            x[1] = (uint8_t)((j * j * 5 + i * 61) % 256);
            x[2] = (uint8_t)(255 - j * 13 * i % 256);
        }
}

/* Smaller, larger, and one of each: Image.resize((width,height), BICUBIC), byte by byte */
Test(data, bicubic_pictures_are_those_of_pillow) {
    static const uint8_t down[] =
        {43, 53, 247, 151, 125, 220, 131, 157, 184, 75, 131, 174, 68, 169, 216, 173, 117, 127,
         127, 138, 123, 101, 137, 133, 94, 101, 179, 192, 127, 128, 87, 138, 145, 130, 109,
         155};
    static const uint8_t up[] =
        {0, 0, 255, 10, 0, 255, 36, 0, 255, 62, 10, 255, 76, 16, 255, 2, 13, 255, 13, 14, 254,
         39, 18, 252, 65, 28, 250, 79, 34, 249, 6, 48, 255, 20, 49, 252, 46, 53, 245, 72, 63,
         238, 86, 69, 234, 9, 66, 255, 23, 67, 251, 49, 71, 241, 75, 81, 231, 89, 87, 226};
    static const uint8_t mixed[] =
        {38, 2, 255, 153, 84, 255, 92, 173, 255, 41, 20, 252, 156, 102, 244, 95, 164, 236, 48,
         55, 244, 163, 137, 214, 102, 145, 184, 51, 73, 240, 166, 155, 198, 105, 136, 157};
    uint8_t x[11 * 7 * 3], y[5 * 4 * 3];
    test_picture(7, 11, x);
    bicubic_resize(7, 11, x, 3, 4, y);
    cr_expect_arr_eq(y, down, sizeof down);
    test_picture(2, 3, x);
    bicubic_resize(2, 3, x, 4, 5, y);
    cr_expect_arr_eq(y, up, sizeof up);
    test_picture(2, 9, x);
    bicubic_resize(2, 9, x, 4, 3, y);
    cr_expect_arr_eq(y, mixed, sizeof mixed);
}

/* torchvision's Resize(5), CenterCrop(5) of 23x10 pixels: 11x5, from column 3 on */
Test(data, the_middle_square_is_that_of_torchvision) {
    static const uint8_t square[] =
        {91, 153, 196, 70, 138, 185, 166, 132, 193, 163, 116, 175, 46, 104, 150, 105, 142, 119,
         92, 125, 119, 186, 117, 150, 118, 101, 110, 68, 133, 142, 54, 145, 143, 121, 130, 149,
         210, 115, 151, 76, 91, 117, 91, 129, 157, 63, 125, 131, 150, 112, 141, 192, 104, 125,
         68, 137, 98, 119, 112, 111, 78, 138, 124, 175, 121, 155, 173, 129, 151, 54, 161, 96,
         144, 135, 130};
    uint8_t x[23 * 10 * 3], y[5 * 5 * 3];
    test_picture(10, 23, x);
    bicubic_square(10, 23, x, 5, y);
    cr_expect_arr_eq(y, square, sizeof square);
}
