/* clip — trains CLIP on the wardrobe's scenes and emoji, measures what it can tell apart, and says
 * which text fits a picture; with official weights, too. */
#include "base/error.h"
#include "compare.h"
#include "measures.h"
#include "train/captioned_source.h"
#include "train/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    CommonOptions common;
    const char *side, *merges;
    double emoji, alike;
    int scenes, validation;
    CliList text, image;
} o = {
    .common = {.seed = 1, .steps = 4800, .batch = 128, .lr = 1e-3, .config = "default",
               .out = "build/runs/clip"},
    .side = "64",
    .emoji = 0.25,
    .alike = 0.5,
    .scenes = 1000,
    .validation = 500,
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|vit-b32|vit-b16|vit-l14"),
    {"side", 0, .s = &o.side, .choices = "64|32", .keep = KEEP_MODEL,
     .help = "of the images, in pixels; 32: scenes of one garment"},
    EMOJI_SHARE(o.emoji),
    {"alike", 0, .d = &o.alike, .min = 0, .max = 1, .meta = "X", .only = "train",
     .help = "share of batches whose scenes are much alike: two colours, few classes"},
    VALIDATION_SIZE(o.validation, 20, 5000, "unseen scenes whose garments validation names"),
    {"scenes", 0, .i = &o.scenes, .min = 20, .max = 4000, .meta = "N", .only = "eval",
     .help = "scenes that are measured"},
    {"text", 0, .list = &o.text, .meta = "TEXT", .only = "eval", .keep = KEEP_NOT,
     .help = "compare this text with the pictures; may be given several times"},
    {"image", 0, .list = &o.image, .meta = "FILE", .only = "eval", .keep = KEEP_NOT,
     .help = "a picture, PNG or JPEG; may be given several times"},
    {"merges", 0, .s = &o.merges, .meta = "FILE", .only = "eval", .keep = KEEP_NOT,
     .help = "bpe_simple_vocab_16e6.txt, for official weights"},
    {0}};

static Cli cli;

static bool is_official(void) {
    return strcmp(o.common.config, "default") != 0;
}

static ClipConfig config(int vocabulary) {
    return is_official() ? clip_official(o.common.config) : clip_small(atoi(o.side), vocabulary);
}

/* ---- train ----------------------------------------------------------------------------------- */

static Tensor *read_texts(const Clip *net, const Bpe *bpe, Tape *t, int n,
                          const char *const *captions) {
    int context = net->config.text.context;
    int *tokens = arena_get(&t->arena, (size_t)(n * context) * sizeof *tokens);
    for (int i = 0; i < n; i++)
        bpe_tokenize(bpe, captions[i], NULL, context, tokens + i * context);
    return clip_normalise(clip_text(&net->text, t, tokens, n, context));
}

/* A column of logits: a scene with a caption that is wrong for it in one point. NULL: there is none. */
static Tensor *wrong_captions(const Clip *net, const Bpe *bpe, const CaptionedBatch *b,
                              Tensor *images, Rng *rng) {
    Tape *t = b->images->tape;
    int *which = arena_get(&t->arena, (size_t)b->n * sizeof *which), n = 0;
    const char **wrong = arena_get(&t->arena, (size_t)b->n * sizeof *wrong);
    for (int i = 0; i < b->n; i++) {
        Scene s, other;
        which[i] = -1;
        if (!scene_parse(b->captions[i], &s) || !scene_mistaken(&s, rng, &other)) continue;
        wrong[n] = scene_caption(&other, arena_get(&t->arena, SCENE_CAPTION));
        which[i] = n++;
    }
    return n ? clip_wrong_logits(net, images, read_texts(net, bpe, t, n, wrong), which) : NULL;
}

/* Captions that say the same are one group, in whatever words. mistakes NULL: without wrong captions */
static Tensor *batch_loss(const Clip *net, const Bpe *bpe, const CaptionedBatch *b,
                          Rng *mistakes) {
    Tensor *images = clip_normalise(clip_image(&net->image, b->images, NULL));
    Tensor *texts = read_texts(net, bpe, b->images->tape, b->n, b->captions);
    Tensor *logits = clip_logits(net, images, texts);
    Tensor *wrong = mistakes ? wrong_captions(net, bpe, b, images, mistakes) : NULL;
    return clip_loss(wrong ? t_concat(logits, wrong, 1) : logits, caption_groups(b));
}

static double validation_loss(const Clip *net, const Bpe *bpe, const CaptionedData *d, int emoji) {
    Tape t = {.no_grad = true};
    CaptionedBatch b = validation_batch(d, &t, o.common.batch, emoji);
    double loss = (double)batch_loss(net, bpe, &b, NULL)->x[0];
    tape_free(&t);
    return loss;
}

static void log_zero_shot(Run *run, const Clip *net, const Bpe *bpe, const CaptionedData *d) {
    FrozenClip f = {.net = *net, .bpe = *bpe};
    ZeroShot z = zero_shot(&f, &d->wardrobe, PART_VALIDATION, o.validation);
    run_value(run, "class", 100 * z.class);
    run_value(run, "colour", 100 * z.colour);
    if (d->side < 64) return;                /* scenes of one garment */
    Order order = order_of_two(&f, &d->wardrobe, PART_VALIDATION, o.validation);
    run_value(run, "beside", 100 * order.beside);
    run_value(run, "stacked", 100 * order.stacked);
}

static int train(void) {
    if (is_official()) usage_error("--config %s: is not trained here; its own weights are for eval",
                                   o.common.config);
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,ln_batch,scale,validation,class,colour,beside,stacked",
        .log_every = 20});
    CaptionedSource source;
    Bpe bpe = bpe_load(NULL);
    captioned_source_open(&source, run, o.common.batch, o.emoji, atoi(o.side));
    Params *params = run_params(run, "");
    Clip net = clip_new(params, config(bpe.size));
    Optimizer *adam = run_adam(run, "adam", params, (Adam){.beta1 = 0.9, .beta2 = 0.98,
        .eps = 1e-6, .weight_decay = 0.1, .decay_matrices_only = true});
    run_ema(run, adam, 0.999);
    captioned_source_alike(&source, run, o.alike);
    Rng *mistakes = run_rng(run, "mistakes");
    run_record(run, "parameters", (double)params_count(params));
    while (run_next(run)) {
        CaptionedBatch b = captioned_source_next(&source, run);
        Tensor *loss = batch_loss(&net, &bpe, &b, mistakes);
        run_log(run, "loss", loss);
        run_value(run, "ln_batch", log(b.n));
        minimise(adam, loss, o.common.lr * lr_cooldown(run->step, 500, o.common.steps));
        clip_clamp(&net);
        run_value(run, "scale", exp((double)net.logit_scale->x[0]));
        if (run_every(run, 500)) {
            run_value(run, "validation", validation_loss(&net, &bpe, &source.data, source.emoji));
            log_zero_shot(run, &net, &bpe, &source.data);
        }
    }
    captioned_source_free(&source);
    bpe_free(&bpe);
    return run_finish(run);
}

/* ---- eval ------------------------------------------------------------------------------------ */

static FrozenClip load(void) {
    char *path = weights_path(&cli);
    if (is_official() && !o.common.weights)
        usage_error("--config %s: where are its weights? --weights FILE (safetensors, under the "
                    "official names)", o.common.config);
    if (is_official() && !o.merges)
        usage_error("--config %s: where is its tokenizer? --merges bpe_simple_vocab_16e6.txt",
                    o.common.config);
    FrozenClip f = is_official() ? frozen_clip_official(o.common.config, path, o.merges)
                                 : frozen_clip_load(path);
    free(path);
    return f;
}

static void say(const char *key, double share, double chance, cJSON *to) {
    if (!o.common.quiet)
        printf("  %-44s %6.1f %%   chance %.4g %%\n", key, 100 * share, 100 * chance);
    json_number(to, key, share);
}

static void say_zero_shot(const char *key, const ZeroShot *z, cJSON *m) {
    cJSON *to = json_object();
    if (!o.common.quiet) printf("%s: %d scenes of one garment\n", key, z->scenes);
    json_number(to, "scenes", z->scenes);
    say("class", z->class, 0.1, to);
    say("colour", z->colour, 0.1, to);
    say("class and colour, of a hundred", z->pair, 0.01, to);
    say("class, by one bare prompt", z->bare_class, 0.1, to);
    say("colour, by one bare prompt", z->bare_colour, 0.1, to);
    json_item(m, key, to);
}

static void say_recall(const char *key, const Recall *r, cJSON *m) {
    cJSON *to = json_object();
    if (!o.common.quiet) printf("%s: of %d\n", key, r->pairs);
    json_number(to, "pairs", r->pairs);
    say("text of an image, R@1", r->text_1, 1.0 / r->pairs, to);
    say("text of an image, R@5", r->text_5, 5.0 / r->pairs, to);
    say("image of a text, R@1", r->image_1, 1.0 / r->pairs, to);
    say("image of a text, R@5", r->image_5, 5.0 / r->pairs, to);
    json_item(m, key, to);
}

static void say_order(const char *key, const Order *p, cJSON *m) {
    cJSON *to = json_object();
    if (!o.common.quiet) printf("%s: %d scenes of two garments\n", key, p->scenes);
    json_number(to, "scenes", p->scenes);
    say("which is where (garments exchanged)", p->order, 0.5, to);
    say("which is where, side by side", p->beside, 0.5, to);
    say("which is where, one above the other", p->stacked, 0.5, to);
    say("which has which colour (colours exchanged)", p->colours, 0.5, to);
    json_item(m, key, to);
}

/* n pairs of each part at most: held-out scenes of one garment differ in ten ways only */
static void measure(const FrozenClip *f, const Wardrobe *w, const Captioned *emoji, cJSON *m) {
    ZeroShot z = zero_shot(f, w, PART_TEST, o.scenes), h = zero_shot(f, w, PART_HELD_OUT, o.scenes);
    say_zero_shot("zero-shot, unseen garments", &z, m);
    say_zero_shot("zero-shot, class in a colour never seen", &h, m);
    if (w->size == 64) {
        Recall r = recall_scenes(f, w, PART_TEST, o.scenes);
        say_recall("retrieval, unseen scenes", &r, m);
        r = recall_scenes(f, w, PART_HELD_OUT, o.scenes);
        say_recall("retrieval, combinations never seen", &r, m);
        Order p = order_of_two(f, w, PART_TEST, o.scenes);
        say_order("order, unseen scenes", &p, m);
        p = order_of_two(f, w, PART_HELD_OUT, o.scenes);
        say_order("order, never seen this way round", &p, m);
    }
    Recall e = recall_images(f, &emoji->test);
    say_recall("retrieval, unseen emoji", &e, m);
}

static int evaluate(const FrozenClip *f) {
    int side = f->net.config.image.side;
    Fashion data = fashion_load(o.common.data);
    Wardrobe w = wardrobe_open(&data, side);
    Captioned emoji = emoji_load(side, NULL);
    cJSON *m = metrics_new(&cli);
    json_text(m, "sha256", f->sha256);
    json_number(m, "parameters", (double)params_count(&f->params));
    json_number(m, "scale", frozen_clip_scale(f));
    measure(f, &w, &emoji, m);
    char *path = output_path(&cli, "similarity.png");
    similarity_picture(f, &w, PART_TEST, 8, path, cli.line);
    free(path);
    metrics_save(&cli, m);
    captioned_free(&emoji);
    wardrobe_free(&w);
    fashion_free(&data);
    return 0;
}

static int eval(void) {
    bool pictures = o.image.count > 0;
    if (pictures != (o.text.count > 0))
        usage_error("--image and --text belong together: pictures, and what may fit them");
    if (is_official() && !pictures)
        usage_error("--config %s: compares --text with --image; scenes are measured with the "
                    "default", o.common.config);
    FrozenClip f = load();
    if (pictures)
        compare(&f, is_official(), o.image.count, o.image.text, o.text.count, o.text.text);
    int status = pictures ? 0 : evaluate(&f);
    frozen_clip_free(&f);
    return status;
}

/* ---- info ------------------------------------------------------------------------------------ */

static int info(void) {
    Params params = {.shapes_only = true};
    Bpe bpe = bpe_load(NULL);
    clip_new(&params, config(bpe.size));
    bpe_free(&bpe);
    return info_network(&params);
}

static const Command commands[] = {
    {"train", "train on scenes and emoji, write log, checkpoint and weights to --out", train},
    {"eval", "what it can tell apart; with --text and --image, which text fits a picture", eval},
    {"info", "print the network and its number of parameters", info},
    {0}};

static Cli cli = {.program = "clip",
                  .about = "CLIP: images and texts in one space.",
                  .commands = commands,
                  .common = &o.common,
                  .options = options};

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
