/* score — says how good a file of pictures is, beside real pictures and noise. */
#include "pictures.h"
#include "data/emoji.h"
#include "eval/caption_sheet.h"
#include "eval/references.h"
#include "train/program.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STANDARD "fashion-mnist"

static struct {
    const char *labels, *data, *range, *weights, *neighbours, *captions;
    uint64_t seed;
    int threads;
    bool json;
} o = {.data = STANDARD, .range = "auto", .seed = 1};

static Option options[] = {
    {"labels", 'l', .s = &o.labels, .meta = "L.npy",
     .help = "class each picture was meant to be"},
    {"data", 'd', .s = &o.data, .meta = "NAME|DIR",
     .help = "real pictures: " STANDARD ", wardrobe, emoji, or a folder with files named like "
             "Fashion-MNIST's"},
    {"captions", 'c', .s = &o.captions, .meta = "FILE",
     .help = "a caption of the wardrobe for each picture, a line each: do they show it?"},
    {"range", 0, .s = &o.range, .choices = "auto|0:1|-1:1|0:255",
     .help = "values of black and white; auto: bytes 0:255, others 0:1 or -1:1 by their values"},
    {"neighbours", 0, .s = &o.neighbours, .meta = "FILE.png",
     .help = "draw the first 16 samples with their nearest training images"},
    {"weights", 'w', .s = &o.weights, .meta = "FILE",
     .help = "the network (default: this repository's, for the data)"},
    {"seed", 's', .u = &o.seed, .meta = "N", .help = "of the noise and of networks trained"},
    {"threads", 't', .i = &o.threads, .min = 0, .max = 256, .meta = "N",
     .help = "0: all processors; results do not depend on it"},
    {"json", 'j', .b = &o.json, .help = "print JSON"},
    {0}};

static Cli cli = {.program = "score",
                  .about = "Scores of a file of pictures, beside real ones and noise.",
                  .operand = "SAMPLES.npy",
                  .options = options};

/* ---- what samples are compared with ---------------------------------------------------------- */

typedef enum { FASHION, WARDROBE, EMOJI } Kind;

/* The real pictures of --data, and the network that sees them */
typedef struct {
    Kind kind;
    Geometry geometry;
    Fashion fashion;                 /* of FASHION and WARDROBE */
    Captioned emoji;
    Wardrobe wardrobe;
    Frozen classifier;               /* of FASHION and EMOJI */
    CaptionEvaluator captions;       /* of WARDROBE */
    Reference real;
    FeatureNet net;
    Arena arena;
    Evaluator evaluator;
} Data;

static Kind kind_of_data(void) {
    if (o.captions || !strcmp(o.data, "wardrobe")) return WARDROBE;
    return strcmp(o.data, "emoji") ? FASHION : EMOJI;
}

static char *weights_of(Kind kind) {
    static const char *const ours[] = {CLASSIFIER_WEIGHTS, CAPTION_WEIGHTS,
                                       EMOJI_CLASSIFIER_WEIGHTS};
    return o.weights ? text_format("%s", o.weights) : own_file(ours[kind]);
}

/* Colour pictures are of 64 or 32 pixels, as the file says. */
static Geometry geometry_of(Kind kind, const char *path) {
    if (kind == FASHION) return (Geometry){FASHION_SIDE, FASHION_SIDE, 1};
    int side = pictures_side(path);
    if (side != 32 && side != 64) side = kind == WARDROBE ? 64 : 32;
    return (Geometry){side, side, 3};
}

enum { SCENES = 10000 };             /* of the wardrobe, compared with */

/* real pictures and the network; scenes of the wardrobe are drawn here, features come later */
static void data_open(Data *d) {
    char *weights = weights_of(d->kind);
    bool named = !strcmp(o.data, STANDARD) || !strcmp(o.data, "wardrobe");
    if (d->kind == EMOJI) d->emoji = emoji_load(32, NULL);
    else d->fashion = fashion_load(named ? NULL : o.data);
    if (d->kind == WARDROBE) {
        d->wardrobe = wardrobe_open(&d->fashion, d->geometry.height);
        d->captions = caption_evaluator_load(weights);
        d->net = caption_evaluator_net(&d->captions, d->geometry.height);
        d->real = wardrobe_reference(&d->arena, &d->wardrobe, SCENES);
    } else {
        d->classifier = frozen_load(weights, d->kind == EMOJI ? &classifier_emoji
                                                              : &classifier_fashion);
        d->net = frozen_net(&d->classifier);
    }
    if (d->kind == EMOJI) d->real = emoji_reference(&d->arena, &d->emoji);
    if (d->kind == FASHION) {
        const Fashion *f = &d->fashion;
        score_count(f, 1);
        d->real = (Reference){f->train, f->test, f->classes, f->class_names};
    }
    free(weights);
}

static void data_close(Data *d) {
    evaluator_free(&d->evaluator);
    if (d->kind == EMOJI) captioned_free(&d->emoji);
    else fashion_free(&d->fashion);
    if (d->kind == WARDROBE) wardrobe_free(&d->wardrobe), caption_evaluator_free(&d->captions);
    else frozen_free(&d->classifier);
    arena_free(&d->arena);
}

/* ---- main ------------------------------------------------------------------------------------ */

static void check_count(int n, const char *path, const Data *d) {
    int most = score_most(&d->real);
    if (n < SCORE_MINIMUM || n > most) {
        fail("%s: holds %d pictures; %d to %d can be scored, since scores stand beside those of as "
             "many real ones", path, n, SCORE_MINIMUM, most);
    }
}

/* emoji of 64 pixels are the same at 32, each pixel a mean of four */
static real *emoji_at_32(Data *d, int n, real *x) {
    if (d->kind != EMOJI || d->geometry.height == 32) return x;
    real *small = arena_get(&d->arena, (size_t)n * 32 * 32 * 3 * sizeof *small);
    Tape t = {.no_grad = true};
    Tensor *y = t_avg_pool2(t_input(&t, x, SHAPE(n, 64, 64, 3)));
    memcpy(small, y->x, y->len * sizeof *small);
    tape_free(&t);
    return small;
}

/* what the captions' lines ask for; NULL: there are none */
static Scene *read_captions(Data *d, int n) {
    int lines;
    if (!o.captions) return NULL;
    Scene *scenes = captions_read(&d->arena, o.captions, &lines);
    if (lines != n) fail("%s: has %d captions for %d pictures", o.captions, lines, n);
    for (int i = 0; i < n && d->geometry.height == 32; i++) {
        if (scenes[i].count > 1) fail("%s: line %d: pictures of 32 pixels show one garment",
                                      o.captions, i + 1);
    }
    return scenes;
}

static void print_json(const ScoreSheet *sheet, const CaptionSheet *captions, const char *path) {
    cJSON *j = score_sheet_json(sheet);
    if (captions) json_item(j, "captions", caption_sheet_json(captions));
    json_text(j, "samples_file", path);
    json_text(j, "command", cli.line);
    char *text = cJSON_Print(j);
    if (!text) fail("out of memory");
    puts(text);
    free(text);
    cJSON_Delete(j);
}

static void print(const ScoreSheet *sheet, const CaptionSheet *captions) {
    if (captions) caption_sheet_print(captions), printf("\n");
    score_sheet_print(sheet);
}

static int score(void) {
    if (o.threads) threads_set(o.threads);
    const char *path = cli.command;
    Data d = {.kind = kind_of_data(), .geometry = geometry_of(kind_of_data(), path)};
    int n;
    real *x = pictures_load(&d.arena, path, d.geometry, o.range, o.json, &n);
    Scene *scenes = read_captions(&d, n);
    data_open(&d);
    check_count(n, path, &d);
    int *labels = o.labels ? labels_load(&d.arena, o.labels, n, d.real.classes) : NULL;
    d.evaluator = evaluator_open(d.net, d.real);
    CaptionSheet captions;
    if (scenes) captions = caption_sheet(&d.captions, &d.wardrobe, n, x, scenes);
    x = emoji_at_32(&d, n, x);
    ScoreSheet sheet = score_sheet(&d.evaluator, n, x, labels, o.seed);
    if (o.json) print_json(&sheet, scenes ? &captions : NULL, path);
    else print(&sheet, scenes ? &captions : NULL);
    if (o.neighbours) {
        neighbours_picture(&d.evaluator, n < 16 ? n : 16, x, o.neighbours, cli.line);
        if (!o.json) printf("\n%s\n", o.neighbours);
    }
    data_close(&d);
    return 0;
}

int main(int argc, char **argv) {
    cli.run = score;
    return program_main(&cli, argc, argv);
}
