/* cfg — guidance without a classifier. Five stages: GLIDE's base, which draws pictures of 32x32
 * from texts; its upsampler to 64x64; the base once more, for inpainting; CLIP's image encoder for
 * noisy pictures, to guide by; and, with guidance of the first kind, Fashion-MNIST by class. */
#include "base/error.h"
#include "base/file.h"
#include "experiments/toy.h"
#include "noisy_clip.h"
#include "settings.h"
#include "train/captioned_source.h"
#include "train/diffusion_options.h"
#include "train/emoji_report.h"

#include <stdlib.h>
#include <string.h>

Settings o = {
    .common = {.seed = 1, .steps = 128000, .batch = 8, .lr = 8e-4, .config = "default",
               .out = "build/runs/cfg"},
    .stage = "all",
    .large_t_steps = 96000,
    .upsampler_steps = 4500,
    .upsampler_batch = 16,
    .inpaint_steps = 2000,
    .classes_steps = 8000,
    .classes_batch = 32,
    .classes_lr = 5e-4,
    .clip_steps = 4000,
    .clip_batch = 128,
    .warmup = 200,
    .preview = 25,
    .p_uncond = 0.15,
    .emoji = 0.25,
    .validation = 32,
    .clip = 1,
    .ema = 0.9999,
    .pictures = 8,
    .samples = 1500,
    .emoji_samples = 200,
    .scale = 3,
    .w = 2,
    .sampler = "ddpm",
    .respace = "50",
    .upsampler_respace = "fast27",
    .strength = 0.5,
    .time = "discrete",
    .text = "clip",
    .class = -1,
    .v = 0.3,
};

static Option options[] = {
    COMMON_OPTIONS(o.common,
                   "default|glide-base|glide-upsample|glide-base-inpaint|glide-upsample-inpaint"),
    {"stage", 0, .s = &o.stage, .choices = "all|base|upsampler|inpaint|noisy-clip|classes",
     .keep = KEEP_NOT,
     .help = "stage to train; sample and eval: classes, or all for texts"},
    {"time", 0, .s = &o.time, .choices = "discrete|continuous", .keep = KEEP_MODEL,
     .help = "classes: 1000 steps and a learned variance, or the paper's continuous time"},
    {"text", 0, .s = &o.text, .choices = "clip|learned", .keep = KEEP_MODEL,
     .help = "the base's texts: read by the frozen CLIP, or by a transformer trained with it"},
    {"large-t-steps", 0, .i = &o.large_t_steps, .min = 0, .max = 1e9, .meta = "N", .only = "train",
     .help = "until this step of the base, timesteps are the larger of two draws"},
    STAGE_STEPS("upsampler-steps", o.upsampler_steps,
                "training steps of the upsampler; --steps are those of the base"),
    STAGE_BATCH("upsampler-batch", o.upsampler_batch,
                "upsampler's images in a batch, each of four times the base's pixels"),
    STAGE_STEPS("inpaint-steps", o.inpaint_steps,
                "training steps of inpainting, starting from the base"),
    STAGE_STEPS("classes-steps", o.classes_steps,
                "training steps of the class-conditional network"),
    STAGE_BATCH("classes-batch", o.classes_batch, "its images in a batch"),
    STAGE_LR("classes-lr", o.classes_lr, "its learning rate"),
    STAGE_STEPS("noisy-clip-steps", o.clip_steps,
                "training steps of CLIP's image encoder on noisy images, for --clip-scale"),
    {"noisy-clip-batch", 0, .i = &o.clip_batch, .min = 2, .max = 65536, .meta = "N",
     .only = "train", .help = "its images in a batch"},
    {"p-uncond", 0, .d = &o.p_uncond, .min = 0, .max = 1, .meta = "P", .only = "train",
     .help = "share of captions or classes dropped in training"},
    EMOJI_SHARE(o.emoji),
    VALIDATION_SIZE(o.validation, 4, 256,
                    "texts: unseen pairs that validation is on; noisy-clip: twice as many"),
    DIFFUSION_STEPS(o, "but for noisy-clip: "),
    DIFFUSION_PREVIEW(o, 1000),
    {"prompt", 'p', .list = &o.prompt, .meta = "TEXT", .only = "sample",
     .help = "a caption to draw; may be repeated"},
    DIFFUSION_SAMPLES(o),
    {"scale", 0, .d = &o.scale, .min = -100, .max = 100, .meta = "S", .keep = KEEP_NOT,
     .only = "sample eval", .help = "guidance scale s of GLIDE: 1 no guidance, 0 unconditional"},
    {"w", 0, .d = &o.w, .min = -101, .max = 99, .meta = "W", .keep = KEEP_NOT,
     .only = "sample eval", .help = "guidance weight of Ho & Salimans: --scale is 1 + W"},
    {"clip-scale", 0, .d = &o.clip_scale, .min = 0, .max = 1e6, .meta = "S", .keep = KEEP_NOT,
     .only = "sample eval",
     .help = "scale of CLIP guidance; with --scale 0 nothing else tells the base "
             "of the text"},
    DIFFUSION_RESPACE(o, ""),
    {"upsampler-respace", 0, .s = &o.upsampler_respace, .meta = "STEPS", .keep = KEEP_NOT,
     .only = "sample eval", .help = "sampling steps of the upsampler (DDIM)"},
    {"sampler", 0, .s = &o.sampler, .choices = "ddpm|ddim", .keep = KEEP_NOT,
     .only = "sample eval", .help = "sampler of the base and of classes"},
    DIFFUSION_ETA(o),
    {"image", 0, .s = &o.image, .meta = "FILE", .keep = KEEP_NOT, .only = "sample",
     .help = "image (PNG, JPEG) for --inpaint"},
    {"inpaint", 0, .s = &o.inpaint, .meta = "MASK", .keep = KEEP_NOT, .only = "sample",
     .help = "mask image: black is redrawn, white is kept"},
    {"edit", 0, .s = &o.edit, .meta = "FILE", .keep = KEEP_NOT, .only = "sample",
     .help = "start from this image with noise added, instead of noise alone (SDEdit)"},
    {"strength", 0, .d = &o.strength, .min = 0, .max = 1, .meta = "X", .keep = KEEP_NOT,
     .only = "sample",
     .help = "--edit: share of the sampling steps applied; more steps change more"},
    {"upsampler", 0, .s = &o.upsampler, .meta = "FILE", .keep = KEEP_NOT, .only = "sample eval",
     .help = "weights of the upsampler (default: beside the base; where there are none, images stay "
             "small)"},
    {"merges", 0, .s = &o.merges, .meta = "FILE", .only = "sample", .keep = KEEP_NOT,
     .help = "vocab.bpe, the tokenizer of the official weights"},
    {"vocabulary", 0, .s = &o.vocabulary, .meta = "FILE", .only = "sample", .keep = KEEP_NOT,
     .help = "encoder.json, the tokenizer of the official weights"},
    DIFFUSION_CLASS(o, "--stage classes: "),
    {"v", 0, .d = &o.v, .min = 0, .max = 1, .meta = "V", .keep = KEEP_NOT, .only = "sample eval",
     .help = "--time continuous: variance of a step between beta~ (0) and beta (1)"},
    EMOJI_SAMPLES(o.emoji_samples),
    {"real-base", 0, .b = &o.real_base, .keep = KEEP_NOT, .only = "eval",
     .help = "enlarge the scenes themselves, made small, instead of the base's images: what the "
             "upsampler loses"},
    {0}};

static int train(void), sample(void), eval(void), info(void), run_toy(void);
Cli cli = {.program = "cfg",
           .about = "Classifier-free guidance, and GLIDE: images from texts.",
           .common = &o.common,
           .commands = (const Command[]){
               STANDARD_COMMANDS,
               {"toy", "guide three classes of points by exact scores; writes toy.csv to --out",
                run_toy},
               {0}},
           .options = options};

/* ---- what the commands share ----------------------------------------------------------------- */

const char *const stage_names[STAGES] = {"base", "upsampler", "inpaint", "noisy-clip",
                                         "classes"};

bool is_stage(Stage s) {
    return !strcmp(o.stage, stage_names[s]) || (s == BASE && !strcmp(o.stage, "all"));
}

GlideConfig stage_config(const char *name, int vocabulary, const ClipText *clip) {
    GlideConfig c = glide_config(name, vocabulary);
    if (!c.low && !strcmp(o.text, "clip")) glide_read_by_clip(&c, clip);
    return c;
}

double chosen_scale(void) {
    if (cli_given(&cli, "w") && cli_given(&cli, "scale"))
        usage_error("--scale and --w say the same: --scale %g is --w %g", o.scale,
                    weight_of(o.scale));
    return cli_given(&cli, "w") ? scale_of(o.w) : o.scale;
}

void say_scale(void) {
    if (!o.common.quiet)
        printf("guidance scale %g (as Ho & Salimans count: w = %g)\n", chosen_scale(),
               weight_of(chosen_scale()));
}

SamplingMethod chosen_method(void) { return strcmp(o.sampler, "ddim") ? ANCESTRAL : DDIM; }

char *stage_weights(Stage s) {
    return stage_weights_path(&cli, stage_names[s], stage_names[BASE]);
}

/* ---- commands -------------------------------------------------------------------------------- */

static bool is_published(void) { return strcmp(o.common.config, "default") != 0; }
static bool is_wanted(int s) { return !strcmp(o.stage, "all") || !strcmp(o.stage, stage_names[s]); }

static int train(void) {
    if (is_published())
        usage_error("--config %s: is not trained here; info counts it, sample draws with its "
                    "official weights", o.common.config);
    if (!strcmp(o.stage, stage_names[NOISY_CLIP]))
        cli_refuse(&cli, "warmup clip ema", "the other stages");
    if (o.preview == 1) usage_error("--preview 1: 0, or 2 steps and more");
    if (!is_wanted(BASE)) cli_refuse(&cli, "steps", "--stage base");
    for (int s = 0; s < STAGES; s++) {
        if (!is_wanted(s)) continue;
        int status = s == CLASSES ? classes_train() : s == NOISY_CLIP ? clip_train()
                                                                      : text_train((Stage)s);
        if (status) return status;
    }
    return 0;
}

/* sample, eval: options that the one kind of drawing has no use for; not all commands have all */
static void refuse_unused(const char *texts) {
    bool classes = is_stage(CLASSES);
    if (!classes && strcmp(o.stage, "all"))
        usage_error("--stage %s: is for train; texts are drawn through all stages", o.stage);
    if (classes) cli_refuse(&cli, texts, "texts, without --stage classes");
    else cli_refuse(&cli, "class v", "--stage classes");
    if (chosen_method() != DDIM) cli_refuse(&cli, "eta", "--sampler ddim");
}

static int sample(void) {
    refuse_unused("prompt image inpaint edit strength clip-scale upsampler upsampler-respace "
                  "merges vocabulary");
    return is_stage(CLASSES) ? classes_sample() : text_sample();
}

static int eval(void) {
    if (is_published()) usage_error("--config %s: scenes are drawn and scored with the default",
                                    o.common.config);
    refuse_unused("clip-scale upsampler upsampler-respace emoji-samples real-base");
    if (o.real_base) cli_refuse(&cli, "scale w clip-scale respace sampler emoji-samples",
                                "images of the base, without --real-base");
    return is_stage(CLASSES) ? classes_eval() : text_eval();
}

static void build(Params *p, Stage s, int vocabulary) {
    GlideConfig base = glide_config("base", vocabulary);
    ClipText clip = {.config = clip_small(base.side, vocabulary).text};
    if (s == CLASSES) classes_network(p);
    else if (s == NOISY_CLIP) noisy_clip_new(p, base.side, GLIDE_TIMESTEPS);
    else glide_new(p, stage_config(stage_names[s], vocabulary, &clip));
}

static int info(void) {
    Params published = {.shapes_only = true};
    if (is_published()) {
        glide_new(&published, glide_config(o.common.config, 0));
        return info_network(&published);
    }
    Bpe bpe = bpe_load(NULL);
    for (int s = 0; s < STAGES; s++) {
        Params p = {.shapes_only = true};
        if (!is_wanted(s)) continue;
        build(&p, (Stage)s, bpe.size);
        print_parameters(stage_names[s], &p);
        params_free(&p);
    }
    bpe_free(&bpe);
    return 0;
}

static int run_toy(void) {
    toy_save(output_path(&cli, "toy.csv"), o.common.seed);
    return 0;
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
