/* denoise.c — part 1's commands: denoising autoencoders are trained, sampled from, measured. */
#include "base/error.h"
#include "dae.h"
#include "experiments/features.h"
#include "experiments/levels.h"
#include "settings.h"
#include "train/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 12, HELD_OUT = 1000 };

static Corruption chosen_corruption(void) {
    Corruption c = {corruption_named(o.corruption), o.level};
    bool emphasis = o.alpha != 1 || o.beta != 1;
    if ((c.kind == MASKING || c.kind == SALT_PEPPER) && c.level > 1)
        usage_error("--level %g: --corruption %s needs a probability", c.level, o.corruption);
    if (emphasis && (c.kind == CORRUPT_NONE || c.kind == GAUSSIAN))
        usage_error("--alpha, --beta: --corruption %s changes %s pixel, all have the same weight",
                    o.corruption, c.kind == GAUSSIAN ? "every" : "no");
    return c;
}

/* The first hundred hidden units' weights (2008, figure 3): grey is 0, each unit by itself is
 * scaled to its largest weight. */
static void save_filters(const Dae *d, char *path) {
    enum { SHOWN = 100 };
    static real filters[SHOWN * PIXELS];
    for (int u = 0; u < SHOWN; u++) {
        real largest = 0;
        for (int i = 0; i < PIXELS; i++)
            largest = (real)fmax((double)largest, fabs((double)d->w->x[i * d->code + u]));
        for (int i = 0; i < PIXELS; i++)
            filters[u * PIXELS + i] = d->w->x[i * d->code + u] / (2 * largest) + (real)0.5;
    }
    save_grid(&cli, path, filters, fashion_grid(10, 10, NULL, NULL));
}

/* ---- train ----------------------------------------------------------------------------------- */

/* rows of originals, their corrupted copies, and the reconstructions of these */
static void save_samples(const Run *run, const Dae *net, Corruption c, const real *x) {
    static real images[3 * COLUMNS * PIXELS];
    real *corrupted = images + COLUMNS * PIXELS, *r = corrupted + COLUMNS * PIXELS;
    memcpy(images, x, COLUMNS * PIXELS * sizeof *x);
    corrupt_all(c, COLUMNS, x, o.common.seed, "samples", corrupted);
    dae_reconstruct_all(net, COLUMNS, corrupted, r);
    save_grid(&cli, run_path(run, "samples.png"), images,
              fashion_grid(3, COLUMNS, "images|corrupted|reconstructions", NULL));
    if (net->architecture == VINCENT_2008) save_filters(net, run_path(run, "filters.png"));
}

int dae_train(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,validation_error", .log_every = 10});
    Corruption corruption = chosen_corruption();
    Fashion data = load_data();
    run_fashion(run, &data);
    Params *params = run_params(run, "");
    Dae net = dae_new(params, dae_named(o.common.config));
    bool published = net.architecture == VINCENT_2008;     /* plain gradient descent, no averages */
    Optimizer *optimizer = published ? run_sgd(run, "sgd", params, (Sgd){0})
                                     : run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    if (!published) run_ema(run, optimizer, 0.999);
    Rng *noise = run_rng_as(run, "corruption", "noise");
    Loader *loader = run_loader(run, &data.train);
    int held_out = data.validation.count < HELD_OUT ? data.validation.count : HELD_OUT;
    real *validation = images_new(&run->arena, &data.validation, held_out, 0, 1, NULL);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Tensor *x = loader_images(loader, &run->tape, 0, 1);
        Tensor *loss = denoising_loss(&net, corruption, x, o.alpha, o.beta, noise);
        run_log(run, "loss", loss);
        minimise(optimizer, loss, o.common.lr * (published ? 1 : lr_warmup(run->step, 100)));
        if (run_every(run, 250))
            run_value(run, "validation_error",
                      denoising_error(&net, corruption, held_out, validation, o.common.seed));
        if (run_saves(run)) save_samples(run, &net, corruption, validation);
    }
    fashion_free(&data);
    return run_finish(run);
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* the network of --weights, or another file's (main.c has taken over its options) */
static Dae load_network(Params *p, const char *path) {
    Dae d = dae_new(p, dae_named(o.common.config));
    if (path) checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", p, NULL}}});
    else weights_load_one(&cli, p);
    return d;
}

/* Six chains in rows, three from test images and three from noise: r(x~) after 1, 1 + EVERY, ...
 * steps. The spread of P(x|x~) is the root mean square of x - r(x~). */
static void picture_of_chains(const Dae *d, Corruption c, int n, const real *x) {
    enum { CHAINS = 6, EVERY = 10 };
    static real state[CHAINS * PIXELS], r[CHAINS * PIXELS], film[CHAINS * COLUMNS * PIXELS];
    size_t bytes = PIXELS * sizeof *x;
    Rng rng = rng_new(o.common.seed, "chain");
    double spread = sqrt(denoising_error(d, c, n, x, o.common.seed) / PIXELS);
    rng_uniform(&rng, CHAINS * PIXELS, state);
    memcpy(state, x, CHAINS / 2 * bytes);
    for (int step = 0; step <= (COLUMNS - 1) * EVERY; step++) {
        dae_chain_step(d, c, spread, CHAINS, state, r, &rng);
        for (int i = 0; i < CHAINS && step % EVERY == 0; i++)
            memcpy(film + (i * COLUMNS + step / EVERY) * PIXELS, r + i * PIXELS, bytes);
    }
    save_grid(&cli, output_path(&cli, "chain.png"), film,
              fashion_grid(CHAINS, COLUMNS,
                           "from a test image|from a test image|from a test image|"
                           "from noise|from noise|from noise",
                           "step 1|11|21|31|41|51|61|71|81|91|101|111"));
}

int dae_sample(void) {
    Params params[2] = {0};
    Dae net = load_network(&params[0], NULL), plain;
    if (o.plain) plain = load_network(&params[1], o.plain);
    Arena arena = {0};
    Fashion data = load_data();
    int n = data.test.count < HELD_OUT ? data.test.count : HELD_OUT;
    real *x = images_new(&arena, &data.test, n, 0, 1, NULL);
    picture_of_levels(&cli, &net, o.plain ? &plain : NULL, x);
    Corruption c = chosen_corruption();
    if (c.kind != CORRUPT_NONE) picture_of_chains(&net, c, n, x);
    if (net.architecture == VINCENT_2008) save_filters(&net, output_path(&cli, "filters.png"));
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params[0]), params_free(&params[1]);
    return 0;
}

/* ---- eval, info ------------------------------------------------------------------------------ */

int dae_eval(void) {
    Params params[2] = {0};
    Dae net = load_network(&params[0], NULL), plain;
    if (o.plain) plain = load_network(&params[1], o.plain);
    Fashion data = load_data();
    cJSON *m = metrics_new(&cli);
    json_text(m, "config", o.common.config);
    json_text(m, "corruption", o.corruption);
    json_number(m, "level", o.level);
    json_number(m, "parameters", (double)params_count(&params[0]));
    table_of_levels(&cli, &net, o.plain ? &plain : NULL, &data.test);
    probe_denoisers(&cli, &net, o.plain ? &plain : NULL, &data, m);
    metrics_save(&cli, m);
    fashion_free(&data);
    params_free(&params[0]), params_free(&params[1]);
    return 0;
}

int dae_info(void) {
    Params params = {0};
    Dae d = dae_new(&params, dae_named(o.common.config));
    info_network(&params);
    printf("code of %d numbers\n", d.code);
    return 0;
}
