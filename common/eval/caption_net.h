/* caption_net.h — the network that finds garments in a picture (64,64,3): where, of which class, in
 * which colour.
 *
 * Five convolutions lead to 8x8 cells. Each cell says whether the middle of a garment is in it, the
 * garment's class and colour, and its box; that is how detectors work since YOLO (Redmon et al.
 * 2016). A linear layer over all cells gives 64 features for the Frechet distance, which are
 * trained to say what the whole picture shows. */
#ifndef CAPTION_NET_H
#define CAPTION_NET_H

#include "data/wardrobe.h"
#include "nn/layers.h"

enum { NET_SIDE = 64, NET_PIXELS = NET_SIDE * NET_SIDE * 3,      /* numbers of a picture */
       CELLS = 8, CELL = NET_SIDE / CELLS, CAPTION_FEATURES = 64,
       CELL_OUTPUTS = 1 + WARDROBE_CLASSES + WARDROBE_COLOURS + 4 };

typedef struct {
    Conv2d conv[5], cells;
    Linear features, scene;
} CaptionNet;

CaptionNet caption_net_new(Params *p);

typedef struct {
    /* (B,8,8,25): is a middle here (logit); logits of classes and colours; the box: its middle in
     * the cell, and its height and width in cells */
    Tensor *cells;
    Tensor *features;            /* (B,64) */
    Tensor *scene;               /* (B,25): logits of classes and colours shown, and of relations */
} CaptionOutput;

CaptionOutput caption_net(const CaptionNet *c, Tensor *x);       /* (B,64,64,3) in [0,1] */

/* The sum of all its losses for scenes that were drawn, (1) */
Tensor *caption_loss(const CaptionOutput *y, int n, const Scene *scenes);

#endif
