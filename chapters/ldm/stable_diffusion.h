/* stable_diffusion.h — Stable Diffusion 1 from its released checkpoints.
 *
 * A checkpoint holds three networks: cond_stage_model (CLIP's text encoder of ViT-L/14, 123,060,480
 * parameters), model.diffusion_model (the U-Net, 859,520,964; 859,535,364 with a masked picture
 * beside) and first_stage_model (kl-f8, 83,653,863). They are used one after the other, and never
 * lie in memory together: texts are read, a picture to start from is encoded, latents are drawn,
 * pictures are decoded.
 *
 * Files are safetensors, in full or half precision, with averaged weights (model_ema) or without.
 * Names that are missing, left over or of another shape end the program with one line; tensors that
 * belong to none of the networks are named. */
#ifndef STABLE_DIFFUSION_H
#define STABLE_DIFFUSION_H

#include "diffusion/drawing.h"
#include "first_stage.h"
#include "ldm.h"
#include "nn/clip.h"
#include "published.h"
#include "text/bpe.h"

typedef struct {
    const char *path;
    bool full;                           /* weights are kept in full precision; else in half */
    bool raw;                            /* the weights as trained, where there are averages too */
} SdCheckpoint;

/* the text encoder that Stable Diffusion reads prompts with */
extern const ClipTextConfig sd_text_config;

/* the networks of a checkpoint, and how latents are drawn */
typedef struct {
    ClipTextConfig text;
    PublishedLdm latents;
    FirstStageConfig first_stage;
} SdModel;

/* Tensors that none of the networks will read, but for schedules and the like: a line on stderr
 * with how many they are, and the first few. */
void sd_report(const SdCheckpoint *c);

/* n prompts (n,77,768): every token's features after the last norm. A text ends with CLIP's end
 * token, and is filled up with it, not with zeros: the network was trained so. */
void sd_read_prompts(const SdCheckpoint *c, ClipTextConfig config, const Bpe *bpe, int n,
                     const char *const *prompts, real *context);

/* the networks; parameters go into p */
LdmUNet sd_load_unet(const SdCheckpoint *c, UNetConfig config, Params *p);
FirstStage sd_load_first_stage(const SdCheckpoint *c, FirstStageConfig config, bool encoder,
                               Params *p);

/* Noise z (n) becomes the latent z0 (n) with noise, as before the first of the steps that strength
 * leaves (steps_of_strength), whose index is returned. */
int start_from_latent(const NoiseSchedule *s, double strength, size_t n, const real *z0, real *z);

/* The hole (h,w) at the latents' size, 1 where to repaint: the nearest pixel of a mask (f h, f w, 3) in
 * [-1,1] is white, as the network was trained */
void hole_of_latents(int h, int w, int f, const real *mask, real *hole);
/* What stands beside z where the network repaints a hole: hole (pixels,1), 1 where to repaint, then
 * the masked picture's latent (pixels,e): (pixels,1+e) */
void hole_and_latent(size_t pixels, int e, const real *hole, const real *latent, real *beside);

/* A file of random weights in the official layout and half precision. It proves loading, memory and
 * speed; its pictures show nothing. */
void sd_write_random(const char *path, const SdModel *m, uint64_t seed);

#endif
