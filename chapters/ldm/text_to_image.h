/* text_to_image.h — pictures from a released checkpoint of Stable Diffusion: from a text, from a
 * picture and a text (Meng et al. 2022, "SDEdit"), from a picture with a hole. */
#ifndef TEXT_TO_IMAGE_H
#define TEXT_TO_IMAGE_H

#include "diffusion/sampler.h"
#include "published.h"
#include "stable_diffusion.h"
#include "train/program.h"

typedef struct {
    const Cli *cli;                      /* --out, --seed, --quiet */
    SdCheckpoint checkpoint;
    PublishedLdm model;
    const char *vocabulary;              /* bpe_simple_vocab_16e6.txt, gzipped or not */
    const char *prompt, *negative;       /* NULL: the empty text */
    const char *image, *mask;            /* files, or NULL; the mask is white where to repaint */
    int width, height;                   /* of the picture, multiples of 64 */
    int steps, pictures;
    int preview;                         /* steps between two previews; 0: none */
    int rows;                            /* of the decoder at a time; 0: band_rows */
    SamplingMethod method;
    double eta, scale, strength;         /* strength: how much of the way back is drawn, 0..1 */
} TextToImage;

/* writes samples.png and samples.npy to --out; the exit status */
int text_to_image(const TextToImage *t);

/* Steps that a picture to start from leaves to be drawn: strength of them, at least one. */
int steps_of_strength(int steps, double strength);

#endif
