/* published.h — the latent diffusion models of Rombach et al. 2022 (appendix E.2, tables 12 to 15)
 * and Stable Diffusion 1, as CompVis/latent-diffusion and CompVis/stable-diffusion configure them.
 *
 * The counts of the U-Nets with their time embedding, to the last digit:
 *
 *     sd1          859,520,964   text to image, 512x512     first stage kl-f8
 *     sd1-inpaint  859,535,364   and a masked picture       kl-f8
 *     ldm-text     872,300,484   text to image, 256x256     kl-f8
 *     cin256-v2    400,920,579   classes of ImageNet        vq-f4
 *     cin256       394,984,196   the same, smaller latents  vq-f8
 *     inpaint      387,245,827   a masked picture           vq-f4-noattn
 *     layout       246,277,379   boxes                      vq-f4
 *     semantic     215,229,315   a map of labels            vq-f4
 *     celeba       274,056,163   faces                      vq-f4
 *     churches     294,966,916   churches                   kl-f8 */
#ifndef PUBLISHED_H
#define PUBLISHED_H

#include "first_stage.h"
#include "nn/unet.h"

enum { PUBLISHED_TIMESTEPS = 1000 };

typedef struct {
    UNetConfig unet;
    const char *first_stage;             /* see first_stage_published */
    double beta_first, beta_last;        /* linear in the square root */
    double latent_scale;                 /* latents are multiplied by it before diffusion; 0: by
                                            `scale_factor` of the checkpoint */
} PublishedLdm;

/* false: there is none of this name */
bool published_ldm(const char *name, PublishedLdm *m);

#endif
