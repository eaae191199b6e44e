/* attention_few.c — attention of very few queries, as when tokens are sampled one by one.
 *
 * Keys and values come from memory and are used once or twice, so they are read in the order in
 * which they lie there, all heads of a token before the next token, and in place: packing them into
 * panels, as attention.c does, would cost more than their use. First the scores, VEC keys at a
 * time, from products of vectors that are transposed and added up; then each head's softmax; then
 * the weighted sums of the values, RUN tokens at a time. */
#include "attention_few.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

enum { RUN = 4 };

/* Some heads of one query: its numbers, and the first key's and value's, of the first of these */
typedef struct {
    int heads, seen;                     /* keys that it may see, from the first on */
    const real *q, *k, *v;
    const uint8_t *allowed;              /* (nk) or NULL */
    real *y, *lse;
    size_t lse_step;                     /* from one head's lse to the next */
    real *score;                         /* (heads,width): scores, then their exponentials */
    size_t width;
} Query;

/* the sum of q[e] k[e] over a head's numbers, in the lanes of a vector */
INLINE vec products(int n, const real *q, const real *k) {
    vec sum = {0};
    int e = 0;
    for (; e + VEC <= n; e += VEC) sum += vload(q + e) * vload(k + e);
    if (e < n) sum += vload_part(q + e, n - e) * vload_part(k + e, n - e);
    return sum;
}

/* The scores of keys j .. j+VEC-1 with each head: -infinity where the mask forbids it, and beyond
 * the last key. */
static void score_keys(const AttentionShape *s, const Query *x, int j) {
    const real *key[VEC];
    for (int l = 0; l < VEC; l++) key[l] = x->k + (size_t)least(j + l, x->seen - 1) * s->ldk;
    for (int h = 0; h < x->heads; h++) {
        vec sum[VEC], total = {0};
        size_t at = (size_t)h * s->dk;
#pragma GCC unroll 16
        for (int l = 0; l < VEC; l++) sum[l] = products(s->dk, x->q + at, key[l] + at);
        vtranspose_block(sum);
#pragma GCC unroll 16
        for (int l = 0; l < VEC; l++) total += sum[l];
        real *score = x->score + h * x->width + j;
        vstore(score, total * vset(s->scale));
        for (int l = 0; l < VEC; l++)
            if (j + l >= x->seen || (x->allowed && !x->allowed[j + l])) score[l] = -INFINITY;
    }
}

/* A head's scores become the softmax; its log-sum-exp goes to lse. Nothing seen: zeros */
static void softmax(int n, real *score, real *lse) {
    vec most = vset(-INFINITY), sum = {0};
    for (int j = 0; j < n; j += VEC) most = vmax(vload(score + j), most);
    real largest = vmax_element(most), top = largest == -INFINITY ? 0 : largest;
    for (int j = 0; j < n; j += VEC) {
        vec e = vexp(vload(score + j) - vset(top));
        vstore(score + j, e);
        sum += e;
    }
    real total = vsum(sum);
    *lse = largest + (real)log((double)total);
    vec factor = vset(total > 0 ? 1 / total : 0);
    for (int j = 0; j < n; j += VEC) vstore(score + j, vload(score + j) * factor);
}

/* y += the values of tokens j .. j+count-1 by their weights, of one head; count is a constant where
 * this is inlined */
INLINE void add_values(const AttentionShape *s, int count, const real *p, const real *v, real *y) {
    int e = 0;
    for (; e + VEC <= s->dv; e += VEC) {
        vec sum = vload(y + e);
#pragma GCC unroll 4
        for (int l = 0; l < count; l++) sum += vset(p[l]) * vload(v + (size_t)l * s->ldv + e);
        vstore(y + e, sum);
    }
    for (; e < s->dv; e++)
        for (int l = 0; l < count; l++) y[e] += p[l] * v[(size_t)l * s->ldv + e];
}

static void some_heads(const AttentionShape *s, const Query *x) {
    for (int j = 0; j < x->seen; j += VEC) score_keys(s, x, j);
    for (int h = 0; h < x->heads; h++)
        softmax(x->seen, x->score + h * x->width, x->lse + h * x->lse_step);
    for (int e = 0; e < x->heads * s->dv; e++) x->y[e] = 0;
    for (int j = 0; j < x->seen; j += RUN)
        for (int h = 0; h < x->heads; h++) {
            const real *p = x->score + h * x->width + j;
            const real *v = x->v + (size_t)j * s->ldv + (size_t)h * s->dv;
            real *y = x->y + (size_t)h * s->dv;
            if (j + RUN <= x->seen) add_values(s, RUN, p, v, y);
            else for (int l = 0; l < x->seen - j; l++)
                add_values(s, 1, p + l, v + (size_t)l * s->ldv, y);
        }
}

/* A piece of work is a query, or some of its heads where queries are few. */
void attention_few(const AttentionShape *s, const real *q, const real *k, const real *v, real *y,
                   real *lse) {
    size_t room = (size_t)(s->room ? s->room : s->nk), width = (size_t)round_up(s->nk, VEC);
    int queries = s->b * s->nq, wanted = 2 * threads_get();
    int parts = queries && queries < wanted ? least(s->heads, ceil_div(wanted, queries)) : 1;
    int heads = ceil_div(s->heads, parts);
    real *rooms = scratch(SCRATCH_A, threads_get() * heads * width);
    PARALLEL_ROWS(queries * parts, (double)queries * s->heads * s->nk * (s->dk + s->dv) * COST_COPY)
    for (int piece = 0; piece < queries * parts; piece++) {
        int token = piece / parts, i = token % s->nq, item = token / s->nq;
        int h = piece % parts * heads;
        Query x = {.heads = least(heads, s->heads - h),
                   .seen = s->causal ? least(s->nk, i + 1 + s->past) : s->nk,
                   .q = q + (size_t)token * s->ldq + (size_t)h * s->dk,
                   .k = k + item * room * s->ldk + (size_t)h * s->dk,
                   .v = v + item * room * s->ldv + (size_t)h * s->dv,
                   .y = y + ((size_t)token * s->heads + h) * s->dv,
                   .lse = lse + ((size_t)item * s->heads + h) * s->nq + i,
                   .lse_step = s->nq,
                   .score = rooms + thread_index() * heads * width,
                   .width = width};
        if (s->mask) x.allowed = s->mask + item * s->mask_stride + (size_t)i * s->nk;
        if (x.heads > 0) some_heads(s, &x);
    }
}
