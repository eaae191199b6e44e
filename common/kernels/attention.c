/* attention.c — softmax(scale q k^T + mask) v. */
#include "kernels.h"

#include <math.h>

static bool sees(const AttentionShape *s, int item, int i, int j)
{
    if (s->causal && j > i) return false;
    return !s->mask || s->mask[item * s->mask_stride + (size_t)i * s->nk + j];
}

static double dot(int n, const real *a, const real *b)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

void attention_forward_ref(const AttentionShape *s, const real *q, const real *k, const real *v,
                           real *y, real *lse)
{
    for (int n = 0; n < s->b; n++)
        for (int h = 0; h < s->heads; h++)
            for (int i = 0; i < s->nq; i++) {
                const real *q_i = q + ((size_t)n * s->nq + i) * s->ldq + h * s->dk;
                const real *k_0 = k + (size_t)n * s->nk * s->ldk + h * s->dk;
                const real *v_0 = v + (size_t)n * s->nk * s->ldv + h * s->dv;
                real *y_i = y + (((size_t)n * s->nq + i) * s->heads + h) * s->dv;
                double largest = -INFINITY, sum = 0;
                for (int j = 0; j < s->nk; j++)
                    if (sees(s, n, i, j))
                        largest = fmax(largest, s->scale * dot(s->dk, q_i, k_0 + (size_t)j * s->ldk));
                for (int e = 0; e < s->dv; e++) y_i[e] = 0;
                for (int j = 0; j < s->nk; j++)
                    if (sees(s, n, i, j))
                        sum += exp(s->scale * dot(s->dk, q_i, k_0 + (size_t)j * s->ldk) - largest);
                for (int j = 0; j < s->nk; j++) {
                    if (!sees(s, n, i, j)) continue;
                    double score = s->scale * dot(s->dk, q_i, k_0 + (size_t)j * s->ldk);
                    double p = exp(score - largest) / sum;
                    for (int e = 0; e < s->dv; e++) y_i[e] += (real)(p * v_0[(size_t)j * s->ldv + e]);
                }
                lse[((size_t)n * s->heads + h) * s->nq + i] = (real)(largest + log(sum));
            }
}

static void clear_heads(int rows, int cols, real *x, int ld)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) x[(size_t)i * ld + j] = 0;
}

/* With P the softmax and D_i = sum_e dy_ie y_ie:  dV = P^T dY,  dP = dY V^T,
 * dS_ij = P_ij (dP_ij - D_i),  dQ = scale dS K,  dK = scale dS^T Q. */
void attention_backward_ref(const AttentionShape *s, const real *q, const real *k, const real *v,
                            const real *y, const real *lse, const real *dy, real *dq, bool add_q,
                            real *dk, bool add_k, real *dv, bool add_v)
{
    if (!add_q) clear_heads(s->b * s->nq, s->heads * s->dk, dq, s->ldq);
    if (!add_k) clear_heads(s->b * s->nk, s->heads * s->dk, dk, s->ldk);
    if (!add_v) clear_heads(s->b * s->nk, s->heads * s->dv, dv, s->ldv);
    for (int n = 0; n < s->b; n++)
        for (int h = 0; h < s->heads; h++)
            for (int i = 0; i < s->nq; i++) {
                size_t q_at = ((size_t)n * s->nq + i) * s->ldq + h * s->dk;
                size_t y_at = (((size_t)n * s->nq + i) * s->heads + h) * s->dv;
                double lse_i = lse[((size_t)n * s->heads + h) * s->nq + i];
                double d_i = dot(s->dv, y + y_at, dy + y_at);
                for (int j = 0; j < s->nk; j++) {
                    if (!sees(s, n, i, j)) continue;
                    size_t k_at = ((size_t)n * s->nk + j) * s->ldk + h * s->dk;
                    size_t v_at = ((size_t)n * s->nk + j) * s->ldv + h * s->dv;
                    double p = exp(s->scale * dot(s->dk, q + q_at, k + k_at) - lse_i);
                    double ds = p * (dot(s->dv, dy + y_at, v + v_at) - d_i) * s->scale;
                    for (int e = 0; e < s->dv; e++) dv[v_at + e] += (real)(p * dy[y_at + e]);
                    for (int e = 0; e < s->dk; e++) {
                        dq[q_at + e] += (real)(ds * k[k_at + e]);
                        dk[k_at + e] += (real)(ds * q[q_at + e]);
                    }
                }
            }
}

void attention_forward(const AttentionShape *s, const real *q, const real *k, const real *v, real *y,
                       real *lse)
{
    attention_forward_ref(s, q, k, v, y, lse);
}

void attention_backward(const AttentionShape *s, const real *q, const real *k, const real *v,
                        const real *y, const real *lse, const real *dy, real *dq, bool add_q,
                        real *dk, bool add_k, real *dv, bool add_v)
{
    attention_backward_ref(s, q, k, v, y, lse, dy, dq, add_q, dk, add_k, dv, add_v);
}
