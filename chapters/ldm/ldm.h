/* ldm.h — diffusion in the latent space of a first stage.
 *
 * Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", sections 3.2
 * and 3.3. Letters: latents z (B,h,w,e); context, M tokens of D numbers (B,M,D), what tau_theta
 * makes of a text, a layout, a class; beside, images of the latents' size (B,h,w,k): a semantic map,
 * a masked picture's latents, a picture of low resolution.
 *
 *     eps_theta(z_t, t, y): the U-Net, given z_t and beside side by side, and attending to context
 *     L_LDM = E |eps - eps_theta(z_t, t, y)|^2                                          (eq. 3)
 *
 * Which of the two ways a condition takes is all that differs between text, layout, semantic maps,
 * inpainting and super-resolution. */
#ifndef LDM_H
#define LDM_H

#include "diffusion/denoiser.h"
#include "nn/unet_official.h"

/* ---- network --------------------------------------------------------------------------------- */

typedef struct {
    TimeEmbedding time;
    UNet unet;
} LdmUNet;

/* What is trained here, for latents of side x side numbers in `channels`: levels until they are 4x4, or
 * four of them; attention where they are at most 16x16; `context`: width of its tokens, 0 for none. */
UNetConfig ldm_unet_config(int side, int channels, int beside, int width, int context);
LdmUNet ldm_unet_new(Params *p, UNetConfig c);
/* z (B,h,w,e), time (B), beside and context NULL where the network takes none -> (B,h,w,out) */
Tensor *ldm_unet(const LdmUNet *m, Tensor *z, const double *time, Tensor *beside, Context context);

/* official names of all its weights; `design` must live as long as the map */
OfficialMap ldm_unet_official(const UNetOfficial *design);

/* ---- drawing --------------------------------------------------------------------------------- */

/* What pictures 0, 1, ... are drawn for. NULL: not there. */
typedef struct {
    const LdmUNet *net;
    const real *context;                 /* (N,M,D) */
    const real *without;                 /* (M,D): what stands for no condition, for guidance */
    int tokens, width;                   /* M, D */
    const real *beside;                  /* (N,h,w,k) */
    int beside_channels;                 /* k */
    double scale;                        /* of guidance; 1, or `without` NULL: none */
} LdmCondition;

/* For network_denoiser: eps of the pictures of this step. With guidance
 *     eps = eps_without + scale (eps_with - eps_without),
 * both from one pass over twice as many pictures (Ho & Salimans 2022). */
Tensor *ldm_output(const void *condition, const Step *at, Tensor *zt);

#endif
