#include "stable_diffusion.h"

#include "base/file.h"
#include "base/memory.h"
#include "diffusion/gaussian.h"
#include "io/half.h"
#include "tensor/half.h"
#include "nn/official.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char unet_prefix[] = "model.diffusion_model.", first_prefix[] = "first_stage_model.",
                  text_prefix[] = "cond_stage_model.transformer.";
/* averaged weights have no dots in their names, but for the first */
static const char ema_unet_prefix[] = "model_ema.diffusion_model";

const ClipTextConfig sd_text_config = {.context = 77, .vocabulary = 49408, .width = 768,
                                       .depth = 12, .heads = 12};

static bool begins(const char *name, const char *prefix) {
    return !strncmp(name, prefix, strlen(prefix));
}

/* ---- the file -------------------------------------------------------------------------------- */

/* schedules and settings, which are computed here */
static bool is_setting(const char *name) {
    static const char *const settings[] = {
        "betas", "alphas_cumprod", "sqrt_", "log_one_minus_alphas_cumprod", "posterior_",
        "lvlb_weights", "logvar", "scale_factor", "model_ema.", "embedding_manager."};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (begins(name, settings[i])) return true;
    return false;
}

void sd_report(const SdCheckpoint *c) {
    enum { NAMED = 3 };
    Safetensors s = safetensors_open(c->path);
    int n = 0;
    char names[400] = "";
    for (int i = 0; i < s.count; i++) {
        const char *name = s.tensors[i].name;
        if (begins(name, unet_prefix) || begins(name, first_prefix) || begins(name, text_prefix) ||
            is_setting(name))
            continue;
        size_t at = strlen(names);
        if (n++ < NAMED)
            snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", name);
    }
    if (n)
        notice("%s: %d tensors are of no network here (%s%s)", c->path, n, names,
                n > NAMED ? ", ..." : "");
    safetensors_close(&s);
}

static bool has_averages(const SdCheckpoint *c) {
    Safetensors s = safetensors_open(c->path);
    bool found = false;
    for (int i = 0; i < s.count; i++) found |= begins(s.tensors[i].name, ema_unet_prefix);
    safetensors_close(&s);
    return found;
}

/* ---- texts ----------------------------------------------------------------------------------- */

void sd_read_prompts(const SdCheckpoint *c, ClipTextConfig config, const Bpe *bpe, int n,
                     const char *const *prompts, real *context) {
    Params p = {.shapes_only = !c->full};
    Tape t = {.no_grad = true};
    size_t one = (size_t)config.context * (size_t)config.width;
    if (bpe->size > config.vocabulary || bpe->start < 0)
        fail("the vocabulary has %d tokens; Stable Diffusion reads CLIP's, of %d", bpe->size,
             config.vocabulary);
    ClipText net = clip_text_new(scope(&p, "text"), config, 0);
    if (!c->full) params_keep_half(&p);
    official_load(c->path, text_prefix, &clip_text_huggingface, &p);
    for (int i = 0; i < n; i++) {
        int *ids = arena_get(&t.arena, (size_t)config.context * sizeof *ids);
        bpe_tokenize_filled(bpe, prompts[i], config.context, ids);
        Tensor *y = clip_text_tokens(&net, &t, ids, 1, config.context);
        memcpy(context + (size_t)i * one, y->x, one * sizeof *y->x);
        tape_reset(&t);
    }
    tape_free(&t), params_free(&p);
}

/* ---- networks -------------------------------------------------------------------------------- */

LdmUNet sd_load_unet(const SdCheckpoint *c, UNetConfig config, Params *p) {
    p->shapes_only = !c->full;
    LdmUNet net = ldm_unet_new(p, config);
    if (!c->full) params_keep_half(p);
    UNetOfficial design = {.config = config};
    OfficialMap map = ldm_unet_official(&design);
    map.without_dots = !c->raw && has_averages(c);
    official_load(c->path, map.without_dots ? ema_unet_prefix : unet_prefix, &map, p);
    return net;
}

/* names of the half that is not there are no surplus; nor is what the autoencoder was trained with */
static const char *const beside_decoder[] = {"encoder.*", "quant_conv.*", "loss.*", NULL};
static const char *const beside_both[] = {"loss.*", NULL};

FirstStage sd_load_first_stage(const SdCheckpoint *c, FirstStageConfig config, bool encoder,
                               Params *p) {
    p->shapes_only = !c->full;
    FirstStage f = encoder ? first_stage_new(p, config) : first_stage_decoder_new(p, config);
    if (!c->full) params_keep_half(p);
    OfficialMap map = first_stage_official;
    map.ignored = encoder ? beside_both : beside_decoder;
    official_load(c->path, first_prefix, &map, p);
    return f;
}

int start_from_latent(const NoiseSchedule *s, double strength, size_t n, const real *z0, real *z) {
    int t = steps_of_strength(s->T, strength) - 1;
    q_sample(s, t, n, z0, z, z);
    return t;
}

void hole_of_latents(int h, int w, int f, const real *mask, real *hole) {
    size_t row = (size_t)f * (size_t)w, step = (size_t)f;
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++)
            *hole++ = mask[3 * step * ((size_t)i * row + (size_t)j)] > 0;
}

void hole_and_latent(size_t pixels, int e, const real *hole, const real *latent, real *beside) {
    for (size_t i = 0; i < pixels; i++, latent += e) {
        *beside++ = hole[i];
        for (int k = 0; k < e; k++) *beside++ = latent[k];
    }
}

/* ---- random weights -------------------------------------------------------------------------- */

typedef struct {
    StOutput *list;
    int count;
    size_t room;
    uint64_t seed;
} Outputs;

/* Weights of layers U[-b,b] with b^2 = 1/fan_in, as PyTorch's start; gains near 1; the rest small */
static void fill_random(const StOutput *t, uint8_t *bytes) {
    size_t len = 1, fan_in = 1;
    for (int i = 0; i < t->rank; i++) len *= t->shape[i], fan_in *= i ? t->shape[i] : 1;
    bool weight = strstr(t->name, "weight") != NULL, gain = weight && t->rank == 1;
    double bound = weight && !gain ? 1 / sqrt((double)fan_in) : 0.05;
    real *u = memory_new(len, sizeof *u, "%s", t->name);
    Rng r = rng_new(*(const uint64_t *)t->source, t->name);
    rng_uniform(&r, len, u);
    for (size_t i = 0; i < len; i++) {
        uint16_t h = half_from_float((float)((gain ? 1 : 0) + bound * (2 * (double)u[i] - 1)));
        memcpy(bytes + 2 * i, &h, 2);
    }
    free(u);
}

static void add_outputs(Outputs *o, const char *prefix, const OfficialMap *map, const Params *p) {
    size_t most = (size_t)(o->count + OFFICIAL_TENSORS * p->count);
    o->list = memory_grow(o->list, &o->room, most, sizeof *o->list, "%zu tensors", most);
    for (int i = 0; i < p->count; i++) {
        OfficialTensor tensors[OFFICIAL_TENSORS];
        int n = official_tensors(map, p->list[i], tensors);
        for (int k = 0; k < n; k++) {
            StOutput out = {.name = text_format("%s%s", prefix, tensors[k].entry.name),
                            .type = ST_F16, .rank = tensors[k].part.rank, .source = &o->seed,
                            .fill = fill_random};
            memcpy(out.shape, tensors[k].entry.shape, sizeof tensors[k].entry.shape);
            free(tensors[k].entry.name);
            o->list[o->count++] = out;
        }
    }
}

void sd_write_random(const char *path, const SdModel *m, uint64_t seed) {
    Params p[3] = {{.shapes_only = true}, {.shapes_only = true}, {.shapes_only = true}};
    Outputs o = {.seed = seed};
    UNetOfficial design = {.config = m->latents.unet};
    OfficialMap map = ldm_unet_official(&design);
    clip_text_new(scope(&p[0], "text"), m->text, 0);
    ldm_unet_new(&p[1], m->latents.unet);
    first_stage_new(&p[2], m->first_stage);
    add_outputs(&o, text_prefix, &clip_text_huggingface, &p[0]);
    add_outputs(&o, unet_prefix, &map, &p[1]);
    add_outputs(&o, first_prefix, &first_stage_official, &p[2]);
    safetensors_write(path, o.list, o.count, NULL);
    for (int i = 0; i < o.count; i++) free((void *)(uintptr_t)o.list[i].name);
    free(o.list);
    for (int i = 0; i < 3; i++) params_free(&p[i]);
}
