/* text_transformer.h — a caption as numbers for each of its tokens, learned together with the
 * network that reads them: Nichol et al. 2021, "GLIDE", section 3. Other sequences as well, whose
 * elements have several parts, such as a box's class, colour and place.
 *
 *     h = tokens, summed over the parts of an element, + positions; where no token is, what stands
 *         for none at that position
 *     depth transformer blocks, in which every token sees all others; a last norm */
#ifndef TEXT_TRANSFORMER_H
#define TEXT_TRANSFORMER_H

#include "nn/transformer.h"

typedef struct {
    int vocabulary, length;     /* different tokens; elements of a text, padding included */
    int parts;                  /* tokens of an element; 0: one */
    int width, depth, heads;
    bool no_padding;            /* padded places are tokens like others */
    bool no_last_norm;
} TextTransformerConfig;

typedef struct {
    TextTransformerConfig config;
    Embedding tokens;
    Tensor *positions, *padding;        /* (N,C) */
    Transformer block;
    LayerNorm norm;
} TextTransformer;

TextTransformer text_transformer_new(Scope s, TextTransformerConfig c);
/* tokens (B,N), or (B,N,parts); mask (B,N): 1 where they are there; NULL: all are -> (B,N,C) */
Tensor *text_transformer(const TextTransformer *x, Tape *t, const int *tokens,
                         const uint8_t *mask, int B);

#endif
