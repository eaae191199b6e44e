/* captions.h — captions as CLIP's text encoder has them: what every network of the chapter reads
 * besides a noised picture or embedding. */
#ifndef CAPTIONS_H
#define CAPTIONS_H

#include "tensor/tensor.h"

/* B captions of N tokens each: features of each token (B,N,dim), which tokens are there (B,N; 1 or
 * 0), and the embedding (B,dim). A caption that is left out has no tokens and an embedding of
 * zeros. */
typedef struct {
    Tensor *tokens, *embedding;
    const uint8_t *mask;
} CaptionFeatures;

#endif
