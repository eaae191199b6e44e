/* prior_snail.h — PixelSNAIL (nn/pixelsnail.h) in the transformer's place, to compare
 * priors over the same codes.
 *
 * It has no text in its stream of codes. A small transformer reads the caption, padding included,
 * and its last place, through a linear layer, is the condition that every residual block adds. So it
 * predicts codes alone: a picture costs the same nats as with the transformer, and captions are not
 * predicted. */
#ifndef PRIOR_SNAIL_H
#define PRIOR_SNAIL_H

#include "nn/pixelsnail.h"
#include "nn/text_transformer.h"
#include "nn/token_sampler.h"

typedef struct {
    TextTransformer text;
    Linear condition;                /* the last place -> what blocks add */
    Snail net;
} PriorSnail;

typedef struct {
    int text, vocabulary;            /* T; different tokens */
    int rows, columns, codes;        /* of a picture; K */
    int channels;                    /* of features and of the condition; captions: 3 times as many */
} PriorSnailConfig;
PriorSnail prior_snail_new(Params *p, PriorSnailConfig c);

/* text (B,T), NO_TOKEN where none is; codes (B,N) -> (B,N,K) */
Tensor *prior_snail_logits(const PriorSnail *p, Tape *t, int B, const int *text, const int *codes);

/* codes (B,N) for captions text (B,T), of which the first `known` of each picture are given */
void prior_snail_sample(const PriorSnail *p, int B, const int *text, int known, int *codes,
                        const TokenSampler *how, Rng *rng);

#endif
