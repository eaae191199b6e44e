#include "draw_text.h"

#include "base/error.h"
#include "base/file.h"
#include "settings.h"
#include "train/draw_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- networks -------------------------------------------------------------------------------- */

static bool is_ours(void) { return !strcmp(o.common.config, "default"); }

static void load(TextModels *m, const char *path, const char *name, Glide *net, Params *p) {
    checkpoint_options(path, &cli, false);
    GlideConfig c = is_ours() ? stage_config(name, m->bpe.size, &m->clip.net.text)
                              : glide_config(name, m->bpe.size);
    if (c.clip) checkpoint_same(path, "data.clip", m->clip.sha256, "CLIP");
    *net = glide_new(p, c);
    Arena arena = {0};
    OfficialMap names = glide_official(&arena, &c);
    weights_load_file(&cli, path, &names, p);
    arena_free(&arena);
}

static Bpe published_tokenizer(void) {
    if (!o.merges || !o.vocabulary)
        usage_error("--config %s: where is its tokenizer? --merges vocab.bpe --vocabulary "
                    "encoder.json", o.common.config);
    return bpe_load_gpt2(o.merges, o.vocabulary);
}

/* the base's file; or, for inpainting, that of the network which was trained for it, if there is
 * one: *name is what it holds */
static char *base_weights(bool inpaints, const char **name) {
    if (!is_ours() && !o.common.weights)
        usage_error("--config %s: where are its weights? --weights FILE (safetensors, under the "
                    "official names)", o.common.config);
    *name = is_ours() ? "base" : o.common.config;
    if (!inpaints || !is_ours()) return stage_weights(BASE);
    char *path = stage_weights(INPAINT);
    if (access(path, F_OK) == 0) {
        *name = "inpaint";
        return path;
    }
    fprintf(stderr, "%s: not there (train --stage inpaint), so known pixels are pasted into what "
                    "the base draws, which does not see them\n", path);
    free(path);
    return stage_weights(BASE);
}

static void load_upsampler(TextModels *m) {
    bool inpaints = strstr(o.common.config, "inpaint") != NULL;
    const char *published = inpaints ? "glide-upsample-inpaint" : "glide-upsample";
    char *path = o.upsampler ? text_format("%s", o.upsampler) : stage_weights(UPSAMPLER);
    m->enlarges = o.upsampler || (is_ours() && access(path, F_OK) == 0);
    if (m->enlarges)
        load(m, path, is_ours() ? "upsampler" : published, &m->upsampler,
             &m->upsampler_params);
    else if (!o.common.quiet)
        printf("%s: not there, so pictures stay small\n", path);
    free(path);
}

static void load_noisy_clip(TextModels *m) {
    if (!is_ours()) usage_error("--clip-scale: for the default; --config %s has no CLIP that knows "
                                "its noise", o.common.config);
    char *path = stage_weights(NOISY_CLIP);
    m->noisy = noisy_clip_new(&m->noisy_params, m->base.config.side, GLIDE_TIMESTEPS);
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", &m->noisy_params, NULL}}});
    params_freeze(&m->noisy_params, true);
    checkpoint_same(path, "data.clip", m->clip.sha256, "CLIP");
    free(path);
}

static NoiseSchedule upsampler_steps(const TextModels *m) {
    return respace(glide_schedule(&m->upsampler.config), "upsampler-respace", o.upsampler_respace,
                   FROM_NOISE);
}

/* steps that there cannot be are refused before anything is drawn */
static void check_steps(const TextModels *m) {
    NoiseSchedule base = base_steps(m);
    schedule_free(&base);
    if (!m->enlarges) return;
    NoiseSchedule upsampler = upsampler_steps(m);
    schedule_free(&upsampler);
}

void text_models_load(TextModels *m, bool inpaints) {
    *m = (TextModels){0};
    if (is_ours()) m->clip = frozen_clip_load(NULL), m->bpe = m->clip.bpe;
    else m->bpe = published_tokenizer();
    const char *name;
    char *path = base_weights(inpaints, &name);
    load(m, path, name, &m->base, &m->base_params);
    if (is_ours()) weights_guidable(path, chosen_scale());
    free(path);
    load_upsampler(m);
    check_steps(m);
    if (o.clip_scale > 0) load_noisy_clip(m);
}

void text_models_free(TextModels *m) {
    params_free(&m->base_params), params_free(&m->upsampler_params);
    params_free(&m->noisy_params);
    if (is_ours()) frozen_clip_free(&m->clip);
    else bpe_free(&m->bpe);
}

int text_models_side(const TextModels *m) {
    return m->enlarges ? m->upsampler.config.side : m->base.config.side;
}

/* ---- drawing --------------------------------------------------------------------------------- */

NoiseSchedule base_steps(const TextModels *m) {
    return respace(glide_schedule(&m->base.config), "respace", o.respace,
                   o.edit ? FROM_ANYWHERE : FROM_NOISE);
}

/* how well pictures fit the drawing's captions; the gradient is taken on the tape */
static ClipGuide guide_to(const TextModels *m, Arena *arena, Tape *tape, BaseDrawing d) {
    size_t D = (size_t)m->clip.net.config.dim;
    real *text = arena_get(arena, (size_t)d.n * D * sizeof *text);
    frozen_clip_texts(&m->clip, d.n, d.captions, text);
    return clip_guide(&m->noisy, text, frozen_clip_scale(&m->clip), tape);
}

void draw_base(const TextModels *m, BaseDrawing d, real *x) {
    Arena arena = {0};
    Tape tape = {0};
    bool by_clip = o.clip_scale > 0;
    ClipGuide guide = {0};
    if (by_clip) guide = guide_to(m, &arena, &tape, d);
    TextTable text = captions_table(&arena, &m->base, &m->bpe, d.n, d.captions);
    TextSampler s;
    text_sampler_open(&s, &m->base, (TextDrawing){
        .text = &text, .scale = d.scale, .eta = o.eta,
        .chain = base_steps(m),
        .method = chosen_method(), .known = d.known, .mask = d.mask,
        .clip = by_clip ? &guide : NULL, .clip_scale = o.clip_scale, .seed = o.common.seed});
    draw_images(&s.sampler, d.n, x, (Drawing){.at_once = drawn_at_once(&s.sampler, 16),
                                              .quiet = d.quiet, .last_steps = d.last_steps});
    as_bytes((size_t)d.n * sampler_size(&s.sampler), x);
    text_sampler_close(&s);
    tape_free(&tape), arena_free(&arena);
}

void upsampler_open(const TextModels *m, TextSampler *s, const TextTable *text, const real *low,
                    const real *known, const real *mask) {
    text_sampler_open(s, &m->upsampler, (TextDrawing){
        .text = text, .scale = 1, .method = DDIM,
        .chain = upsampler_steps(m), .low = low, .known = known, .mask = mask,
        .seed = o.common.seed + 1});
    s->sampler.start_temperature = 0.997;
}
