/* test_official.c — do our networks give what the papers' official code gave? Through build/golden,
 * which must also notice whatever is wrong with a file. */
#include "base/file.h"
#include "io/safetensors.h"
#include "programs.h"

#include <cjson/cJSON.h>
#include <glob.h>

PROGRAM_SUITE(official);

#define EXAMPLE "tests/golden/dcgan_d.safetensors"

static bool is_official(const char *path) {
    Safetensors s = safetensors_open(path);
    bool official = safetensors_metadata(&s, "model") != NULL;
    safetensors_close(&s);
    return official;
}

/* the official files in tests/golden; the caller frees the list by globfree */
static glob_t official_files(void) {
    glob_t files;
    cr_assert_eq(glob("tests/golden/*.safetensors", 0, NULL, &files), 0);
    size_t n = 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char *path = files.gl_pathv[i];
        files.gl_pathv[i] = files.gl_pathv[n];
        files.gl_pathv[n] = path;
        n += is_official(path);
    }
    for (size_t i = n; i < files.gl_pathc; i++) free(files.gl_pathv[i]), files.gl_pathv[i] = NULL;
    files.gl_pathc = n;
    return files;
}

/* Outputs, gradients and buffers of every committed file? */
Test(official, every_golden_file_agrees) {
    glob_t files = official_files();
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char message[2000];
        int status = run_program("golden", files.gl_pathv[i], message);
        cr_expect_eq(status, 0, "%s: status %d: %s", files.gl_pathv[i], status, message);
    }
    cr_assert(files.gl_pathc >= 13, "%zu files were compared", files.gl_pathc);
    globfree(&files);
}

/* Is there a file for every model that build/golden knows? */
Test(official, every_model_has_a_golden_file) {
    glob_t files = official_files();
    const char *build = getenv("BUILD");
    char *command = text_format("%s/golden --models", build ? build : "build"), model[80];
    FILE *models = popen(command, "r");
    int known = 0;
    while (fscanf(models, "%79s", model) == 1) {
        bool there = false;
        known++;
        for (size_t i = 0; i < files.gl_pathc && !there; i++) {
            Safetensors s = safetensors_open(files.gl_pathv[i]);
            there = !strcmp(safetensors_metadata(&s, "model"), model);
            safetensors_close(&s);
        }
        cr_expect(there, "no file for %s", model);
    }
    cr_assert_eq(pclose(models), 0);
    cr_assert(known >= 12, "%d models", known);
    free(command);
    globfree(&files);
}

/* A copy of `file` (NULL: the example), without the tensor `drop`, with a thousandth more in `change`,
 * with another name for `rename`, other numbers in some, for another model or configuration;
 * `patch`: as JSON, what is to be set in the configuration */
typedef struct {
    const char *file, *drop, *change, *rename, *model, *config, *patch;
    const struct { const char *name; float *x; } *numbers;    /* name NULL ends the list */
} Damage;

static char *configuration(const Safetensors *s, const Damage *d) {
    const char *text = d->config ? d->config : safetensors_metadata(s, "config");
    if (!text) text = "{}";
    if (!d->patch) return text_format("%s", text);
    cJSON *config = cJSON_Parse(text), *patch = cJSON_Parse(d->patch), *item;
    cr_assert(config && patch, "%s", d->patch);
    while ((item = cJSON_DetachItemFromArray(patch, 0))) {
        cJSON_DeleteItemFromObjectCaseSensitive(config, item->string);
        cJSON_AddItemToObject(config, item->string, item);
    }
    char *print = cJSON_PrintUnformatted(config), *patched = text_format("%s", print);
    cJSON_free(print);
    cJSON_Delete(config), cJSON_Delete(patch);
    return patched;
}

/* the tensor's numbers in the copy, if they are others; to be freed */
static float *other_numbers(const StTensor *t, const Damage *d) {
    float *x = NULL;
    if (d->change && !strcmp(t->name, d->change)) {
        x = malloc(t->len * sizeof *x);
        memcpy(x, t->data, t->len * sizeof *x);
        for (size_t k = 0; k < t->len; k++) x[k] *= 1.001f;
    }
    for (int i = 0; d->numbers && d->numbers[i].name; i++) {
        if (strcmp(t->name, d->numbers[i].name)) continue;
        x = malloc(t->len * sizeof *x);
        memcpy(x, d->numbers[i].x, t->len * sizeof *x);
    }
    return x;
}

static void write_damaged(const char *path, Damage d) {
    Safetensors s = safetensors_open(d.file ? d.file : EXAMPLE);
    StOutput *out = calloc((size_t)s.count + 1, sizeof *out);
    float **numbers = calloc((size_t)s.count + 1, sizeof *numbers);
    int n = 0;
    for (int i = 0; i < s.count; i++) {
        const StTensor *t = &s.tensors[i];
        if (d.drop && !strcmp(t->name, d.drop)) continue;
        numbers[n] = other_numbers(t, &d);
        out[n] = (StOutput){.name = t->name, .type = t->type, .rank = t->rank,
                            .source = numbers[n] ? (const void *)numbers[n] : t->data};
        memcpy(out[n].shape, t->shape, sizeof t->shape);
        if (d.rename && !strcmp(t->name, d.rename)) out[n].name = "grad.main.99.weight";
        n++;
    }
    char *config = configuration(&s, &d);
    static const char *const others[] = {"mathematically_zero_grads", "cases"};
    const char *metadata[9] = {"model", d.model ? d.model : safetensors_metadata(&s, "model"),
                               "config", config};
    for (int i = 0, k = 4; i < 2; i++)
        if (safetensors_metadata(&s, others[i])) {
            metadata[k++] = others[i];
            metadata[k++] = safetensors_metadata(&s, others[i]);
        }
    safetensors_write(path, out, n, metadata);
    for (int i = 0; i < n; i++) free(numbers[i]);
    free(numbers), free(out), free(config);
    safetensors_close(&s);
}

/* build/golden on such a copy: its exit status, and what it says */
static int check_damaged(Damage d, char message[static 2000]) {
    char path[100];
    snprintf(path, sizeof path, "%s/damaged.safetensors", folder);
    write_damaged(path, d);
    return run_program("golden", path, message);
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
        char message[2000];
        int status = check_damaged(cases[i].damage, message);
        cr_expect_eq(status, cases[i].status, "case %zu: status %d: %s", i, status, message);
        cr_expect(strstr(message, cases[i].says), "case %zu says: %s", i, message);
    }
}

/* A key that is not read describes another network: is it refused, of whatever model, and is a key
 * that is read not merely looked at? */
Test(official, every_key_of_a_configuration_is_used) {
    glob_t files = official_files();
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char message[2000];
        Damage d = {.file = files.gl_pathv[i], .patch = "{\"surprise\": 1}"};
        int status = check_damaged(d, message);
        cr_expect_eq(status, 1, "%s: status %d: %s", d.file, status, message);
        cr_expect(strstr(message, "surprise"), "%s: %s", d.file, message);
    }
    globfree(&files);
#define GOLDEN(name) "tests/golden/" name ".safetensors"
#define CHAIN(respacing, schedule, more)                                                          \
    "{\"chains\": {\"linear1000\": {\"schedule\": \"" schedule "\", \"steps\": 1000, "              \
    "\"timestep_respacing\": \"" respacing "\", \"rescale_timesteps\": false" more "}}}"
    static const struct {
        const char *file, *patch;
        int status;
    } cases[] = {
        {GOLDEN("vqvae2_quantize"), "{\"decay\": 0.99, \"eps\": 1e-5}", 0},
        {GOLDEN("vqvae2_quantize"), "{\"decay\": 0.9}", 1},
        {GOLDEN("vqvae2_quantize"), "{\"eps\": 1e-3}", 1},
        {GOLDEN("vqvae2"), "{\"decay\": 0.9}", 0},        /* the official network ignores it, too */
        {GOLDEN("vector_quantizer"), "{\"legacy\": true}", 1},
        {GOLDEN("vector_quantizer"), "{\"beta\": 0.3}", 1},
        {GOLDEN("vector_quantizer"), "{\"remap\": null, \"sane_index_shape\": true}", 0},
        {GOLDEN("vector_quantizer"), "{\"remap\": \"used.npy\"}", 1},
        {GOLDEN("ddpm_unet"), "{\"dropout\": 0.1}", 0},
        {GOLDEN("ddpm_unet"), "{\"resolution\": 8}", 1},
        {GOLDEN("iddpm_unet"), "{\"dropout\": 0.3, \"use_checkpoint\": true}", 0},
        {GOLDEN("iddpm_unet"), "{\"num_heads\": 2}", 1},
        {GOLDEN("iddpm_unet"), "{\"num_heads_upsample\": 2}", 1},
        {GOLDEN("iddpm_unet"), "{\"use_scale_shift_norm\": false}", 1},
        {GOLDEN("adm_unet"), "{\"use_new_attention_order\": true}", 1},
        {GOLDEN("adm_unet"), "{\"num_head_channels\": 8}", 1},
        {GOLDEN("adm_unet"), "{\"resblock_updown\": false}", 1},
        {GOLDEN("adm_unet"), "{\"num_classes\": null}", 1},
        {GOLDEN("adm_unet"), "{\"num_heads\": 2, \"num_heads_upsample\": -1}", 0},
        {GOLDEN("adm_classifier"), "{\"pool\": \"adaptive\"}", 1},
        {GOLDEN("adm_classifier"), "{\"image_size\": 8}", 1},
        {GOLDEN("glide_unet"), "{\"xf_heads\": 4}", 1},
        {GOLDEN("glide_unet"), "{\"xf_padding\": false}", 1},
        {GOLDEN("glide_unet"), "{\"xf_final_ln\": false}", 1},
        {GOLDEN("glide_upsampler"), "{\"in_channels\": 6}", 1},
        {GOLDEN("ldm_unet"), "{\"num_heads\": 4}", 1},
        {GOLDEN("ldm_unet"), "{\"transformer_depth\": 2}", 1},
        {GOLDEN("ldm_unet"), "{\"use_spatial_transformer\": false}", 1},
        {GOLDEN("ldm_unet"), "{\"legacy\": true, \"image_size\": 16}", 0},
        {GOLDEN("unclip_decoder"), "{\"clip_emb_type\": \"text\"}", 1},
        {GOLDEN("unclip_decoder"), "{\"clip_emb_drop\": 0.0}", 1},
        {GOLDEN("unclip_decoder"), "{\"clip_emb_mult\": 2}", 1},
        {GOLDEN("unclip_decoder"), "{\"text_ctx\": 6}", 1},
        {GOLDEN("mae"), "{\"mask_ratio\": 0.5}", 1},
        {GOLDEN("mae"), "{\"norm_pix_loss\": false}", 1},
        {GOLDEN("mae"), "{\"layer_norm_eps\": 1e-3}", 1},
        {GOLDEN("pixelsnail"), "{\"dropout\": 0.5}", 0},
        {GOLDEN("pixelsnail"), "{\"attention\": false}", 1},
        {GOLDEN("pixelsnail"), "{\"kernel_size\": 4}", 1},
        {GOLDEN("iddpm_diffusion"), "{\"predict\": \"xstart\"}", 1},
        {GOLDEN("iddpm_diffusion"), "{\"shape\": [4, 6, 3, 6]}", 1},
        {GOLDEN("iddpm_diffusion"), "{\"variance_types\": [\"learned\"]}", 1},
        {GOLDEN("iddpm_diffusion"), "{\"variance_types\": [\"fixed_small\"]}", 1},
        {GOLDEN("iddpm_diffusion"), CHAIN("1000", "sigmoid", ""), 1},
        {GOLDEN("iddpm_diffusion"), CHAIN("500", "linear", ""), 1},
        {GOLDEN("iddpm_diffusion"), CHAIN("1000", "linear", ", \"surprise\": 1"), 1},
        {GOLDEN("iddpm_diffusion"), "{\"chains\": {\"linear1000\": {\"steps\": 1000}}}", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char message[2000];
        int status = check_damaged((Damage){.file = cases[i].file, .patch = cases[i].patch},
                                   message);
        cr_expect_eq(status, cases[i].status, "%s of %s: status %d: %s", cases[i].patch,
                     cases[i].file, status, message);
    }
}

/* the numbers of a tensor in the file of the quantiser */
static const float *quantiser_numbers(const Safetensors *s, const char *name, size_t n) {
    const StTensor *t = safetensors_find(s, name);
    cr_assert(t && t->len == n && t->type == ST_F32, "%s", name);
    return (const float *)t->data;
}

/* Another decay and another eps, with the averages that they give, worked out here: accepted, and the
 * same file with the decay alone is not */
Test(official, a_quantiser_of_another_decay_is_compared_with_that_decay) {
    enum { D = 8, K = 16, N = 32 };
    Safetensors s = safetensors_open(GOLDEN("vqvae2_quantize"));
    const float *size = quantiser_numbers(&s, "weight.cluster_size", K),
                *average = quantiser_numbers(&s, "weight.embed_avg", D * K),
                *z = quantiser_numbers(&s, "in.input", N * D);
    const StTensor *ids = safetensors_find(&s, "out.ids");
    float new_size[K], new_average[D * K], code[D * K];
    double decay = 0.9, eps = 1e-3, total = 0;
    for (int k = 0; k < K; k++) {
        double count = 0, sum[D] = {0};
        for (int i = 0; i < N; i++) {
            int64_t id;
            memcpy(&id, ids->data + i * sizeof id, sizeof id);
            count += id == k;
            for (int j = 0; id == k && j < D; j++) sum[j] += z[i * D + j];
        }
        new_size[k] = (float)(decay * size[k] + (1 - decay) * count);
        total += new_size[k];
        for (int j = 0; j < D; j++)
            new_average[j * K + k] = (float)(decay * average[j * K + k] + (1 - decay) * sum[j]);
    }
    for (int i = 0; i < D * K; i++)
        code[i] = (float)(new_average[i] / ((new_size[i % K] + eps) / (total + K * eps) * total));
    safetensors_close(&s);
    Damage d = {.file = GOLDEN("vqvae2_quantize"), .patch = "{\"decay\": 0.9, \"eps\": 0.001}",
                .numbers = (__typeof__(d.numbers[0])[]){{"out.after.cluster_size", new_size},
                                                        {"out.after.embed_avg", new_average},
                                                        {"out.after.embed", code}, {NULL, NULL}}};
    char message[2000];
    int status = check_damaged(d, message);
    cr_expect_eq(status, 0, "status %d: %s", status, message);
    d.patch = "{\"decay\": 0.9}";
    cr_expect_eq(check_damaged(d, message), 1);
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
    snprintf(arguments, sizeof arguments, "%s %%s/none.safetensors %s", EXAMPLE, EXAMPLE);
    cr_assert_eq(run_program("golden", arguments, message), 1);
    cr_assert(strstr(message, "none.safetensors"), "%s", message);
    cr_assert_eq(run_program("golden", "tests/golden/conv.safetensors", message), 1);
    cr_assert(strstr(message, "no golden file"), "%s", message);
    cr_assert_eq(run_program("golden", "", message), 2);
}
