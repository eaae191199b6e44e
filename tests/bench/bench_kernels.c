/* bench_kernels.c — how fast the kernels are, against what the machine can do and against
 * libraries.
 *
 *   bench_kernels [--csv FILE] [--threads N] [--rounds N] [name part ...]
 *
 * First the peak (multiply-adds on registers only) and the memory bandwidth (a scaled sum of two
 * large arrays) are measured on the same number of threads. Then each kernel runs on shapes of the
 * chapters. Kernel and peer alternate within one run, several rounds, and the fastest of each
 * counts: on a shared machine ratios within a run mean more than times.
 *
 * A convolution's operations are those of the direct sum, however it is computed: by Winograd's
 * method it may exceed the peak.
 *
 * On one thread the whole program, peers' threads included, is kept on one processor, and what is
 * counted is the time of the processor, not of the clock on the wall: other programs disturb it less.
 *
 * Peers are compiled in by -DWITH_OPENBLAS (link -lopenblas) and -DWITH_DNNL (link -ldnnl); oneDNN
 * works in the layout that it chooses itself, and the conversion into it is not counted. */
#define _GNU_SOURCE            /* sched_setaffinity */
#include "kernels/kernels.h"
#include "kernels/simd.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef WITH_OPENBLAS
#include <cblas.h>
#endif
#ifdef WITH_DNNL
#include <dnnl.h>
#endif

static int rounds = 7;
static double peak, bandwidth;    /* GFLOP/s and GB/s on the threads in use */
static FILE *csv;
static char **filters;
static int filter_count;

/* One thread: the time of all threads of the program, so that a peer's cannot hide. */
static double now(void) {
    struct timespec t;
    clock_gettime(threads_get() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* ---- what the machine can do ----------------------------------------------------------------- */

/* Twelve independent chains of multiply-adds, which never leave the registers. */
static __attribute__((noinline)) real multiply_add(long steps, real start) {
    enum { CHAINS = 12 };
    vec x[CHAINS], factor = vset((real)0.999) + vset(start), term = vset((real)1e-3) + vset(start);
    for (int i = 0; i < CHAINS; i++) x[i] = vset(start * i);
    for (long l = 0; l < steps; l++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) x[i] = x[i] * factor + term;
    for (int i = 1; i < CHAINS; i++) x[0] += x[i];
    return vsum(x[0]);
}

static double measure_peak(void) {
    const long steps = 2000000;
    double best = 1e30;
    volatile real sink = 0;
    for (int i = 0; i < 3 * rounds; i++) {
        double start = now();
#ifdef _OPENMP
#pragma omp parallel num_threads(threads_get())
#endif
        {
#ifdef _OPENMP
            real first = (real)(1e-9 * omp_get_thread_num());
#else
            real first = 0;
#endif
            if (multiply_add(steps, first) == 0) sink = 1;    /* it never is: the loop must run */
        }
        best = fmin(best, now() - start);
    }
    (void)sink;
    return 2.0 * 12 * VEC * steps * threads_get() / best * 1e-9;
}

static double measure_bandwidth(void) {
    const size_t n = 16 << 20;
    real *x = malloc(n * sizeof(real)), *y = malloc(n * sizeof(real));
    k_fill(n, 1, x);
    k_fill(n, 1, y);
    double best = 1e30;
    for (int i = 0; i < rounds; i++) {
        double start = now();
        k_axpy(n, (real)0.5, x, y, true);
        best = fmin(best, now() - start);
    }
    free(x);
    free(y);
    return 3.0 * n * sizeof(real) / best * 1e-9;
}

/* ---- measuring ------------------------------------------------------------------------------- */

typedef void Run(void *context);

typedef struct {
    const char *name, *kind, *peer;
    double flops, bytes;    /* bytes: what must move at least, where memory is the limit; else 0 */
    Run *ours, *theirs;     /* theirs: NULL without a peer */
    void *context;
} Bench;

static bool wanted(const char *name) {
    if (!filter_count) return true;
    for (int i = 0; i < filter_count; i++)
        if (strstr(name, filters[i])) return true;
    return false;
}

static double time_once(Run *run, void *context, int repeats) {
    double start = now();
    for (int i = 0; i < repeats; i++) run(context);
    return (now() - start) / repeats;
}

static void bench(const Bench *b) {
    b->ours(b->context);
    if (b->theirs) b->theirs(b->context);
    double once = time_once(b->ours, b->context, 1), ours = 1e30, theirs = 1e30;
    int repeats = once > 0.01 ? 1 : (int)(0.01 / once) + 1;
    for (int i = 0; i < rounds; i++) {
        ours = fmin(ours, time_once(b->ours, b->context, repeats));
        if (b->theirs) theirs = fmin(theirs, time_once(b->theirs, b->context, repeats));
    }
    double gflops = b->flops / ours * 1e-9, fraction = gflops / peak;
    if (b->bytes) fraction = b->bytes / ours * 1e-9 / bandwidth;
    printf("%-44s %9.3f ms %8.1f %s %5.2f of %s", b->name, ours * 1e3,
           b->bytes ? b->bytes / ours * 1e-9 : gflops, b->bytes ? "GB/s   " : "GFLOP/s", fraction,
           b->bytes ? "bandwidth" : "peak     ");
    if (b->theirs) printf("   %5.2f x %s", theirs / ours, b->peer);
    printf("\n");
    fflush(stdout);
    if (!csv) return;
    fprintf(csv, "%s,%s,%d,%.4f,", b->name, b->kind, threads_get(), ours * 1e3);
    if (b->theirs) fprintf(csv, "%s,%.4f,%.3f", b->peer, theirs * 1e3, theirs / ours);
    else fprintf(csv, ",,");
    fprintf(csv, ",%.2f,%.3f\n", gflops, fraction);
}

static real *numbers(size_t n) {
    real *x = malloc((n + 1) * sizeof(real));
    Rng r = rng_new(n, "bench");
    rng_uniform(&r, n, x);
    for (size_t i = 0; i < n; i++) x[i] -= (real)0.5;
    return x;
}

/* ---- matrix products ------------------------------------------------------------------------- */

typedef struct {
    bool ta, tb;
    int m, n, k;
    real *a, *b, *c;
} GemmCase;

static void gemm_ours(void *context) {
    GemmCase *g = context;
    GemmShape s = {.ta = g->ta, .tb = g->tb, .m = g->m, .n = g->n, .k = g->k};
    gemm(&s, g->a, g->b, NULL, g->c, false);
}

#if defined WITH_OPENBLAS && !defined REAL_DOUBLE
static void gemm_openblas(void *context) {
    GemmCase *g = context;
    cblas_sgemm(CblasRowMajor, g->ta ? CblasTrans : CblasNoTrans, g->tb ? CblasTrans : CblasNoTrans,
                g->m, g->n, g->k, 1, g->a, g->ta ? g->m : g->k, g->b, g->tb ? g->k : g->n, 0, g->c,
                g->n);
}
#else
static Run *const gemm_openblas = NULL;
#endif

static void bench_gemm(int m, int n, int k) {
    for (int form = 0; form < 4; form++) {
        GemmCase g = {form & 1, form & 2, m, n, k, NULL, NULL, NULL};
        char name[80];
        snprintf(name, sizeof name, "gemm %c%c %dx%dx%d", g.ta ? 'T' : 'N', g.tb ? 'T' : 'N', m, n,
                 k);
        if (!wanted(name)) continue;
        g.a = numbers((size_t)m * k);
        g.b = numbers((size_t)n * k);
        g.c = numbers((size_t)m * n);
        bench(&(Bench){name, "gemm", "OpenBLAS", 2.0 * m * n * k, 0, gemm_ours, gemm_openblas, &g});
        free(g.a);
        free(g.b);
        free(g.c);
    }
}

typedef struct {
    GemmBatch g;
    real *a, *b, *c;
} BatchCase;

static void batch_ours(void *context) {
    BatchCase *p = context;
    gemm_batched(&p->g, p->a, p->b, p->c, false);
}

#if defined WITH_OPENBLAS && !defined REAL_DOUBLE
static void batch_openblas(void *context) {
    BatchCase *p = context;
    int n = p->g.one.n;
    for (int i = 0; i < p->g.batch; i++)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, p->a + i * p->g.stride_a, n,
                    p->b + i * p->g.stride_b, n, 0, p->c + i * p->g.stride_c, n);
}
#else
static Run *const batch_openblas = NULL;
#endif

static void bench_batch(int batch, int n) {
    char name[80];
    snprintf(name, sizeof name, "gemm batch %d of %dx%dx%d", batch, n, n, n);
    if (!wanted(name)) return;
    size_t one = (size_t)n * n, count = batch * one;
    BatchCase c = {{.batch = batch, .one = {.m = n, .n = n, .k = n}, .stride_a = one, .stride_b = one,
                    .stride_c = one},
                   numbers(count), numbers(count), numbers(count)};
    bench(&(Bench){name, "gemm", "OpenBLAS", 2.0 * count * n, 0, batch_ours, batch_openblas, &c});
    free(c.a);
    free(c.b);
    free(c.c);
}

/* ---- convolutions ---------------------------------------------------------------------------- */

typedef enum { FORWARD, BACKWARD_INPUT, BACKWARD_WEIGHT, PASSES } Pass;

typedef struct {
    ConvShape s;
    Pass pass;
    real *x, *w, *y;
    void *peer;
} ConvCase;

static void conv_ours(void *context) {
    ConvCase *c = context;
    if (c->pass == FORWARD) conv2d_forward(&c->s, c->x, c->w, NULL, c->y);
    else if (c->pass == BACKWARD_INPUT) conv2d_backward_input(&c->s, c->w, c->y, NULL, c->x, false);
    else conv2d_backward_weight(&c->s, c->x, c->y, c->w, false);
}

#if defined WITH_DNNL && !defined REAL_DOUBLE
typedef struct {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arguments[3];
} DnnlConv;

static void dnnl_check(dnnl_status_t status, const char *what) {
    if (status == dnnl_success) return;
    fprintf(stderr, "oneDNN: %s failed with status %d\n", what, status);
    exit(1);
}

static dnnl_memory_desc_t any_layout(int n, const dnnl_dims_t dims) {
    dnnl_memory_desc_t d;
    dnnl_check(dnnl_memory_desc_init_by_tag(&d, n, dims, dnnl_f32, dnnl_format_tag_any), "layout");
    return d;
}

/* Memory in the layout that the primitive asks for, filled with small numbers. */
static dnnl_memory_t dnnl_array(DnnlConv *p, const_dnnl_primitive_desc_t pd, dnnl_query_t what) {
    dnnl_memory_t memory;
    const dnnl_memory_desc_t *d = dnnl_primitive_desc_query_md(pd, what, 0);
    dnnl_check(dnnl_memory_create(&memory, d, p->engine, DNNL_MEMORY_ALLOCATE), "memory");
    void *data;
    dnnl_memory_get_data_handle(memory, &data);
    for (size_t i = 0; i < dnnl_memory_desc_get_size(d) / sizeof(float); i++)
        ((float *)data)[i] = 0.01f;
    return memory;
}

static dnnl_primitive_desc_t dnnl_describe(DnnlConv *p, const ConvShape *s, Pass pass) {
    dnnl_dims_t x = {s->b, s->ic, s->h, s->w}, w = {s->oc, s->ic, s->kh, s->kw};
    dnnl_dims_t y = {s->b, s->oc, s->oh, s->ow}, stride = {s->stride, s->stride};
    dnnl_dims_t before = {s->pad_top, s->pad_left};
    dnnl_dims_t after = {(s->oh - 1) * s->stride + s->kh - s->h - s->pad_top,
                          (s->ow - 1) * s->stride + s->kw - s->w - s->pad_left};
    dnnl_memory_desc_t dx = any_layout(4, x), dw = any_layout(4, w), dy = any_layout(4, y);
    dnnl_convolution_desc_t f, d;
    dnnl_primitive_desc_t hint, pd;
    dnnl_check(dnnl_convolution_forward_desc_init(&f, dnnl_forward_training, dnnl_convolution_auto,
                                                  &dx, &dw, NULL, &dy, stride, before, after),
               "forward");
    dnnl_check(dnnl_primitive_desc_create(&hint, &f, NULL, p->engine, NULL), "forward");
    if (pass == FORWARD) return hint;
    if (pass == BACKWARD_INPUT)
        dnnl_check(dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_auto, &dx, &dw,
                                                            &dy, stride, before, after),
                   "backward data");
    else
        dnnl_check(dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_auto, &dx, &dw,
                                                               NULL, &dy, stride, before, after),
                   "weights");
    dnnl_check(dnnl_primitive_desc_create(&pd, &d, NULL, p->engine, hint), "backward");
    return pd;
}

static void *dnnl_conv_new(const ConvShape *s, Pass pass) {
    DnnlConv *p = calloc(1, sizeof *p);
    dnnl_check(dnnl_engine_create(&p->engine, dnnl_cpu, 0), "engine");
    dnnl_check(dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags), "stream");
    dnnl_primitive_desc_t pd = dnnl_describe(p, s, pass);
    const dnnl_query_t x = pass == BACKWARD_INPUT ? dnnl_query_diff_src_md : dnnl_query_src_md;
    const dnnl_query_t w =
        pass == BACKWARD_WEIGHT ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
    const dnnl_query_t y = pass == FORWARD ? dnnl_query_dst_md : dnnl_query_diff_dst_md;
    p->arguments[0].arg = pass == BACKWARD_INPUT ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC;
    p->arguments[1].arg = pass == BACKWARD_WEIGHT ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS;
    p->arguments[2].arg = pass == FORWARD ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST;
    p->arguments[0].memory = dnnl_array(p, pd, x);
    p->arguments[1].memory = dnnl_array(p, pd, w);
    p->arguments[2].memory = dnnl_array(p, pd, y);
    dnnl_check(dnnl_primitive_create(&p->primitive, pd), "primitive");
    return p;
}

static void conv_dnnl(void *context) {
    DnnlConv *p = ((ConvCase *)context)->peer;
    dnnl_primitive_execute(p->primitive, p->stream, 3, p->arguments);
    dnnl_stream_wait(p->stream);
}
#else
static void *dnnl_conv_new(const ConvShape *s, Pass pass) { return (void)s, (void)pass, NULL; }
static Run *const conv_dnnl = NULL;
#endif

static void bench_conv(int b, int size, int ic, int oc, int k, int stride, int pad) {
    const char *passes[] = {"forward", "input", "weight"};
    int out = (size + 2 * pad - k) / stride + 1;
    for (int pass = 0; pass < PASSES; pass++) {
        ConvCase c = {{b, size, size, ic, oc, k, k, stride, pad, pad, out, out},
                      pass,
                      NULL,
                      NULL,
                      NULL,
                      NULL};
        char name[80];
        snprintf(name, sizeof name, "conv %s %dx%d s%d %dx%d %d->%d b%d", passes[pass], k, k,
                 stride, size, size, ic, oc, b);
        if (!wanted(name)) continue;
        c.x = numbers((size_t)b * size * size * ic);
        c.w = numbers((size_t)k * k * ic * oc);
        c.y = numbers((size_t)b * out * out * oc);
        c.peer = dnnl_conv_new(&c.s, pass);
        bench(&(Bench){name, "conv", "oneDNN", 2.0 * b * out * out * oc * k * k * ic, 0, conv_ours,
                       conv_dnnl, &c});
        free(c.x);
        free(c.w);
        free(c.y);
    }
}

/* ---- attention, normalisations, functions, optimisers ---------------------------------------- */

typedef struct {
    AttentionShape s;
    real *q, *k, *v, *y, *lse, *dq, *dk, *dv;
} AttentionCase;

static void attention_ours(void *context) {
    AttentionCase *c = context;
    attention_forward(&c->s, c->q, c->k, c->v, c->y, c->lse);
}

static void attention_back_ours(void *context) {
    AttentionCase *c = context;
    AttentionArrays a = {c->q, c->k, c->v, c->y, c->lse, c->y};
    attention_backward(&c->s, &a, &(AttentionGradients){{c->dq, false}, {c->dk, false}, {c->dv, false}});
}

/* n queries of nk keys; causal: nk = n */
static void bench_attention(int b, int heads, int n, int nk, int d, bool causal) {
    char name[80], keys[20] = "";
    size_t queries = (size_t)b * n * heads * d, count = (size_t)b * nk * heads * d;
    int ld = heads * d;
    AttentionCase c = {{.b = b, .heads = heads, .nq = n, .nk = nk, .dk = d, .dv = d, .ldq = ld,
                        .ldk = ld, .ldv = ld, .scale = (real)0.2, .causal = causal},
                       numbers(queries),
                       numbers(count),
                       numbers(count),
                       numbers(queries),
                       numbers((size_t)b * heads * n),
                       numbers(queries),
                       numbers(count),
                       numbers(count)};
    double products = 2.0 * b * heads * d * (causal ? n * (n + 1) / 2.0 : (double)n * nk);
    if (nk != n) snprintf(keys, sizeof keys, " keys %d", nk);
    snprintf(name, sizeof name, "attention%s forward b%d heads %d n %d%s d %d",
             causal ? " causal" : "", b, heads, n, keys, d);
    if (wanted(name))
        bench(&(Bench){name, "attention", "", 2 * products, 0, attention_ours, NULL, &c});
    snprintf(name, sizeof name, "attention%s backward b%d heads %d n %d%s d %d",
             causal ? " causal" : "", b, heads, n, keys, d);
    if (wanted(name))
        bench(&(Bench){name, "attention", "", 5 * products, 0, attention_back_ours, NULL, &c});
    real *arrays[] = {c.q, c.k, c.v, c.y, c.lse, c.dq, c.dk, c.dv};
    for (int i = 0; i < 8; i++) free(arrays[i]);
}

typedef struct {
    int rows, c;
    size_t n;
    real *x, *y, *z, *w, *gain, *shift, *mean, *rstd;
} ArrayCase;

enum { GROUP_IMAGES = 256, GROUPS = 8 };
static const AdamStep adam = {(real)1e-3, (real)0.9, (real)0.999, (real)1e-8,
                              1,          0,         (real)0.1,   (real)0.001};

static NormArrays norm_arrays(const ArrayCase *a) {
    return (NormArrays){a->x, a->gain, a->shift, a->mean, a->rstd};
}
static NormGradients norm_gradients(const ArrayCase *a) {
    return (NormGradients){.x = {.to = a->z}, .gain = {.to = a->w}, .shift = {.to = a->w + a->c}};
}
static GroupNormShape group_norm_shape(const ArrayCase *a) {
    return (GroupNormShape){GROUP_IMAGES, a->rows / GROUP_IMAGES, a->c, GROUPS, 1, .silu = true};
}
static void group_norm_ours(void *p) {
    GroupNormShape s = group_norm_shape(p);
    NormArrays n = norm_arrays(p);
    group_norm_forward(&s, &n, ((ArrayCase *)p)->y);
}
static void group_norm_back_ours(void *p) {
    GroupNormShape s = group_norm_shape(p);
    NormArrays n = norm_arrays(p);
    NormGradients d = norm_gradients(p);
    group_norm_backward(&s, &n, ((ArrayCase *)p)->y, &d);
}
static void layer_norm_ours(void *p) {
    ArrayCase *a = p;
    NormArrays n = norm_arrays(a);
    layer_norm_forward(&(LayerNormShape){a->rows, a->c, 1}, &n, a->y);
}
static void layer_norm_back_ours(void *p) {
    ArrayCase *a = p;
    NormArrays n = norm_arrays(a);
    NormGradients d = norm_gradients(a);
    layer_norm_backward(&(LayerNormShape){a->rows, a->c, 1}, &n, a->y, &d);
}
static BatchNormArrays batch_norm_arrays(const ArrayCase *a) {
    return (BatchNormArrays){a->x, a->gain, a->shift, a->mean, a->rstd};
}
static void batch_norm_ours(void *p) {
    ArrayCase *a = p;
    BatchNormArrays n = batch_norm_arrays(a);
    batch_norm_statistics(a->rows, a->c, a->x, a->mean, a->rstd);
    batch_norm_apply(&(BatchNormShape){a->rows, a->c, 1, true}, &n, a->y);
}
static void batch_norm_back_ours(void *p) {
    ArrayCase *a = p;
    BatchNormArrays n = batch_norm_arrays(a);
    NormGradients d = norm_gradients(a);
    batch_norm_backward(&(BatchNormShape){a->rows, a->c, 1, true}, &n, a->y, &d);
}
static void softmax_ours(void *p) { ArrayCase *a = p; k_softmax(a->rows, a->c, a->x, a->y); }
static void gelu_ours(void *p) { ArrayCase *a = p; k_gelu(a->n, a->x, 0, 0, a->y); }
static void silu_ours(void *p) { ArrayCase *a = p; k_silu(a->n, a->x, 0, 0, a->y); }
static void silu_back_ours(void *p) {
    ArrayCase *a = p;
    k_silu_back(a->n, a->x, a->y, 0, 0, a->w, a->z, false);
}
static void tanh_ours(void *p) { ArrayCase *a = p; k_tanh(a->n, a->x, 0, 0, a->y); }
static void normal_ours(void *p) {
    ArrayCase *a = p;
    Rng r = rng_new(1, "bench");
    rng_normal(&r, a->n, a->y);
}
static void sum_ours(void *p) { ArrayCase *a = p; a->mean[0] = (real)k_sum(a->n, a->x); }
static void relu_ours(void *p) { ArrayCase *a = p; k_relu(a->n, a->x, 0, 0, a->y); }
static void column_sums_ours(void *p) {
    ArrayCase *a = p;
    k_sum_axis(1, a->rows, a->c, a->x, a->w, false);
}
static void adam_ours(void *p) { ArrayCase *a = p; k_adam(a->n, a->x, a->y, a->z, a->w, &adam); }
static void bias_ours(void *p) {
    ArrayCase *a = p;
    const int full[] = {1, 1, a->rows, a->c}, bias[] = {1, 1, 1, a->c};
    k_binary(BINARY_ADD, full, a->x, full, a->gain, bias, a->y);
}
static void bias_back_ours(void *p) {
    ArrayCase *a = p;
    const int full[] = {1, 1, a->rows, a->c}, bias[] = {1, 1, 1, a->c};
    k_binary_back_b(BINARY_ADD, full, a->x, full, a->gain, bias, a->y, a->w, false);
}

/* `arrays`: how many arrays of (rows, c) move at least. One that is only written counts twice,
 * because the processor reads a line before it writes to it. */
static void bench_arrays(const char *name, int rows, int c, int arrays, Run *run) {
    char text[80];
    snprintf(text, sizeof text, "%s %dx%d", name, rows, c);
    if (!wanted(text)) return;
    size_t n = (size_t)rows * c;
    ArrayCase a = {
        rows,       c,          n,          numbers(n),        numbers(n),       numbers(n),
        numbers(n), numbers(c), numbers(c), numbers(rows + c), numbers(rows + c)};
    for (size_t i = 0; i < n; i++) a.w[i] += (real)0.5;    /* also Adam's second moments */
    bench(
        &(Bench){text, "memory", "", (double)n, (double)n * arrays * sizeof(real), run, NULL, &a});
    real *all[] = {a.x, a.y, a.z, a.w, a.gain, a.shift, a.mean, a.rstd};
    for (int i = 0; i < 8; i++) free(all[i]);
}

/* ---- everything ------------------------------------------------------------------------------ */

static void bench_everything(void) {
    const int sizes[] = {256, 384, 512, 768, 1024};
    for (int i = 0; i < 5; i++) bench_gemm(sizes[i], sizes[i], sizes[i]);
    bench_gemm(64, 1000, 784);
    bench_gemm(128, 128, 128);
    bench_gemm(64, 400, 20);
    bench_gemm(128, 20, 400);
    bench_gemm(6272, 64, 64);
    bench_gemm(3136, 512, 128);
    bench_gemm(6400, 768, 192);    /* the MAE's and the GPT's: these and their gradients */
    bench_gemm(6400, 192, 768);
    bench_gemm(192, 768, 6400);
    bench_gemm(3072, 1024, 256);
    bench_gemm(256, 1024, 3072);
    bench_gemm(50176, 64, 64);
    bench_gemm(64, 64, 50176);
    bench_gemm(3136, 256, 128);
    bench_gemm(128, 256, 3136);
    bench_batch(128, 64);
    bench_batch(64, 128);
    bench_batch(16, 256);
    const int maps[][4] = {{28, 32, 32, 64},   {28, 64, 64, 64},   {28, 128, 128, 32},
                           {14, 64, 64, 64},   {14, 128, 128, 64}, {7, 64, 64, 64},
                           {7, 128, 128, 64},  {32, 64, 64, 64},   {16, 64, 128, 64},
                           {16, 128, 128, 64}, {8, 128, 128, 64},  {8, 64, 64, 64},
                           {4, 256, 256, 64},  {28, 1, 64, 64},    {32, 3, 64, 64},
                           {28, 64, 1, 64},    {32, 64, 3, 64},    {64, 3, 32, 16},
                           {64, 32, 32, 16},   {16, 256, 256, 16}, {8, 256, 256, 64},
                           {16, 4, 64, 64},    {16, 64, 4, 64},    {64, 8, 8, 16},
                           {64, 32, 8, 16},    {64, 8, 32, 16},    {32, 16, 16, 16}};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        bench_conv(maps[i][3], maps[i][0], maps[i][1], maps[i][2], 3, 1, 1);
    bench_conv(64, 28, 1, 64, 4, 2, 1);
    bench_conv(64, 14, 64, 128, 4, 2, 1);
    bench_conv(64, 28, 64, 64, 3, 2, 1);
    bench_conv(64, 14, 64, 138, 5, 2, 2);
    bench_conv(64, 14, 74, 128, 5, 2, 2);
    bench_conv(64, 28, 11, 64, 5, 2, 2);
    bench_conv(64, 28, 32, 64, 5, 1, 2);
    bench_conv(64, 28, 64, 64, 1, 1, 0);
    bench_conv(64, 7, 128, 256, 1, 1, 0);
    bench_conv(32, 16, 256, 256, 1, 1, 0);
    bench_conv(64, 16, 64, 128, 3, 2, 1);
    bench_conv(64, 32, 3, 64, 4, 2, 1);
    bench_attention(32, 4, 96, 96, 32, false);
    bench_attention(32, 4, 96, 96, 64, true);
    bench_attention(16, 4, 320, 320, 64, true);
    bench_attention(32, 4, 49, 49, 32, false);
    bench_attention(32, 3, 50, 50, 64, false);
    bench_attention(32, 4, 196, 196, 32, false);
    bench_attention(8, 1, 784, 784, 64, false);
    bench_attention(32, 4, 256, 16, 32, false);    /* pixels that read words */
    bench_attention(32, 4, 256, 77, 64, false);
    /* arrays of 51 MB: larger than the caches. Batch normalisation reads its input twice. */
    bench_arrays("group norm + silu", 256 * 784, 64, 3, group_norm_ours);
    bench_arrays("group norm + silu backward", 256 * 784, 64, 4, group_norm_back_ours);
    bench_arrays("layer norm", 50176, 256, 3, layer_norm_ours);
    bench_arrays("layer norm backward", 50176, 256, 4, layer_norm_back_ours);
    bench_arrays("batch norm", 256 * 392, 128, 4, batch_norm_ours);
    bench_arrays("batch norm backward", 256 * 392, 128, 6, batch_norm_back_ours);
    bench_arrays("softmax", 50176, 256, 3, softmax_ours);
    bench_arrays("gelu", 200704, 64, 3, gelu_ours);
    bench_arrays("silu", 200704, 64, 3, silu_ours);
    bench_arrays("silu backward", 200704, 64, 4, silu_back_ours);
    bench_arrays("tanh", 200704, 64, 3, tanh_ours);
    bench_arrays("relu", 200704, 64, 3, relu_ours);
    bench_arrays("normal random numbers", 200704, 64, 2, normal_ours);
    bench_arrays("bias", 200704, 64, 3, bias_ours);
    bench_arrays("bias backward", 200704, 64, 1, bias_back_ours);
    bench_arrays("sum", 200704, 64, 1, sum_ours);
    bench_arrays("column sums", 50176, 256, 1, column_sums_ours);
    bench_arrays("column sums", 16384, 768, 1, column_sums_ours);
    bench_arrays("column sums", 65536, 192, 1, column_sums_ours);
    bench_arrays("adam", 102400, 128, 7, adam_ours);
}

/* the same number of threads for all, and a single one at home on one processor */
static void share_threads(void) {
    int threads = threads_get();
#ifdef _OPENMP
    omp_set_num_threads(threads);                         /* oneDNN's */
#endif
#ifdef WITH_OPENBLAS
    openblas_set_num_threads(threads);
#endif
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    if (threads == 1) sched_setaffinity(0, sizeof one, &one);
}

/* which of their kernels the peers run */
static void describe_peers(void) {
#ifdef WITH_OPENBLAS
    printf("OpenBLAS: kernels for %s\n", openblas_get_corename());
#endif
#ifdef WITH_DNNL
    static const struct { dnnl_cpu_isa_t isa; const char *name; } names[] = {
        {dnnl_cpu_isa_sse41, "SSE4.1"}, {dnnl_cpu_isa_avx, "AVX"}, {dnnl_cpu_isa_avx2, "AVX2"},
        {dnnl_cpu_isa_avx512_core, "AVX-512"}};
    const char *name = "other";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((dnnl_get_effective_cpu_isa() & names[i].isa) == names[i].isa) name = names[i].name;
    const dnnl_version_t *v = dnnl_version();
    printf("oneDNN %d.%d.%d: kernels for %s\n", v->major, v->minor, v->patch, name);
#endif
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--csv") == 0 && i + 1 < argc) csv = fopen(argv[++i], "a");
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) threads_set(atoi(argv[++i]));
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) rounds = atoi(argv[++i]);
        else {
            filters = argv + i;
            filter_count = argc - i;
            break;
        }
    }
    share_threads();
    peak = measure_peak();
    bandwidth = measure_bandwidth();
    printf("%d threads, vectors of %d bytes: peak %.1f GFLOP/s, bandwidth %.1f GB/s\n",
           threads_get(), VEC_BYTES, peak, bandwidth);
    printf("convolutions: operations of the direct sum over time, which may exceed the peak\n");
    describe_peers();
    if (csv && ftell(csv) == 0)
        fprintf(csv, "name,kind,threads,ours_ms,peer,peer_ms,ratio,gflops,peak_fraction\n");
    bench_everything();
    if (csv) fclose(csv);
    return 0;
}
