#include "draw_text.h"

#include "base/error.h"
#include "base/file.h"
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- one network ----------------------------------------------------------------------------- */

TextTable captions_table(Arena *arena, const Glide *m, const Bpe *bpe, int n,
                         const char *const *captions) {
    const char **all = arena_get(arena, (size_t)(n + 1) * sizeof *all);
    memcpy(all, captions, (size_t)n * sizeof *all);
    all[n] = "";
    Texts t = texts_new(arena, m, bpe, n + 1, all);
    return text_table_new(arena, &m->net, n + 1, t.tokens, t.mask);
}

void text_sampler_open(TextSampler *s, const Glide *net, TextDrawing how) {
    int side = net->config.side;
    s->guided = (GuidedTexts){net, how.text, how.scale, how.low, how.known, how.mask};
    s->network = guided_texts(&s->guided);
    s->pasted = pasted_denoiser(&s->network.denoiser, how.known, how.mask);
    s->clipped = clipped_denoiser(how.known ? &s->pasted.denoiser : &s->network.denoiser);
    NoiseSchedule all = glide_schedule(&net->config);
    s->chain = respaced(&all, how.option, how.steps);
    schedule_free(&all);
    s->sampler = (Sampler){.denoiser = &s->clipped.denoiser, .schedule = &s->chain,
                           .method = how.method, .eta = how.eta, .height = side, .width = side,
                           .channels = 3, .seed = how.seed};
}

void text_sampler_close(TextSampler *s) {
    sampler_free(&s->sampler);
    schedule_free(&s->chain);
}

/* ---- both ------------------------------------------------------------------------------------ */

static bool is_ours(void) { return !strcmp(o.common.config, "default"); }

static void load(const char *path, Glide *net, Params *p, GlideConfig c) {
    *net = glide_new(p, c);
    Arena arena = {0};
    OfficialMap names = glide_official(&arena, &c);
    weights_load_file(&cli, path, &names, p);
    arena_free(&arena);
}

static Bpe tokenizer(void) {
    if (is_ours()) return bpe_load(NULL);
    if (!o.merges || !o.vocabulary)
        usage_error("--config %s: where is its tokenizer? --merges vocab.bpe --vocabulary "
                    "encoder.json", o.common.config);
    return bpe_load_gpt2(o.merges, o.vocabulary);
}

/* the base, or, for inpainting, the network that was trained for it: NULL if it is not there */
static char *base_weights(bool inpaints) {
    if (!inpaints || !is_ours() || o.common.weights) return weights_path(&cli);
    char *path = stage_weights(INPAINT);
    if (access(path, F_OK) == 0) return path;
    free(path);
    return NULL;
}

static void load_upsampler(TextModels *m) {
    char *path = o.upsampler ? text_format("%s", o.upsampler) : stage_weights(UPSAMPLER);
    m->enlarges = o.upsampler || (is_ours() && access(path, F_OK) == 0);
    if (m->enlarges)
        load(path, &m->upsampler, &m->upsampler_params,
             glide_config(is_ours() ? "upsampler" : "glide-upsample", m->bpe.size));
    else if (!o.common.quiet)
        printf("%s: not there, so pictures stay small\n", path);
    free(path);
}

void text_models_load(TextModels *m, bool inpaints) {
    *m = (TextModels){.bpe = tokenizer()};
    const char *name = is_ours() ? "base" : o.common.config;
    char *path = base_weights(inpaints);
    if (inpaints && is_ours()) {
        if (path) name = "inpaint";
        else {
            path = weights_path(&cli);
            fprintf(stderr, "no network for inpainting (train --stage inpaint): known pixels are "
                            "pasted into the base's pictures alone\n");
        }
    }
    load(path, &m->base, &m->base_params, glide_config(name, m->bpe.size));
    free(path);
    load_upsampler(m);
}

void text_models_free(TextModels *m) {
    params_free(&m->base_params), params_free(&m->upsampler_params);
    bpe_free(&m->bpe);
}

int text_models_side(const TextModels *m) {
    return m->enlarges ? m->upsampler.config.side : m->base.config.side;
}

/* ---- pictures -------------------------------------------------------------------------------- */

real *halve(Arena *arena, int n, int side, const real *x) {
    Tape t = {.no_grad = true};
    Tensor *small = t_avg_pool2(t_input(&t, x, SHAPE(n, side, side, 3)));
    real *y = arena_get(arena, small->len * sizeof *y);
    memcpy(y, small->x, small->len * sizeof *y);
    as_bytes(small->len, y);
    tape_free(&t);
    return y;
}

real *halve_mask(Arena *arena, int n, int side, const real *mask) {
    int half = side / 2;
    real *y = arena_get(arena, (size_t)(n * half * half) * sizeof *y);
    for (int i = 0; i < n * half; i++)           /* row i of all small ones */
        for (int j = 0; j < half; j++) {
            const real *four = mask + (size_t)(2 * i) * (size_t)side + 2 * j;
            y[i * half + j] = four[0] * four[1] * four[side] * four[side + 1];
        }
    return y;
}

/* known (N,...) zeros, nothing of which is known, for a network that inpaints and is not asked to */
void draw_base(const TextModels *m, BaseDrawing d, real *x) {
    Arena arena = {0};
    TextTable text = captions_table(&arena, &m->base, &m->bpe, d.n, d.captions);
    TextSampler s;
    text_sampler_open(&s, &m->base, (TextDrawing){
        .text = &text, .scale = d.scale, .eta = o.eta, .option = "respace", .steps = o.respace,
        .method = strcmp(o.sampler, "ddim") ? ANCESTRAL : DDIM, .known = d.known, .mask = d.mask,
        .seed = o.common.seed});
    draw_images(&s.sampler, d.n, x, (Drawing){.at_once = drawn_at_once(&s.sampler, 16),
                                              .quiet = d.quiet, .last_steps = d.last_steps});
    as_bytes((size_t)d.n * sampler_size(&s.sampler), x);
    text_sampler_close(&s);
    arena_free(&arena);
}

void upsampler_open(const TextModels *m, TextSampler *s, const TextTable *text, const real *low) {
    text_sampler_open(s, &m->upsampler, (TextDrawing){
        .text = text, .scale = 1, .method = DDIM, .option = "upsampler-respace",
        .steps = o.upsampler_respace, .low = low, .seed = o.common.seed + 1});
    s->sampler.start_temperature = 0.997;
}
