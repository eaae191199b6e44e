/* pictures.c — what only unCLIP can do with a user's picture: vary, interpolate, edit, reconstruct.
 * Section 3 and figure 7 of the paper. A picture becomes two things that are changed separately:
 * CLIP's embedding z, which says what it shows, and the x_T that the decoder, given z, leads back
 * to it, which holds the rest. */
#include "draw.h"

#include "base/error.h"
#include "data/picture_decode.h"
#include "train/captions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = SMALL * SMALL * 3 };

typedef struct {
    Models m;
    Arena arena;
    int D, pictures;
    real *large;                         /* (pictures,64,64,3) */
    const real *small;                   /* (pictures,16,16,3) */
    real *z, *start;                     /* (pictures,D), (pictures,16,16,3) */
} Given;

static void read_pictures(Given *g) {
    size_t len = SIDE * SIDE * 3;
    g->large = arena_get(&g->arena, (size_t)g->pictures * len * sizeof *g->large);
    for (int i = 0; i < g->pictures; i++)
        picture_read(o.image.text[i], SIDE, -1, 1, g->large + (size_t)i * len);
}

/* `wanted` pictures from --image, their embeddings and noise */
static void given_open(Given *g, int wanted, Stage prior) {
    *g = (Given){.pictures = wanted};
    if (o.image.count != wanted)
        usage_error("%s: takes %s, not %d", cli.command,
                    wanted == 1 ? "one --image" : "two --image, from and to", o.image.count);
    read_pictures(g);
    models_load(&g->m, prior);
    samples_open(&cli);
    g->D = g->m.clip.net.config.dim;
    g->z = arena_get(&g->arena, (size_t)(wanted * g->D) * sizeof *g->z);
    clip_images(&g->m.clip, wanted, g->large, g->z);
    g->small = shrink(&g->arena, wanted, SIDE, SMALL, g->large);
    g->start = n_copies(&g->arena, 1, (size_t)(wanted * VALUES), g->small);
    invert(&g->m, wanted, g->z, g->start);
}

static void given_close(Given *g) {
    models_free(&g->m);
    arena_free(&g->arena);
}

static real *numbers(Given *g, int n, int each) {
    return arena_get(&g->arena, (size_t)(n * each) * sizeof(real));
}

/* Without guidance the way back from x_T is the picture's own. */
static double chosen_scale(void) {
    return cli_given(&cli, "scale") ? o.scale : 1;
}

/* d.n images, larger, as samples.png and samples.npy, the picture of --image before them and a second
 * one behind them, at their size; texts under those that are drawn, or NULL. Returns them of 16x16. */
static const real *draw(Given *g, Decoding d, const char *const *texts) {
    int side = models_side(&g->m), all = d.n + g->pictures;
    size_t len = (size_t)side * (size_t)side * 3;
    real *x = numbers(g, d.n, VALUES), *sheet = numbers(g, all, (int)len);
    const char **under = arena_get(&g->arena, (size_t)all * sizeof *under);
    d.ddim = true;
    decode(&g->m, d, x);
    const real *given = shrink(&g->arena, g->pictures, SIDE, side, g->large);
    const real *drawn = enlarge(&g->m, &g->arena, d.n, x);
    memcpy(sheet, given, len * sizeof *sheet);
    memcpy(sheet + len, drawn, (size_t)d.n * len * sizeof *sheet);
    if (g->pictures > 1) memcpy(sheet + (size_t)(d.n + 1) * len, given + len, len * sizeof *sheet);
    for (int i = 0; i < all; i++)
        under[i] = i < 1 || i > d.n ? "given" : texts ? texts[i - 1] : "";
    samples_save(&cli, sheet, colour_grid(all, side, all < 10 ? all : 10, under));
    return x;
}

static void say_caption(const Given *g, const char *text) {
    say_tokens(&cli, &g->m.clip.bpe, &(CliList){1, {text}}, g->m.clip.net.config.text.context, 2);
}

/* --caption of n images, or NULL */
static CaptionTable *caption_of_all(Given *g, int n) {
    if (!o.caption) return NULL;
    const char **captions = arena_get(&g->arena, (size_t)n * sizeof *captions);
    CaptionTable *table = arena_get(&g->arena, sizeof *table);
    say_caption(g, o.caption);
    for (int i = 0; i < n; i++) captions[i] = o.caption;
    *table = caption_table(&g->arena, &g->m.clip, n, captions);
    return table;
}

/* ---- the commands ---------------------------------------------------------------------------- */

/* The same z and x_T; what DDIM's noise (eta) washes away differs (section 3.1). */
int vary(void) {
    Given g;
    given_open(&g, 1, STAGES);
    int n = o.pictures;
    real *z = n_copies(&g.arena, n, (size_t)g.D, g.z);
    draw(&g, (Decoding){.n = n, .z = z, .text = caption_of_all(&g, n), .scale = chosen_scale(),
                        .eta = cli_given(&cli, "eta") ? o.eta : 1,
                        .start = n_copies(&g.arena, n, VALUES, g.start)}, NULL);
    given_close(&g);
    return 0;
}

/* both z and x_T along the arc from one picture's to the other's (section 3.2) */
int interpolate(void) {
    Given g;
    given_open(&g, 2, STAGES);
    int n = o.pictures;
    real *z = numbers(&g, n, g.D), *start = numbers(&g, n, VALUES);
    const char **texts = arena_get(&g.arena, (size_t)n * sizeof *texts);
    for (int i = 0; i < n; i++) {
        double t = n > 1 ? (double)i / (n - 1) : 0.5;
        slerp((size_t)g.D, g.z, g.z + g.D, t, z + i * g.D);
        slerp(VALUES, g.start, g.start + VALUES, t, start + i * VALUES);
        texts[i] = arena_text(&g.arena, "%.2f", t);
    }
    draw(&g, (Decoding){.n = n, .z = z, .scale = chosen_scale(), .start = start}, texts);
    given_close(&g);
    return 0;
}

/* z from the picture towards the difference of the texts, up to half the way; x_T stays (section
 * 3.3) */
int edit(void) {
    static const double furthest = 0.5;
    Given g;
    if (!o.from || !o.to) usage_error("edit: needs --from TEXT and --to TEXT");
    if (!strcmp(o.from, o.to)) usage_error("edit: --from and --to say the same");
    given_open(&g, 1, STAGES);
    int n = o.pictures;
    say_caption(&g, o.from), say_caption(&g, o.to);
    CaptionTable text = caption_table(&g.arena, &g.m.clip, 2, (const char *[]){o.from, o.to});
    real *z = numbers(&g, n, g.D), *difference = numbers(&g, 1, g.D);
    const char **texts = arena_get(&g.arena, (size_t)n * sizeof *texts);
    text_difference(g.D, text.embedding, text.embedding + g.D, difference);
    for (int i = 0; i < n; i++) {
        double t = n > 1 ? furthest * i / (n - 1) : furthest;
        slerp((size_t)g.D, g.z, difference, t, z + i * g.D);
        texts[i] = arena_text(&g.arena, "%.2f", t);
    }
    draw(&g, (Decoding){.n = n, .z = z, .scale = chosen_scale(),
                        .start = n_copies(&g.arena, n, VALUES, g.start)}, texts);
    given_close(&g);
    return 0;
}

/* from 1, 2, 4, ... components of z, then all of it; x_T stays (figure 7) */
int reconstruct(void) {
    Given g;
    given_open(&g, 1, AR);
    int K = g.m.ar.config.codes, n = 1, most = 1;
    for (; most < K; most *= 2) n++;
    n++;
    real *z = numbers(&g, n, g.D);
    const char **texts = arena_get(&g.arena, (size_t)n * sizeof *texts);
    for (int i = 0; i < n - 1; i++) {
        int components = 1 << i < K ? 1 << i : K;
        few_dimensions(&g.m.ar, components, g.z, z + i * g.D);
        texts[i] = arena_text(&g.arena, "%d", components);
    }
    memcpy(z + (n - 1) * g.D, g.z, (size_t)g.D * sizeof *z);
    texts[n - 1] = arena_text(&g.arena, "all %d", g.D);
    const real *x = draw(&g, (Decoding){.n = n, .z = z, .text = caption_of_all(&g, n),
                                        .scale = chosen_scale(),
                                        .start = n_copies(&g.arena, n, VALUES, g.start)}, texts);
    double error = k_sum_squared_difference(VALUES, x + (n - 1) * VALUES, g.small) / VALUES;
    if (!o.common.quiet)
        printf("all of it: off by %.4f at 16x16, the root of the mean square of values from 0 to 1\n",
               sqrt(error) / 2);
    given_close(&g);
    return 0;
}
