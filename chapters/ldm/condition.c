#include "condition.h"

#include "base/error.h"

#include <string.h>

const char *const condition_names[CONDITIONS] = {"none", "text", "layout", "semantic", "inpaint",
                                                 "superres"};

Condition condition_called(const char *name) {
    for (int c = 0; c < CONDITIONS; c++)
        if (!strcmp(name, condition_names[c])) return (Condition)c;
    die("no condition is called %s", name);
}

bool reads_texts(Condition c) {
    return c == TEXT || c == INPAINT;
}

bool is_attended(Condition c) {
    return reads_texts(c) || c == LAYOUT;
}

bool knows_emoji(Condition c) {
    return c != LAYOUT && c != SEMANTIC;
}

/* ---- tau_theta ------------------------------------------------------------------------------- */

/* A box of a layout is one element, the sum of six tokens: its garment's class and colour, apart,
 * so that pairs that were never seen can be asked for, and its top, left, bottom and right, in
 * cells. */
enum { BOX_PARTS = 6, CELL = 2, CELLS = SCENE_SIDE / CELL,
       KINDS = WARDROBE_CLASSES + WARDROBE_COLOURS, LAYOUT_VOCABULARY = KINDS + 4 * CELLS,
       LABEL_CHANNELS = 3 };

int condition_channels(Condition c, const LatentSpace *s) {
    return c == SEMANTIC ? LABEL_CHANNELS : c == INPAINT ? s->channels + 1
         : c == SUPER_RESOLUTION ? 3 : 0;
}

/* before all but one of them are left out */
static int tokens_of(Condition c) {
    return reads_texts(c) ? TEXT_TOKENS : c == LAYOUT ? SCENE_GARMENTS : 0;
}

int condition_tokens(const Conditioner *c) {
    return c->pooled && is_attended(c->kind) ? 1 : tokens_of(c->kind);
}

Conditioner conditioner_new(Params *p, Conditioner c) {
    if (c.clip && c.clip->net.config.text.width != CONTEXT_WIDTH)
        die("this CLIP's tokens have %d channels, not %d", c.clip->net.config.text.width,
            CONTEXT_WIDTH);
    if (is_attended(c.kind) && !c.clip)
        c.tokens = text_transformer_new(scope(p, "tokens"), (TextTransformerConfig){
            .vocabulary = reads_texts(c.kind) ? c.bpe->size : LAYOUT_VOCABULARY,
            .parts = reads_texts(c.kind) ? 1 : BOX_PARTS, .length = tokens_of(c.kind),
            .width = CONTEXT_WIDTH, .depth = 3, .heads = 4});
    if (c.kind == SEMANTIC) c.labels = linear_new(scope(p, "labels"), SCENE_LABELS, LABEL_CHANNELS,
                                                true);
    return c;
}

static int side_token(int side, int pixel) { return KINDS + side * CELLS + pixel / CELL; }

/* ids (2,6) and mask (2) of a scene; a missing garment's mask is 0 */
static void layout_tokens(const Scene *s, int *ids, uint8_t *mask) {
    memset(ids, 0, SCENE_GARMENTS * BOX_PARTS * sizeof *ids);
    for (int g = 0; g < SCENE_GARMENTS; g++, ids += BOX_PARTS) {
        const Garment *m = &s->garment[g];
        mask[g] = g < s->count;
        if (!mask[g]) continue;
        ids[0] = m->class;
        ids[1] = WARDROBE_CLASSES + m->colour;
        ids[2] = side_token(0, m->box.top), ids[3] = side_token(1, m->box.left);
        ids[4] = side_token(2, m->box.top + m->box.height - 1);
        ids[5] = side_token(3, m->box.left + m->box.width - 1);
    }
}

/* what CLIP makes of the captions, or of none; end (n): where the text ends */
static Tensor *read_by_clip(const FrozenClip *clip, Tape *t, const Pictures *p,
                            const bool *dropped, int *end) {
    int *ids = arena_get(&t->arena, (size_t)p->n * TEXT_TOKENS * sizeof *ids);
    for (int i = 0; i < p->n; i++)
        end[i] = bpe_tokenize_filled(&clip->bpe, dropped && dropped[i] ? "" : p->captions[i],
                                     TEXT_TOKENS, ids + i * TEXT_TOKENS) - 1;
    return clip_text_tokens(&clip->net.text, t, ids, p->n, TEXT_TOKENS);
}

/* the same of the transformer that is trained with the U-Net */
static Tensor *read_by_own(const Conditioner *c, Tape *t, const Pictures *p, const bool *dropped,
                           int *end) {
    size_t n = (size_t)p->n, M = (size_t)tokens_of(c->kind);
    size_t parts = (size_t)c->tokens.config.parts;
    int *ids = arena_get(&t->arena, n * M * parts * sizeof *ids);
    uint8_t *mask = arena_get(&t->arena, n * M);
    for (size_t i = 0; i < n; i++) {
        if (reads_texts(c->kind))
            bpe_tokenize_masked(c->bpe, p->captions[i], (int)M, ids + i * M, mask + i * M);
        else layout_tokens(&p->scenes[i], ids + i * M * parts, mask + i * M);
        if (dropped && dropped[i]) memset(mask + i * M, 0, M);
        end[i] = (int)M - 1;
    }
    return text_transformer(&c->tokens, t, ids, mask, p->n);
}

static Tensor *attended(const Conditioner *c, Tape *t, const Pictures *p, const bool *dropped) {
    int *end = arena_get(&t->arena, (size_t)p->n * sizeof *end);
    Tensor *tokens = c->clip ? read_by_clip(c->clip, t, p, dropped, end)
                             : read_by_own(c, t, p, dropped, end);
    int M = tokens->shape[1], D = tokens->shape[2];
    if (!c->pooled) return tokens;
    for (int i = 0; i < p->n; i++) end[i] += i * M;
    return t_reshape(t_gather_rows(t_reshape(tokens, SHAPE(p->n * M, D)), end, p->n),
                     SHAPE(p->n, 1, D));
}

/* (n,64,64,labels), one where the label is, averaged to the latents' size, as channels */
static Tensor *map_beside(const Conditioner *c, Tape *t, const Pictures *p) {
    size_t pixels = (size_t)p->n * SCENE_SIDE * SCENE_SIDE;
    Tensor *x = t_input(t, NULL, SHAPE(p->n, SCENE_SIDE, SCENE_SIDE, SCENE_LABELS));
    k_fill(x->len, 0, x->x);
    for (size_t i = 0; i < pixels; i++) x->x[i * SCENE_LABELS + p->map[i]] = 1;
    for (int f = c->space->factor; f > 1; f /= 2) x = t_avg_pool2(x);
    return linear(&c->labels, x);
}

/* the pictures, grey in their holes */
static Tensor *hole_beside(const Conditioner *c, Tape *t, const Pictures *p) {
    int f = c->space->factor, h = SCENE_SIDE / f;
    Tensor *x = t_input(t, p->images, SHAPE(p->n, SCENE_SIDE, SCENE_SIDE, 3));
    Tensor *hole = t_input(t, NULL, SHAPE(p->n, h, h, 1));
    for (size_t i = 0; i < x->len; i++)
        if (p->hole[i / 3]) x->x[i] = 0;
    for (int i = 0; i < p->n * h; i++)           /* row i of all small ones */
        for (int j = 0; j < h; j++)
            hole->x[i * h + j] = p->hole[(size_t)i * (size_t)f * SCENE_SIDE + (size_t)(j * f)];
    return t_concat(latents_of(c->space, t, p->n, SCENE_SIDE, x->x, NULL), hole, 3);
}

static Tensor *small_beside(const Conditioner *c, Tape *t, const Pictures *p) {
    Tensor *x = t_input(t, p->images, SHAPE(p->n, SCENE_SIDE, SCENE_SIDE, 3));
    for (int f = c->space->factor; f > 1; f /= 2) x = t_avg_pool2(x);
    return x;
}

Conditioned condition(const Conditioner *c, Tape *t, const Pictures *p, const bool *dropped) {
    Conditioned y = {0};
    if (is_attended(c->kind)) y.context = attended(c, t, p, dropped);
    switch (c->kind) {
    case SEMANTIC: y.beside = map_beside(c, t, p); break;
    case INPAINT: y.beside = hole_beside(c, t, p); break;
    case SUPER_RESOLUTION: y.beside = small_beside(c, t, p); break;
    default: break;
    }
    return y;
}
