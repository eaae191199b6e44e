/* tensor.h — the whole tensor library on one page.
 *
 * Operations compute at once and are recorded on a tape; backward() replays the tape in reverse.
 * There are two lifetimes and no free():
 *   - parameters live in a Params for the whole run;
 *   - everything an operation returns lives on the tape until tape_reset(), the first line of a
 *     training loop. Its values may leave memory earlier, when no operation needs them: a program
 *     that reads them itself finds the rules at t_keep.
 *
 *     Params params = {.seed = 1};
 *     Tape tape = {0};
 *     Tensor *w = param(scope(&params, "layer"), "w", INIT_NORMAL, 0.1, SHAPE(784, 10));
 *     for (int step = 0; step < 1000; step++) {
 *         tape_reset(&tape);
 *         Tensor *x = t_input(&tape, images, SHAPE(64, 784));
 *         Tensor *loss = t_cross_entropy(t_linear(x, w, NULL), labels);
 *         params_zero_grad(&params);
 *         backward(loss);
 *         adam_step(&adam, &params, 1e-3, 1);
 *     }
 *
 * Shapes are row major and channels last: images (B,H,W,C), sequences (B,N,C). An operand of the
 * wrong shape is a mistake in the program: one line with the op, the operands and the numbers that
 * disagree, then abort().
 *
 * Write at most one op that draws random numbers or creates a parameter per expression: C leaves
 * the order in which arguments are evaluated open. */
#ifndef TENSOR_H
#define TENSOR_H

#include "base/arena.h"
#include "kernels/kernels.h"

/* ---- tensors --------------------------------------------------------------------------------- */

typedef struct Tensor Tensor;
typedef struct Tape Tape;

struct Tensor {
    const char *op;         /* "conv2d"; "input", "variable" or "param" for a leaf */
    const char *name;       /* a parameter's dotted name; NULL otherwise */
    bool is_buffer;         /* a parameter that is saved and never trained */
    int rank, shape[4];     /* axes beyond the rank are 1 */
    size_t len;
    real *x, *g;            /* value; gradient: NULL until the backward pass needs it */
    bool wants_grad;        /* a gradient with respect to this tensor is computed */
    bool has_grad;          /* g holds at least one contribution: add to it, do not write */
    int owner;              /* of several processes 1 + the one that steps it; 0: each does */
    bool divided;           /* moments, averages: its owner alone has it, x is NULL elsewhere */
    Tape *tape;             /* NULL for parameters */
    Arena *arena;           /* where it lies itself: the tape's or the Params' */
    Tensor *in[4];          /* operands */
    void (*back)(Tensor *); /* adds this tensor's gradient to its operands' */
    void (*redo)(Tensor *); /* computes x again, to the same bits; NULL: cannot be done */
    real *saved;            /* what the backward pass needs besides in[]->x and x */
    int *isaved;
    int iarg[8];
    real arg[4];
    Rng rng;                /* ops that draw random numbers: the state they drew from */
    Tensor *prev;           /* the tensor recorded before this one */

    /* how long x stays: values.h */
    Tensor *view_of;        /* x is this tensor's; NULL: its own */
    int number;             /* 1 for the first of its tape, and so on; of a parameter: gradient_sum.c */
    int last_use;           /* number of the latest tensor that was computed from it */
    int reads, has_read;    /* what back reads, and what it will read no more: READS(i), READS_Y */
    int readers;            /* how many backward passes will read x */
    int pins;               /* how many tensors would be computed again from x */
    bool cheap;             /* its op is CHEAP */
    bool pins_operands;     /* it would be computed again, and counts among its operands' pins */
    bool dropped;           /* x is NULL until it is needed again */
    bool kept, used_up;     /* by t_keep; by backward */
    bool finished;          /* no later op may use it */
    bool visible;           /* without gradients, outside of blocks: a program may read x */
    int grads;              /* bit i: operand i wanted a gradient when this was recorded */
};

/* expands to the two arguments `rank, shape` that many functions take */
#define SHAPE(...) (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]){__VA_ARGS__}

/* ---- tape ------------------------------------------------------------------------------------ */

/* A tape must not be moved while it is in use, and neither must a Params: tensors know both. */
struct Tape {
    Arena arena;               /* tensors and other small things, until the reset */
    Arena values;              /* values and gradients, given back as soon as nobody needs them */
    Tensor *last;              /* newest first, linked by prev */
    bool no_grad;              /* set: record nothing for backward, as when sampling */
    Rng *dropout;              /* where t_dropout draws from; NULL: it does nothing */
    bool in_backward;
    bool in_block;             /* there are marks that have not been released */
    int *last_use;             /* by number: an op that used the tensor after it had been dropped */
    size_t noted;
};

/* everything made on the tape is gone; no_grad and dropout stay as they are */
void tape_reset(Tape *t);
void tape_free(Tape *t);
size_t tape_peak(const Tape *t);    /* bytes used at most */

/* Gradients of the scalar `loss`, added to the .g of every parameter and variable it depends on.
 * Uses up what it went through: the values (x) of intermediate tensors become NULL and their memory
 * is used for gradients. Leaves stay, tensors with one number per item, and what t_keep has kept. */
void backward(Tensor *loss);
/* The same, one op at a time, for what is to go on meanwhile:
 *     for (Tensor *y = backward_begin(loss); y; y = backward_next(y)) ...
 * y is the next one. A gradient is complete when the first op that used its tensor is done. */
Tensor *backward_begin(Tensor *loss);
Tensor *backward_next(Tensor *y);

/* While gradients are recorded, an operation's x may be NULL as soon as another operation has used
 * the tensor: the library computes it again if it is needed. A program reads x before that, or says
 * first that it will read x later. Always there are the values of leaves and parameters, of tensors
 * with one number per item, such as losses, and without gradients (no_grad) all. Parameters must not
 * change between a forward pass and its backward pass. */
void t_keep(Tensor *x);

/* For layers: the parts of a block, of which its caller sees nothing but the result.
 *     Mark start = t_mark(x->tape);
 *     ...
 *     return t_release(start, y);
 * Later operations use y and nothing else that was made since the mark. Without gradients that is
 * how its memory is given back; with them it does nothing. */
typedef struct {
    Tape *tape;
    Tensor *last;
    bool outermost;
} Mark;
Mark t_mark(Tape *t);
Tensor *t_release(Mark m, Tensor *y);

/* leaves: copies of `data` (NULL: left for the caller to fill) on the tape */
Tensor *t_input(Tape *t, const real *data, int rank, const int *shape);
/* Row i is row number[i] of a table (rows,...) of plain numbers; where that is -1 `instead`, or zeros
 * if it is NULL. shape[0]: how many. */
Tensor *t_input_rows(Tape *t, const real *table, const real *instead, const int *number, int rank,
                     const int *shape);
/* gradient in .g after backward */
Tensor *t_variable(Tape *t, const real *data, int rank, const int *shape);
Tensor *t_scalar(Tape *t, double value);                                   /* shape (1) */
/* a parameter on the tape, for expressions of parameters alone; a tensor on a tape is returned */
Tensor *t_use(Tape *t, Tensor *parameter);

/* ---- parameters ------------------------------------------------------------------------------ */

/* value; std; bound of +-uniform */
typedef enum { INIT_CONSTANT, INIT_NORMAL, INIT_UNIFORM } Init;

typedef struct {
    Arena arena;
    Tensor **list;             /* in order of creation */
    int count;
    size_t room;
    uint64_t seed;             /* a parameter's first values depend on (seed, its name) alone */
    bool shapes_only;          /* no values (x is NULL): to count what would not fit in memory */
} Params;

/* How the layers of a scope start (nn/layers.h) */
typedef enum {
    WEIGHTS_PYTORCH,           /* uniform within +-1/sqrt(fan_in) */
    WEIGHTS_XAVIER,            /* uniform within +-sqrt(6 / (fan_in + fan_out)): Glorot & Bengio
                                  2010, eq. 16 */
    WEIGHTS_KAIMING,           /* N(0, 2 / fan_in), for layers before a relu: He et al. 2015, eq. 10 */
    WEIGHTS_NORMAL,            /* N(0, scale^2), tables of embeddings as well */
    WEIGHTS_UNIFORM,           /* within +-scale */
    WEIGHTS_ZERO
} WeightInit;

typedef struct {
    WeightInit weights;
    double scale;
    bool zero_bias;            /* biases at 0, not as WEIGHTS_PYTORCH */
    double gain_std;           /* gains of normalisations from N(1, gain_std^2) */
} LayerInit;

/* Where a layer's parameters stand: a Params and a dotted prefix such as "down.1.res.0" */
typedef struct {
    Params *params;
    char path[120];
    LayerInit init;            /* handed on by sub */
} Scope;

Scope scope(Params *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* s.path + "." + name */
Scope sub(Scope s, const char *format, ...) __attribute__((format(printf, 2, 3)));

Tensor *param(Scope s, const char *name, Init init, double scale, int rank, const int *shape);
/* saved, never trained */
Tensor *buffer(Scope s, const char *name, double value, int rank, const int *shape);
Tensor *params_find(const Params *p, const char *name);   /* NULL if there is none */
/* numbers that are trained; buffers excluded */
size_t  params_count(const Params *p);
/* frozen: no gradients, none through backward */
void    params_freeze(Params *p, bool frozen);
void    params_zero_grad(Params *p);
void    params_copy(Params *to, const Params *from);      /* values, matched by name and shape */
void    params_free(Params *p);

/* ---- operations ---------------------------------------------------------------------------------
 * Formulas of each gradient stand above the op in ops_*.c. */

/* ops_basic.c: numpy broadcasting for these four */
Tensor *t_add(Tensor *a, Tensor *b);
Tensor *t_sub(Tensor *a, Tensor *b);
Tensor *t_mul(Tensor *a, Tensor *b);
Tensor *t_div(Tensor *a, Tensor *b);
Tensor *t_add_channel(Tensor *x, Tensor *v);  /* x (B,...,C) + v (B,C) */
Tensor *t_mul_channel(Tensor *x, Tensor *v);  /* x (B,...,C) * v (B,C) */
Tensor *t_scale(Tensor *x, double a);         /* a x */
Tensor *t_add_scalar(Tensor *x, double a);    /* x + a */
Tensor *t_exp(Tensor *x);
Tensor *t_log(Tensor *x);
Tensor *t_sqrt(Tensor *x);
Tensor *t_square(Tensor *x);
Tensor *t_abs(Tensor *x);
Tensor *t_tanh(Tensor *x);
Tensor *t_sigmoid(Tensor *x);
Tensor *t_softplus(Tensor *x);
Tensor *t_relu(Tensor *x);
Tensor *t_leaky_relu(Tensor *x, double slope);
Tensor *t_elu(Tensor *x);
Tensor *t_silu(Tensor *x);
Tensor *t_gelu(Tensor *x);                    /* x Phi(x), exact */
Tensor *t_gelu_tanh(Tensor *x);               /* GPT-2's approximation */
Tensor *t_quick_gelu(Tensor *x);              /* x sigmoid(1.702 x), CLIP's approximation */
Tensor *t_geglu(Tensor *x);                   /* (...,2C) -> (...,C): a gelu(g) of a | g */
Tensor *t_clamp(Tensor *x, double low, double high);
/* p: probability of zero; drawn from the tape's `dropout`, without which the result is x */
Tensor *t_dropout(Tensor *x, double p);
Tensor *t_detach(Tensor *x);                               /* x, through which no gradient flows */
/* value forward; the gradient goes to grad_to */
Tensor *t_straight_through(Tensor *value, Tensor *grad_to);

/* ops_matrix.c */
Tensor *t_linear(Tensor *x, Tensor *w, Tensor *b);  /* x (...,in) w (in,out) + b (out) or NULL */
/* (B,M,K) by (B,K,N), or (B,N,K) transposed */
Tensor *t_matmul(Tensor *a, Tensor *b, bool transpose_b);

/* ops_conv.c: weights (KH,KW,IN,OUT), bias (OUT) or NULL */
typedef struct {
    int stride, top, left, bottom, right;   /* zeros added at each side */
} ConvPad;
Tensor *t_conv2d(Tensor *x, Tensor *w, Tensor *b, ConvPad pad);
/* The transpose of t_conv2d: (B,H,W,IN) -> (B,(H-1)*stride+KH-top-bottom, ...,OUT), weights
 * (KH,KW,OUT,IN) */
Tensor *t_conv_transpose2d(Tensor *x, Tensor *w, Tensor *b, ConvPad pad);
Tensor *t_upsample2(Tensor *x);               /* nearest, (B,H,W,C) -> (B,2H,2W,C) */
Tensor *t_avg_pool2(Tensor *x);               /* 2x2 means, (B,H,W,C) -> (B,H/2,W/2,C); H, W even */
Tensor *t_max_pool2(Tensor *x);

/* ops_norm.c: gain and shift (C) or NULL; eps is always written at the call */
/* (B,...,C) */
Tensor *t_group_norm(Tensor *x, Tensor *gain, Tensor *shift, int groups, double eps);
/* silu after it */
Tensor *t_group_norm_silu(Tensor *x, Tensor *gain, Tensor *shift, int groups, double eps);
/* last axis */
Tensor *t_layer_norm(Tensor *x, Tensor *gain, Tensor *shift, double eps);
/* Training: statistics of this batch over all axes but the last, and mean, var (C) move towards
 * them by
 * `momentum` (unbiased variance). Otherwise: normalises by mean and var. */
Tensor *t_batch_norm(Tensor *x, Tensor *gain, Tensor *shift, Tensor *mean, Tensor *var,
                     bool training, double momentum, double eps);

/* ops_attention.c */
typedef struct {
    int heads;
    bool causal;             /* token i sees tokens 0..i */
    /* (N,M) or (B,N,M) bytes, 1 = may attend; must outlive backward; NULL: none */
    const uint8_t *mask;
    bool mask_per_item;      /* mask is (B,N,M) */
} Attention;
/* softmax(q k^T / sqrt(channels)) v in each head: q (B,N,C), k (B,M,C), v (B,M,D) -> (B,N,D) */
Tensor *t_attention(Tensor *q, Tensor *k, Tensor *v, Attention a);
/* the same on q | k | v packed side by side (B,N,3C), as one linear layer makes them */
Tensor *t_self_attention(Tensor *qkv, Attention a);

/* ops_shape.c: axis -1 is the last */
Tensor *t_reshape(Tensor *x, int rank, const int *shape);   /* one entry may be -1 */
/* axis i of the result is axes[i] of x */
Tensor *t_permute(Tensor *x, int rank, const int *axes);
Tensor *t_concat(Tensor *a, Tensor *b, int axis);
Tensor *t_slice(Tensor *x, int axis, int start, int length);
Tensor *t_pad(Tensor *x, int axis, int before, int after);  /* zeros */
/* (V,D) -> (n,D): embedding, shuffling */
Tensor *t_gather_rows(Tensor *table, const int *index, int n);

/* ops_reduce.c */
Tensor *t_sum(Tensor *x);                     /* all entries -> (1) */
Tensor *t_mean(Tensor *x);
/* keeps the axis with size 1, so the result broadcasts */
Tensor *t_sum_axis(Tensor *x, int axis);
Tensor *t_mean_axis(Tensor *x, int axis);
Tensor *t_max_axis(Tensor *x, int axis);      /* maxout; the gradient goes to the first largest */
Tensor *t_softmax(Tensor *x);                 /* last axis */
Tensor *t_log_softmax(Tensor *x);

/* ops_loss.c: scalars. Means over all entries; multiply by entries per image for units per image. */
Tensor *t_mse(Tensor *a, Tensor *b);          /* mean (a-b)^2 */
Tensor *t_l1(Tensor *a, Tensor *b);           /* mean |a-b| */
/* nats; targets in [0,1], no gradient to them */
Tensor *t_bce_logits(Tensor *logits, Tensor *target);
/* (...,K): mean nats over rows; target < 0 is left out */
Tensor *t_cross_entropy(Tensor *logits, const int *target);

/* ---- for writers of ops (and tests) ---------------------------------------------------------- */

/* What t_new needs to know of an op. READS(i), READS_Y: whose values its backward pass reads, operand i's
 * and its own. OVER(i): it may be computed over operand i, number by number. CHEAP: it costs little
 * beside the products and convolutions around it, and may be run again rather than its values kept */
enum { READS_NOTHING = 0, READS_Y = 1 << 4, CHEAP = 1 << 5 };
#define READS(i) (1 << (i))
#define OVER(i) (1 << (8 + (i)))
/* READS(i) if the gradient of `x` is wanted */
#define READS_IF(x, i) ((x) && (x)->wants_grad ? READS(i) : READS_NOTHING)

/* A new tensor on its operands' tape, not yet filled; wants_grad when any operand does. NULL
 * operands (a bias that is not there) are allowed. back is dropped when no gradient is wanted. */
Tensor *t_new(const char *op, void (*back)(Tensor *), int flags, int operands, Tensor **in,
              int rank, const int *shape);
/* The same, but its values are those of in[0] themselves: reshape, detach */
Tensor *t_view(const char *op, void (*back)(Tensor *), int operands, Tensor **in, int rank,
               const int *shape);
/* Every op returns through it: the checking build looks for NaN, and operands may go. */
Tensor *t_done(Tensor *y);
/* y computed by forward, which may be run again; then t_done */
Tensor *t_compute(Tensor *y, void (*forward)(Tensor *y));
real *t_saved(Tensor *y, size_t n);         /* y->saved on the tape */
/* In a backward pass: operand i's values are read no more, and their memory may be used for the
 * gradients still to come. */
void t_has_read(Tensor *y, int i);
/* Where the gradient of operand i goes: NULL when it wants none, else its .g; *add says whether to
 * add. */
real *t_grad(Tensor *y, int i, bool *add);
/* The same for an op whose gradient may be computed in place: may hand out y->g itself. */
real *t_grad_in_place(Tensor *y, int i, bool *add);
void t_pass_grad(Tensor *y, int i);         /* operand i's gradient += y's, unchanged */
const char *t_describe(const Tensor *x);    /* "conv2d (2,4,4,12)" or "down.1.conv1.w (3,3,8,8)" */
/* the names of all ops recorded by this process so far */
const char *const *ops_seen(int *n);

#endif
