#include "prior_snail.h"

#include "prior.h"

PriorSnail prior_snail_new(Params *p, PriorSnailConfig c) {
    PriorSnail s = {0};
    int C = c.channels;
    s.text = text_transformer_new(scope(p, "caption"), (TextTransformerConfig){
        .vocabulary = c.vocabulary, .length = c.text, .width = 3 * C, .depth = 2, .heads = 4});
    s.condition = linear_new(scope(p, "condition"), 3 * C, C, true);
    s.net = snail_new(p, (SnailConfig){
        .height = c.rows, .width = c.columns, .codes = c.codes, .channels = C, .kernel = 5,
        .blocks = 2, .res_blocks = 2, .res_channels = C, .attention = true,
        .condition_channels = C, .previous = true});
    return s;
}

/* (B,1,1,C) */
static Tensor *caption(const PriorSnail *p, Tape *t, int B, const int *text) {
    int T = p->text.config.length;
    int *ids = arena_get(&t->arena, (size_t)(B * T) * sizeof *ids);
    uint8_t *there = arena_get(&t->arena, (size_t)(B * T));
    for (int i = 0; i < B * T; i++) {
        there[i] = text[i] != NO_TOKEN;
        ids[i] = there[i] ? text[i] : 0;
    }
    Tensor *h = text_transformer(&p->text, t, ids, there, B);
    h = linear(&p->condition, t_slice(h, 1, T - 1, 1));
    return t_reshape(h, SHAPE(B, 1, 1, -1));
}

Tensor *prior_snail_logits(const PriorSnail *p, Tape *t, int B, const int *text, const int *codes) {
    const Snail *s = &p->net;
    Tensor *logits = snail(s, snail_one_hot(s, t, B, codes), caption(p, t, B, text));
    return t_reshape(logits, SHAPE(B, s->c.height * s->c.width, s->c.codes));
}

void prior_snail_sample(const PriorSnail *p, int B, const int *text, int known, int *codes,
                        const TokenSampler *how, Rng *rng) {
    Tape t = {.no_grad = true};
    snail_continue(&p->net, B, caption(p, &t, B, text), known, how, rng, codes);
    tape_free(&t);
}
