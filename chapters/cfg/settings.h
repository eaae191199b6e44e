/* settings.h — what main.c gives to the commands of both halves: the options as they were given,
 * and what the commands share. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "glide.h"
#include "cfg.h"
#include "diffusion/sampler.h"
#include "train/program.h"

typedef struct {
    CommonOptions common;
    const char *stage;
    /* training */
    int large_t_steps, upsampler_steps, upsampler_batch, inpaint_steps, clip_steps, clip_batch;
    int classes_steps, classes_batch;
    int warmup, preview, validation;
    double p_uncond, emoji, clip, ema, classes_lr;
    const char *text;
    /* drawing */
    int pictures, samples, emoji_samples;
    double scale, w, clip_scale, eta;
    bool real_base;
    const char *respace, *upsampler_respace, *sampler;
    /* texts */
    CliList prompt;
    const char *image, *inpaint, *edit, *upsampler, *merges, *vocabulary;
    double strength;
    /* classes */
    const char *time;
    int class;
    double v;
} Settings;

extern Settings o;
extern Cli cli;

/* Each is a run of its own in the folder. */
typedef enum { BASE, UPSAMPLER, INPAINT, NOISY_CLIP, CLASSES, STAGES } Stage;
extern const char *const stage_names[STAGES];
bool is_stage(Stage s);                      /* --stage, "all" being the base */

/* "base", "upsampler", "inpaint" as the options describe it. `clip` reads for the base, unless
 * --text learned. */
GlideConfig stage_config(const char *name, int vocabulary, const ClipText *clip);

/* the guidance scale of --scale or --w */
double chosen_scale(void);
void say_scale(void);
SamplingMethod chosen_method(void);          /* --sampler */

/* --weights is the base's file; the others' stand beside it, or all in --out. The caller frees
 * it. */
char *stage_weights(Stage s);

int classes_train(void), classes_sample(void), classes_eval(void);         /* classes.c */
ClassUNet classes_network(Params *p);
int text_train(Stage s);                                                   /* train_text.c */
int clip_train(void);                                                      /* train_clip.c */
int text_sample(void);                                                     /* prompts.c */
int text_eval(void);                                                       /* eval_text.c */

#endif
