/* test_score.c — the program that scores files of samples. */
#include "base/file.h"
#include "data/fashion.h"
#include "io/json.h"
#include "programs.h"

#include <math.h>

PROGRAM_SUITE(score);

/* an .npy file in the folder */
static void put_npy(const char *name, const char *type, const char *shape, const void *data,
                    size_t bytes) {
    char header[128] = "\x93NUMPY\x01\x00\x76\x00";
    snprintf(header + 10, 118, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type,
             shape);
    for (int i = 10 + (int)strlen(header + 10); i < 127; i++) header[i] = ' ';
    header[127] = '\n';
    char *path = path_join(folder, name);
    AtomicFile f = file_create(path);
    file_put(&f, header, 128);
    file_put(&f, data, bytes);
    file_commit(&f);
    free(path);
}

/* 30 pictures in three ranges, their labels, and a small set of real ones to compare them with */
static void make_files(void) {
    enum { N = 30 };
    static float unit[N * FASHION_PIXELS], both[N * FASHION_PIXELS], hair[N * FASHION_PIXELS];
    Fashion data = fashion_load(NULL);
    for (int i = 0; i < N * FASHION_PIXELS; i++) {
        unit[i] = (float)data.test.pixels[i] / 255;
        both[i] = 2 * unit[i] - 1;
        hair[i] = unit[i] * 1.0000002f - 1e-7f;
    }
    put_npy("bytes.npy", "|u1", "(30, 28, 28, 1)", data.test.pixels, N * FASHION_PIXELS);
    put_npy("unit.npy", "<f4", "(30, 784)", unit, sizeof unit);
    put_npy("both.npy", "<f4", "(30, 1, 28, 28)", both, sizeof both);
    put_npy("hair.npy", "<f4", "(30, 28, 28)", hair, sizeof hair);
    put_npy("labels.npy", "|u1", "(30,)", data.test.labels, N);
    put_npy("few_labels.npy", "|u1", "(29,)", data.test.labels, N - 1);
    put_npy("flat.npy", "<f4", "(23520,)", unit, sizeof unit);
    put_npy("few.npy", "<f4", "(2, 784)", unit, 2 * FASHION_PIXELS * sizeof *unit);
    put_npy("half.npy", "<f2", "(60, 28, 28)", unit, N * FASHION_PIXELS * sizeof *unit);
    put_npy("cut.npy", "<f4", "(31, 28, 28)", unit, sizeof unit);
    put_npy("many.npy", "|u1", "(200, 28, 28)", data.test.pixels, 200 * FASHION_PIXELS);
    put_npy("classes.npy", "|u1", "(30,)", data.test.pixels + 300, N);
    unit[800] = (float)1.25;
    put_npy("bright.npy", "<f4", "(30, 784)", unit, sizeof unit);
    unit[800] = (float)-0.01;
    put_npy("dark.npy", "<f4", "(30, 784)", unit, sizeof unit);
    unit[800] = NAN;
    put_npy("nan.npy", "<f4", "(30, 784)", unit, sizeof unit);
    fashion_free(&data);
    few_garments(400, 120);
}

/* what build/score prints; to be freed */
static char *score(const char *arguments) {
    const char *build = getenv("BUILD");
    char command[1500], args[900];
    snprintf(args, sizeof args, arguments, folder, folder, folder, folder);
    snprintf(command, sizeof command, "%s/score --threads 1 %s >%s/out", build ? build : "build",
             args, folder);
    cr_assert_eq(system(command), 0, "%s", command);
    char *path = path_join(folder, "out"), *text = text_of(path);
    free(path);
    return text;
}

/* bytes, 0:1, -1:1 and what rounding leaves outside of 0:1 are the same pictures: the same scores to
 * rounding, and a whole sheet */
Test(score, reads_bytes_and_both_ranges) {
    static const char *arguments[] = {"%s/bytes.npy --data %s --json",
                                      "%s/unit.npy --data %s --json",
                                      "%s/both.npy --data %s --json",
                                      "%s/hair.npy --data %s --json",
                                      "%s/hair.npy --data %s --range 0:1 --json"};
    enum { CASES = sizeof arguments / sizeof *arguments };
    double frechet[CASES];
    make_files();
    for (int i = 0; i < CASES; i++) {
        char *text = score(arguments[i]);
        cJSON *j = cJSON_Parse(text), *samples = cJSON_GetObjectItem(j, "samples");
        frechet[i] = cJSON_GetObjectItem(samples, "frechet_distance")->valuedouble;
        cr_assert_eq(cJSON_GetObjectItem(j, "n")->valueint, 30);
        cr_assert_eq(strlen(cJSON_GetObjectItem(j, "classifier_sha256")->valuestring), 64);
        cr_assert(cJSON_IsNull(cJSON_GetObjectItem(samples, "intended_class_accuracy")));
        cr_assert_not_null(cJSON_GetObjectItem(cJSON_GetObjectItem(j, "test_images"), "recall"));
        cr_assert_not_null(cJSON_GetObjectItem(cJSON_GetObjectItem(j, "noise"), "coverage"));
        const cJSON *of_class, *classes = cJSON_GetObjectItem(samples, "class_histogram");
        int counted = 0;
        cJSON_ArrayForEach(of_class, classes) counted += of_class->valueint;
        cr_assert_eq(cJSON_GetArraySize(classes), 10);
        cr_assert_eq(counted, 30);
        cJSON_Delete(j);
        free(text);
    }
    for (int i = 1; i < CASES; i++)
        cr_expect_float_eq(frechet[i], frechet[0], 1e-4 * frechet[0], "%s", arguments[i]);
}

/* with labels and a picture of neighbours */
Test(score, prints_a_sheet) {
    make_files();
    char *text = score("%s/unit.npy --labels %s/labels.npy --data %s --neighbours %s/n.png");
    static const char *parts[] = {"N = 30 pictures", "test set", "noise", "Frechet distance",
                                  "kernel distance", "Inception-style", "precision", "recall",
                                  "coverage", "sharpness", "intended class", "trained on it"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        cr_assert(strstr(text, parts[i]), "'%s' is not in: %s", parts[i], text);
    }
    free(text);
    cr_assert(file_there("n.png"));
}

/* what cannot be scored ends with status 1 (2: the command line) and the reason in one line */
Test(score, refuses_what_it_cannot_score) {
    static const struct { const char *arguments, *reason; int status; } cases[] = {
        {"", "no SAMPLES.npy given", 2},
        {"%s/bytes.npy %s/unit.npy", "surplus argument", 2},
        {"%s/bytes.npy --range 1:2", "is not one of auto|0:1|-1:1|0:255", 2},
        {"%s/nothing.npy", "nothing.npy: cannot be read", 1},
        {"%s/t10k-labels-idx1-ubyte", "is not an .npy file", 1},
        {"%s/half.npy", "holds numbers of type '<f2'", 1},
        {"%s/cut.npy", "declares 24304 numbers of 4 bytes, 94080 bytes follow", 1},
        {"%s/flat.npy", "its shape is (23520); pictures are (N,28,28)", 1},
        {"%s/nan.npy", "picture 1, pixel 16 is nan", 1},
        {"%s/bright.npy", "its values are 0 to 1.25: neither", 1},
        {"%s/dark.npy", "its values are -0.01 to 1: neither", 1},
        {"%s/both.npy --range 0:1", "are -1 to 1, outside --range 0:1", 1},
        {"%s/few.npy", "holds 2 pictures; 20 to 10000 can be scored", 1},
        {"%s/bytes.npy --labels %s/few_labels.npy", "its shape is (29); labels of 30 pictures", 1},
        {"%s/bytes.npy --labels %s/classes.npy", "0 to 9 is expected", 1},
        {"%s/bytes.npy --weights notebooks-data/ae/weights.safetensors", "was made by ae", 1},
        {"%s/bytes.npy --data %s/nowhere", "not found", 1},
    };
    make_files();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_refusal("score", cases[i].arguments, cases[i].status, cases[i].reason);
    }
    char message[2000];           /* first it notes that these are not the published files */
    cr_assert_eq(run_program("score", "%s/many.npy --data %s", message), 1);
    cr_assert(strstr(message, "holds 200 pictures; 20 to 120 can be scored"), "%s", message);
}
