/* prior.c — the transformer over text and codes: network, loss, likelihood, sampling. */
#include "prior.h"

#include "base/processes.h"

#include <math.h>
#include <string.h>

/* ---- configurations -------------------------------------------------------------------------- */

PriorConfig prior_config(const char *name) {
    if (!strcmp(name, "dalle-12b"))
        return (PriorConfig){.text = 256, .vocabulary = 16384, .rows = 32, .columns = 32,
                             .codes = 8192, .width = 3968, .depth = 64, .heads = 62,
                             .attention = PATTERN_PAPER, .kernel = 11};
    if (!strcmp(name, "mindalle"))
        return (PriorConfig){.text = 64, .vocabulary = 16384, .rows = 16, .columns = 16,
                             .codes = 16384, .width = 1536, .depth = 42, .heads = 24,
                             .kernel = 1, .plain = true};
    return (PriorConfig){.text = 24, .width = 192, .depth = 5, .heads = 6, .kernel = 5};
}

int prior_codes(const PriorConfig *c) {
    return c->rows * c->columns;
}

/* places before the codes */
static int places_before(const PriorConfig *c) {
    return c->text + !c->plain;
}

int prior_length(const PriorConfig *c) {
    return places_before(c) + prior_codes(c) - 1;
}

/* ---- construction ---------------------------------------------------------------------------- */

/* One mask for each kind of attention; full attention needs none, NULL. */
static void attention_new(Prior *p, Params *params) {
    const PriorConfig *c = &p->c;
    StreamShape shape = {places_before(c), c->columns, c->kernel};
    size_t S = (size_t)prior_length(c);
    uint8_t *mask[ATTENDS] = {0};
    p->attention = arena_get(&params->arena, (size_t)c->depth * sizeof *p->attention);
    for (int i = 0; i < c->depth; i++) {
        AttentionKind kind = attention_kind(c->attention, i, c->depth);
        if (kind != ATTEND_ALL && !mask[kind] && !params->shapes_only) {
            mask[kind] = arena_get(&params->arena, S * S);
            attention_mask(kind, shape, (int)S, mask[kind]);
        }
        p->attention[i] = (Attention){.causal = true, .mask = mask[kind]};
    }
}

static Tensor *table(Params *p, const char *name, int rows, int width) {
    return param(scope(p, "%s", ""), name, INIT_NORMAL, 0.02, SHAPE(rows, width));
}

static void embeddings_new(Prior *p, Params *params) {
    const PriorConfig *c = &p->c;
    int C = c->width, N = prior_codes(c);
    p->text_tokens = table(params, "text_tokens", c->vocabulary + (c->plain ? 0 : c->text), C);
    p->text_positions = table(params, "text_positions", c->text, C);
    p->image_tokens = table(params, "image_tokens", c->codes, C);
    if (!c->plain) p->image_start = table(params, "image_start", 1, C);
    p->rows = table(params, c->plain ? "image_positions" : "rows", c->plain ? N : c->rows, C);
    if (!c->plain) p->columns = table(params, "columns", c->columns, C);
}

/* GPT-2's starting values: N(0, 0.02^2), what ends a residual branch smaller with the depth */
Prior prior_new(Params *params, PriorConfig c) {
    Prior p = {.c = c};
    if (c.snail) {
        p.snail = prior_snail_new(params, (PriorSnailConfig){c.text, c.vocabulary, c.rows,
                                                             c.columns, c.codes, c.snail});
        return p;
    }
    double end = 0.02 / sqrt(2 * c.depth);
    TransformerConfig h = {.width = c.width, .depth = c.depth, .heads = c.heads, .eps = 1e-5,
                           .activation = GELU_TANH, .std = {0.02, end, 0.02, end}};
    Scope heads = with_init(scope(params, "%s", ""), (LayerInit){WEIGHTS_NORMAL, .scale = 0.02});
    embeddings_new(&p, params);
    p.h = transformer_new(scope(params, "h"), &h);
    p.norm = layer_norm_new(scope(params, "norm"), c.width, 1e-5);
    p.text_head = linear_new(sub(heads, "text_head"), c.width, c.vocabulary, false);
    p.image_head = linear_new(sub(heads, "image_head"), c.width, c.codes, false);
    attention_new(&p, params);
    return p;
}

/* ---- captions -------------------------------------------------------------------------------- */

void prior_text(const Bpe *b, const char *caption, const BpeDropout *dropout, int T, int *text) {
    int n = bpe_tokenize(b, caption, dropout, T, text);
    for (int i = n; i < T; i++) text[i] = NO_TOKEN;
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* text (B,T) -> (B,T,C): where no token is, the padding of that place */
static Tensor *text_part(const Prior *p, Tape *t, int B, const int *text) {
    int T = p->c.text, C = p->c.width;
    int *row = arena_get(&t->arena, (size_t)(B * T) * sizeof *row);
    for (int i = 0; i < B * T; i++)
        row[i] = text[i] != NO_TOKEN ? text[i] : p->c.plain ? 0 : p->c.vocabulary + i % T;
    Tensor *x = t_gather_rows(t_use(t, p->text_tokens), row, B * T);
    return t_add(t_reshape(x, SHAPE(B, T, C)), p->text_positions);
}

/* (n,C): what is added to the codes first .. first+n-1 of a picture */
static Tensor *places(const Prior *p, Tape *t, int first, int n) {
    int *index = arena_get(&t->arena, (size_t)(2 * n) * sizeof *index), W = p->c.columns;
    for (int i = 0; i < n; i++) {
        index[i] = p->c.plain ? first + i : (first + i) / W;
        index[n + i] = (first + i) % W;
    }
    Tensor *x = t_gather_rows(t_use(t, p->rows), index, n);
    return p->c.plain ? x : t_add(x, t_gather_rows(t_use(t, p->columns), index + n, n));
}

/* codes first .. first+n-1 of each picture, codes (B,N) -> (B,n,C) */
static Tensor *image_part(const Prior *p, Tape *t, int B, const int *codes, int first, int n) {
    int N = prior_codes(&p->c), *row = arena_get(&t->arena, (size_t)(B * n) * sizeof *row);
    for (int b = 0; b < B; b++)
        for (int i = 0; i < n; i++) row[b * n + i] = codes[b * N + first + i];
    Tensor *x = t_gather_rows(t_use(t, p->image_tokens), row, B * n);
    return t_add(t_reshape(x, SHAPE(B, n, p->c.width)), places(p, t, first, n));
}

/* what comes before code 0, and then n codes: (B,S',C) */
static Tensor *stream(const Prior *p, Tape *t, int B, const int *text, const int *codes, int n) {
    Tensor *x = text_part(p, t, B, text);
    if (p->image_start) x = t_concat(x, token_of_each(t, p->image_start, B), 1);
    return n ? t_concat(x, image_part(p, t, B, codes, 0, n), 1) : x;
}

/* the last n places of h (B,S',C) -> (B,n,K) */
static Tensor *image_logits(const Prior *p, Tensor *h, int n) {
    return linear(&p->image_head, layer_norm(&p->norm, t_slice(h, 1, h->shape[1] - n, n)));
}

PriorLogits prior_logits(const Prior *p, Tape *t, int B, const int *text, const int *codes) {
    int N = prior_codes(&p->c);
    if (p->c.snail)
        return (PriorLogits){NULL, prior_snail_logits(&p->snail, t, B, text, codes)};
    Tensor *h = transformer_each(&p->h, stream(p, t, B, text, codes, N - 1), p->attention);
    Tensor *of_text = layer_norm(&p->norm, t_slice(h, 1, 0, p->c.text - 1));
    return (PriorLogits){linear(&p->text_head, of_text), image_logits(p, h, N)};
}

/* ---- loss ------------------------------------------------------------------------------------ */

/* what the first T-1 places of the text predict: the token after them */
static int *next_tokens(Tape *t, int B, int T, const int *text) {
    int *next = arena_get(&t->arena, (size_t)(B * (T - 1)) * sizeof *next);
    for (int b = 0; b < B; b++)
        for (int i = 0; i < T - 1; i++) next[b * (T - 1) + i] = text[b * T + i + 1];
    return next;
}

PriorTerms prior_loss(const Prior *p, Tape *t, int B, const int *text, const int *codes) {
    PriorLogits logits = prior_logits(p, t, B, text, codes);
    PriorTerms terms = {.image = t_cross_entropy(logits.image, codes)};
    terms.loss = terms.image;
    if (!logits.text) return terms;
    terms.text = t_cross_entropy(logits.text, next_tokens(t, B, p->c.text, text));
    terms.loss = t_add(t_scale(terms.text, 1.0 / 8), t_scale(terms.image, 7.0 / 8));
    return terms;
}

/* ---- likelihood ------------------------------------------------------------------------------ */

enum { AT_ONCE = 64 };

/* logits of the codes alone: (B,N,K) */
static Tensor *code_logits(const Prior *p, Tape *t, int B, const int *text, const int *codes) {
    int N = prior_codes(&p->c);
    if (p->c.snail) return prior_snail_logits(&p->snail, t, B, text, codes);
    Tensor *h = stream(p, t, B, text, codes, N - 1);
    return image_logits(p, transformer_each(&p->h, h, p->attention), N);
}

void prior_nats(const Prior *p, int n, const int *text, const int *codes, double *nats) {
    Tape t = {.no_grad = true};
    int T = p->c.text, N = prior_codes(&p->c);
    size_t K = (size_t)p->c.codes;
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        const int *z = codes + i * N;
        tape_reset(&t);
        Tensor *log_p = t_log_softmax(code_logits(p, &t, B, text + i * T, z));
        for (int k = 0; k < B * N; k++)
            nats[i * N + k] = -(double)log_p->x[(size_t)k * K + (size_t)z[k]];
    }
    tape_free(&t);
}

/* ---- sampling -------------------------------------------------------------------------------- */

void prior_open(PriorSampler *s, const Prior *p, PriorDraw d) {
    size_t T = (size_t)p->c.text;
    *s = (PriorSampler){.p = p, .draw = d, .next = d.known, .tape = {.no_grad = true}};
    if (d.without) s->without = arena_get(&s->arena, (size_t)d.n * T * sizeof *s->without);
    for (int i = 0; d.without && i < d.n; i++)
        memcpy(s->without + (size_t)i * T, d.without, T * sizeof *s->without);
    s->cache = cache_new(&s->arena, &p->h, d.without ? 2 * d.n : d.n, prior_length(&p->c));
}

/* what the transformer takes next, after `text` (n,T): all that comes before the first code that is
 * to be predicted, then a code each time */
static Tensor *taken(PriorSampler *s, const int *text) {
    const PriorDraw *d = &s->draw;
    return s->next == d->known ? stream(s->p, &s->tape, d->n, text, d->codes, d->known)
                               : image_part(s->p, &s->tape, d->n, d->codes, s->next - 1, 1);
}

/* Gafni et al. 2022, "Make-A-Scene", section 3.5. both (2n,K): with captions, then without -> (n,K) */
static Tensor *guided_logits(Tensor *both, double scale) {
    int n = both->shape[0] / 2;
    Tensor *with = t_slice(both, 0, 0, n), *without = t_slice(both, 0, n, n);
    return t_add(without, t_scale(t_sub(with, without), scale));
}

Tensor *prior_next(PriorSampler *s) {
    const Prior *p = s->p;
    tape_reset(&s->tape);
    Tensor *x = taken(s, s->draw.text);
    if (s->without) x = t_concat(x, taken(s, s->without), 0);
    Tensor *h = transformer_next_each(&p->h, x, p->attention, &s->cache);
    s->next++;
    Tensor *logits = t_reshape(image_logits(p, h, 1), SHAPE(x->shape[0], p->c.codes));
    return s->without ? guided_logits(logits, s->draw.scale) : logits;
}

void prior_close(PriorSampler *s) {
    tape_free(&s->tape);
    arena_free(&s->arena);
}

static void sample_some(const Prior *p, PriorDraw d, const TokenSampler *how, Rng *rng) {
    int N = prior_codes(&p->c), token[AT_ONCE];
    PriorSampler s;
    if (p->c.snail) {
        prior_snail_sample(&p->snail, d.n, d.text, d.known, d.codes, how, rng);
        return;
    }
    prior_open(&s, p, d);
    for (int i = d.known; i < N; i++) {
        token_sample(how, prior_next(&s), rng, token);
        for (int b = 0; b < d.n; b++) d.codes[b * N + i] = token[b];
    }
    prior_close(&s);
}

void prior_sample(const Prior *p, PriorDraw d, const TokenSampler *s, Rng *rng) {
    int N = prior_codes(&p->c), T = p->c.text;
    for (int i = 0; i < d.n; i += AT_ONCE) {
        int n = d.n - i < AT_ONCE ? d.n - i : AT_ONCE;
        PriorDraw some = d;
        some.n = n, some.text += i * T, some.codes += i * N;
        if (processes_own(i / AT_ONCE)) sample_some(p, some, s, rng);
        else rng->next += (uint64_t)(TOKEN_DRAWS * n * (N - d.known));
    }
    size_t each = (size_t)N * sizeof *d.codes;
    processes_collect(d.codes, (size_t)d.n * each, AT_ONCE * each);
}
