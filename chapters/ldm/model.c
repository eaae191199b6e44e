/* model.c — the networks that the options describe, new or from files. */
#include "settings.h"

#include "base/error.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>

enum { TIMESTEPS = 1000 };
#define FIRST_STAGE "first_stage."      /* their weights' names, in those of both stages */
#define DIFFUSION   "diffusion."

/* ---- configurations -------------------------------------------------------------------------- */

FirstStageConfig first_stage_config(void) {
    static const int multiplier[] = {1, 2, 2, 4};
    FirstStageConfig c = {.channels = 3, .width = o.fs_width, .blocks = 1, .z = 3, .embed = 3,
                          .codes = o.codes, .groups = o.fs_width < 32 ? 4 : 8};
    for (int f = o.factor; f >= 1; f /= 2) c.multiplier[c.levels] = multiplier[c.levels], c.levels++;
    if (o.factor == 8) c.z = c.embed = 4;
    return c;
}

int latent_side(const Model *m) {
    return SCENE_SIDE / m->space.factor;
}

static UNetConfig unet_of(const Model *m, Condition kind) {
    return ldm_unet_config(latent_side(m), m->space.channels, condition_channels(kind, &m->space),
                           o.width, is_attended(kind) ? CONTEXT_WIDTH : 0);
}

/* ---- new ------------------------------------------------------------------------------------- */

void model_new_first_stage(Model *m) {
    m->space.factor = o.factor;
    m->space.channels = 3;
    m->first_params.seed = o.common.seed;
    if (o.factor == 1) return;
    m->space.net = first_stage_new(&m->first_params, first_stage_config());
    m->space.channels = m->space.net.config.embed;
}

void model_new_diffusion(Model *m) {
    Params *p = &m->params;
    Condition kind = condition_called(o.condition);
    p->seed = o.common.seed;
    bool clip = reads_texts(kind) && !strcmp(o.text, "clip");
    if (clip) m->clip = frozen_clip_load(NULL);
    else if (reads_texts(kind)) m->bpe = bpe_load(NULL);
    m->space.scale = buffer((Scope){.params = p}, "latent_scale", 1, SHAPE(1));
    m->conditioner = conditioner_new(p, (Conditioner){
        .kind = kind, .pooled = !strcmp(o.context, "pooled"), .space = &m->space, .bpe = &m->bpe,
        .clip = clip ? &m->clip : NULL});
    m->net = ldm_unet_new(p, unet_of(m, kind));
    m->schedule = schedule_sqrt_linear(TIMESTEPS, 0.0015, 0.0195);
}

void model_free(Model *m) {
    if (m->bpe.size) bpe_free(&m->bpe);
    if (m->clip.bpe.size) frozen_clip_free(&m->clip);
    if (m->schedule.T) schedule_free(&m->schedule);
    params_free(&m->first_params), params_free(&m->params);
}

/* ---- files ----------------------------------------------------------------------------------- */

void model_list(Model *m, CheckpointParams list[static 3]) {
    int n = 0;
    if (o.factor > 1)
        list[n++] = (CheckpointParams){FIRST_STAGE, &m->first_params, NULL};
    list[n++] = (CheckpointParams){DIFFUSION, &m->params, NULL};
    list[n] = (CheckpointParams){0};
}

void model_load(Model *m) {
    CheckpointParams list[3];
    weights_options(&cli);
    model_new_first_stage(m);
    model_new_diffusion(m);
    model_list(m, list);
    weights_load(&cli, list);
    char *path = weights_path(&cli);
    if (m->conditioner.clip) checkpoint_same(path, "data.clip", m->clip.sha256, "CLIP");
    if (is_attended(m->conditioner.kind)) weights_guidable(path, o.scale);
    free(path);
    params_freeze(&m->first_params, true);
}

void model_begin_as_text(Model *m, const char *path) {
    Params text = {.seed = o.common.seed};
    buffer((Scope){.params = &text}, "latent_scale", 1, SHAPE(1));
    ldm_unet_new(&text, unet_of(m, TEXT));
    checkpoint_load_stage(path, &cli, DIFFUSION, &text);
    if (m->conditioner.clip) checkpoint_same(path, "data.clip", m->clip.sha256, "CLIP");
    unet_widen(&m->params, &text, m->space.channels);
    params_free(&text);
}

char *first_stage_weights(void) {
    const char *given = o.from ? o.from : o.autoencoder;
    return given ? text_format("%s", given)
                 : path_join(o.common.out, "autoencoder-weights.safetensors");
}

void model_load_first_stage(Model *m, const char *path) {
    char *left = first_stage_weights();
    Cli remembered = cli_before(&cli, "stage");
    if (!path) path = left;
    checkpoint_options(path, &remembered, false);
    model_new_first_stage(m);
    checkpoint_load_stage(path, &cli, FIRST_STAGE, &m->first_params);
    params_freeze(&m->first_params, true);
    free(left);
}
