/* train.c — training: the dVAE, then the prior over its codes. */
#include "settings.h"

#include "base/error.h"
#include "base/file.h"
#include "train/run.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 12 };                      /* validation scenes that are shown */

/* scenes of the step, on its tape: x (n,64,64,3) in [0,1]; what they show */
static Tensor *training_scenes(Run *run, const Data *d, int n, Scene *scenes) {
    Tensor *x = t_input(&run->tape, NULL, SHAPE(n, SIDE, SIDE, 3));
    wardrobe_get(&d->wardrobe, PART_TRAIN, o.common.seed, (uint64_t)run->micro_batch * (uint64_t)n, n,
                 &(SceneBatch){.images = x->x, .high = 1, .scenes = scenes});
    return x;
}

typedef struct {
    int n;
    real *x;                              /* (n,64,64,3) */
    Scene *scenes;
} Validation;

static real *new_pictures(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * VALUES * sizeof(real));
}

static Validation validation_scenes(Arena *arena, const Data *d) {
    Validation h = {.n = o.validation, .x = new_pictures(arena, o.validation),
                    .scenes = arena_get(arena, (size_t)o.validation * sizeof(Scene))};
    wardrobe_get(&d->wardrobe, PART_VALIDATION, 0, 0, h.n,
                 &(SceneBatch){.images = h.x, .high = 1, .scenes = h.scenes});
    return h;
}

/* ---- the dVAE -------------------------------------------------------------------------------- */

/* Rebuilt from the relaxed codes that training sees. Soft pictures may look good long before those
 * of hard codes do: both are logged. */
static double soft_error(const Dvae *net, const Validation *h, double tau) {
    Tape t = {.no_grad = true};
    Rng rng = rng_new(0, "validation");
    enum { AT_ONCE = 32 };
    Arena arena = {0};
    real *y = new_pictures(&arena, h->n);
    for (int i = 0; i < h->n; i += AT_ONCE) {
        int n = h->n - i < AT_ONCE ? h->n - i : AT_ONCE;
        tape_reset(&t);
        Tensor *x = t_input(&t, h->x + i * VALUES, SHAPE(n, SIDE, SIDE, 3));
        dvae_pixels(dvae_loss(net, x, tau, 0, &rng).stats, y + i * VALUES);
    }
    double error = lost_variance(h->n * VALUES, h->x, y);
    arena_free(&arena), tape_free(&t);
    return error;
}

/* the reconstructions of hard codes go to y */
static void validate_dvae(Run *run, const Dvae *net, const Validation *h, double tau, real *y) {
    int N = SIDE / dvae_factor(&net->c) * (SIDE / dvae_factor(&net->c)), K = net->c.codes;
    int *codes = arena_get(&run->tape.arena, (size_t)(h->n * N) * sizeof *codes);
    int *times = arena_get(&run->tape.arena, (size_t)K * sizeof *times);
    memset(times, 0, (size_t)K * sizeof *times);
    dvae_encode(net, h->n, SIDE, h->x, codes);
    dvae_decode(net, h->n, SIDE, codes, y);
    codebook_count(h->n * N, codes, times);
    run_value(run, "hard_error", lost_variance(h->n * VALUES, h->x, y));
    run_value(run, "soft_error", soft_error(net, h, tau));
    run_value(run, "codes_used", codes_used(K, times));
    run_value(run, "perplexity", codebook_perplexity(K, times));
}

/* originals, and from hard codes */
static void save_reconstructions(char *path, const real *x, const real *y) {
    Arena arena = {0};
    size_t row = SHOWN * VALUES;
    real *rows = arena_get(&arena, 2 * row * sizeof *rows);
    memcpy(rows, x, row * sizeof *rows), memcpy(rows + row, y, row * sizeof *rows);
    save_pictures(path, 2 * SHOWN, rows, SHOWN, NULL);
    arena_free(&arena);
}

static int train_dvae(void) {
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,nats,kl,commitment,tau,beta,hard_error,soft_error,codes_used,perplexity",
        .log_every = 10, .stage = stage_names[STAGE_DVAE], .later = stage_names[STAGE_PRIOR],
        .whole_batch = chosen_dvae().dim ? "the codebook follows the whole batch" : NULL});
    Data data;
    data_open(&data);
    run_fashion(run, &data.fashion);
    Params *params = run_params(run, "");
    Dvae net = dvae_new(params, chosen_dvae());
    Optimizer *adam = run_adam(run, "adam", params,
                               (Adam){ADAM_DEFAULTS, .weight_decay = 1e-4,
                                      .decay_matrices_only = true});
    run_ema(run, adam, 0.999);
    Rng *noise = run_rng(run, "gumbel"), *codebook = run_rng(run, "codebook");
    Cli remembered = cli_before(&cli, "stage");
    run_weights(run, (Weights){.cli = &remembered, .params = {{"", params}}});
    Validation held = validation_scenes(&run->arena, &data);
    real *rebuilt = new_pictures(&run->arena, held.n);
    int B = run_part(run, o.common.batch);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Tensor *x = training_scenes(run, &data, B, NULL);
        double tau = cosine_schedule(1, o.tau, run->step, o.tau_steps);
        double beta = cosine_schedule(0, o.beta, run->step, o.beta_steps);
        if (run->step == 0) dvae_start(&net, x, codebook);
        DvaeTerms terms = dvae_loss(&net, x, tau, beta, noise);
        dvae_update(&net, &terms, codebook);
        run_log(run, "loss", terms.loss), run_log(run, "nats", terms.nats);
        if (terms.kl) run_log(run, "kl", terms.kl);
        if (terms.commitment) run_log(run, "commitment", terms.commitment);
        run_value(run, "tau", tau), run_value(run, "beta", beta);
        minimise(adam, terms.loss, o.common.lr * lr_cosine(run->step, 100, o.common.steps));
        bool saves = run_saves(run);
        if (run_every(run, 250) || saves) validate_dvae(run, &net, &held, tau, rebuilt);
        if (saves)
            save_reconstructions(run_path(run, "reconstructions.png"), held.x, rebuilt);
    }
    data_free(&data);
    return run_finish(run);
}

/* ---- the prior ------------------------------------------------------------------------------- */

/* (n,T) tokens of the scenes' captions, on the tape */
static int *texts_of(Tape *t, const Dalle *m, int n, const Scene *scenes, BpeDropout *dropout) {
    int T = m->prior.c.text, *text = arena_get(&t->arena, (size_t)(n * T) * sizeof *text);
    char caption[SCENE_CAPTION];
    for (int i = 0; i < n; i++)
        prior_text(&m->bpe, scene_caption(&scenes[i], caption), dropout, T, text + i * T);
    return text;
}

typedef struct {
    int n, *text, *codes;
} Pairs;

static Pairs pairs_of(Tape *t, const Dalle *m, int n, const real *x, const Scene *scenes,
                      BpeDropout *dropout) {
    Pairs p = {.n = n, .text = texts_of(t, m, n, scenes, dropout)};
    p.codes = arena_get(&t->arena, (size_t)(n * dalle_codes(m)) * sizeof *p.codes);
    dvae_encode(&m->dvae, n, SIDE, x, p.codes);
    return p;
}

/* nats of a picture's codes, given its caption */
static double validation_nats(const Dalle *m, const Pairs *p) {
    int N = dalle_codes(m);
    Arena arena = {0};
    double *nats = arena_get(&arena, (size_t)(p->n * N) * sizeof *nats), sum = 0;
    prior_nats(&m->prior, p->n, p->text, p->codes, nats);
    for (int i = 0; i < p->n * N; i++) sum += nats[i];
    arena_free(&arena);
    return sum / p->n;
}

/* a picture for each of the first validation captions */
static void save_samples(char *path, const Dalle *m, const Scene *scenes) {
    Arena arena = {0};
    char text[SHOWN][SCENE_CAPTION];
    const char *captions[SHOWN];
    for (int i = 0; i < SHOWN; i++) captions[i] = scene_caption(&scenes[i], text[i]);
    DalleDraw draw = {.n = SHOWN, .captions = captions, .sampler = {TOKEN_SAMPLER_DEFAULTS}};
    draw.codes = arena_get(&arena, (size_t)(SHOWN * dalle_codes(m)) * sizeof *draw.codes);
    draw.x = arena_get(&arena, SHOWN * VALUES * sizeof *draw.x);
    Rng rng = rng_new(o.common.seed, "samples");
    dalle_draw(m, draw, &rng);
    save_pictures(path, SHOWN, draw.x, SHOWN / 2, captions);
    arena_free(&arena);
}

static void load_dvae(Dalle *m, const char *path) {
    Cli remembered = cli_before(&cli, "stage");
    checkpoint_options(path, &remembered, false);
    build(m, STAGE_DVAE);
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", &m->params[STAGE_DVAE]}}});
}

static int train_prior(void) {
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,text,image,gradient,validation", .log_every = 10,
        .stage = stage_names[STAGE_PRIOR], .steps = &o.prior_steps});
    char *file = o.dvae ? text_format("%s", o.dvae)
                        : text_format("%s/dvae-weights.safetensors", o.common.out);
    run_trained_on(run, file);
    Dalle m = {0};
    load_dvae(&m, file);
    Data data;
    data_open(&data);
    run_fashion(run, &data.fashion);
    build(&m, STAGE_PRIOR);
    Params *params = &m.params[STAGE_PRIOR];
    run_state(run, "", params);
    Optimizer *adam = run_adam(run, "adam", params,
                               (Adam){.beta1 = 0.9, .beta2 = 0.96, .eps = 1e-8,
                                      .weight_decay = 4.5e-2, .decay_matrices_only = true});
    adam->clip = 4;
    run_ema(run, adam, 0.999);
    BpeDropout dropout = {o.bpe_dropout, run_rng(run, "bpe")};
    run_weights(run, (Weights){.params = {{"", params}}});
    run_weights(run, (Weights){.file = "weights.safetensors",
                               .params = {{"dvae.", &m.params[STAGE_DVAE]}, {"prior.", params}}});
    Validation held = validation_scenes(&run->arena, &data);
    Tape kept = {.no_grad = true};
    Pairs validation = pairs_of(&kept, &m, held.n, held.x, held.scenes, NULL);
    run_record(run, "parameters", (double)params_count(params));
    int B = run_part(run, o.prior_batch);
    Scene *scenes = arena_get(&run->arena, (size_t)B * sizeof *scenes);

    while (run_next(run)) {
        Tensor *x = training_scenes(run, &data, B, scenes);
        Pairs p = pairs_of(&run->tape, &m, B, x->x, scenes, &dropout);
        PriorTerms terms = prior_loss(&m.prior, &run->tape, B, p.text, p.codes);
        run_log(run, "image", terms.image);
        if (terms.text) run_log(run, "text", terms.text);
        run_minimise(run, adam, terms.loss, o.prior_lr * lr_cosine(run->step, 200, o.prior_steps));
        if (run_every(run, 250)) run_value(run, "validation", validation_nats(&m, &validation));
        if (run_saves(run)) save_samples(run_path(run, "samples.png"), &m, held.scenes);
    }
    tape_free(&kept);
    int status = run_finish(run);
    dalle_free(&m), data_free(&data);
    free(file);
    return status;
}

/* ---- both ------------------------------------------------------------------------------------ */

int train(void) {
    bool all = !strcmp(o.stage, "all");
    if (is_published())
        usage_error("--config %s: is not trained here; info counts it", o.common.config);
    if (o.dvae && strcmp(o.stage, "prior"))
        usage_error("--dvae: --stage %s trains one itself", o.stage);
    chosen_prior(1);                     /* what makes no sense is said before the first stage */
    if (all || !strcmp(o.stage, "dvae")) {
        int status = train_dvae();
        if (status) return status;
    }
    return all || !strcmp(o.stage, "prior") ? train_prior() : 0;
}
