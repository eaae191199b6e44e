/* kernels.h — every hot loop of the library, on raw pointers.
 *
 * Rules that hold for all of them:
 *   - Arrays are dense, row major, channels last: an image batch is (B,H,W,C).
 *   - Inputs are const; outputs never overlap inputs unless a comment allows it. Sizes of 0 are legal.
 *   - `bool add`: false writes the output, true adds to it. The first contribution to a gradient is
 *     written and later ones are added, so no gradient buffer is ever cleared.
 *   - A kernel partitions its outputs among threads and sums in an order that depends on the sizes
 *     alone: the same bits for any number of threads.
 *   - An image's convolution may differ in its last bits when other images stand beside it.
 *   - Called from one thread at a time; the scratch memory behind gemm and conv is one per process.
 *   - Tests compare each with a plain computation. Where that is worth reading it stands beside the
 *     kernel as its twin, kernel_ref: three loops, the specification.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include "real.h"

/* ---- threads -------------------------------------------------------------------------------- */

void threads_set(int n);     /* 1..256; without OpenMP every kernel runs on one thread */
int  vector_bytes(void);     /* in a vector: other widths round otherwise */
int  threads_get(void);      /* at the start: all processors this process may use */

/* item(0..n-1, context), shared out among the threads; `nanoseconds`: what one takes, roughly. Items
 * write to different places. For data that are made rather than computed. */
void parallel_items(int n, double nanoseconds, void (*item)(int i, void *context), void *context);

/* ---- gemm.c: matrix products ----------------------------------------------------------------- */

/* c (m,n) = op(a) op(b) [+ bias (n), NULL for none] [+ c when add]
 * op(a) is (m,k), op(b) is (k,n); ta: a is stored (k,m); tb: b is stored (n,k).
 * lda, ldb, ldc: numbers from one stored row to the next; 0: no gap between them. */
typedef struct {
    bool ta, tb;
    int m, n, k, lda, ldb, ldc;
} GemmShape;

void gemm(const GemmShape *s, const real *a, const real *b, const real *bias, real *c, bool add);
void gemm_ref(const GemmShape *s, const real *a, const real *b, const real *bias, real *c,
              bool add);

/* `batch` products of one shape, without bias; numbers from one matrix a, b, c to the next (0: the
 * same one each time, for a and b only) */
typedef struct {
    GemmShape one;
    int batch;
    size_t stride_a, stride_b, stride_c;
} GemmBatch;

void gemm_batched(const GemmBatch *g, const real *a, const real *b, real *c, bool add);

/* ---- conv.c, conv_weight.c, winograd.c: convolutions ----------------------------------------- */

/* x (b,h,w,ic), weights (kh,kw,ic,oc), y (b,oh,ow,oc); bias (oc) or NULL.
 * y[b,i,j,o] = bias[o] + sum over u,v,c of x[b, i*stride+u-pad_top, j*stride+v-pad_left, c]
 * w[u,v,c,o], x read as 0 outside. What is padded at the bottom and right follows from oh and ow. */
typedef struct {
    int b, h, w, ic, oc, kh, kw, stride, pad_top, pad_left, oh, ow;
} ConvShape;

void conv2d_forward(const ConvShape *s, const real *x, const real *w, const real *bias, real *y);
void conv2d_forward_ref(const ConvShape *s, const real *x, const real *w, const real *bias,
                        real *y);

/* dx (b,h,w,ic) from dy (b,oh,ow,oc). With bias (ic) added it is the forward pass of the
 * transposed convolution; bias is NULL or excludes add. */
void conv2d_backward_input(const ConvShape *s, const real *w, const real *dy, const real *bias,
                           real *dx, bool add);
void conv2d_backward_input_ref(const ConvShape *s, const real *w, const real *dy, const real *bias,
                               real *dx, bool add);

/* dw (kh,kw,ic,oc) */
void conv2d_backward_weight(const ConvShape *s, const real *x, const real *dy, real *dw, bool add);
void conv2d_backward_weight_ref(const ConvShape *s, const real *x, const real *dy, real *dw,
                                bool add);

/* ---- group_norm.c, layer_norm.c, batch_norm.c: normalisations ---------------------------------
 * y = (x - mean) rstd gain + shift, rstd = 1/sqrt(variance + eps). Sums in double. */

/* where a gradient is written, or added; `to` NULL: nobody wants it */
typedef struct {
    real *to;
    bool add;
} Gradient;

typedef struct {
    const real *x, *gain, *shift;    /* gain and shift (c) may be NULL: 1 and 0 */
    real *mean, *rstd;               /* the forward pass fills them for the backward pass */
} NormArrays;

typedef struct {
    Gradient x, gain, shift;         /* no gradient of a gain or shift that is NULL */
} NormGradients;

/* x (b,hw,c), statistics over hw and the c/groups channels of a group; mean, rstd (b,groups). silu:
 * y = silu(norm(x)), and what goes into it is computed again in the backward pass. */
typedef struct {
    int b, hw, c, groups;
    real eps;
    bool silu;
} GroupNormShape;

void group_norm_forward(const GroupNormShape *s, const NormArrays *n, real *y);
void group_norm_forward_ref(const GroupNormShape *s, const NormArrays *n, real *y);
void group_norm_backward(const GroupNormShape *s, const NormArrays *n, const real *dy,
                         const NormGradients *d);

/* x (rows,c), statistics of each row; mean, rstd (rows) */
typedef struct {
    int rows, c;
    real eps;
} LayerNormShape;

void layer_norm_forward(const LayerNormShape *s, const NormArrays *n, real *y);
void layer_norm_forward_ref(const LayerNormShape *s, const NormArrays *n, real *y);
void layer_norm_backward(const LayerNormShape *s, const NormArrays *n, const real *dy,
                         const NormGradients *d);

/* x (rows,c), statistics of each column. batch_norm_statistics fills mean and the biased variance
 * (c); batch_norm_apply uses any statistics (this batch's, or the running ones); the backward pass
 * is that of a batch's own statistics when `batch_statistics`, else of constants. */
typedef struct {
    int rows, c;
    real eps;
    bool batch_statistics;
} BatchNormShape;

typedef struct {
    const real *x, *gain, *shift;    /* as in NormArrays */
    const real *mean, *var;
} BatchNormArrays;

void batch_norm_statistics(int rows, int c, const real *x, real *mean, real *var);
void batch_norm_apply(const BatchNormShape *s, const BatchNormArrays *n, real *y);
void batch_norm_apply_ref(const BatchNormShape *s, const BatchNormArrays *n, real *y);
void batch_norm_backward(const BatchNormShape *s, const BatchNormArrays *n, const real *dy,
                         const NormGradients *d);

/* ---- attention.c -------------------------------------------------------------------------------
 * y = softmax(scale q k^T + mask) v, per batch item and head; heads lie side by side in a row:
 * q (b,nq,heads*dk), k (b,nk,heads*dk), v (b,nk,heads*dv), y (b,nq,heads*dv) dense.
 * ldq, ldk, ldv: numbers from one token's row to the next, so that q, k and v may lie in one
 * packed (b,n,3c) array. mask (nq,nk) bytes, 1 = may attend; mask_stride: bytes from one batch
 * item's mask
 * to the next, 0 for one shared by all; NULL: none. causal: key j is seen by queries i >= j - past,
 * `past` being the keys before the first query's own. room: tokens from one batch item's keys and
 * values to the next one's, where there is room for more than nk; 0: nk.
 * A query that may see no key gets y = 0. lse (b,heads,nq) log-sum-exp is saved for the backward
 * pass. */
typedef struct {
    int b, heads, nq, nk, dk, dv, ldq, ldk, ldv;
    real scale;
    bool causal;
    int past, room;
    const uint8_t *mask;
    size_t mask_stride;
} AttentionShape;

void attention_forward(const AttentionShape *s, const real *q, const real *k, const real *v,
                       real *y, real *lse);
void attention_forward_ref(const AttentionShape *s, const real *q, const real *k, const real *v,
                           real *y, real *lse);

/* what the forward pass read and wrote, and y's gradient */
typedef struct {
    const real *q, *k, *v, *y, *lse, *dy;
} AttentionArrays;

typedef struct {
    Gradient q, k, v;        /* all three wanted; rows of ldq, ldk and ldv numbers */
} AttentionGradients;

void attention_backward(const AttentionShape *s, const AttentionArrays *a,
                        const AttentionGradients *d);
void attention_backward_ref(const AttentionShape *s, const AttentionArrays *a,
                            const AttentionGradients *d);

/* ---- elementwise.c ------------------------------------------------------------------------------
 * One pair per function: y = f(x; p, q) and dx (+)= dy f'(x). The gradient of
 * log, square, abs, softplus, silu, gelu, gelu_tanh, quick_gelu and clamp uses x, that of affine
 * neither, the others' y = f(x) (leaky_relu: p >= 0). What is not used may be any array. y may be x
 * in the forward pass, dx may be dy in the backward pass. */
typedef void UnaryForward(size_t n, const real *x, real p, real q, real *y);
typedef void UnaryBackward(size_t n, const real *x, const real *y, real p, real q, const real *dy,
                           real *dx, bool add);

#define UNARY_FUNCTIONS(F) /* name          f(x)                                   */ \
    F(affine)              /* p x + q                                              */ \
    F(exp)                 /* e^x                                                  */ \
    F(log)                 /* ln x                                                 */ \
    F(sqrt)                /* x^(1/2)                                              */ \
    F(square)              /* x^2                                                  */ \
    F(abs)                 /* |x|, gradient 0 at 0                                 */ \
    F(tanh)                /* tanh x                                               */ \
    F(sigmoid)             /* 1 / (1 + e^-x), no overflow for any x                */ \
    F(softplus)            /* ln(1 + e^x) = max(x,0) + ln(1 + e^-|x|)              */ \
    F(relu)                /* max(x, 0)                                            */ \
    F(leaky_relu)          /* x > 0 ? x : p x                                      */ \
    F(elu)                 /* x > 0 ? x : e^x - 1                                  */ \
    F(silu)                /* x sigmoid(x)                                         */ \
    F(gelu)                /* x Phi(x) = x/2 (1 + erf(x/sqrt 2))                   */ \
    F(gelu_tanh)           /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))        */ \
    F(quick_gelu)          /* x sigmoid(1.702 x)                                   */ \
    F(clamp)               /* min(max(x, p), q), gradient 0 outside                */

#define DECLARE_UNARY(f) \
    UnaryForward k_##f;  UnaryBackward k_##f##_back;  UnaryForward k_##f##_ref;
UNARY_FUNCTIONS(DECLARE_UNARY)
#undef DECLARE_UNARY

/* geglu.c: x (rows,2c) holds a | g side by side, y (rows,c) = a gelu(g), the exact gelu */
void k_geglu(int rows, int c, const real *x, real *y);
void k_geglu_ref(int rows, int c, const real *x, real *y);
/* dx (rows,2c) from dy (rows,c) */
void k_geglu_back(int rows, int c, const real *x, const real *dy, real *dx, bool add);

/* Four operations with numpy broadcasting. y has `shape`; a_shape and b_shape equal it or are 1,
 * axis by axis (four axes; fill with leading 1s). */
typedef enum { BINARY_ADD, BINARY_SUB, BINARY_MUL, BINARY_DIV } BinaryOp;

void k_binary(BinaryOp op, const int shape[4], const real *a, const int a_shape[4], const real *b,
              const int b_shape[4], real *y);
/* gradients, summed over the axes that were broadcast; da, db may be dy when nothing was */
void k_binary_back_a(BinaryOp op, const int shape[4], const real *a, const int a_shape[4],
                     const real *b, const int b_shape[4], const real *dy, real *da, bool add);
void k_binary_back_b(BinaryOp op, const int shape[4], const real *a, const int a_shape[4],
                     const real *b, const int b_shape[4], const real *dy, real *db, bool add);
void k_binary_ref(BinaryOp op, const int shape[4], const real *a, const int a_shape[4],
                  const real *b, const int b_shape[4], real *y);

void k_fill(size_t n, real value, real *y);
void k_axpy(size_t n, real a, const real *x, real *y, bool add);  /* y (+)= a x; y may be x */
/* y += t (x - y): moving averages */
void k_lerp(size_t n, real t, const real *x, real *y);
/* y = keep ? x / (1-p) : 0, keep drawn from counter `first`+i of (seed, stream); y may be x. The
 * backward pass is the same call on dy. */
void k_dropout(size_t n, real p, uint64_t seed, uint64_t stream, uint64_t first, const real *x,
               real *y, bool add);

/* ---- reduce.c: sums, softmax, losses --------------------------------------------------------- */

double k_sum(size_t n, const real *x);          /* fixed blocks, double */
double k_sum_squares(size_t n, const real *x);
double k_sum_squared_difference(size_t n, const real *a, const real *b);
double k_sum_absolute_difference(size_t n, const real *a, const real *b);
/* sum of -(t ln s(x) + (1-t) ln(1-s(x))) = max(x,0) - x t + ln(1+e^-|x|) over logits x, targets t */
double k_sum_bce_logits(size_t n, const real *x, const real *t);
bool   k_all_finite(size_t n, const real *x);
/* loss.c: the gradients of the three losses above, each times a */
void k_difference(size_t n, real a, const real *x, const real *y, real *d, bool add);  /* a (x-y) */
void k_sign_difference(size_t n, real a, const real *x, const real *y, real *d, bool add);
void k_bce_logits_back(size_t n, real a, const real *x, const real *t, real *dx, bool add);

/* x (outer,n,inner) -> y (outer,inner); k_max_axis also says which index won (ties: the first) */
void k_sum_axis(int outer, int n, int inner, const real *x, real *y, bool add);
void k_sum_axis_ref(int outer, int n, int inner, const real *x, real *y, bool add);
void k_max_axis(int outer, int n, int inner, const real *x, real *y, int *winner);
/* dx (+)= dy where x won, 0 elsewhere */
void k_max_axis_back(int outer, int n, int inner, const int *winner, const real *dy, real *dx,
                     bool add);
/* y[o,i,k] (+)= a x[o,k]: the gradient of k_sum_axis */
void k_spread_axis(int outer, int n, int inner, real a, const real *x, real *y, bool add);

/* over the last axis of (rows,c); y may be x */
void k_softmax(int rows, int c, const real *x, real *y);
void k_softmax_ref(int rows, int c, const real *x, real *y);
void k_softmax_back(int rows, int c, const real *y, const real *dy, real *dx, bool add);
void k_log_softmax(int rows, int c, const real *x, real *y);
void k_log_softmax_ref(int rows, int c, const real *x, real *y);
void k_log_softmax_back(int rows, int c, const real *y, const real *dy, real *dx, bool add);
/* sum over rows of -log softmax(x)[target]; rows with target < 0 are left out. lse (rows) is saved. */
double k_cross_entropy(int rows, int c, const real *x, const int *target, real *lse);
/* dx (+)= a (softmax(x) - onehot(target)) */
void k_cross_entropy_back(int rows, int c, const real *x, const int *target, const real *lse,
                          real a, real *dx, bool add);

/* ---- layout.c: copies that change shape ------------------------------------------------------ */

/* dst[i*ld_dst + j] (+)= src[i*ld_src + j], i < rows, j < cols: concat, slice, pad and their
 * gradients */
void k_copy_rows(size_t rows, size_t cols, const real *src, size_t ld_src, real *dst, size_t ld_dst,
                 bool add);
/* y = x with axes in the order perm: y's axis i is x's axis perm[i]; shape is x's */
void k_permute(const int shape[4], const int perm[4], const real *x, real *y, bool add);
/* y[i,:] = table[index[i],:] (n,d); and its gradient dtable[index[i],:] (+)= dy[i,:], summed in
 * order of i, other rows 0 (or left alone when add) */
void k_gather_rows(int n, int d, const real *table, const int *index, real *y);
void k_scatter_rows(int n, int d, int table_rows, const int *index, const real *dy, real *dtable,
                    bool add);
/* nearest-neighbour doubling (b,h,w,c) -> (b,2h,2w,c), and sums of 2x2 blocks back, scaled by a */
void k_upsample2(int b, int h, int w, int c, real a, const real *x, real *y, bool add);
/* h,w of y */
void k_sum_pool2(int b, int h, int w, int c, real a, const real *x, real *y, bool add);
/* largest of each 2x2 block (b,2h,2w,c) -> (b,h,w,c); winner 0..3 in reading order, first on ties */
void k_max_pool2(int b, int h, int w, int c, const real *x, real *y, uint8_t *winner);
void k_max_pool2_back(int b, int h, int w, int c, const uint8_t *winner, const real *dy, real *dx,
                      bool add);

/* ---- nearest.c: a codebook's lookup ---------------------------------------------------------- */

/* index[i] = the row of table (rows,d) nearest to x[i,:] (n,d), the first of several equally near.
 * By |e|^2 - 2 x e: what lies nearer together than rounding may be exchanged. rows >= 1. */
void k_nearest_rows(int n, int d, int rows, const real *x, const real *table, int *index);
void k_nearest_rows_ref(int n, int d, int rows, const real *x, const real *table, int *index);

/* ---- optimise.c: one pass over parameters ---------------------------------------------------- */

/* v = momentum v + g + weight_decay w;  w -= lr v; velocity NULL: momentum is 0. Here and below g
 * is multiplied by grad_scale (clipping) before use. */
void k_sgd(size_t n, real *w, const real *g, real *velocity, real lr, real momentum,
           real weight_decay, real grad_scale);
typedef struct {
    real lr, beta1, beta2, eps, grad_scale;
    real decay;           /* AdamW: w *= 1 - decay first (decay = lr * weight decay) */
    real correct1, correct2;   /* 1 - beta1^t, 1 - beta2^t */
} AdamStep;
void k_adam(size_t n, real *w, const real *g, real *m, real *v, const AdamStep *s);
void k_adam_ref(size_t n, real *w, const real *g, real *m, real *v, const AdamStep *s);

/* ---- random.c: counter-based random numbers (Philox4x32-10, Salmon et al. 2011) -----------------
 * A number is a function of (seed, stream, index): nothing is carried along but `next`, so a state
 * is saved in one integer and any thread can compute any part. Float and double builds draw the
 * same numbers up to rounding. */
typedef struct {
    uint64_t seed, stream, next;
} Rng;

/* the generator itself, one block of four words: the twin of what rng_bits computes in vectors */
void philox_ref(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

uint64_t hash_name(uint64_t seed, const char *name);            /* 64-bit, well mixed */
/* stream = hash of "data", "noise", ... */
Rng  rng_new(uint64_t seed, const char *purpose);
/* each call below advances `next` by n */
void rng_bits(Rng *r, size_t n, uint32_t *bits);
void rng_uniform(Rng *r, size_t n, real *x);                    /* [0,1), multiples of 2^-24 */
bool rng_chance(Rng *r, double p);                              /* true with probability p */
/* N(0,1), Box-Muller; next += n rounded up to even */
void rng_normal(Rng *r, size_t n, real *x);
uint32_t rng_below(Rng *r, uint32_t n);                         /* 0..n-1, unbiased to 2^-32 n */
void rng_permutation(Rng *r, int n, int *index);                /* Fisher-Yates; next += n */

#endif
