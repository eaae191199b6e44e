/* dalle — trains a discrete autoencoder and a transformer over its codes, draws pictures of
 * captions, ranks them by CLIP, measures them. Training has two stages, each a run of its own in
 * the same folder: dvae, prior. */
#include "settings.h"

#include "base/error.h"
#include "train/captioned_source.h"
#include "train/emoji_report.h"
#include "train/scene_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Settings o = {
    .common = {.seed = 1, .steps = 15000, .batch = 16, .lr = 1e-3, .config = "default",
               .out = "build/runs/dalle"},
    .stage = "all",
    .quantiser = "gumbel",
    .grid = "16",
    .codes = 512,
    .width = 32,
    .tau = 0.0625,
    .tau_steps = 3500,
    .hard = 0.2,
    .beta = 1,
    .beta_steps = 50,
    .prior = "gpt",
    .attention = "full",
    .prior_steps = 7000,
    .prior_batch = 16,
    .prior_lr = 1e-3,
    .prior_width = 192,
    .prior_depth = 5,
    .prior_heads = 6,
    .validation = 128,
    .bpe_dropout = 0,
    .p_uncond = 0.1,
    .pictures = 8,
    .best_of = 1,
    .captions = 1500,
    .temperature = 1,
    .top_p = 1,
    .scale = 2,
};

/* The file of the dVAE's weights keeps the options before "stage": several priors may be trained
 * for one. */
static Option options[] = {
    COMMON_OPTIONS(o.common, "default|openai|dalle-12b|mindalle"),
    {"quantiser", 0, .s = &o.quantiser, .choices = "gumbel|vq", .keep = KEEP_MODEL,
     .help = "quantiser of the autoencoder: Gumbel-softmax, or as in VQ-VAE"},
    {"grid", 0, .s = &o.grid, .choices = "8|16", .keep = KEEP_MODEL,
     .help = "side of the grid of codes"},
    {"codes", 0, .i = &o.codes, .min = 2, .max = 65536, .meta = "K", .keep = KEEP_MODEL,
     .help = "number of codes in the codebook"},
    {"width", 0, .i = &o.width, .min = 4, .max = 1024, .multiple = 4, .meta = "N",
     .keep = KEEP_MODEL, .help = "channels of the dVAE at full resolution"},
    {"tau", 0, .d = &o.tau, .min = 0.01, .max = 1, .meta = "X", .only = "train",
     .help = "final temperature of the Gumbel-softmax, annealed from 1"},
    {"tau-steps", 0, .i = &o.tau_steps, .min = 1, .max = 1e9, .meta = "N", .only = "train",
     .help = "steps over which the temperature falls; at most those before --hard"},
    {"beta", 0, .d = &o.beta, .min = 0, .max = 1e6, .meta = "X", .only = "train",
     .help = "final weight of the KL divergence, raised from 0"},
    {"beta-steps", 0, .i = &o.beta_steps, .min = 1, .max = 1e9, .meta = "N", .only = "train",
     .help = "steps over which the weight rises"},
    EMOJI_SHARE(o.emoji),
    {"hard", 0, .d = &o.hard, .min = 0, .max = 1, .meta = "X", .only = "train",
     .help = "last share of the dVAE's steps: the decoder alone is trained, on hard codes"},
    {"stage", 0, .s = &o.stage, .choices = "all|dvae|prior", .keep = KEEP_NOT, .only = "train",
     .help = "stage to train"},
    {"dvae", 0, .s = &o.dvae, .meta = "FILE", .keep = KEEP_DEFAULT, .only = "train",
     .help = "weights of a dVAE, or of both stages, to train the prior on (default: those in "
             "--out)"},
    {"prior", 0, .s = &o.prior, .choices = "gpt|snail", .keep = KEEP_MODEL,
     .help = "the prior: a transformer (gpt), or a PixelSNAIL of as many parameters"},
    {"attention", 0, .s = &o.attention, .choices = "full|row|column|convolution|paper",
     .keep = KEEP_MODEL,
     .help = "attention of image tokens; paper: rows, columns in every fourth block, and a "
             "convolution in the last"},
    {"prior-width", 0, .i = &o.prior_width, .min = 8, .max = 4096, .meta = "N",
     .keep = KEEP_MODEL, .help = "width of the transformer"},
    {"prior-depth", 0, .i = &o.prior_depth, .min = 1, .max = 64, .meta = "N", .keep = KEEP_MODEL,
     .help = "number of transformer blocks"},
    {"prior-heads", 0, .i = &o.prior_heads, .min = 1, .max = 64, .meta = "N", .keep = KEEP_MODEL,
     .help = "attention heads per block"},
    STAGE_STEPS("prior-steps", o.prior_steps,
                "training steps of the prior; --steps are the dVAE's"),
    STAGE_BATCH("prior-batch", o.prior_batch, "code maps in a batch"),
    STAGE_LR("prior-lr", o.prior_lr, "learning rate of the prior"),
    VALIDATION_SIZE(o.validation, SHOWN, 4096,
                    "unseen scenes that validation of either stage is on"),
    {"bpe-dropout", 0, .d = &o.bpe_dropout, .min = 0, .max = 1, .meta = "X", .only = "train",
     .help = "share of BPE merges left out at random in training"},
    {"p-uncond", 0, .d = &o.p_uncond, .min = 0, .max = 1, .meta = "P", .only = "train",
     .help = "share of captions dropped in the last 30 % of the prior's steps, for guidance"},
    {"prompt", 'p', .list = &o.prompts, .meta = "TEXT", .only = "sample", .keep = KEEP_NOT,
     .help = "a caption; may be repeated (default: captions of test scenes)"},
    {"image", 0, .list = &o.images, .meta = "FILE", .only = "sample", .keep = KEEP_NOT,
     .help = "an image (PNG, JPEG): reconstruct it, and redraw its lower half"},
    {"pictures", 'n', .i = &o.pictures, .min = 1, .max = 64, .meta = "N", .only = "sample",
     .keep = KEEP_NOT, .help = "images shown per caption, the best first"},
    {"best-of", 0, .i = &o.best_of, .min = 1, .max = 512, .meta = "N", .only = "sample eval",
     .keep = KEEP_NOT, .help = "images drawn per caption, for CLIP to rank"},
    {"clip", 0, .s = &o.clip, .meta = "FILE", .only = "sample eval", .keep = KEEP_NOT,
     .help = "weights of CLIP for ranking (default: the committed ones)"},
    {"temperature", 'T', .d = &o.temperature, .min = 0, .max = 100, .meta = "X",
     .only = "sample eval", .keep = KEEP_NOT,
     .help = "sampling temperature; below 1, likely codes are preferred"},
    {"top-k", 0, .i = &o.top_k, .min = 0, .max = 65536, .meta = "N", .only = "sample eval",
     .keep = KEEP_NOT, .help = "sample from the K likeliest codes; 0: from all"},
    {"top-p", 0, .d = &o.top_p, .min = 0, .max = 1, .meta = "X", .only = "sample eval",
     .keep = KEEP_NOT, .help = "sample from the likeliest codes with this total probability"},
    {"scale", 0, .d = &o.scale, .min = 0, .max = 100, .meta = "S", .only = "sample eval",
     .keep = KEEP_NOT, .help = "classifier-free guidance scale; 1: none"},
    {"captions", 0, .i = &o.captions, .min = SCENES_MINIMUM, .max = 10000, .meta = "N",
     .only = "eval", .keep = KEEP_NOT, .help = "test scenes whose captions are drawn and scored; "
             "dVAE and prior are scored on as many, at most 1000"},
    EMOJI_SAMPLES(o.emoji_samples),
    {0}};

/* the paper's schedules; steps are for its data and processors */
static const Preset presets[] = {
    {"openai", "lr=0.0001 batch=512 tau-steps=150000 beta=6.6 beta-steps=5000 steps=3000000"},
    {"dalle-12b", "prior-batch=1024 prior-steps=430000 attention=paper prior-lr=0.00045"},
    {"mindalle", "prior-batch=512"},
    {0}};

Cli cli = {.program = "dalle",
           .about = "DALL-E: a transformer continues a caption with the codes of an image.",
           .common = &o.common,
           .commands = (const Command[]){STANDARD_COMMANDS, {0}},
           .options = options,
           .presets = presets};

/* ---- networks as the options describe them --------------------------------------------------- */

bool is_published(void) { return strcmp(o.common.config, "default"); }

DvaeConfig chosen_dvae(void) {
    if (is_published()) return dvae_config("openai");
    DvaeConfig c = dvae_config("default");
    c.groups = atoi(o.grid) == 8 ? 4 : 3;
    c.codes = o.codes;
    c.width = o.width;
    c.dim = strcmp(o.quantiser, "vq") ? 0 : 64;
    return c;
}

enum { SNAIL_CHANNELS = 64 };           /* about as many parameters as the transformer */

void refuse_of_other_kinds(void) {
    if (!strcmp(o.prior, "snail"))
        cli_refuse(&cli, "attention prior-width prior-depth prior-heads p-uncond", "--prior gpt");
    if (!strcmp(o.quantiser, "vq"))
        cli_refuse(&cli, "tau tau-steps beta beta-steps hard", "--quantiser gumbel");
}

static AttentionPattern chosen_attention(void) {
    static const char *const names[] = {"full", "row", "column", "convolution", "paper"};
    int p = 0;
    while (strcmp(names[p], o.attention)) p++;
    return (AttentionPattern)p;
}

PriorConfig chosen_prior(int vocabulary) {
    if (is_published()) return prior_config(o.common.config);
    PriorConfig c = prior_config("default");
    c.vocabulary = vocabulary;
    c.rows = c.columns = atoi(o.grid);
    c.codes = o.codes;
    c.width = o.prior_width, c.depth = o.prior_depth, c.heads = o.prior_heads;
    c.attention = chosen_attention();
    if (!strcmp(o.prior, "snail")) c.snail = SNAIL_CHANNELS;
    if (c.width % c.heads)
        usage_error("--prior-width %d: does not split into %d heads", c.width, c.heads);
    return c;
}

void build(Dalle *d, int stage) {
    Params *p = &d->params[stage];
    p->seed = o.common.seed;
    d->side = SIDE;
    if (stage == STAGE_DVAE) {
        d->dvae = dvae_new(p, chosen_dvae());
        return;
    }
    if (!d->bpe.size) d->bpe = bpe_load(NULL);
    d->prior = prior_new(p, chosen_prior(d->bpe.size));
}

void load_all(Dalle *d) {
    weights_options(&cli);
    for (int s = 0; s < STAGES; s++) build(d, s);
    weights_load(&cli, (CheckpointParams[]){{"dvae.", &d->params[STAGE_DVAE], NULL},
                                            {"prior.", &d->params[STAGE_PRIOR], NULL}, {0}});
    if (!strcmp(o.prior, "snail")) {
        cli_refuse(&cli, "scale", "--prior gpt");
        o.scale = 1;
    }
    char *path = weights_path(&cli);
    weights_guidable(path, o.scale);
    free(path);
}

TokenSampler chosen_sampler(void) {
    return (TokenSampler){.temperature = o.temperature, .top_k = o.top_k, .top_p = o.top_p};
}

Grid scene_grid(int n, int columns, const char *const *captions) {
    Grid g = colour_grid(n, SIDE, columns, captions);
    g.low = 0;
    return g;
}

/* ---- info ------------------------------------------------------------------------------------ */

/* of those whose names begin so */
static size_t count_of(const Params *p, const char *prefix) {
    size_t n = 0;
    for (int i = 0; i < p->count; i++)
        if (!strncmp(p->list[i]->name, prefix, strlen(prefix)) && !strcmp(p->list[i]->op, "param"))
            n += p->list[i]->len;
    return n;
}

static void info_dvae(void) {
    Params p = {.shapes_only = true};
    dvae_new(&p, chosen_dvae());
    print_parameters("dvae", &p);
    printf("encoder: %zu, decoder: %zu\n", count_of(&p, "encoder."), count_of(&p, "decoder."));
    params_free(&p);
}

static void info_prior(void) {
    Params p = {.shapes_only = true};
    Bpe bpe = bpe_load(NULL);
    prior_new(&p, chosen_prior(bpe.size));
    print_parameters("prior", &p);
    if (count_of(&p, "h.")) printf("transformer blocks: %zu\n", count_of(&p, "h."));
    bpe_free(&bpe);
    params_free(&p);
}

/* openai published a dVAE alone; minDALL-E's codes are another autoencoder's */
int info(void) {
    if (strcmp(o.common.config, "mindalle")) info_dvae();
    if (strcmp(o.common.config, "openai")) info_prior();
    return 0;
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
