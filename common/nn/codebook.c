#include "nn/codebook.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

Codebook codebook_new(Scope s, int count, int dim, double decay) {
    Codebook c = {.count = count, .dim = dim, .decay = decay, .eps = 1e-5};
    double bound = sqrt(3.0 / dim);
    if (decay == 0) {
        c.table = param(s, "table", INIT_UNIFORM, bound, SHAPE(count, dim));
        return c;
    }
    c.table = buffer(s, "embed", 0, SHAPE(count, dim));
    c.cluster_size = buffer(s, "cluster_size", 1, SHAPE(count));
    c.embed_avg = buffer(s, "embed_avg", 0, SHAPE(count, dim));
    if (s.params->shapes_only) return c;
    Rng rng = rng_new(s.params->seed, c.table->name);
    rng_uniform(&rng, c.table->len, c.table->x);
    k_affine(c.table->len, c.table->x, (real)(2 * bound), (real)-bound, c.table->x);
    memcpy(c.embed_avg->x, c.table->x, c.table->len * sizeof(real));
    return c;
}

/* ---- from vectors to codes ------------------------------------------------------------------- */

Tensor *codebook_lookup(const Codebook *c, Tape *t, const int *index, int rank, const int *shape) {
    int n = 1;
    for (int i = 0; i < rank - 1; i++) n *= shape[i];
    return t_reshape(t_gather_rows(t_use(t, c->table), index, n), rank, shape);
}

/* z_q = z + sg(e - z): forward e; backward the gradient passes to z as if nothing had happened */
Quantised quantise(const Codebook *c, Tensor *z) {
    if (z->shape[z->rank - 1] != c->dim)
        die("quantise: %s has vectors of %d numbers but the codes of %s have %d", t_describe(z),
            z->shape[z->rank - 1], t_describe(c->table), c->dim);
    int n = (int)(z->len / (size_t)c->dim);
    Quantised q = {.n = n, .index = arena_get(&z->tape->arena, (size_t)n * sizeof(int)), .z = z};
    k_nearest_rows(n, c->dim, c->count, z->x, c->table->x, q.index);
    Tensor *e = codebook_lookup(c, z->tape, q.index, z->rank, z->shape);
    Tensor *fixed = t_detach(e);
    q.commitment_loss = t_mse(z, fixed);
    if (c->decay == 0) q.codebook_loss = t_mse(e, t_detach(z));
    q.codes = t_straight_through(fixed, z);
    return q;
}

/* ---- where codes are put --------------------------------------------------------------------- */

static void put_code(Codebook *c, int k, const real *z, double size) {
    size_t D = (size_t)c->dim;
    memcpy(c->table->x + (size_t)k * D, z, D * sizeof(real));
    if (c->decay == 0) return;
    c->cluster_size->x[k] = (real)size;
    k_axpy(D, (real)size, z, c->embed_avg->x + (size_t)k * D, false);
}

static double squared_distance(int dim, const real *a, const real *b) {
    double sum = 0;
    for (int j = 0; j < dim; j++) sum += (double)((a[j] - b[j]) * (a[j] - b[j]));
    return sum;
}

/* i with probability weight[i] / their sum; any, if all are 0 */
static int draw_weighted(int n, const double *weight, Rng *rng) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += weight[i];
    if (sum == 0) return (int)rng_below(rng, (uint32_t)n);
    real u;
    rng_uniform(rng, 1, &u);
    double left = (double)u * sum;
    int i = 0, last = 0;
    for (; i < n && left >= 0; i++)
        if (weight[i] > 0) left -= weight[i], last = i;
    return last;
}

void codebook_start(Codebook *c, const Tensor *z, Rng *rng) {
    int n = (int)(z->len / (size_t)c->dim);
    double *nearest = arena_get(&z->tape->arena, (size_t)n * sizeof *nearest);
    for (int k = 0; k < c->count; k++) {
        int chosen = k ? draw_weighted(n, nearest, rng) : (int)rng_below(rng, (uint32_t)n);
        const real *code = z->x + (size_t)chosen * (size_t)c->dim;
        put_code(c, k, code, 1);
        for (int i = 0; i < n; i++) {
            double d = squared_distance(c->dim, z->x + (size_t)i * (size_t)c->dim, code);
            if (!k || d < nearest[i]) nearest[i] = d;
        }
    }
}

/* ---- averages -------------------------------------------------------------------------------- */

void codebook_update(Codebook *c, const Quantised *q) {
    if (c->decay == 0) return;
    int K = c->count, D = c->dim;
    Arena *arena = &q->z->tape->arena;
    real *size = arena_get(arena, (size_t)K * sizeof *size);
    real *sum = arena_get(arena, (size_t)K * (size_t)D * sizeof *sum);
    k_fill((size_t)K, 0, size);
    for (int i = 0; i < q->n; i++) size[q->index[i]] += 1;
    k_scatter_rows(q->n, D, K, q->index, q->z->x, sum, false);
    k_lerp((size_t)K, (real)(1 - c->decay), size, c->cluster_size->x);
    k_lerp((size_t)K * (size_t)D, (real)(1 - c->decay), sum, c->embed_avg->x);
    double total = k_sum((size_t)K, c->cluster_size->x);
    for (int k = 0; k < K; k++) {
        double smoothed = ((double)c->cluster_size->x[k] + c->eps) / (total + K * c->eps) * total;
        size_t at = (size_t)k * (size_t)D;
        k_axpy((size_t)D, (real)(1 / smoothed), c->embed_avg->x + at, c->table->x + at, false);
    }
}

int codebook_revive(Codebook *c, const Quantised *q, double threshold, Rng *rng) {
    if (c->decay == 0) return 0;
    double mean = k_sum((size_t)c->count, c->cluster_size->x) / c->count;
    int revived = 0;
    for (int k = 0; k < c->count; k++) {
        if ((double)c->cluster_size->x[k] >= threshold) continue;
        int chosen = (int)rng_below(rng, (uint32_t)q->n);
        put_code(c, k, q->z->x + (size_t)chosen * (size_t)c->dim, mean);
        revived++;
    }
    return revived;
}

/* ---- use ------------------------------------------------------------------------------------- */

void codebook_count(int n, const int *index, int *times) {
    for (int i = 0; i < n; i++) times[index[i]]++;
}

int codes_used(int count, const int *times) {
    int used = 0;
    for (int k = 0; k < count; k++) used += times[k] > 0;
    return used;
}

double codebook_perplexity(int count, const int *times) {
    double n = 0, entropy = 0;
    for (int k = 0; k < count; k++) n += times[k];
    for (int k = 0; k < count; k++)
        if (times[k]) entropy -= times[k] / n * log(times[k] / n);
    return n > 0 ? exp(entropy) : 0;
}
