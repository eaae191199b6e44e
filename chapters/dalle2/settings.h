/* settings.h — what main.c gives to the commands: the options as they were given, and what the
 * commands share. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "dalle2.h"
#include "train/program.h"

enum { SIDE = 64, SMALL = 16 };          /* of CLIP's and the largest images; of the decoder's */

typedef struct {
    CommonOptions common;
    const char *stage, *clip;
    /* training */
    int ar_steps, decoder_steps, upsampler_steps, decoder_batch, upsampler_batch, fit, warmup,
        preview;
    double emoji, no_text, no_image, no_caption, max_norm, ema;
    /* drawing */
    int pictures, samples;
    const char *prior, *prior_respace, *respace, *sampler;
    double prior_scale, scale, eta;
    CliList prompt, image;
    const char *from, *to, *caption;
} Settings;

extern Settings o;
extern Cli cli;

/* Each is a run of its own in the folder. */
typedef enum { PRIOR, AR, DECODER, UPSAMPLER32, UPSAMPLER64, STAGES } Stage;
extern const char *const stage_names[STAGES];

/* --clip, or this repository's; the caller frees it */
char *clip_path(void);
/* --weights is the decoder's file; the others' stand beside it, or all in --out. The caller frees
 * it. */
char *stage_weights(Stage s);

int prior_train(void), ar_train(void);                         /* train_priors.c */
int decoder_train(void), upsampler_train(Stage s);             /* train_images.c */
int sample(void);                                              /* sample.c */
int vary(void), interpolate(void), edit(void), reconstruct(void);        /* pictures.c */
int eval(void);                                                /* evaluate.c */

#endif
