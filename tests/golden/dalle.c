/* dalle.c — encoder and decoder of openai/DALL-E's discrete autoencoder. */
#include "../../chapters/dalle/dvae.h"
#include "golden.h"
#include "base/error.h"

static DvaeConfig config(const Golden *g, int channels) {
    int codes = golden_int(g, "vocab_size", 8192), width = golden_int(g, "n_hid", 256);
    int blocks = golden_int(g, "n_blk_per_group", 2);
    if (blocks > DVAE_BLOCKS || width % 4)
        fail("%s: %d blocks in a group, %d channels: at most %d, a multiple of 4", g->path, blocks,
             width, DVAE_BLOCKS);
    return (DvaeConfig){.channels = channels, .groups = 4, .blocks = blocks, .width = width,
                        .init = golden_int(g, "n_init", 128), .codes = codes};
}

/* compares the function of in.<from> with out.<name> */
static void compare_pixels(Golden *g, const char *from, const char *name, bool unmap) {
    Tensor *x = golden_given(g, from);
    double *y = arena_get(&g->tape.arena, x->len * sizeof *y);
    if (unmap) unmap_pixels(x->len, x->x, x->x);
    else x = map_pixels(x);
    for (size_t i = 0; i < x->len; i++) y[i] = (double)x->x[i];
    golden_compare(g, name, (int)x->len, y, 0);
}

static void run_encoder(Golden *g) {
    DvaeNet e = dvae_encoder_new(scope(&g->params, "%s", ""),
                                 config(g, golden_int(g, "input_channels", 3)));
    golden_load(g);
    golden_output(g, "main", dvae_encoder(&e, golden_input(g, "x")));
    compare_pixels(g, "pixels", "out.map_pixels", false);
}

static void run_decoder(Golden *g) {
    DvaeNet d = dvae_decoder_new(scope(&g->params, "%s", ""),
                                 config(g, golden_int(g, "output_channels", 3)));
    golden_load(g);
    golden_output(g, "main", dvae_decoder(&d, golden_input(g, "z")));
    compare_pixels(g, "unmap", "out.unmap_pixels", true);
}

const GoldenModel golden_dalle[] = {
    {"dvae_encoder", NULL, run_encoder, .map = &dvae_official},
    {"dvae_decoder", NULL, run_decoder, .map = &dvae_official},
    {0}};
