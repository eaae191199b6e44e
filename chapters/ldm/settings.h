/* settings.h — what main.c gives to the commands: the options as they were given, and the networks
 * they describe. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "condition.h"
#include "diffusion/sampler.h"
#include "ldm.h"
#include "patchgan.h"
#include "stable_diffusion.h"
#include "train/scene_report.h"

typedef struct {
    CommonOptions common;
    /* the first stage */
    int factor, codes, fs_width;
    double kl, perceptual, discriminator;
    int disc_start;
    /* diffusion */
    const char *stage, *autoencoder, *from, *condition, *text, *context;
    int width, diffusion_steps, diffusion_batch, warmup, preview, validation;
    double diffusion_lr, p_uncond, clip, ema, emoji;
    /* drawing */
    int pictures, samples, emoji_samples, sampling_steps;
    double scale, eta;
    const char *sampler;
    CliList prompt;
    /* Stable Diffusion */
    const char *negative, *image, *mask, *size, *vocab;
    double strength;
    int rows;
    bool full, raw;
} Settings;

extern Settings o;
extern Cli cli;

/* ---- networks as the options describe them (model.c) ------------------------------------------ */

typedef struct {
    Params first_params, params;         /* of the first stage; of all that diffusion trains */
    LatentSpace space;
    Bpe bpe;                             /* of texts that a trained transformer reads */
    FrozenClip clip;                     /* of texts that CLIP reads */
    Conditioner conditioner;
    LdmUNet net;
    NoiseSchedule schedule;
} Model;

FirstStageConfig first_stage_config(void);
void model_new_first_stage(Model *m);
/* the rest, into m->params; m must not move: the conditioner points into it */
void model_new_diffusion(Model *m);
void model_free(Model *m);
/* the networks as weights.safetensors holds them */
void model_list(Model *m, CheckpointParams list[static 3]);
/* from --weights, or the file in --out */
void model_load(Model *m);
/* a first stage alone; path NULL: what training left in --out */
void model_load_first_stage(Model *m, const char *path);
char *first_stage_weights(void);         /* that path, --autoencoder or --from; the caller frees it */
/* m's U-Net becomes that of a text model, path: its weights; what m has besides stays as it is */
void model_begin_as_text(Model *m, const char *path);

int latent_side(const Model *m);

/* ---- drawing (draw.c) ------------------------------------------------------------------------- */

SamplingMethod sampling_method(void);    /* --sampler */
/* pictures x (n,64,64,3) in [-1,1] for what is known of p */
void draw_pictures(Model *m, const Pictures *p, int steps, double scale, bool quiet, real *x);

/* ---- commands --------------------------------------------------------------------------------- */

int train_autoencoder(void);             /* train_autoencoder.c */
int train_diffusion(void);               /* train_diffusion.c */
int sample_trained(void);                /* draw.c */
int text_to_image(SdModel m);            /* text_to_image.c */
int eval_autoencoder(void), eval_diffusion(void);                          /* eval.c */

#endif
