/* clip.c — openai/CLIP, of any sizes. */
#include "base/error.h"
#include "golden.h"
#include "nn/clip.h"

#include <cjson/cJSON.h>

static ClipConfig config_of(const Golden *g) {
    ClipConfig c = {.dim = golden_int(g, "embed_dim", 512)};
    int width = golden_int(g, "vision_width", 768);
    c.image = (ClipImageConfig){.side = golden_int(g, "image_resolution", 224),
                                .patch = golden_int(g, "vision_patch_size", 32), .width = width,
                                .depth = golden_int(g, "vision_layers", 12), .heads = width / 64};
    c.text = (ClipTextConfig){.context = golden_int(g, "context_length", 77),
                              .vocabulary = golden_int(g, "vocab_size", 49408),
                              .width = golden_int(g, "transformer_width", 512),
                              .depth = golden_int(g, "transformer_layers", 12),
                              .heads = golden_int(g, "transformer_heads", 8)};
    return c;
}

/* `visual`, where it is given, states the image encoder as the official VisionTransformer's
 * arguments, its heads too */
static void read_visual(const Golden *g, ClipConfig *c) {
    Golden of_visual = golden_within(g, "visual"), *v = &of_visual;
    if (!v->config) return;
    c->image = (ClipImageConfig){.side = golden_int(v, "input_resolution", c->image.side),
                                 .patch = golden_int(v, "patch_size", c->image.patch),
                                 .width = golden_int(v, "width", c->image.width),
                                 .depth = golden_int(v, "layers", c->image.depth),
                                 .heads = golden_int(v, "heads", c->image.heads)};
    if (golden_int(v, "output_dim", c->dim) != c->dim)
        fail("%s: images and texts come to spaces of different sizes", g->path);
}

static void run(Golden *g) {
    int shape[4];
    ClipConfig c = config_of(g);
    read_visual(g, &c);
    Clip net = clip_new(&g->params, c);
    golden_load(g);
    golden_sizes(g, "text", shape);
    const int *text = golden_input_integers(g, "text", shape[0], shape[1], 1, c.text.vocabulary);
    Tensor *image_raw = clip_image(&net.image, golden_input(g, "image"), NULL);
    Tensor *text_raw = clip_text(&net.text, &g->tape, text, shape[0], shape[1]);
    Tensor *image = clip_normalise(image_raw), *words = clip_normalise(text_raw);
    Tensor *logits = clip_logits(&net, image, words);
    golden_output(g, "main", logits);
    golden_output(g, "image_features", image);
    golden_output(g, "text_features", words);
    golden_output(g, "image_features_raw", image_raw);
    golden_output(g, "text_features_raw", text_raw);
    golden_output(g, "contrastive_loss", clip_loss(logits, NULL));
}

const GoldenModel golden_clip[] = {{"clip", .map = &clip_openai, .run = run}, {0}};
