/* settings.h — what main.c gives to the other files of the program: the options as they were given,
 * data and networks as they describe them. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "scenes.h"
#include "train/program.h"

enum { SHOWN = 12 };                    /* of validation's scenes */

typedef struct {
    CommonOptions common;
    const char *stage, *dvae, *quantiser, *grid, *prior, *attention, *clip;
    /* dVAE */
    int codes, width, tau_steps, beta_steps;
    double tau, beta, hard, emoji;
    /* prior */
    int prior_steps, prior_batch, prior_width, prior_depth, prior_heads, validation;
    double prior_lr, bpe_dropout, p_uncond;
    /* sample, eval */
    CliList prompts, images;
    int pictures, best_of, top_k, captions, emoji_samples;
    double temperature, top_p, scale;
} Settings;

extern Settings o;
extern Cli cli;

bool is_published(void);                /* a network that is counted, and not trained here */
DvaeConfig chosen_dvae(void);
/* for a vocabulary of so many tokens */
PriorConfig chosen_prior(int vocabulary);
void build(Dalle *d, int stage);
/* options given that the chosen kinds of networks have no use for end the program */
void refuse_of_other_kinds(void);
/* both stages' networks, from --weights or the file in --out */
void load_all(Dalle *d);

TokenSampler chosen_sampler(void);       /* --temperature, --top-k, --top-p */
/* n scenes in [0,1] in rows of `columns`, with a caption under each unless NULL */
Grid scene_grid(int n, int columns, const char *const *captions);

int train(void), sample(void), eval(void), info(void);   /* train.c, sample.c, evaluate.c, main.c */

#endif
