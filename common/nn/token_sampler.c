/* token_sampler.c — temperature, top-k and nucleus sampling, and the draw. */
#include "nn/token_sampler.h"

#include "base/error.h"

#include <math.h>

/* ---- the most likely first ------------------------------------------------------------------- */

/* Tokens in a heap: the parent of i, (i-1)/2, comes before i. */
typedef struct {
    int *token, count;
    const real *logit;
} Heap;

static bool before(const Heap *h, int a, int b) {
    real x = h->logit[a], y = h->logit[b];
    return x > y || (x == y && a < b);
}

static void sift_down(Heap *h, int i) {
    for (int child; (child = 2 * i + 1) < h->count; i = child) {
        if (child + 1 < h->count && before(h, h->token[child + 1], h->token[child])) child++;
        if (!before(h, h->token[child], h->token[i])) return;
        int t = h->token[i];
        h->token[i] = h->token[child];
        h->token[child] = t;
    }
}

static void heap_fill(Heap *h, int V, const real *logit) {
    h->count = V;
    h->logit = logit;
    for (int i = 0; i < V; i++) h->token[i] = i;
    for (int i = V / 2 - 1; i >= 0; i--) sift_down(h, i);
}

static int heap_take(Heap *h) {
    int first = h->token[0];
    h->token[0] = h->token[--h->count];
    sift_down(h, 0);
    return first;
}

/* ---- probabilities --------------------------------------------------------------------------- */

static int first_largest(int V, const real *logit) {
    int best = 0;
    bool nan = false;
    for (int i = 0; i < V; i++) {
        if (logit[i] > logit[best]) best = i;
        nan |= isnan(logit[i]);
    }
    if (nan) die("token_probabilities: a logit is not a number");
    if (!isfinite(logit[best]))
        die("token_probabilities: the largest logit is %g", (double)logit[best]);
    return best;
}

/* p holds weights in proportion to the probabilities; those that are left out become 0. The tokens
 * that stay are listed in order, at most k, and of these as many as reach top_p. */
static void leave_out(const TokenSampler *s, int V, int k, Heap *h, int *kept, double *p) {
    double total = 0, sum = 0;
    int n = 0;
    if (k == V)
        for (int i = 0; i < V; i++) total += p[i];
    else
        for (; n < k; n++) total += p[kept[n] = heap_take(h)];
    int taken = n;
    bool all = s->top_p == 1;              /* whatever rounding does to the sum */
    for (n = 0; n < k && (all || n == 0 || sum < s->top_p * total); n++) {
        if (n >= taken) kept[n] = heap_take(h);
        sum += p[kept[n]];
    }
    for (int i = 0; i < n; i++) p[kept[i]] = -p[kept[i]];      /* marked */
    for (int i = 0; i < V; i++) p[i] = p[i] < 0 ? -p[i] : 0;
}

static void row_probabilities(const TokenSampler *s, int V, const real *logit, Heap *h, int *kept,
                              double *p) {
    int best = first_largest(V, logit), k = s->top_k && s->top_k < V ? s->top_k : V;
    double sum = 0;
    if (s->temperature == 0) {
        for (int i = 0; i < V; i++) p[i] = i == best;
        return;
    }
    for (int i = 0; i < V; i++) p[i] = exp(((double)logit[i] - logit[best]) / s->temperature);
    if (k < V || s->top_p < 1) {
        heap_fill(h, V, logit);
        leave_out(s, V, k, h, kept, p);
    }
    for (int i = 0; i < V; i++) sum += p[i];
    for (int i = 0; i < V; i++) p[i] /= sum;
}

double *token_probabilities(const TokenSampler *s, const Tensor *logits) {
    if (logits->rank != 2) die("token_probabilities: %s is not (rows,V)", t_describe(logits));
    if (!(s->temperature >= 0) || s->top_k < 0 || !(s->top_p >= 0 && s->top_p <= 1))
        die("token_probabilities: temperature %g, top_k %d, top_p %g", s->temperature, s->top_k,
            s->top_p);
    Arena *a = &logits->tape->arena;
    int rows = logits->shape[0], V = logits->shape[1];
    double *p = arena_get(a, logits->len * sizeof *p);
    Heap h = {.token = arena_get(a, (size_t)V * sizeof(int))};
    int *kept = arena_get(a, (size_t)V * sizeof *kept);
    for (int i = 0; i < rows; i++) {
        size_t at = (size_t)i * (size_t)V;
        row_probabilities(s, V, logits->x + at, &h, kept, p + at);
    }
    return p;
}

/* ---- the draw -------------------------------------------------------------------------------- */

/* the first token at which the sum of the probabilities exceeds u, 0 <= u < 1 */
static int draw(int V, const double *p, double u) {
    double sum = 0;
    int last = 0;
    for (int i = 0; i < V; i++) {
        if (p[i] == 0) continue;
        sum += p[i];
        last = i;
        if (sum > u) break;
    }
    return last;                           /* rounding may keep the sum below u to the end */
}

void token_sample(const TokenSampler *s, const Tensor *logits, Rng *rng, int *token) {
    const double *p = token_probabilities(s, logits);
    int rows = logits->shape[0], V = logits->shape[1];
    for (int i = 0; i < rows; i++) {
        real u[TOKEN_DRAWS];               /* 24 bits each */
        rng_uniform(rng, TOKEN_DRAWS, u);
        token[i] = draw(V, p + (size_t)i * (size_t)V, (double)u[0] + (double)u[1] / 0x1p24);
    }
}
