/* nets_clip.c — the default CLIP (nn/clip.h): 64x64 images in patches of 8x8, texts of 16 tokens; four
 * blocks each, 128 wide. AdamW, and the temperature's clamp after the step. */
#include "nets.h"
#include "nn/clip.h"

enum { SIDE = 64, LENGTH = 16, VOCABULARY = 1514, END = VOCABULARY - 1 };

typedef struct {
    Clip clip;
    const real *images;
    int *text, *group;
} Net;

/* Random tokens, which end at the 8th to the last; the first text fills the whole length. */
static void end_texts(Training *t, Net *n, const int *drawn) {
    size_t count = (size_t)t->batch * LENGTH;
    real *text = params_find(&t->input, "input.text")->x;
    n->text = arena_get(&t->input.arena, count * sizeof *n->text);
    n->group = arena_get(&t->input.arena, (size_t)t->batch * sizeof *n->group);
    for (int i = 0; i < t->batch; i++)
        for (int j = 0; j < LENGTH; j++) {
            int at = i * LENGTH + j, end = LENGTH - 1 - i % (LENGTH / 2);
            n->text[at] = j == end ? END : j > end ? 0 : drawn[at];
            text[at] = (real)n->text[at];
        }
}

static void build(Training *t) {
    Net *n = net_alloc(t, sizeof *n);
    t->adam[0] = (Adam){.beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8, .weight_decay = 0.2,
                        .decay_matrices_only = true};
    n->clip = clip_new(&t->params[0], clip_small(SIDE, VOCABULARY));
    n->images = input_uniform(t, "images", -1, 1, SHAPE(t->batch, SIDE, SIDE, 3));
    end_texts(t, n, input_index(t, "text", END, t->batch * LENGTH));
}

static double step(Training *t) {
    Net *n = t->net;
    Tensor *images = t_input(&t->tape, n->images, SHAPE(t->batch, SIDE, SIDE, 3));
    Tensor *f = clip_normalise(clip_image(&n->clip.image, images, NULL));
    Tensor *g = clip_normalise(clip_text(&n->clip.text, &t->tape, n->text, t->batch, LENGTH));
    double loss = descend(t, 0, clip_loss(clip_logits(&n->clip, f, g), NULL), 1e-4);
    clip_clamp(&n->clip);
    return loss;
}

const NetKind net_clip = {"clip", "CLIP 64x64, 16 tokens", 64, false, build, step};
