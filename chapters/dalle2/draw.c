#include "draw.h"

#include "base/error.h"
#include "diffusion/drawing.h"
#include "train/draw_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- networks -------------------------------------------------------------------------------- */

static void load(Models *m, Stage s, char *path) {
    Params *whitening = m->whitening[s].count ? &m->whitening[s] : NULL;
    Checkpoint c = {.cli = &cli, .params = {{"", &m->params[s], NULL},
                                            {"whitening.", whitening, NULL}}};
    checkpoint_options(path, &cli, false);
    checkpoint_load(path, &c);
    if (s == PRIOR || s == AR || s == DECODER)
        checkpoint_same(path, "trained_on", m->clip.sha256, "CLIP");
    free(path);
}

/* a user's */
static bool of_pictures(void) {
    return strcmp(cli.command, "sample") && strcmp(cli.command, "eval");
}

/* Trained on captions alone, it has never seen an embedding. */
static void check_conditions(const char *decoder) {
    char *share = checkpoint_text(decoder, "option.no-image");
    bool alone = share && atof(share) >= 1, pictures = of_pictures();
    free(share);
    if (alone && (pictures || strcmp(o.prior, "none")))
        fail("%s: was trained on captions alone; %s", decoder,
             pictures ? "it draws no user's pictures" : "it draws with --prior none");
}

static void load_prior(Models *m, Stage s) {
    int N = m->clip.net.config.text.context, D = m->clip.net.config.dim;
    if (s == PRIOR) {
        m->prior = prior_new(&m->params[s], prior_config("default", N, D));
        m->prior_whitening = whitening_new(&m->whitening[s], D);
    }
    if (s == AR) m->ar = ar_prior_new(&m->params[s], ar_prior_config(N, D));
    if (s != STAGES) load(m, s, stage_weights(s));
}

/* the second one enlarges what the first one makes */
static void load_upsamplers(Models *m) {
    static const char *const name[] = {"32", "64"};
    for (; m->upsamplers < 2; m->upsamplers++) {
        Stage s = UPSAMPLER32 + (Stage)m->upsamplers;
        char *path = stage_weights(s);
        if (access(path, F_OK)) {
            if (!o.common.quiet) printf("%s: not there, so images stay small\n", path);
            free(path);
            return;
        }
        m->upsampler[m->upsamplers] =
            upsampler_new(&m->params[s], upsampler_config(name[m->upsamplers]));
        load(m, s, path);
    }
}

void models_load(Models *m, Stage prior) {
    *m = (Models){0};
    if (strcmp(o.common.config, "default"))
        usage_error("--config %s: draws nothing here; info counts it", o.common.config);
    char *decoder = stage_weights(DECODER), *clip = clip_path();
    checkpoint_options(decoder, &cli, false);
    check_conditions(decoder);
    m->clip = frozen_clip_for(clip, SIDE);
    m->decoder = decoder_new(&m->params[DECODER], decoder_config("default"));
    m->decoder_whitening = whitening_new(&m->whitening[DECODER], m->clip.net.config.dim);
    load(m, DECODER, decoder);
    load_prior(m, prior);
    load_upsamplers(m);
    free(clip);
}

void models_free(Models *m) {
    for (int s = 0; s < STAGES; s++) params_free(&m->params[s]), params_free(&m->whitening[s]);
    frozen_clip_free(&m->clip);
}

int models_side(const Models *m) {
    return SMALL << m->upsamplers;
}

/* ---- captions to embeddings ------------------------------------------------------------------ */

/* the text's own embedding in the image's place: it has length sqrt(D) in the table */
static void text_embeddings(const CaptionTable *text, real *z) {
    memcpy(z, text->embedding, (size_t)(text->n * text->dim) * sizeof *z);
    for (int i = 0; i < text->n; i++) normalise(text->dim, z + i * text->dim);
}

static NoiseSchedule prior_steps(void) {
    return respace(schedule_cosine(1000), "prior-respace", o.prior_respace, FROM_NOISE);
}

real *embed_captions(const Models *m, Arena *arena, const CaptionTable *text) {
    if (!strcmp(o.prior, "none")) return NULL;
    real *z = arena_get(arena, (size_t)(text->n * text->dim) * sizeof *z);
    if (!strcmp(o.prior, "text")) text_embeddings(text, z);
    else if (!strcmp(o.prior, "ar")) draw_ar_embeddings(&m->ar, text, o.common.seed, z);
    else {
        NoiseSchedule chain = prior_steps();
        draw_embeddings(&(EmbeddingDrawing){
            .prior = {.net = &m->prior, .text = text, .scale = o.prior_scale},
            .whitening = &m->prior_whitening, .chain = &chain,
            .seed = hash_name(o.common.seed, "prior"),
            .quiet = o.common.quiet}, z);
        schedule_free(&chain);
    }
    return z;
}

/* ---- embeddings to images -------------------------------------------------------------------- */

/* The decoder on its way to be drawn with */
typedef struct {
    GuidedDecoder guided;
    NetworkDenoiser network;
    ClippedDenoiser clipped;
    NoiseSchedule chain;
    Sampler sampler;
} Drawn;

/* Of a user's pictures "ddim50", unless --respace says otherwise: its last step is not the chain's,
 * where so little is left of a picture that the way back begins with rounding. */
static const char *chosen_steps(void) {
    return of_pictures() && !cli_given(&cli, "respace") ? "ddim50" : o.respace;
}

static NoiseSchedule decoder_steps(void) {
    return respace(decoder_schedule(), "respace", chosen_steps(),
                   of_pictures() ? FROM_ANYWHERE : FROM_NOISE);
}

/* must not move; z of length 1 or NULL */
static void drawn_open(Drawn *d, Arena *arena, const Models *m, Decoding how) {
    int D = m->clip.net.config.dim;
    real *z = how.z ? arena_get(arena, (size_t)(how.n * D) * sizeof *z) : NULL;
    if (z) whiten(&m->decoder_whitening, how.n, how.z, z);
    d->guided = (GuidedDecoder){&m->decoder, z, how.text, how.scale};
    d->network = guided_decoder(&d->guided);
    d->clipped = clipped_denoiser(&d->network.denoiser);
    d->chain = decoder_steps();
    d->sampler = (Sampler){.denoiser = &d->clipped.denoiser, .schedule = &d->chain,
                           .method = how.ddim ? DDIM : ANCESTRAL, .eta = how.eta, .height = SMALL,
                           .width = SMALL, .channels = 3, .seed = o.common.seed};
}

static void drawn_close(Drawn *d) {
    sampler_free(&d->sampler);
    schedule_free(&d->chain);
}

void decode(const Models *m, Decoding how, real *x) {
    Drawn d;
    Arena arena = {0};
    drawn_open(&d, &arena, m, how);
    size_t len = (size_t)how.n * sampler_size(&d.sampler);
    if (how.start) memcpy(x, how.start, len * sizeof *x);
    draw_images(&d.sampler, how.n, x, (Drawing){.at_once = 32, .quiet = o.common.quiet,
                                                .from_x = how.start != NULL});
    as_bytes(len, x);
    drawn_close(&d);
    arena_free(&arena);
}

/* Not clipped: a way back that clips cannot be gone the other way. */
void invert(const Models *m, int n, const real *z, real *x) {
    Drawn d;
    Arena arena = {0};
    drawn_open(&d, &arena, m, (Decoding){.n = n, .z = z, .scale = 1, .ddim = true});
    d.sampler.denoiser = &d.network.denoiser;
    ddim_invert(&d.sampler, 0, n, x);
    drawn_close(&d);
    arena_free(&arena);
}

/* ---- larger ---------------------------------------------------------------------------------- */

/* steps of DDIM: the paper's of its two upsamplers */
static const char *const enlarging_steps[] = {"27", "15"};

real *enlarge(const Models *m, Arena *arena, int n, real *x) {
    for (int k = 0; k < m->upsamplers; k++) {
        const Upsampler *net = &m->upsampler[k];
        int side = net->config.side;
        Upsampling up = {net, x};
        NetworkDenoiser network = upsampling(&up);
        ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
        NoiseSchedule chain = respace(upsampler_schedule(&net->config), "respace",
                                      enlarging_steps[k], FROM_NOISE);
        Sampler s = {.denoiser = &clipped.denoiser, .schedule = &chain, .method = DDIM,
                     .height = side, .width = side, .channels = 3,
                     .seed = o.common.seed + 1 + (uint64_t)k};
        size_t len = (size_t)n * sampler_size(&s);
        real *larger = arena_get(arena, len * sizeof *larger);
        draw_images(&s, n, larger, (Drawing){.at_once = drawn_at_once(&s, 16),
                                             .quiet = o.common.quiet});
        as_bytes(len, larger);
        sampler_free(&s), schedule_free(&chain);
        x = larger;
    }
    return x;
}

/* ---- all the way ----------------------------------------------------------------------------- */

Stage chosen_prior(void) {
    return !strcmp(o.prior, "diffusion") ? PRIOR : !strcmp(o.prior, "ar") ? AR : STAGES;
}

/* steps that there cannot be are refused before anything is drawn */
static void check_steps(void) {
    NoiseSchedule prior = prior_steps(), decoder = decoder_steps();
    schedule_free(&prior), schedule_free(&decoder);
}

void refuse_unused(void) {
    check_steps();
    if (chosen_prior() != PRIOR) cli_refuse(&cli, "prior-scale prior-respace", "--prior diffusion");
    if (strcmp(o.sampler, "ddim")) cli_refuse(&cli, "eta", "--sampler ddim");
}

real *images_of_captions(const Models *m, Arena *arena, const CaptionTable *text, const real *z) {
    real *x = arena_get(arena, (size_t)(text->n * SMALL * SMALL * 3) * sizeof *x);
    decode(m, (Decoding){.n = text->n, .z = z, .text = text, .scale = o.scale, .eta = o.eta,
                         .ddim = !strcmp(o.sampler, "ddim")}, x);
    return enlarge(m, arena, text->n, x);
}
