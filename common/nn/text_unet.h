/* text_unet.h — a U-Net conditioned on a text, which it learns to read itself: Nichol et al. 2021,
 * "GLIDE", section 4.1. Or a trained CLIP reads it, whose weights stay as they are (Rombach et al.
 * 2022; Saharia et al. 2022, "Imagen", section 2.1).
 *
 * What a text transformer makes of the tokens goes two ways: the last one, or CLIP's end of text,
 * through a linear layer, to the embedding of the time, so to every residual block; all of them to
 * attention, as further keys and values.
 *
 *     TextUNet net = text_unet_new(&params, unet_config, text_config);
 *     TextFeatures text = text_unet_read(&net, &tape, tokens, mask, B);
 *     Tensor *output = text_unet(&net, x, time, text);
 *
 * When pictures are drawn, a text's features are the same at every step: a TextTable holds
 * them. */
#ifndef TEXT_UNET_H
#define TEXT_UNET_H

#include "nn/clip.h"
#include "nn/text_transformer.h"
#include "nn/unet_official.h"

typedef struct {
    TimeEmbedding time;
    TextTransformer text;
    const ClipText *clip;               /* reads in its place, unless NULL */
    Linear text_proj;                   /* to the embedding's channels */
    UNet unet;
} TextUNet;

/* c.context is the text's width, whatever it says. text.depth 0: there is no transformer; `clip`,
 * of the same width, must be set before anything is read */
TextUNet text_unet_new(Params *p, UNetConfig c, TextTransformerConfig text);

typedef struct {
    Tensor *emb;                        /* (B,E): added to the time's embedding */
    Tensor *tokens;                     /* (B,N,D): attended to */
} TextFeatures;

/* tokens and mask (B,N), see text_transformer. CLIP's texts have their start and their end, and are
 * filled up with ends; the mask is 1 up to the first. */
TextFeatures text_unet_read(const TextUNet *m, Tape *t, const int *tokens, const uint8_t *mask,
                            int B);
/* x (B,H,W,in), time (B) -> (B,H,W,out) */
Tensor *text_unet(const TextUNet *m, Tensor *x, const double *time, TextFeatures text);

/* ---- read once for all steps of drawing ------------------------------------------------------ */

/* what is read from n texts, in plain arrays: emb (n,E), tokens (n,N,D) */
typedef struct {
    int n;
    real *emb, *tokens;
} TextTable;

TextTable text_table_new(Arena *arena, const TextUNet *m, int n, const int *tokens,
                         const uint8_t *mask);
/* the texts of these numbers, one a picture of a batch, as leaves */
TextFeatures text_table_rows(const TextTable *table, const TextUNet *m, Tape *t, int B,
                             const int *number);

/* ---- the names of openai/glide-text2im ------------------------------------------------------- */

typedef struct {
    UNetOfficial unet;
    int text_heads;
} TextUNetOfficial;

extern const OfficialName text_unet_names[];
/* OfficialMap.locate; design: TextUNetOfficial */
bool text_unet_official(const void *design, const char *ours, OfficialPlace *at);

#endif
