/* token_sampler.h — drawing the next token from a model's logits.
 *
 * In this order: logits are divided by the temperature; only the top_k most likely tokens stay (Fan
 * et al. 2018); of these only the fewest whose probabilities, after the softmax over what stayed,
 * sum to at least top_p (nucleus sampling, Holtzman et al. 2020), but always one. Of equally likely
 * tokens the one with the smaller number comes first. One is drawn in proportion to what is left.
 *
 *     TokenSampler s = {TOKEN_SAMPLER_DEFAULTS, .top_k = 256};
 *     int token[B];
 *     token_sample(&s, logits, rng, token);               logits (B,V) */
#ifndef TOKEN_SAMPLER_H
#define TOKEN_SAMPLER_H

#include "tensor/tensor.h"

typedef struct {
    double temperature;      /* 0: the most likely token (greedy) */
    int top_k;               /* 0, or more than there are tokens: all */
    double top_p;            /* 1: all; 0: the most likely */
} TokenSampler;
#define TOKEN_SAMPLER_DEFAULTS .temperature = 1, .top_p = 1

/* What tokens are drawn with, for each row of logits (rows,V), on their tape: (rows,V) numbers that
 * sum to 1 in a row. A logit of -infinity is a token that cannot be; a row of nothing else is a
 * mistake. */
double *token_probabilities(const TokenSampler *s, const Tensor *logits);
/* One token for each row; takes so many numbers of the stream for each. */
enum { TOKEN_DRAWS = 2 };
void token_sample(const TokenSampler *s, const Tensor *logits, Rng *rng, int *token);

#endif
