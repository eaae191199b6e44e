/* train.c — training: the dVAE, then the prior over its codes. */
#include "settings.h"

#include "base/error.h"
#include "base/file.h"
#include "train/captioned_source.h"

#include <stdlib.h>
#include <string.h>

static Scenes training_scenes(Run *run, const CaptionedSource *s) {
    CaptionedBatch b = captioned_source_next(s, run);
    return scenes_of_batch(&b);
}

static Scenes validation_scenes(Tape *t, const CaptionedSource *s) {
    CaptionedBatch b = validation_batch(&s->data, t, o.validation, (int)(o.emoji * o.validation));
    return scenes_of_batch(&b);
}

/* ---- the dVAE -------------------------------------------------------------------------------- */

/* Rebuilt from the relaxed codes that training sees. At first they lose less than hard codes, which
 * are all that a prior can write: both are logged. */
static double soft_error(const Dvae *net, const Scenes *h, double tau) {
    Tape t = {.no_grad = true};
    Rng rng = rng_new(0, "validation");
    enum { AT_ONCE = 32 };
    Arena arena = {0};
    real *y = arena_get(&arena, (size_t)h->n * VALUES * sizeof *y);
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
static void validate_dvae(Run *run, const Dvae *net, const Scenes *h, double tau, real *y) {
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

/* The last ones, where emoji are: originals, and y from hard codes */
static void save_reconstructions(char *path, const Scenes *held, const real *y) {
    Arena arena = {0};
    size_t row = SHOWN * VALUES, before = (size_t)(held->n - SHOWN) * VALUES;
    real *rows = arena_get(&arena, 2 * row * sizeof *rows);
    memcpy(rows, held->x + before, row * sizeof *rows);
    memcpy(rows + row, y + before, row * sizeof *rows);
    Grid g = scene_grid(2 * SHOWN, SHOWN, NULL);
    g.row_labels = "originals|hard codes", g.enlarge = 1;
    save_grid(&cli, path, rows, g);
    arena_free(&arena);
}

static int train_dvae(void) {
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,gradient,nats,kl,commitment,tau,beta,hard_error,soft_error,codes_used,"
                   "perplexity",
        .log_every = 10, .stage = stage_names[STAGE_DVAE], .later = stage_names[STAGE_PRIOR],
        .whole_batch = chosen_dvae().dim ? "the codebook follows the whole batch" : NULL});
    CaptionedSource source;
    captioned_source_open(&source, run, o.common.batch, o.emoji, SIDE);
    Params *params = run_params(run, "");
    Dvae net = dvae_new(params, chosen_dvae());
    Optimizer *adam = run_adam(run, "adam", params,
                               (Adam){ADAM_DEFAULTS, .weight_decay = 1e-4,
                                      .decay_matrices_only = true});
    adam->clip = 100;  /* a few times what is common: single steps of far larger ones undid all */
    run_ema(run, adam, 0.999);
    Rng *noise = run_rng(run, "gumbel"), *codebook = run_rng(run, "codebook");
    Cli remembered = cli_before(&cli, "stage");
    run_weights(run, (Weights){.cli = &remembered, .params = {{"", params}}});
    Tape unseen = {.no_grad = true};
    Scenes held = validation_scenes(&unseen, &source);
    real *rebuilt = arena_get(&run->arena, (size_t)held.n * VALUES * sizeof *rebuilt);
    run_record(run, "parameters", (double)params_count(params));
    int steps = o.common.steps, soft = net.c.dim ? steps : steps - (int)(o.hard * steps);
    int fall = o.tau_steps < soft ? o.tau_steps : soft;
    uint64_t hard_from = 0;      /* step at which hard codes began, and 1; 0: not yet */
    run_counter(run, "hard_from", &hard_from);

    while (run_next(run)) {
        Scenes scenes = training_scenes(run, &source);
        Tensor *x = t_input(&run->tape, scenes.x, SHAPE(scenes.n, SIDE, SIDE, 3));
        if (!hard_from && run->step >= soft) hard_from = (uint64_t)run->step + 1;
        bool hard = hard_from > 0;
        int began = (int)hard_from - 1;
        double tau = hard ? o.tau : cosine_schedule(1, o.tau, run->step, fall);
        double beta = cosine_schedule(0, o.beta, run->step, o.beta_steps);
        if (run->random && run->step == 0) dvae_start(&net, x, codebook);
        DvaeTerms terms = hard ? dvae_hard_loss(&net, x) : dvae_loss(&net, x, tau, beta, noise);
        if (!hard) dvae_update(&net, &terms, codebook);
        run_log(run, "nats", terms.nats);
        if (terms.kl) run_log(run, "kl", terms.kl);
        if (terms.commitment) run_log(run, "commitment", terms.commitment);
        if (!hard) run_value(run, "tau", tau), run_value(run, "beta", beta);
        double rate = hard ? lr_cooldown(run->step - began, 100, steps - began)
                           : lr_cooldown(run->step, 100, soft);
        run_minimise(run, adam, terms.loss, o.common.lr * rate);
        bool saves = run_saves(run);
        if (run_every(run, 250) || saves) validate_dvae(run, &net, &held, tau, rebuilt);
        if (saves)
            save_reconstructions(run_path(run, "reconstructions.png"), &held, rebuilt);
    }
    captioned_source_free(&source), tape_free(&unseen);
    return run_finish(run);
}

/* ---- the prior ------------------------------------------------------------------------------- */

/* a picture for each of the last validation captions */
static void save_samples(char *path, const Dalle *m, const char *const *captions) {
    Arena arena = {0};
    DalleDraw draw = {.n = SHOWN, .captions = captions, .sampler = {TOKEN_SAMPLER_DEFAULTS},
                      .scale = 1};
    draw.codes = arena_get(&arena, (size_t)(SHOWN * dalle_codes(m)) * sizeof *draw.codes);
    draw.x = arena_get(&arena, SHOWN * VALUES * sizeof *draw.x);
    Rng rng = rng_new(o.common.seed, "samples");
    dalle_draw(m, draw, &rng);
    save_grid(&cli, path, draw.x, scene_grid(SHOWN, SHOWN / 2, captions));
    arena_free(&arena);
}

static void load_dvae(Dalle *m, const char *path) {
    Cli remembered = cli_before(&cli, "stage");
    checkpoint_options(path, &remembered, false);
    build(m, STAGE_DVAE);
    checkpoint_load_stage(path, &cli, "dvae.", &m->params[STAGE_DVAE]);
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
    CaptionedSource source;
    captioned_source_open(&source, run, o.prior_batch, o.emoji, SIDE);
    build(&m, STAGE_PRIOR);
    Params *params = &m.params[STAGE_PRIOR];
    run_state(run, "", params);
    Optimizer *adam = run_adam(run, "adam", params,
                               (Adam){.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8,
                                      .weight_decay = 4.5e-2, .decay_matrices_only = true});
    adam->clip = 4;
    run_ema(run, adam, 0.999);
    BpeDropout dropout = {o.bpe_dropout, run_rng(run, "bpe")};
    Rng *drop = run_rng(run, "drop");
    run_weights(run, (Weights){.params = {{"", params}}});
    run_weights(run, (Weights){.file = "weights.safetensors",
                               .params = {{"dvae.", &m.params[STAGE_DVAE]}, {"prior.", params}}});
    Tape unseen = {.no_grad = true};
    Scenes held = validation_scenes(&unseen, &source);
    scenes_encode(&run->arena, &held, &m, NULL);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Scenes s = training_scenes(run, &source);
        bool drops = !m.prior.c.snail && run->step >= 0.7 * o.prior_steps;
        for (int i = 0; i < s.n; i++)
            if (rng_chance(drop, drops ? o.p_uncond : 0)) s.captions[i] = "";
        scenes_encode(&run->tape.arena, &s, &m, &dropout);
        PriorTerms terms = prior_loss(&m.prior, &run->tape, s.n, s.text, s.codes);
        run_log(run, "image", terms.image);
        if (terms.text) run_log(run, "text", terms.text);
        run_minimise(run, adam, terms.loss, o.prior_lr * lr_cooldown(run->step, 200, o.prior_steps));
        if (run_every(run, 250)) run_value(run, "validation", scenes_nats(&held, &m, NULL));
        if (run_saves(run)) save_samples(run_path(run, "samples.png"), &m, held.captions + held.n - SHOWN);
    }
    int status = run_finish(run);
    dalle_free(&m), captioned_source_free(&source), tape_free(&unseen);
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
    if (!strcmp(o.stage, "prior"))
        cli_refuse(&cli, "steps batch lr tau tau-steps beta beta-steps hard", "--stage dvae");
    if (!strcmp(o.stage, "dvae"))
        cli_refuse(&cli, "prior-steps prior-batch prior-lr prior attention prior-width prior-depth "
                         "prior-heads bpe-dropout p-uncond", "--stage prior");
    refuse_of_other_kinds();
    if (o.hard == 1 && strcmp(o.stage, "prior") && !o.common.init && !o.common.resume)
        usage_error("--hard 1: the encoder would stay random; --init FILE has one that is trained");
    chosen_prior(1);                     /* what makes no sense is said before the first stage */
    if (all || !strcmp(o.stage, "dvae")) {
        int status = train_dvae();
        if (status) return status;
    }
    return all || !strcmp(o.stage, "prior") ? train_prior() : 0;
}
