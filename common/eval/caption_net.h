/* caption_net.h — the two networks that find garments in a picture (64,64,3): one says where and in
 * which colour, the other looks at each of them alone and names its class.
 *
 * The detector: five convolutions lead to 8x8 cells. Each cell says whether the middle of a garment
 * is in it, the garment's class and colour, and its box; detectors work so since YOLO (Redmon et al.
 * 2016). A linear layer over all cells gives 64 features for the Frechet distance, which are
 * trained to say what the whole picture shows.
 *
 * The second network is a classifier of crops (classifier.h): the square around a garment's box at
 * 32x32 pixels. The class that each cell alone predicts, which is trained too, is right for three
 * garments of four; the crop's is better, as it sees each garment at the same size and place. */
#ifndef CAPTION_NET_H
#define CAPTION_NET_H

#include "data/wardrobe.h"
#include "eval/classifier.h"
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

extern const ClassifierConfig garment_classifier;       /* (32,32,3) -> 64 -> 10 */

/* The square of `side` pixels with its middle at (y,x) of a picture (64,64,3), as (32,32,3) in
 * `crop`: bilinear, the picture's border going on outside. */
void garment_crop(const real *picture, real y, real x, real side, real *crop);
/* the side for a box: a little more than the larger of its sides */
real garment_crop_side(real height, real width);

#endif
