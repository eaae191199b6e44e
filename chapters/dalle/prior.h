/* prior.h — stage 2: a transformer that writes the codes of a picture after its caption.
 *
 * Ramesh et al. 2021, section 2.2 and appendix B. One stream of tokens, each of which sees itself
 * and those before it:
 *
 *     place     0 ... T-1       T                T+1 ... T+N-1
 *     token     the caption     start of image   codes 0 ... N-2, row after row
 *     predicts  the next one    code 0           codes 1 ... N-1      (place T-1: nothing)
 *
 * A caption that ends before place T-1 goes on with padding, which is learned, another one at each
 * place, and is seen like any token. A code's embedding is the sum of one for the code, one for its
 * row and one for its column. Text and codes have output layers of their own: no place of the text
 * can predict a code, nor the reverse. Padding and both starts, of caption and image, are not
 * predicted; the end of the caption is.
 *
 *     loss = 1/8 (mean cross-entropy of text tokens) + 7/8 (mean cross-entropy of codes)
 *
 * Letters: B pictures, T text places, N = rows columns codes of K, S places of the stream, C
 * channels.
 *
 * Interface:
 *   - prior_config, prior_new
 *   - prior_logits, prior_loss         with gradients
 *   - prior_nats                       what codes of pictures cost
 *   - prior_sample                     codes, one after the other
 *   - prior_open, prior_next, prior_close      the same step by step
 *   - mask.h                           what a place sees
 *   - prior_snail.h                    another network in the transformer's place */
#ifndef PRIOR_H
#define PRIOR_H

#include "mask.h"
#include "nn/transformer.h"
#include "prior_snail.h"
#include "text/bpe.h"

typedef struct {
    int text, vocabulary;            /* T; different text tokens */
    int rows, columns, codes;        /* of a picture; K */
    int width, depth, heads;         /* of the transformer */
    AttentionPattern attention;
    int kernel;                      /* of the convolution's mask: odd */
    /* as minDALL-E has it: a table of N places instead of rows and columns, and no start of image:
     * the last place of the text predicts code 0 */
    bool plain;
    int snail;                       /* not 0: a PixelSNAIL of so many channels instead */
} PriorConfig;

/* "default" (its codes are a dVAE's), "dalle-12b", "mindalle" */
PriorConfig prior_config(const char *name);
int prior_codes(const PriorConfig *c);           /* N */
int prior_length(const PriorConfig *c);          /* S */

typedef struct {
    PriorConfig c;
    Tensor *text_tokens;             /* (vocabulary+T,C): tokens, then the padding of each place */
    Tensor *text_positions;          /* (T,C) */
    Tensor *image_start;             /* (1,C); plain: NULL */
    Tensor *image_tokens;            /* (K,C) */
    Tensor *rows, *columns;          /* (rows,C), (columns,C); plain: (N,C), NULL */
    Transformer h;
    LayerNorm norm;
    Linear text_head, image_head;
    Attention *attention;            /* (depth): of each block */
    PriorSnail snail;                /* c.snail: this, and none of the above */
} Prior;

Prior prior_new(Params *p, PriorConfig c);

/* A caption as T tokens: start, text, end, then NO_TOKEN. What is too long is cut; the end stays.
 * dropout: as bpe_encode has it; or NULL. */
enum { NO_TOKEN = -1 };
void prior_text(const Bpe *b, const char *caption, const BpeDropout *dropout, int T, int *text);

/* Logits of what comes next: text (B,T-1,vocabulary), or with PixelSNAIL NULL; image (B,N,K); for
 * text (B,T), codes (B,N) */
typedef struct {
    Tensor *text, *image;
} PriorLogits;
PriorLogits prior_logits(const Prior *p, Tape *t, int B, const int *text, const int *codes);

typedef struct {
    Tensor *loss, *text, *image;     /* the last two: mean nats of a token (PixelSNAIL: NULL, and
                                        the loss is that of codes), of a code */
} PriorTerms;
PriorTerms prior_loss(const Prior *p, Tape *t, int B, const int *text, const int *codes);

/* -ln p(code | caption, codes before it) of n pictures: nats (n,N) */
void prior_nats(const Prior *p, int n, const int *text, const int *codes, double *nats);

/* codes (n,N) for captions text (n,T), of which the first `known` < N of each picture are given */
typedef struct {
    int n, known;
    const int *text;
    int *codes;
    /* guidance, by logits: without + scale (with - without); NULL: none */
    const int *without;              /* (T): the empty caption */
    double scale;
} PriorDraw;
void prior_sample(const Prior *p, PriorDraw d, const TokenSampler *s, Rng *rng);

/* Each token passes the transformer once (there must be one); its keys and values are kept. */
typedef struct {
    const Prior *p;
    PriorDraw draw;
    int *without;                    /* (n,T); NULL: no guidance */
    int next;                        /* the code that is to be predicted */
    Tape tape;
    Arena arena;
    KeyValueCache cache;
} PriorSampler;
/* `s` must not move */
void prior_open(PriorSampler *s, const Prior *p, PriorDraw d);
/* Logits (n,K) of the next code, from draw.codes before it; on s->tape, until the next call. */
Tensor *prior_next(PriorSampler *s);
void prior_close(PriorSampler *s);

#endif
