/* unet.c — the U-Net and the noisy classifier of openai/guided-diffusion, the U-Net of
 * CompVis/latent-diffusion. */
#include "nn/unet_classifier.h"
#include "openai.h"

/* ---- guided-diffusion ------------------------------------------------------------------------ */

static const GoldenName names[] = {{"class", "label_emb", 0, 0}, UNET_OFFICIAL_ROWS, {0}};

static TimeEmbedding time_of(Golden *g, const UNetConfig *c) {
    return time_embedding_new(scope(&g->params, "time"), c->width, unet_emb(c), false);
}

static void labels(Golden *g, int B, int classes, int *label) {
    const int *y = golden_input_integers(g, "y", B, 1, 1, classes);
    memcpy(label, y, (size_t)B * sizeof *label);
}

/* given x, the time, the class if there are classes, and a context if it takes one */
static void compare_unet(Golden *g, UNetOfficial u, int classes) {
    int label[OPENAI_BATCH];
    TimeEmbedding time = time_of(g, &u.config);
    Embedding class = {0};
    if (classes) class = embedding_new(scope(&g->params, "class"), classes, unet_emb(&u.config));
    UNet net = unet_new(&g->params, u.config);
    g->map = openai_map(g, names, u);
    golden_load(g);
    Tensor *x = golden_input(g, "x"), *emb = openai_time(g, &time, x->shape[0]);
    if (classes) {
        labels(g, x->shape[0], classes, label);
        emb = t_add(emb, embedding(&class, &g->tape, label, x->shape[0]));
    }
    golden_output(g, "main",
                  unet(&net, x, emb, u.config.context ? golden_input(g, "context") : NULL));
}

static void run_adm(Golden *g) {
    compare_unet(g, adm_unet(g), golden_int(g, "num_classes", 0));
}

static void expect(Golden *g, const char *name, const real *ours, size_t n) {
    double *y = arena_get(&g->tape.arena, n * sizeof *y);
    for (size_t i = 0; i < n; i++) y[i] = (double)ours[i];
    golden_compare(g, name, (int)n, y, 0);
}

/* What guides: the gradient of sum over images of log p(y|x) by x (scripts/classifier_sample.py) */
static void compare_guidance(Golden *g, const UNetClassifier *net, const TimeEmbedding *time) {
    int label[OPENAI_BATCH];
    Tensor *x = golden_given(g, "x");
    int B = x->shape[0], K = net->encoder.config.out;
    x = t_variable(&g->tape, x->x, x->rank, x->shape);
    labels(g, B, K, label);
    Tensor *log_p = t_log_softmax(unet_classifier(net, x, openai_time(g, time, B)));
    for (int b = 0; b < B; b++) label[b] += b * K;
    Tensor *chosen = t_gather_rows(t_reshape(log_p, SHAPE(B * K, 1)), label, B);
    expect(g, "out.log_prob", chosen->x, chosen->len);
    backward(t_sum(chosen));
    expect(g, "out.grad_log_prob_x", x->g, x->len);
    params_zero_grad(&g->params);
}

static void run_classifier(Golden *g) {
    int shape[4];
    if (!golden_word(g, "pool", "attention"))
        fail("%s: our classifier pools by attention", g->path);
    UNetOfficial u = adm_unet(g);
    golden_sizes(g, "x", shape);
    if (shape[2] != golden_int(g, "image_size", shape[2]) || shape[3] != shape[2])
        fail("%s: in.x is not of image_size", g->path);
    TimeEmbedding time = time_of(g, &u.config);
    UNetClassifier net = unet_classifier_new(&g->params, u.config, shape[2]);
    g->map = openai_map(g, names, u);
    golden_load(g);
    compare_guidance(g, &net, &time);
    Tensor *emb = openai_time(g, &time, shape[0]);
    golden_output(g, "main", unet_classifier(&net, golden_input(g, "x"), emb));
}

/* ---- latent-diffusion ------------------------------------------------------------------------ */

/* `legacy` chooses between two ways to say how many heads there are, which come to the same */
static void run_ldm(Golden *g) {
    UNetOfficial u = openai_unet(g);
    bool spatial = golden_flag(g, "use_spatial_transformer", false);
    golden_flag(g, "legacy", true);
    u.config.context = golden_int(g, "context_dim", 0);
    u.config.transformer_depth = spatial ? golden_int(g, "transformer_depth", 1) : 0;
    if (spatial != (u.config.context > 0))
        fail("%s: a context goes with spatial transformers", g->path);
    compare_unet(g, u, golden_int(g, "num_classes", 0));
}

const GoldenModel golden_unet[] = {{"adm_unet", names, run_adm},
                                   {"adm_classifier", names, run_classifier},
                                   {"ldm_unet", names, run_ldm},
                                   {0}};
