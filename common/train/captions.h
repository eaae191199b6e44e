/* captions.h — what the `sample` command of every text-to-image chapter does with its texts. */
#ifndef TRAIN_CAPTIONS_H
#define TRAIN_CAPTIONS_H

#include "text/bpe.h"
#include "train/program.h"

/* One caption for each of n images: the prompts in turn, or examples if there are none */
const char **prompted_captions(Arena *arena, const CliList *prompts, int n);
/* How many tokens is each prompt, with so many for start and end? More than `most` are cut, which
 * stderr says. */
void say_tokens(const Cli *cli, const Bpe *b, const CliList *prompts, int most, int ends);
/* captions.txt in --out: what build/score reads beside samples.npy */
void captions_save(const Cli *cli, int n, const char *const *captions);

#endif
