/* gpt.c — karpathy/minGPT, of any sizes: the transformer block with tanh GELU and a causal mask. */
#include "golden.h"
#include "nn/transformer.h"

static const GoldenName names[] = {
    {"tokens", "transformer.wte"}, {"positions", "transformer.wpe"},
    {"h.%d.norm1", "transformer.h.%d.ln_1"}, {"h.%d.norm2", "transformer.h.%d.ln_2"},
    {"h.%d.attn.qkv", "transformer.h.%d.attn.c_attn"},
    {"h.%d.attn.out", "transformer.h.%d.attn.c_proj"},
    {"h.%d.mlp.fc1", "transformer.h.%d.mlp.c_fc"}, {"h.%d.mlp.fc2", "transformer.h.%d.mlp.c_proj"},
    {"norm", "transformer.ln_f"}, {"head", "lm_head"}, {0}};

/* (B,N), -1: no target */
static int *targets(Golden *g, int n) {
    int *target = arena_get(&g->tape.arena, (size_t)n * sizeof *target);
    double *number = arena_get(&g->tape.arena, (size_t)n * sizeof *number);
    golden_numbers(g, "in.", "targets", n, number);
    for (int i = 0; i < n; i++) target[i] = (int)number[i];
    return target;
}

static void run(Golden *g) {
    int shape[4];
    golden_sizes(g, "idx", shape);
    int B = shape[0], N = shape[1], C = golden_int(g, "n_embd", 1);
    int vocabulary = golden_int(g, "vocab_size", 1), longest = golden_int(g, "block_size", 1);
    TransformerConfig d = {.width = C, .depth = golden_int(g, "n_layer", 1), .eps = 1e-5,
                           .heads = golden_int(g, "n_head", 1), .activation = GELU_TANH};
    Params *p = &g->params;
    Embedding tokens = embedding_new(scope(p, "tokens"), vocabulary, C);
    Embedding positions = embedding_new(scope(p, "positions"), longest, C);
    Transformer h = transformer_new(scope(p, "h"), &d);
    LayerNorm norm = layer_norm_new(scope(p, "norm"), C, 1e-5);
    Linear head = linear_new(scope(p, "head"), C, vocabulary, false);
    golden_load(g);

    const int *index = golden_input_integers(g, "idx", B, N, 1, vocabulary);
    Tensor *x = t_reshape(embedding(&tokens, &g->tape, index, B * N), SHAPE(B, N, C));
    x = t_add(x, t_slice(t_use(&g->tape, positions.table), 0, 0, N));
    x = transformer(&h, x, (Attention){.causal = true});
    Tensor *logits = linear(&head, layer_norm(&norm, x));
    golden_output(g, "main", logits);
    golden_output(g, "loss", t_cross_entropy(logits, targets(g, B * N)));
}

const GoldenModel golden_gpt[] = {{"gpt", names, run}, {0}};
