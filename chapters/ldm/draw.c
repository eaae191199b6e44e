/* draw.c — drawing from what was trained here: latents, then pictures; the program's `sample`. */
#include "settings.h"

#include "base/error.h"
#include "condition_picture.h"
#include "diffusion/drawing.h"
#include "diffusion/guidance.h"
#include "train/captions.h"

#include <string.h>

enum { AT_ONCE = 32 };

SamplingMethod sampling_method(void) {
    return !strcmp(o.sampler, "plms") ? PLMS : !strcmp(o.sampler, "ddim") ? DDIM : ANCESTRAL;
}

/* ---- conditions of all pictures, as plain arrays --------------------------------------------- */

static Pictures some_of(const Pictures *p, int first, int n) {
    size_t pixels = (size_t)first * SCENE_SIDE * SCENE_SIDE;
    return (Pictures){.n = n, .images = p->images + 3 * pixels, .captions = p->captions + first,
                      .scenes = p->scenes + first, .map = p->map + pixels,
                      .hole = p->hole + pixels};
}

static void keep(Arena *arena, const Tensor *x, int first, int all, real **to) {
    size_t one = x ? x->len / (size_t)x->shape[0] : 0;
    if (!x) return;
    if (!*to) *to = arena_get(arena, (size_t)all * one * sizeof **to);
    memcpy(*to + (size_t)first * one, x->x, x->len * sizeof *x->x);
}

/* for p's pictures; with guidance, what stands for no condition */
static LdmCondition conditions_of(Arena *arena, const Model *m, const Pictures *p, double scale) {
    Tape t = {.no_grad = true};
    real *context = NULL, *beside = NULL, *without = NULL;
    bool dropped = true;
    for (int i = 0; i < p->n; i += AT_ONCE) {
        Pictures some = some_of(p, i, p->n - i < AT_ONCE ? p->n - i : AT_ONCE);
        Conditioned c = condition(&m->conditioner, &t, &some, NULL);
        keep(arena, c.context, i, p->n, &context), keep(arena, c.beside, i, p->n, &beside);
        tape_reset(&t);
    }
    if (context && scale != 1) {
        Pictures one = some_of(p, 0, 1);
        keep(arena, condition(&m->conditioner, &t, &one, &dropped).context, 0, 1, &without);
    }
    tape_free(&t);
    Condition kind = m->conditioner.kind;
    return (LdmCondition){.net = &m->net, .context = context, .without = without, .beside = beside,
                          .beside_channels = condition_channels(kind, &m->space), .scale = scale,
                          .tokens = condition_tokens(&m->conditioner), .width = CONTEXT_WIDTH};
}

/* outside the holes x becomes the pictures' own, as the official script pastes them */
static void keep_outside_holes(const Pictures *p, real *x) {
    for (size_t k = 0; k < (size_t)p->n * SCENE_SIDE * SCENE_SIDE; k++)
        if (!p->hole[k]) memcpy(x + 3 * k, p->images + 3 * k, 3 * sizeof *x);
}

/* ---- drawing --------------------------------------------------------------------------------- */

void draw_pictures(Model *m, const Pictures *p, int steps, double scale, bool quiet, real *x) {
    Arena arena = {0};
    int h = latent_side(m);
    LdmCondition c = conditions_of(&arena, m, p, scale);
    NetworkDenoiser network = network_denoiser(ldm_output, &c, (Parameterization){PREDICT_NOISE,
                                                                                 FIXED_SMALL});
    NoiseSchedule few = schedule_respaced_to(&m->schedule, "ldm", steps);
    Sampler s = {.denoiser = &network.denoiser, .schedule = &few, .method = sampling_method(),
                 .eta = o.eta, .height = h, .width = h, .channels = m->space.channels,
                 .seed = o.common.seed};
    real *z = arena_get(&arena, (size_t)p->n * sampler_size(&s) * sizeof *z);
    draw_images(&s, p->n, z, (Drawing){.at_once = drawn_at_once(&s, AT_ONCE), .quiet = quiet});
    pictures_of(&m->space, p->n, h, z, x);
    if (m->conditioner.kind == INPAINT) keep_outside_holes(p, x);
    sampler_free(&s);
    schedule_free(&few), arena_free(&arena);
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* test scenes; with texts, prompts in turn instead of their captions */
static Pictures pictures_to_draw(Arena *arena, const Wardrobe *w) {
    Rng holes = rng_new(o.common.seed, "holes");
    Pictures p = scenes_new(arena, w, PART_TEST, 1, 0, o.pictures, &holes);
    if (o.prompt.count && !reads_texts(condition_called(o.condition)))
        usage_error("--prompt: this model was trained with --condition %s", o.condition);
    for (int i = 0; i < p.n && o.prompt.count; i++)
        p.captions[i] = o.prompt.text[i % o.prompt.count];
    return p;
}

int sample_trained(void) {
    Model m = {0};
    Arena arena = {0};
    model_load(&m);
    WardrobeData data;
    wardrobe_data_open(&data, o.common.data, SCENE_SIDE);
    Pictures p = pictures_to_draw(&arena, &data.wardrobe);
    samples_open(&cli);
    remove_output(&cli, "conditions.png");
    if (!is_attended(m.conditioner.kind)) cli_refuse(&cli, "scale", "texts and layouts");
    if (reads_texts(m.conditioner.kind))
        say_tokens(&cli, m.conditioner.clip ? &m.clip.bpe : &m.bpe, &o.prompt, TEXT_TOKENS,
                   m.conditioner.clip ? 2 : 0);
    real *x = arena_get(&arena, (size_t)p.n * SCENE_SIDE * SCENE_SIDE * 3 * sizeof *x);
    draw_pictures(&m, &p, o.sampling_steps, o.scale, o.common.quiet, x);
    samples_save(&cli, x, colour_grid(p.n, SCENE_SIDE, p.n < 8 ? p.n : 8,
                                      reads_texts(m.conditioner.kind) ? p.captions : NULL));
    if (m.conditioner.kind > TEXT)
        save_conditions(&cli, output_path(&cli, "conditions.png"), m.conditioner.kind,
                        m.space.factor, &p, x);
    wardrobe_data_free(&data), arena_free(&arena), model_free(&m);
    return 0;
}
