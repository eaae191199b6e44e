/* pixelcnn.h — p(codes | class) for a map of codes, one code after the other in reading order.
 *
 * The gated PixelCNN of van den Oord et al. 2016, "Conditional Image Generation with PixelCNN
 * Decoders" (section 2), on maps of code numbers. A first PixelCNN's masked 3x3 kernels never see
 * a wedge of codes at the upper right, the blind spot; two stacks do: the vertical one sees all
 * rows above, the horizontal one what is to the left and, through the vertical one, all above.
 *
 * No kernel is masked. The vertical stack reads the map moved down by one row, the horizontal one
 * the map moved right by one column; from there on, kernels may see the row (the place) that they
 * stand on, and have no part that looks further.
 *
 * Interface:
 *   - pixelcnn_new
 *   - pixelcnn_embed, _logits, _loss, _nats     all positions at once, as in training
 *   - PixelCnnCache                 one position after the other, nothing computed twice
 *   - pixelcnn_sample               draws maps with it */
#ifndef PIXELCNN_H
#define PIXELCNN_H

#include "nn/feature_map.h"
#include "nn/layers.h"

enum { PIXELCNN_LAYERS_MOST = 32, PIXELCNN_KERNEL = 3, PIXELCNN_KERNEL_FIRST = 7 };

typedef struct {
    int codes, classes;          /* K; classes whose maps differ */
    int width, layers, head;     /* channels C; gated layers; channels of the last hidden layer */
} PixelCnnConfig;

typedef struct {
    Conv2d vertical;             /* (k/2+1) x k, C -> 2C */
    Conv2d horizontal;           /* 1 x (k/2+1), C -> 2C */
    Linear across;               /* 2C -> 2C, from the vertical stack to the horizontal one */
    Linear out;                  /* C -> C, of the horizontal stack */
    Embedding class;             /* (classes,2C), added to both before the gate */
} GatedLayer;

typedef struct {
    PixelCnnConfig config;
    Embedding code;              /* (K,C) */
    GatedLayer layer[PIXELCNN_LAYERS_MOST];
    Linear head, logits;         /* C -> head -> K */
} PixelCnn;

PixelCnn pixelcnn_new(Params *params, PixelCnnConfig c);

/* codes (B,H,W) -> (B,H,W,C) */
Tensor *pixelcnn_embed(const PixelCnn *p, Tape *t, const int *codes, int B, int H, int W);
/* embedded codes (B,H,W,C), labels (B) -> (B,H,W,K): those at a position depend on the codes before
 * it alone, and on the label. */
Tensor *pixelcnn_logits(const PixelCnn *p, Tensor *embedded, const int *labels);

/* -ln p of the codes, nats per code: of logits (B,H,W,K), and of n maps without gradients */
Tensor *pixelcnn_loss(Tensor *logits, const int *codes);
double pixelcnn_nats(const PixelCnn *p, int n, int H, int W, const int *codes, const int *labels);

/* What the layers have computed for the codes so far. A row of the vertical stack is computed when
 * its first code is asked for, one place of the horizontal stack with each code. */
typedef struct {
    const PixelCnn *net;
    int n, H, W, next;           /* maps; their size; which position is next, in reading order */
    const int *labels;           /* (n), must outlive the cache */
    Arena arena;
    Tape tape;
    FeatureMap v[PIXELCNN_LAYERS_MOST + 1], h[PIXELCNN_LAYERS_MOST + 1];   /* what layer l reads */
    FeatureMap across[PIXELCNN_LAYERS_MOST];                /* of the present row, 2C channels */
} PixelCnnCache;

void pixelcnn_cache_start(PixelCnnCache *c, const PixelCnn *p, int n, int H, int W,
                          const int *labels);
/* logits (n,K) of the next position, on the cache's tape: valid until the next call. `last` (n):
 * the codes at the position before; not read for the first. */
Tensor *pixelcnn_next(PixelCnnCache *c, const int *last);
void pixelcnn_cache_free(PixelCnnCache *c);

/* n maps (n,H,W) by their classes. Logits are divided by the temperature: below 1 likely codes
 * become likelier. */
void pixelcnn_sample(const PixelCnn *p, int n, int H, int W, const int *labels, double temperature,
                     Rng *rng, int *codes);

#endif
