/* emoji_report.h — how the chapters that draw emoji from their names are scored: all by the same
 * names, of emoji that training has seen and of combinations that were kept from it, and by what CLIP
 * calls the pictures (eval/emoji_naming.h).
 *
 *     EmojiEvaluator e;
 *     emoji_evaluator_open(&e, &clip, 200);
 *     for (int k = 0; k < EMOJI_PARTS; k++)
 *         ... draw e.scored[k].n pictures x, one of each e.scored[k].captions ...
 *         report_emoji(&cli, &e, k, x);
 *     emoji_evaluator_free(&e, metrics); */
#ifndef EMOJI_REPORT_H
#define EMOJI_REPORT_H

#include "eval/emoji_naming.h"
#include "train/program.h"

/* the option --emoji-samples */
#define EMOJI_SAMPLES(variable)                                                                   \
    {"emoji-samples", 0, .i = &(variable), .min = 0, .max = 3000, .meta = "N", .keep = KEEP_NOT,   \
     .only = "eval",                                                                              \
     .help = "emoji to draw and name, of those seen and of held-out combinations each; 0: none"}

enum { EMOJI_SEEN, EMOJI_HELD_OUT, EMOJI_PARTS };

typedef struct {
    Captioned emoji;
    EmojiNamer namer;
    struct {
        int n, *number;                  /* among all emoji, evenly */
        const char **captions;
    } scored[EMOJI_PARTS];
    cJSON *report;
    Arena arena;
} EmojiEvaluator;

/* n: emoji of each part. clip must outlive *e, which must not be moved. */
void emoji_evaluator_open(EmojiEvaluator *e, const FrozenClip *clip, int n);
/* what was found is added to metrics as "emoji" */
void emoji_evaluator_free(EmojiEvaluator *e, cJSON *metrics);
/* x (scored[part].n,64,64,3) in [0,1]; prints a line unless --quiet */
void report_emoji(const Cli *cli, const EmojiEvaluator *e, int part, const real *x);

#endif
