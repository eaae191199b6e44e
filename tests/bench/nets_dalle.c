/* nets_dalle.c — the two stages of chapters/dalle at their default sizes: a training step of the dVAE
 * on 64x64 RGB, a training step of the prior on captions of 24 tokens and 16x16 codes of 512, and
 * codes written one after the other from kept keys and values, 64 pictures at a time. */
#include "../../chapters/dalle/dvae.h"
#include "../../chapters/dalle/prior.h"
#include "nets.h"

/* ---- dVAE ------------------------------------------------------------------------------------ */

enum { SIDE = 64 };

typedef struct {
    Dvae net;
    const real *x;
} Autoencoder;

static Rng gumbel(void) {
    return rng_new(1, "gumbel");
}

static void dvae_build(Training *t) {
    Autoencoder *n = net_alloc(t, sizeof *n);
    DvaeConfig c = dvae_config("default");
    int B = t->batch, h = SIDE / dvae_factor(&c);
    t->adam[0] = (Adam){ADAM_DEFAULTS, .weight_decay = 1e-4, .decay_matrices_only = true};
    n->net = dvae_new(&t->params[0], c);
    n->x = input_uniform(t, "x", 0.1, 0.9, SHAPE(B, SIDE, SIDE, 3));
    Rng rng = gumbel();                              /* what dvae_loss makes its noise of */
    rng_uniform(&rng, (size_t)(B * h * h * c.codes),
                input_buffer(t, "uniform", SHAPE(B, h, h, c.codes)));
}

static double dvae_step(Training *t) {
    Autoencoder *n = t->net;
    Rng rng = gumbel();
    Tensor *x = t_input(&t->tape, n->x, SHAPE(t->batch, SIDE, SIDE, 3));
    return descend(t, 0, dvae_loss(&n->net, x, 0.5, 1, &rng).loss, 1e-3);
}

const NetKind net_dvae = {"dvae", "dVAE 64x64", 16, true, dvae_build, dvae_step};

/* ---- prior ----------------------------------------------------------------------------------- */

enum { VOCABULARY = 1514, GRID = 16, CODES = 512, SHORTEST = 6, LENGTHS = 16 };

typedef struct {
    Prior net;
    int *text;
    const int *codes;
    PriorSampler sampler;                            /* of codes one after the other */
} Writer;

/* Captions of 6 to 21 tokens; behind them is padding, in the file a number of its own for each
 * place, as the table has it. */
static void end_texts(Training *t, Writer *n) {
    int T = n->net.c.text, count = t->batch * T;
    real *row = params_find(&t->input, "input.text")->x;
    for (int i = 0; i < count; i++)
        if (i % T >= SHORTEST + i / T % LENGTHS) {
            n->text[i] = NO_TOKEN;
            row[i] = (real)(VOCABULARY + i % T);
        }
}

static Writer *writer_new(Training *t) {
    Writer *n = net_alloc(t, sizeof *n);
    PriorConfig c = prior_config("default");
    c.vocabulary = VOCABULARY, c.rows = c.columns = GRID, c.codes = CODES;
    n->net = prior_new(&t->params[0], c);
    n->codes = input_index(t, "codes", CODES, t->batch * prior_codes(&c));
    n->text = (int *)input_index(t, "text", VOCABULARY, t->batch * c.text);
    end_texts(t, n);
    return n;
}

static void prior_build(Training *t) {
    t->adam[0] = (Adam){.beta1 = 0.9, .beta2 = 0.96, .eps = 1e-8, .weight_decay = 4.5e-2,
                        .decay_matrices_only = true};
    writer_new(t);
}

static double prior_step(Training *t) {
    const Writer *n = t->net;
    return descend(t, 0, prior_loss(&n->net, &t->tape, t->batch, n->text, n->codes).loss, 1e-3);
}

const NetKind net_prior = {"dalle", "DALL-E's prior, 280 tokens", 16, false, prior_build,
                           prior_step};

/* ---- codes one after the other --------------------------------------------------------------- */

static void write_close(Training *t) {
    Writer *n = t->net;
    prior_close(&n->sampler);
}

static void write_build(Training *t) {
    Writer *n = writer_new(t);
    prior_open(&n->sampler, &n->net, (PriorDraw){.n = t->batch, .text = n->text,
                                                  .codes = (int *)n->codes});
    t->tape.no_grad = true;
    t->close = write_close;
}

/* All codes of the pictures; given ones, so that both sides go the same way. The sum of squares of
 * the last logits stands in for a loss. */
static double write_step(Training *t) {
    Writer *n = t->net;
    double sum = 0;
    n->sampler.next = n->sampler.cache.count = 0;
    for (int i = 0; i < prior_codes(&n->net.c); i++) {
        const Tensor *logits = prior_next(&n->sampler);
        sum = k_sum_squares(logits->len, logits->x);
    }
    return sum;
}

const NetKind net_prior_sample = {"dalle_sample", "DALL-E: 256 codes each", 64, false, write_build,
                                  write_step};
