/* train_text.c — the program's stages that draw from texts: the base, the upsampler, and the base
 * once more for inpainting. */
#include "base/error.h"
#include "diffusion/losses.h"
#include "eval/frozen_clip.h"
#include "settings.h"
#include "text_sampler.h"
#include "train/captioned_source.h"
#include "train/draw_samples.h"
#include "train/timesteps.h"

#include <stdlib.h>
#include <string.h>

enum { SCENE_SIDE = 64, PREVIEWED = 16 };
static const double SUMMARIES_DROPPED = 0.5;

/* What a stage trains, and on what */
typedef struct {
    Stage stage;
    Glide net;
    NoiseSchedule chain;
    CaptionedSource source;
    FrozenClip clip;
} Training;

/* ---- one batch ------------------------------------------------------------------------------- */

/* pictures (B,64,64,3) as the stage draws them, and what it is shown besides */
static Tensor *pictures_of(const Training *m, Tensor *images, Rng *erased, GlideInput *in) {
    Tensor *small = small_pictures(images);
    *in = (GlideInput){0};
    if (m->net.config.low) {
        in->low = small;
        return images;
    }
    if (m->net.config.inpaints) {
        in->known = small;
        in->mask = erase(images->tape, small->shape[0], small->shape[1], erased);
    }
    return small;
}

static TextFeatures read_captions(const Training *m, Tape *t, int n,
                                  const char *const *captions) {
    Texts texts = texts_new(&t->arena, &m->net, &m->clip.bpe, n, captions);
    return text_unet_read(&m->net.net, t, texts.tokens, texts.mask, n);
}

/* L_hybrid of pictures x0 with these texts, at times t */
static Losses losses(const Training *m, Tensor *x0, TextFeatures text, const int *t,
                     GlideInput in, Rng *noise) {
    NoisyImages b = noisy_images(&m->chain, x0, t, noise);
    Tensor *output = glide_output(&m->net, b.xt, b.time, text, in);
    return training_losses(&b, HYBRID, glide_parameterization(&m->net.config), output);
}

/* ---- what the log and the pictures are of ---------------------------------------------------- */

/* Error of the prediction on scenes and emoji that are not trained on, with their captions or without; the
 * same noise every time */
static double validation(const Training *m, bool with) {
    Tape t = {.no_grad = true};
    Rng noise = rng_new(1, "validation noise"), erased = rng_new(1, "validation masks");
    GlideInput in;
    int n = o.validation, *step = arena_get(&t.arena, (size_t)n * sizeof *step);
    CaptionedBatch b = validation_batch(&m->source.data, &t, n, n / 4);
    even_timesteps(m->chain.T, n, step);
    for (int i = 0; i < n && !with; i++) b.captions[i] = "";
    Tensor *x0 = pictures_of(m, b.images, &erased, &in);
    Tensor *mse = losses(m, x0, read_captions(m, &t, n, b.captions), step, in, &noise).mse;
    double mean = k_sum(mse->len, mse->x) / n;
    tape_free(&t);
    return mean;
}

/* What it draws for validation's captions, at a scale of 3 (the upsampler: 1, from real small
 * pictures) */
static void save_preview(const Training *m, char *path) {
    Tape t = {.no_grad = true};
    Rng erased = rng_new(1, "preview masks");
    GlideInput in;
    int n = PREVIEWED, side = m->net.config.side;
    CaptionedBatch b = validation_batch(&m->source.data, &t, n, n / 4);
    pictures_of(m, b.images, &erased, &in);
    TextTable text = captions_table(&t.arena, &m->net, &m->clip.bpe, n, b.captions);
    TextSampler s;
    text_sampler_open(&s, &m->net, (TextDrawing){
        .text = &text, .scale = in.low ? 1 : 3,
        .chain = schedule_respaced_to(&m->chain, "", o.preview),
        .low = in.low ? in.low->x : NULL, .known = in.known ? in.known->x : NULL,
        .mask = in.mask ? in.mask->x : NULL, .method = in.low ? DDIM : ANCESTRAL,
        .seed = o.common.seed});
    draw_preview(&cli, &s.sampler, path, colour_grid(n, side, 8, b.captions));
    text_sampler_close(&s);
    tape_free(&t);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static RunSettings settings_of(Stage s) {
    static const int *const steps[] = {NULL, &o.upsampler_steps, &o.inpaint_steps};
    return (RunSettings){.columns = "loss,mse,gradient,validation,without", .log_every = 10,
                         .stage = stage_names[s],
                         .later = s == BASE ? "inpaint" : NULL, .steps = steps[s]};
}

/* The base's weights, to go on from: before the first step of inpainting */
static void start_from_base(Run *run, Params *params, const GlideConfig *base, const char *path) {
    if (!run->random) return;
    Params trained = {0};
    glide_new(&trained, *base);
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", &trained, NULL}}});
    unet_widen(params, &trained, 3);
    params_free(&trained);
}

/* what training draws by chance */
typedef struct { Rng *noise, *times, *drop, *summaries, *erased; } Chance;

static Chance chance_of(Run *run) {
    return (Chance){.noise = run_rng(run, "noise"), .times = run_rng(run, "times"),
                    .drop = run_rng(run, "drop"), .summaries = run_rng(run, "summaries"),
                    .erased = run_rng(run, "erased")};
}

/* Uniform; but until --large-t-steps of the base each is the larger of two draws: noisy ones, where
 * colours and places are decided, come first, texture after them. */
static const int *timesteps(const Training *m, Run *run, Rng *rng, int n) {
    Arena *arena = &run->tape.arena;
    int *t = uniform_timesteps(arena, rng, m->chain.T, n);
    if (m->stage != BASE || run->step >= o.large_t_steps) return t;
    const int *other = uniform_timesteps(arena, rng, m->chain.T, n);
    for (int i = 0; i < n; i++)
        if (other[i] > t[i]) t[i] = other[i];
    return t;
}

/* The loss of the next batch, some of whose captions are left out */
static Tensor *next_loss(Run *run, const Training *m, const Chance *c) {
    GlideInput in;
    CaptionedBatch b = captioned_source_next(&m->source, run);
    drop_captions(b.n, b.captions, o.p_uncond, c->drop);
    const int *t = timesteps(m, run, c->times, b.n);
    Tensor *x0 = pictures_of(m, b.images, c->erased, &in);
    TextFeatures text = read_captions(m, &run->tape, b.n, b.captions);
    if (!m->net.config.low) drop_summaries(&text, SUMMARIES_DROPPED, c->summaries);
    Losses l = losses(m, x0, text, t, in, c->noise);
    run_log(run, "mse", t_mean(t_detach(l.mse)));
    return t_mean(l.each);
}

static void training_close(Training *m) {
    captioned_source_free(&m->source);
    frozen_clip_free(&m->clip);
    schedule_free(&m->chain);
}

/* Fine-tuning ends at 0: it begins from averages, and is too short for averages of its own. */
static double rate(Stage stage, int64_t step) {
    switch (stage) {
    case BASE: return o.common.lr * lr_cooldown(step, o.warmup, o.common.steps);
    case INPAINT: return o.common.lr * lr_cosine(step, o.warmup, o.inpaint_steps);
    default: return o.common.lr * lr_warmup(step, o.warmup);
    }
}

int text_train(Stage stage) {
    Run *run = run_start(&cli, settings_of(stage));
    char *base = path_join(o.common.out, "base-weights.safetensors");
    if (stage == INPAINT) run_trained_on(run, base);
    Training m = {.stage = stage, .clip = frozen_clip_load(NULL)};
    const ClipText *reader = &m.clip.net.text;
    int vocabulary = m.clip.bpe.size;
    captioned_source_open(&m.source, run, stage == UPSAMPLER ? o.upsampler_batch : o.common.batch,
                          o.emoji, SCENE_SIDE);
    Params *params = run_params(run, "");
    m.net = glide_new(params, stage_config(stage_names[stage], vocabulary, reader));
    if (m.net.config.clip) run_data(run, "clip", m.clip.sha256);
    m.chain = glide_schedule(&m.net.config);
    GlideConfig before = stage_config("base", vocabulary, reader);
    if (stage == INPAINT) start_from_base(run, params, &before, base);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    adam->clip = o.clip;
    run_ema(run, adam, o.ema);
    Chance chance = chance_of(run);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Tensor *loss = next_loss(run, &m, &chance);
        run_minimise(run, adam, loss, rate(stage, run->step));
        if (run_every(run, 250)) {
            run_value(run, "validation", validation(&m, true));
            run_value(run, "without", validation(&m, false));
        }
        if (run_saves(run) && o.preview) save_preview(&m, run_path(run, "samples.png"));
    }
    training_close(&m);
    free(base);
    return run_finish(run);
}
