#include "features.h"

#include "probe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- part 1 ---------------------------------------------------------------------------------- */

/* a set's clean images and their codes; d NULL: the pixels themselves */
static Features codes_of(Arena *arena, const Dae *d, const Images *set) {
    int n = set->count, *labels = arena_get(arena, (size_t)n * sizeof *labels);
    real *x = images_new(arena, set, n, 0, 1, labels);
    if (!d) return (Features){n, PIXELS, x, labels};
    real *h = arena_get(arena, (size_t)n * (size_t)d->code * sizeof *h);
    dae_encode_all(d, n, x, h);
    return (Features){n, d->code, h, labels};
}

/* rows first to first + n - 1 */
static Features part(Features f, int first, int n) {
    const real *x = f.x + (size_t)first * (size_t)f.dimensions;
    return (Features){n, f.dimensions, x, f.labels + first};
}

static cJSON *probe(const Cli *cli, const char *what, const Dae *d, const Fashion *data) {
    enum { SUBSETS = 3, FEW = 1000 };
    Arena arena = {0};
    Features train = codes_of(&arena, d, &data->train), test = codes_of(&arena, d, &data->test);
    double all = probe_accuracy(train, test, cli->common->seed), sum = 0, squares = 0;
    int few = train.n / SUBSETS < FEW ? train.n / SUBSETS : FEW;
    for (int k = 0; k < SUBSETS; k++) {
        double accuracy = probe_accuracy(part(train, k * few, few), test, cli->common->seed);
        sum += accuracy, squares += accuracy * accuracy;
    }
    double mean = sum / SUBSETS;
    double deviation = sqrt(fmax(0, (squares - sum * mean) / (SUBSETS - 1)));
    if (!cli->common->quiet)
        printf("  %-22s %5d numbers  %d labels %.4f   %d labels %.4f +- %.4f\n", what,
               train.dimensions, train.n, all, few, mean, deviation);
    cJSON *j = json_object();
    json_number(j, "dimensions", train.dimensions);
    json_number(j, "all_labels", all);
    json_number(j, "few", few);
    json_number(j, "few_labels", mean);
    json_number(j, "few_labels_deviation", deviation);
    arena_free(&arena);
    return j;
}

void probe_denoisers(const Cli *cli, const Dae *net, const Dae *plain, const Fashion *data,
                     cJSON *metrics) {
    Params p = {.seed = cli->common->seed};
    Dae untrained = dae_new(&p, net->architecture);
    if (!cli->common->quiet)
        printf("share of %d test images classified rightly\n", data->test.count);
    json_item(metrics, "probe", probe(cli, "denoising autoencoder", net, data));
    if (plain) json_item(metrics, "probe_plain", probe(cli, "plain autoencoder", plain, data));
    json_item(metrics, "probe_untrained", probe(cli, "untrained network", &untrained, data));
    json_item(metrics, "probe_pixels", probe(cli, "pixels", NULL, data));
    params_free(&p);
}

/* ---- part 2 ---------------------------------------------------------------------------------- */

/* of every image of a set */
typedef struct {
    Features mean, cls;
} TokenFeatures;

static TokenFeatures tokens_of(Arena *arena, const Encoder *e, const Images *set) {
    enum { AT_ONCE = 128 };
    int n = set->count, D = e->shape.width;
    size_t size = (size_t)n * (size_t)D * sizeof(real);
    real *mean = arena_get(arena, size), *cls = arena_get(arena, size);
    int *labels = arena_get(arena, (size_t)n * sizeof *labels);
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        Images few = images_part(set, i, B);
        tape_reset(&t);
        Tensor *x = t_input(&t, NULL, SHAPE(B, IMAGE, IMAGE, 1));
        images_get(&few, B, NULL, -1, 1, x->x, labels + i);
        ImageFeatures f = image_features(e, x);
        memcpy(mean + (size_t)i * (size_t)D, f.mean->x, f.mean->len * sizeof *mean);
        memcpy(cls + (size_t)i * (size_t)D, f.cls->x, f.cls->len * sizeof *cls);
    }
    tape_free(&t);
    return (TokenFeatures){{n, D, mean, labels}, {n, D, cls, labels}};
}

void probe_encoder(const Cli *cli, const Encoder *e, const Fashion *data, cJSON *metrics) {
    Arena arena = {0};
    TokenFeatures train = tokens_of(&arena, e, &data->train);
    TokenFeatures test = tokens_of(&arena, e, &data->test);
    double mean = probe_accuracy(train.mean, test.mean, cli->common->seed);
    double cls = probe_accuracy(train.cls, test.cls, cli->common->seed);
    json_number(metrics, "probe_accuracy", mean);
    json_number(metrics, "probe_accuracy_class_token", cls);
    if (!cli->common->quiet)
        printf("linear probe on frozen features, all %d labels\n  mean of the patches' tokens: "
               "%.2f %% of test images\n  class token: %.2f %%\n", train.mean.n, 100 * mean,
               100 * cls);
    arena_free(&arena);
}
