/* vqvae.c — the quantiser of taming-transformers (VectorQuantizer2), of any size. */
#include "golden.h"
#include "nn/codebook.h"
#include "base/error.h"

/* The weight belongs to the commitment. `legacy`, their default, keeps an old mistake: it is put on
 * the codebook's term. */
static void run_quantizer(Golden *g) {
    Codebook book = codebook_new(scope(&g->params, "embedding"), golden_int(g, "n_e", 1),
                                 golden_int(g, "e_dim", 1), 0);
    golden_load(g);
    double beta = golden_number(g, "beta", 0.25);
    bool legacy = golden_flag(g, "legacy", true);
    /* the indices' shape, which is not compared; what an unknown one becomes, if some are left out */
    golden_indifferent(g, "sane_index_shape unknown_index");
    const cJSON *remap = golden_value(g, "remap");
    if (remap && !cJSON_IsNull(remap)) fail("%s: here no code can be left out (remap)", g->path);
    Quantised q = quantise(&book, golden_input(g, "z"));
    golden_integers(g, "indices", q.index, (size_t)q.n);
    golden_output(g, "main", q.codes);
    Tensor *commitment = t_scale(q.commitment_loss, legacy ? 1 : beta);
    golden_output(g, "loss", t_add(commitment, t_scale(q.codebook_loss, legacy ? beta : 1)));
}

const GoldenModel golden_vqvae[] = {{"vector_quantizer", NULL, run_quantizer}, {0}};
