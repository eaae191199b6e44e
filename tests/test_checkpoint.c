/* test_checkpoint.c — networks in files: PyTorch's names and layout, what is refused, what is
 * remembered. */
#define _GNU_SOURCE   /* memmem */
#include "testing.h"

#include "train/checkpoint.h"
#include "base/file.h"
#include "io/half.h"
#include "io/safetensors.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "stops.h"

#include <math.h>

SUITE(checkpoint);

/* ---- helpers ---------------------------------------------------------------------------------- */

static bool same_files(const char *a, const char *b) {
    size_t n, m;
    const uint8_t *x = file_map(a, &n), *y = file_map(b, &m);
    bool same = n == m && memcmp(x, y, n) == 0;
    file_unmap(x, n);
    file_unmap(y, m);
    return same;
}

/* ---- checkpoints ------------------------------------------------------------------------------ */

static CommonOptions common;
static int hidden;
static Option options[] = {COMMON_OPTIONS(common, "default|wide"),
                           {"hidden", 0, .i = &hidden, .keep = KEEP_MODEL, .help = "hidden units"},
                           {0}};
static Cli cli;

static void call(char *word, char *word2, char *word3) {
    static char *argv[5] = {"ae"};
    common = (CommonOptions){
        .micro = 1,
        .seed = 3, .steps = 10, .batch = 4, .lr = 0.5, .config = "default", .out = "o"};
    hidden = 5;
    cli = (Cli){.program = "ae", .options = options,
                .commands = (const Command[]){{"train", "", NULL}, {"sample", "", NULL}, {0}}};
    argv[1] = word, argv[2] = word2, argv[3] = word3;
    cli_parse(&cli, word3 ? 4 : word2 ? 3 : 2, argv);
}

/* a network with one layer of each kind */
typedef struct {
    Params params;
    Linear line;
    Conv2d conv;
    ConvTranspose2d up;
    Embedding table;
    BatchNorm norm;
} Net;

static void make_net(Net *n, uint64_t seed, int out) {
    *n = (Net){.params = {.seed = seed}};
    n->line = linear_new(scope(&n->params, "enc.1"), 2, out, true);
    n->conv = conv2d_new(scope(&n->params, "conv"), 2, 3, 3, 1, 1, true);
    n->up = conv_transpose2d_new(scope(&n->params, "up"), 4, 2, 2, 2, 0, true);
    n->table = embedding_new(scope(&n->params, "emb"), 5, 3);
    n->norm = batch_norm_new(scope(&n->params, "bn"), 3, 0.1, 1e-5);
}

static bool same_params(const Params *a, const Params *b) {
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++) {
        if (memcmp(a->list[i]->x, b->list[i]->x, a->list[i]->len * sizeof(real)) != 0) return false;
    }
    return true;
}

static real value(const Safetensors *s, const char *name, size_t at) {
    static real x[1000];
    safetensors_get(safetensors_find(s, name), x);
    return x[at];
}

/* are names and layout in the file PyTorch's, number by number? */
Test(checkpoint, keeps_pytorch_names_and_layout) {
    Net n;
    char text[ST_SHAPE];
    const char *path = place("w.safetensors");
    call("train", NULL, NULL);
    make_net(&n, 1, 7);
    checkpoint_save(path, &(Checkpoint){.cli = &cli, .params = {{"", &n.params}}});
    Safetensors s = safetensors_open(path);
    static const struct { const char *name, *shape;
    } expected[] = {
        {"enc.1.weight", "(7,2)"},  {"enc.1.bias", "(7)"},      {"conv.weight", "(3,2,3,3)"},
        {"conv.bias", "(3)"},       {"up.weight", "(4,2,2,2)"}, {"up.bias", "(2)"},
        {"emb.weight", "(5,3)"},    {"bn.weight", "(3)"},       {"bn.bias", "(3)"},
        {"bn.running_mean", "(3)"}, {"bn.running_var", "(3)"}};
    cr_assert_eq(s.count, 11);
    for (int i = 0; i < 11; i++) {
        const StTensor *t = safetensors_find(&s, expected[i].name);
        cr_assert_not_null(t, "%s", expected[i].name);
        cr_assert_str_eq(safetensors_shape(t->rank, t->shape, text), expected[i].shape);
    }
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 7; j++) {
            cr_assert_eq(value(&s, "enc.1.weight", (size_t)(j * 2 + i)), n.line.w->x[i * 7 + j]);
        }
    }
    for (int u = 0; u < 3; u++) {           /* (kh,kw,in,out) is OIHW */
        for (int v = 0; v < 3; v++) {
            for (int c = 0; c < 2; c++) {
                for (int k = 0; k < 3; k++) {
                    cr_assert_eq(value(&s, "conv.weight", (size_t)(((k * 2 + c) * 3 + u) * 3 + v)),
                                 n.conv.w->x[((u * 3 + v) * 2 + c) * 3 + k]);
                }
            }
        }
    }
    for (int u = 0; u < 2; u++) {           /* (kh,kw,out,in) is IOHW */
        for (int v = 0; v < 2; v++) {
            for (int k = 0; k < 2; k++) {
                for (int c = 0; c < 4; c++) {
                    cr_assert_eq(value(&s, "up.weight", (size_t)(((c * 2 + k) * 2 + u) * 2 + v)),
                                 n.up.w->x[((u * 2 + v) * 2 + k) * 4 + c]);
                }
            }
        }
    }
    cr_assert_eq(value(&s, "emb.weight", 4), n.table.table->x[4]);
    safetensors_close(&s);
    params_free(&n.params);
}

/* Does everything come back as it was saved, moments that did not exist before included, and is the
 * file the same when it is saved again? */
Test(checkpoint, brings_back_weights_moments_and_numbers) {
    Net a, b;
    Adam adam = {ADAM_DEFAULTS, .step = 3}, other = {ADAM_DEFAULTS};
    int64_t step = 42, step2 = 0;
    uint64_t next = UINT64_MAX, next2 = 0;
    const char *path = place("c.safetensors"), *again = place("d.safetensors");
    call("train", NULL, NULL);
    make_net(&a, 1, 7);
    make_net(&b, 2, 7);
    params_like(&adam.m, &a.params, 0.25);
    params_like(&adam.v, &a.params, 0.5);
    Checkpoint first = {
        .cli = &cli,
        .params = {{"", &a.params},
                   {"adam.m.", &adam.m, &a.params},
                   {"adam.v.", &adam.v, &a.params}},
        .numbers = {{"step", .i = &step}, {"adam.step", .i = &adam.step}, {"rng", .u = &next}}};
    Checkpoint second = {
        .cli = &cli,
        .params = {{"", &b.params},
                   {"adam.m.", &other.m, &b.params},
                   {"adam.v.", &other.v, &b.params}},
        .numbers = {{"step", .i = &step2}, {"adam.step", .i = &other.step}, {"rng", .u = &next2}}};
    checkpoint_save(path, &first);
    checkpoint_load(path, &second);
    cr_assert(same_params(&a.params, &b.params));
    cr_assert(same_params(&adam.m, &other.m) && same_params(&adam.v, &other.v));
    cr_assert(step2 == 42 && next2 == UINT64_MAX && other.step == 3);
    checkpoint_save(again, &second);
    cr_assert(same_files(path, again));
    params_free(&a.params), params_free(&b.params);
    params_free(&adam.m), params_free(&adam.v), params_free(&other.m), params_free(&other.v);
}

/* before an optimiser's first step there are no moments: is that saved and loaded as such? */
Test(checkpoint, without_moments_loads_without_moments) {
    Net a;
    Adam adam = {ADAM_DEFAULTS};
    const char *path = place("e.safetensors");
    call("train", NULL, NULL);
    make_net(&a, 1, 7);
    Checkpoint c = {.cli = &cli, .params = {{"", &a.params}, {"adam.m.", &adam.m, &a.params}}};
    checkpoint_save(path, &c);
    checkpoint_load(path, &c);
    cr_assert_eq(adam.m.count, 0);
    params_free(&a.params);
}

/* are half-precision weights the nearest halves, and what half cannot hold refused? */
static void save_half(void *net) {
    Net *n = net;
    checkpoint_save_half(place("h.safetensors"),
                         &(Checkpoint){.cli = &cli, .params = {{"", &n->params}}});
}

Test(checkpoint, in_half_precision_rounds_and_loads) {
    Net a, b;
    call("train", NULL, NULL);
    make_net(&a, 1, 7);
    make_net(&b, 2, 7);
    a.norm.var->x[0] = (real)1e6;                 /* more than half precision can hold */
    save_half(&a);
    checkpoint_load(place("h.safetensors"),
                    &(Checkpoint){.cli = &cli, .params = {{"", &b.params}}});
    for (int i = 0; i < a.params.count; i++) {
        const Tensor *x = a.params.list[i], *y = b.params.list[i];
        for (size_t k = 0; k < x->len; k++) {
            real half = (real)half_to_float(half_from_float((float)x->x[k]));
            cr_assert_eq(y->x[k], x->is_buffer ? x->x[k] : half, "%s", x->name);
        }
    }
    size_t n;
    const uint8_t *bytes = file_map(place("h.safetensors"), &n);
    cr_assert_null(memmem(bytes, n, "option.steps", 12), "nothing of the run that may differ");
    cr_assert_not_null(memmem(bytes, n, "option.hidden", 13));
    file_unmap(bytes, n);
    a.line.w->x[0] = 70000;
    expect_stop(1, "enc.1.w holds 70000, half precision ends at 65504", save_half, &a);
    params_free(&a.params), params_free(&b.params);
}

static struct { const char *path; Checkpoint *checkpoint; } load;

static void load_it(void *unused) {
    (void)unused;
    checkpoint_load(load.path, load.checkpoint);
}

static void load_refused(const char *path, Checkpoint *c, const char *part) {
    load.path = path;
    load.checkpoint = c;
    expect_stop(1, part, load_it, NULL);
}

static void load_stage_it(void *net) {
    checkpoint_load_stage(load.path, &cli, "second.", net);
}

/* A stage's weights from a file of its own, or from one of all stages; what is surplus in the former
 * is refused. */
Test(checkpoint, a_stage_is_read_from_its_own_file_or_that_of_all) {
    Net a, b, c;
    call("train", NULL, NULL);
    make_net(&a, 1, 7), make_net(&b, 2, 7), make_net(&c, 3, 7);
    const Params *const second = &b.params;
    const char *path = load.path = place("g.safetensors");
    const CheckpointParams first = {"first.", &a.params, NULL};
    for (int all = 0; all < 2; all++) {
        const Checkpoint own = {.cli = &cli, .params = {{"", &b.params}}};
        const Checkpoint both = {.cli = &cli, .params = {first, {"second.", &b.params}}};
        checkpoint_save(path, all ? &both : &own);
        for (int i = 0; i < c.params.count; i++)
            memset(c.params.list[i]->x, 0, c.params.list[i]->len * sizeof(real));
        checkpoint_load_stage(path, &cli, "second.", &c.params);
        for (int i = 0; i < second->count; i++)
            cr_expect_arr_eq(second->list[i]->x, c.params.list[i]->x,
                             second->list[i]->len * sizeof(real));
    }
    checkpoint_save(path, &(Checkpoint){.cli = &cli, .params = {{"", &b.params}, first}});
    expect_stop(1, "which is not asked for here", load_stage_it, &c.params);
    params_free(&a.params), params_free(&b.params), params_free(&c.params);
}

/* is a file of another network refused, by naming the first tensor that does not fit? */
Test(checkpoint, names_the_first_tensor_that_does_not_fit) {
    Net a, b;
    Params more = {.seed = 1};
    int64_t step = 1;
    const char *path = place("f.safetensors");
    call("train", NULL, NULL);
    make_net(&a, 1, 7);
    make_net(&b, 1, 8);
    linear_new(scope(&more, "extra"), 2, 2, false);
    checkpoint_save(path, &(Checkpoint){.cli = &cli, .params = {{"", &a.params}}});
    load_refused(path, &(Checkpoint){.cli = &cli, .params = {{"", &b.params}}},
                 "f.safetensors: enc.1.weight is (7,2), this network has (8,2); was it trained "
                 "with another --config?");
    load_refused(path, &(Checkpoint){.cli = &cli, .params = {{"", &a.params}, {"", &more}}},
                 "f.safetensors: has no extra.weight, which this network has");
    load_refused(
        path,
        &(Checkpoint){.cli = &cli, .params = {{"", &a.params}}, .numbers = {{"step", .i = &step}}},
        "f.safetensors: has no state.step: these are weights");
    load_refused(path, &(Checkpoint){.cli = &(Cli){.program = "gan"}, .params = {{"", &a.params}}},
                 "f.safetensors: was made by ae, not by gan");
    checkpoint_save(path,
                    &(Checkpoint){.cli = &cli, .params = {{"", &a.params}, {"adam.m.", &more}}});
    load_refused(path, &(Checkpoint){.cli = &cli, .params = {{"", &a.params}}},
                 "f.safetensors: has adam.m.extra.weight, which is not asked for here");
    StOutput integers = {
        .name = "extra.weight", .type = ST_I32, .rank = 2, .shape = {2, 2}, .source = (int[4]){0}};
    safetensors_write(path, &integers, 1, NULL);
    load_refused(path, &(Checkpoint){.cli = &cli, .params = {{"", &more}}},
                 "extra.weight holds I32");
    params_free(&a.params), params_free(&b.params), params_free(&more);
}

/* do options travel with the checkpoint: all of them on --resume, the network's alone otherwise? */
Test(checkpoint, remembers_the_options) {
    const char *path = place("g.safetensors");
    call("train", "--lr=0.25", "--hidden=9");
    checkpoint_save(path, &(Checkpoint){.cli = &cli});
    call("train", "--steps=99", NULL);
    checkpoint_options(path, &cli, true);
    cr_assert(common.lr == 0.25 && hidden == 9 && common.steps == 99);
    call("sample", NULL, NULL);
    checkpoint_options(path, &cli, false);
    cr_assert(common.lr == 0.5 && hidden == 9);
}

/* a copy of the file with the text replaced by another of the same length */
static void replace_text(const char *path, const char *from, const char *to) {
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    uint8_t *copy = malloc(n), *at;
    memcpy(copy, bytes, n);
    file_unmap(bytes, n);
    at = memmem(copy, n, from, strlen(from));
    cr_assert(at, "%s has no %s", path, from);
    memcpy(at, to, strlen(to));
    file_write(path, copy, n);
    free(copy);
}

/* are counts that no training has counted, and damaged numbers, refused? */
Test(checkpoint, refuses_what_is_damaged) {
    Net a;
    int64_t step = 12345;
    const char *path = place("h.safetensors");
    call("train", NULL, NULL);
    make_net(&a, 1, 7);
    Checkpoint c = {.cli = &cli, .params = {{"", &a.params}}, .numbers = {{"step", .i = &step}}};
    static const char *const wrong[] = {"-1234", "1e100", "0x123", "9999999999999999999"};
    for (int k = 0; k < 4; k++) {
        char text[60];
        checkpoint_save(path, &c);
        snprintf(text, sizeof text, "\"state.step\":\"%s\"", wrong[k]);
        if (strlen(wrong[k]) == 5) replace_text(path, "\"state.step\":\"12345\"", text);
        else step = 1000000000000001, checkpoint_save(path, &c), step = 12345;
        load_refused(path, &c, "which no training has counted; the file is damaged");
    }
    checkpoint_save(path, &c);
    real before = a.line.b->x[0], after = before + 1;
    char from[sizeof before + 1] = "", to[sizeof before + 1] = "";
    memcpy(from, &before, sizeof before), memcpy(to, &after, sizeof after);
    replace_text(path, from, to);
    load_refused(path, &c, "checksum");
    a.line.b->x[0] = NAN;
    checkpoint_save(path, &c);
    load_refused(path, &c, "number 0 of enc.1.bias is nan");
    params_free(&a.params);
}
