/* transformer_cache.c — passing a sequence through a transformer token by token: keys and values of
 * the tokens before stay, so that each token is computed once. */
#include "nn/transformer.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

KeyValueCache cache_new(Arena *arena, const Transformer *t, int batch, int capacity) {
    size_t depth = (size_t)t->config.depth;
    size_t numbers = (size_t)batch * (size_t)capacity * (size_t)t->config.width;
    KeyValueCache c = {.batch = batch, .capacity = capacity};
    c.keys = arena_get(arena, depth * sizeof *c.keys);
    c.values = arena_get(arena, depth * sizeof *c.values);
    for (size_t i = 0; i < depth; i++) {
        c.keys[i] = arena_get(arena, numbers * sizeof(real));
        c.values[i] = arena_get(arena, numbers * sizeof(real));
    }
    return c;
}

static void check_next(const Transformer *t, const Tensor *x, Attention a, const KeyValueCache *c) {
    if (x->rank != 3 || x->shape[0] != c->batch || x->shape[2] != t->config.width)
        die("transformer_next: %s is not (%d,n,%d)", t_describe(x), c->batch, t->config.width);
    if (c->count + x->shape[1] > c->capacity)
        die("transformer_next: %s after %d tokens; the cache has room for %d", t_describe(x),
            c->count, c->capacity);
    if (!a.causal) die("transformer_next: tokens that see the future cannot be passed one by one");
    if (!x->tape->no_grad) die("transformer_next: gradients do not pass through a cache");
    if (t->config.context) die("transformer_next: no cross-attention with a cache");
}

/* Rows count .. count+n-1 of each mask, their first count+n columns, behind one another; NULL: no
 * mask. They are n (count+n) bytes for each item, or once for all. */
static const uint8_t *mask_rows(Arena *arena, Attention a, const KeyValueCache *c, int n) {
    if (!a.mask) return NULL;
    size_t N = (size_t)c->capacity, first = (size_t)c->count, width = first + (size_t)n;
    size_t items = a.mask_per_item ? (size_t)c->batch : 1;
    uint8_t *rows = arena_get(arena, items * (size_t)n * width), *to = rows;
    for (size_t item = 0; item < items; item++)
        for (size_t i = first; i < width; i++, to += width)
            memcpy(to, a.mask + (item * N + i) * N, width);
    return rows;
}

/* keys and values of qkv (B,n,3C) go behind those that block i holds */
static void append(const KeyValueCache *c, int i, const Tensor *qkv) {
    size_t n = (size_t)qkv->shape[1], C = (size_t)qkv->shape[2] / 3;
    for (size_t b = 0; b < (size_t)c->batch; b++) {
        const real *from = qkv->x + b * n * 3 * C;
        size_t to = (b * (size_t)c->capacity + (size_t)c->count) * C;
        k_copy_rows(n, C, from + C, 3 * C, c->keys[i] + to, C, false);
        k_copy_rows(n, C, from + 2 * C, 3 * C, c->values[i] + to, C, false);
    }
}

/* qkv (B,n,3C) -> (B,n,C): the new tokens' queries on all keys so far */
static Tensor *attend(const KeyValueCache *c, int i, const Tensor *qkv, Attention a, int heads) {
    int B = c->batch, n = qkv->shape[1], C = qkv->shape[2] / 3, d = C / heads;
    AttentionShape s = {.b = B, .heads = heads, .nq = n, .nk = c->count + n, .dk = d, .dv = d,
                        .ldq = 3 * C, .ldk = C, .ldv = C, .causal = true, .past = c->count,
                        .room = c->capacity, .mask = a.mask,
                        .scale = (real)(1 / sqrt(d))};
    if (a.mask_per_item) s.mask_stride = (size_t)n * (size_t)s.nk;
    Tensor *y = t_input(qkv->tape, NULL, SHAPE(B, n, C));
    real *lse = arena_get(&y->tape->arena, (size_t)(B * heads * n) * sizeof *lse);
    attention_forward(&s, qkv->x, c->keys[i], c->values[i], y->x, lse);
    return y;
}

/* x + attention of block i, its keys and values kept */
static Tensor *attention_next(const Transformer *t, int i, Tensor *x, Attention a,
                              const KeyValueCache *cache) {
    const TransformerBlock *b = &t->blocks[i];
    check_next(t, x, a, cache);
    a.mask = mask_rows(&x->tape->arena, a, cache, x->shape[1]);
    Tensor *qkv = linear(&b->attn.qkv, layer_norm(&b->norm1, x));
    append(cache, i, qkv);
    return t_add(x, linear(&b->attn.out, attend(cache, i, qkv, a, t->config.heads)));
}

Tensor *transformer_next_each(const Transformer *t, Tensor *x, const Attention *a,
                              KeyValueCache *cache) {
    for (int i = 0; i < t->config.depth; i++)
        x = transformer_mlp(&t->blocks[i], attention_next(t, i, x, a[i], cache));
    cache->count += x->shape[1];
    return x;
}

Tensor *transformer_next(const Transformer *t, Tensor *x, Attention a, KeyValueCache *cache) {
    size_t depth = (size_t)t->config.depth;
    Attention *each = arena_get(&x->tape->arena, depth * sizeof *each);
    for (size_t i = 0; i < depth; i++) each[i] = a;
    return transformer_next_each(t, x, each, cache);
}
