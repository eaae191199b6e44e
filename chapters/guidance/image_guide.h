/* image_guide.h — pictures that steer pictures: by their pixels, by features, by style.
 *
 * Liu et al. 2023, "More Control for Free! Image Synthesis with Semantic Diffusion Guidance"
 * (sections 3.3 and 3.4); styles as Gram matrices: Gatys, Ecker & Bethge 2016, "Image Style
 * Transfer Using Convolutional Neural Networks".
 *
 * They compare x_t with the reference brought to the same amount of noise, in the eyes of a network
 * that was trained on noisy pictures. In the paper that is CLIP's image encoder, trained further;
 * here it is the noisy classifier, of which everything but its last layers is used. */
#ifndef IMAGE_GUIDE_H
#define IMAGE_GUIDE_H

#include "guidance.h"

typedef enum {
    LIKE_PIXELS,        /* minus the squared difference of means over 4x4 pixels: where light is */
    LIKE_FEATURES,      /* cosine of what the encoder makes, averaged over its pixels: what it is */
    LIKE_STYLE,         /* minus the length of the difference of Gram matrices at each level, over
                         * that of the reference's, so that levels count alike: texture */
} Likeness;

typedef struct {
    Guide guide;
    const NoisyClassifier *net;
    Likeness what;
    const real *reference;      /* (N,H,W,C): of pictures 0, 1, ... */
    uint64_t seed;              /* of the references' noise, another one at each step */
} ImageGuide;

ImageGuide image_guide(const NoisyClassifier *net, Likeness what, const real *reference,
                       uint64_t seed, Tape *tape);

/* of pictures and references that are equally noisy (B,H,W,C), at times (B) -> (B,1) */
Tensor *likeness(const NoisyClassifier *net, Likeness what, Tensor *x, Tensor *reference,
                 const double *time);

/* F^T F / (H W C) of features F (B,H,W,C), as (H W,C), of each picture: (B,C,C) */
Tensor *gram_matrices(Tensor *features);

#endif
