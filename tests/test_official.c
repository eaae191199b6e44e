/* test_official.c — do our networks give what the papers' official code gave? Through build/golden,
 * which must also notice whatever is wrong with a file. */
#include "io/safetensors.h"
#include "programs.h"

#include <glob.h>

PROGRAM_SUITE(official);

static const char *const example = "tests/golden/dcgan_d.safetensors";

static bool is_official(const char *path) {
    Safetensors s = safetensors_open(path);
    bool official = safetensors_metadata(&s, "model") != NULL;
    safetensors_close(&s);
    return official;
}

/* Outputs, gradients and buffers of every committed file, to 1e-4? */
Test(official, every_golden_file_agrees) {
    glob_t files;
    int compared = 0;
    char message[2000];
    cr_assert_eq(glob("tests/golden/*.safetensors", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        if (!is_official(files.gl_pathv[i])) continue;
        compared++;
        int status = run_program("golden", files.gl_pathv[i], message);
        cr_expect_eq(status, 0, "%s: status %d: %s", files.gl_pathv[i], status, message);
    }
    globfree(&files);
    cr_assert(compared >= 2, "%d files were compared", compared);
}

/* A copy of the example, without the tensor `drop`, with a hundredth more in `change`, with another
 * name for `rename`, for another model or configuration */
typedef struct {
    const char *drop, *change, *rename, *model, *config;
} Damage;

static void write_damaged(const char *path, Damage d) {
    Safetensors s = safetensors_open(example);
    StOutput *out = calloc((size_t)s.count + 1, sizeof *out);
    float *changed = NULL;
    int n = 0;
    for (int i = 0; i < s.count; i++) {
        const StTensor *t = &s.tensors[i];
        if (d.drop && !strcmp(t->name, d.drop)) continue;
        out[n] = (StOutput){.name = t->name, .type = t->type, .rank = t->rank, .source = t->data};
        memcpy(out[n].shape, t->shape, sizeof t->shape);
        if (d.rename && !strcmp(t->name, d.rename)) out[n].name = "grad.main.99.weight";
        if (d.change && !strcmp(t->name, d.change)) {
            changed = malloc(t->len * sizeof *changed);
            memcpy(changed, t->data, t->len * sizeof *changed);
            for (size_t k = 0; k < t->len; k++) changed[k] *= 1.001f;
            out[n].source = changed;
        }
        n++;
    }
    safetensors_write(path, out, n,
                      (const char *const[]){"model", d.model ? d.model : "dcgan_d", "config",
                                            d.config ? d.config : "{\"ndf\": 8, \"nc\": 3}", NULL});
    free(changed), free(out);
    safetensors_close(&s);
}

/* one thousandth off in one tensor, anything missing, too much or unknown: all noticed? */
Test(official, whatever_is_wrong_is_noticed) {
    static const struct {
        Damage damage;
        int status;
        const char *says;
    } cases[] = {
        {{0}, 0, ""},
        {{.change = "weight.main.2.weight"}, 1, ""},
        {{.change = "weight.main.3.bias"}, 1, ""},
        {{.change = "out.main"}, 1, ""},
        {{.change = "out.after.main.9.running_var"}, 1, ""},
        {{.change = "grad.main.6.weight"}, 1, ""},
        {{.change = "grad.in.x"}, 1, ""},
        {{.change = "in.cotangent"}, 1, ""},
        {{.drop = "weight.main.3.running_mean"}, 1, "weight.main.3.running_mean"},
        {{.drop = "grad.main.5.weight"}, 1, "grad.main.5.weight"},
        {{.drop = "out.main"}, 1, "out.main"},
        {{.drop = "in.x"}, 1, "in.x"},
        {{.rename = "grad.main.5.weight"}, 1, "grad.main.5.weight"},
        {{.rename = "out.after.main.9.running_var"}, 1, "grad.main.99.weight"},
        {{.model = "dcgan_x"}, 1, "dcgan_x"},
        {{.config = "{\"ndf\": 9, \"nc\": 3}"}, 1, "weight.main.0.weight"},
        {{.config = "{\"ndf\": \"8\", \"nc\": 3}"}, 1, "ndf"},
        {{.config = "ndf = 8"}, 1, "config"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char message[2000], path[100];
        snprintf(path, sizeof path, "%s/damaged.safetensors", folder);
        write_damaged(path, cases[i].damage);
        int status = run_program("golden", path, message);
        cr_expect_eq(status, cases[i].status, "case %zu: status %d: %s", i, status, message);
        cr_expect(strstr(message, cases[i].says), "case %zu says: %s", i, message);
    }
}

/* the entry `row` of a tensor of one number a picture times `factor`, in a copy of the file */
static void write_with_other_row(const char *from, const char *path, const char *tensor, int row,
                                 float factor) {
    Safetensors s = safetensors_open(from);
    const StTensor *t = safetensors_find(&s, tensor);
    cr_assert(t && t->type == ST_F32 && t->len > (size_t)row, "%s", tensor);
    uint8_t *bytes = malloc(s.length);
    memcpy(bytes, s.bytes, s.length);
    uint8_t *at = bytes + (t->data - s.bytes) + 4 * row;
    float x;
    memcpy(&x, at, 4), x *= factor, memcpy(at, &x, 4);
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, s.length, f) == s.length);
    fclose(f);
    free(bytes);
    safetensors_close(&s);
}

/* A picture's term of the bound a hundredth off, in tensors whose other pictures have terms up to
 * ten thousand times larger: noticed, too? */
Test(official, every_picture_counts) {
    static const char *const tensors[] = {"out.cosine4000.learned_range.rescaled_mse.vb",
                                          "out.linear1000.learned_range.rescaled_kl.loss",
                                          "out.linear1000.prior_bpd"};
    for (int k = 0; k < 3; k++)
        for (int row = 0; row < 4; row++) {
            char message[2000], path[100];
            snprintf(path, sizeof path, "%s/damaged.safetensors", folder);
            write_with_other_row("tests/golden/iddpm_diffusion.safetensors", path, tensors[k], row,
                                 1.01f);
            cr_expect_eq(run_program("golden", path, message), 1, "%s, picture %d", tensors[k],
                         row);
        }
}

/* Several files: does a bad one in the middle count, and are the others looked at? */
Test(official, one_bad_file_among_others_counts) {
    char message[2000], arguments[300];
    snprintf(arguments, sizeof arguments, "%s %%s/none.safetensors %s", example, example);
    cr_assert_eq(run_program("golden", arguments, message), 1);
    cr_assert(strstr(message, "none.safetensors"), "%s", message);
    cr_assert_eq(run_program("golden", "tests/golden/conv.safetensors", message), 1);
    cr_assert(strstr(message, "no golden file"), "%s", message);
    cr_assert_eq(run_program("golden", "", message), 2);
}
