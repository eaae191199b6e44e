/* first_stage_loss.h — what the first stage is trained on: pixels, features, a discriminator.
 *
 * Rombach et al. 2022, appendix G; Esser et al. 2021, section 3.1 and eq. 7:
 *
 *     L_rec = sum over numbers of (|x - x'| + w p(x, x')), mean over pictures
 *     L     = L_rec + lambda L_adv + the latents' term (KL, or the codebook's)
 *     L_adv = -mean D(x'),      lambda = weight |dL_rec/dW| / (|dL_adv/dW| + 1e-4)
 *
 * W is the decoder's last layer: the discriminator pulls at it as strongly as the reconstruction, or
 * `weight` as much. The perceptual distance p is theirs on the features of a VGG network; ours on
 * those of this project's classifier of emoji, which judges no scenes.
 *
 * L_rec and L_adv both reach the autoencoder through x' alone. So their gradients by x' are found
 * first, on a copy of it; what they are by W follows from the last layer; then one backward pass
 * through the autoencoder takes their weighted sum. */
#ifndef FIRST_STAGE_LOSS_H
#define FIRST_STAGE_LOSS_H

#include "eval/classifier.h"
#include "first_stage.h"
#include "patchgan.h"

/* Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", eq.
 * 1, without learned weights: features of each layer brought to length 1 at every pixel; squared
 * distance, mean over pixels and pictures; summed over the layers. x, y (B,H,W,3) in [-1,1] -> (1) */
Tensor *perceptual_distance(const Classifier *c, Tensor *x, Tensor *y);

typedef struct {
    const Classifier *features;          /* NULL: pixels alone */
    double perceptual;                   /* w */
    PatchGan *discriminator;             /* NULL: not yet */
    Params *discriminator_params;
    double weight;                       /* of the discriminator */
    double kl, commitment;               /* of the latents' terms */
} FirstStageLoss;

/* a pass over a batch; single numbers */
typedef struct {
    Tensor *loss;                        /* for backward: its gradients are those of L */
    Tensor *reconstruction;              /* what is drawn, (B,H,W,3) */
    double l1, perceptual;               /* means over numbers; over pixels */
    double latent;                       /* KL of a picture in nats, or the codebook's loss */
    double perplexity;                   /* of VQ: of the batch's codes */
    double adversarial, lambda;
} FirstStagePass;

/* x (B,H,W,3); noise for KL's sample. The autoencoder has no gradients yet. */
FirstStagePass first_stage_pass(const FirstStage *f, const FirstStageLoss *l, Tensor *x,
                                Rng *noise);

/* lambda from the gradients of L_rec and L_adv by what the last layer makes of these features */
double adaptive_weight(const Conv2d *last, const Tensor *features, const real *rec_grad,
                       const real *adv_grad, double weight);

#endif
