#include "eval/frozen_clip.h"

#include "base/error.h"
#include "base/file.h"
#include "base/processes.h"
#include "data/sha256.h"
#include "nn/entry.h"
#include "nn/official.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading --------------------------------------------------------------------------------- */

/* of the images that the weights were trained on: their option --side */
static int side_of(const char *path) {
    Safetensors s = safetensors_open(path);
    const char *text = safetensors_metadata(&s, "option.side");
    int side = text ? atoi(text) : 0;
    if (side != 32 && side != 64)
        fail("%s: does not say for which images it was trained; were these weights made by "
             "build/clip train?", path);
    safetensors_close(&s);
    return side;
}

static void freeze(FrozenClip *f, const char *path) {
    file_sha256(path, f->sha256);
    params_freeze(&f->params, true);
}

FrozenClip frozen_clip_load(const char *path) {
    char *own = path ? NULL : own_file(CLIP_WEIGHTS);
    if (!path) path = own;
    FrozenClip f = {.bpe = bpe_load(NULL)};
    f.net = clip_new(&f.params, clip_small(side_of(path), f.bpe.size));
    Entries e = {0};
    entries_add(&e, "", &f.params);
    weights_read(path, "clip", &e);
    freeze(&f, path);
    free(own);
    return f;
}

FrozenClip frozen_clip_for(const char *path, int side) {
    FrozenClip f = frozen_clip_load(path);
    int own = f.net.config.image.side;
    if (own != side)
        fail("%s: reads images of %dx%d, and here they have %dx%d", path ? path : "CLIP", own, own,
             side, side);
    return f;
}

FrozenClip frozen_clip_official(const char *config, const char *path, const char *merges) {
    FrozenClip f = {.bpe = bpe_load(merges)};
    ClipConfig c = clip_official(config);
    if (f.bpe.size != c.text.vocabulary)
        fail("%s: makes %d different tokens, %s has %d; is it bpe_simple_vocab_16e6.txt?", merges,
             f.bpe.size, config, c.text.vocabulary);
    f.net = clip_new(&f.params, c);
    official_load(path, "", &clip_openai, &f.params);
    freeze(&f, path);
    return f;
}

void frozen_clip_free(FrozenClip *f) {
    params_free(&f->params);
    bpe_free(&f->bpe);
}

/* ---- features -------------------------------------------------------------------------------- */

enum { AT_ONCE = 64 };

/* images in [0,1] as the network was trained on them */
static Tensor *standardise(const ClipConfig *c, Tensor *x) {
    for (size_t i = 0; i < x->len; i++)
        x->x[i] = (real)(((double)x->x[i] - c->mean[i % 3]) / c->std[i % 3]);
    return x;
}

void frozen_clip_images(const FrozenClip *f, int n, const real *x, real *features) {
    const ClipConfig *c = &f->net.config;
    int side = c->image.side;
    size_t size = (size_t)side * (size_t)side * 3, D = (size_t)c->dim;
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        if (!processes_own(i / AT_ONCE)) continue;
        tape_reset(&t);
        Tensor *images = t_input(&t, x + (size_t)i * size, SHAPE(B, side, side, 3));
        Tensor *y = clip_normalise(clip_image(&f->net.image, standardise(c, images), NULL));
        memcpy(features + (size_t)i * D, y->x, y->len * sizeof(real));
    }
    processes_collect(features, (size_t)n * D * sizeof(real), AT_ONCE * D * sizeof(real));
    tape_free(&t);
}

void frozen_clip_texts(const FrozenClip *f, int n, const char *const *texts, real *features) {
    const ClipConfig *c = &f->net.config;
    int N = c->text.context;
    size_t D = (size_t)c->dim;
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        tape_reset(&t);
        int *tokens = arena_get(&t.arena, (size_t)(B * N) * sizeof *tokens);
        for (int b = 0; b < B; b++) bpe_tokenize(&f->bpe, texts[i + b], NULL, N, tokens + b * N);
        Tensor *y = clip_normalise(clip_text(&f->net.text, &t, tokens, B, N));
        memcpy(features + (size_t)i * D, y->x, y->len * sizeof(real));
    }
    tape_free(&t);
}

void frozen_clip_cosines(const FrozenClip *f, int n, const real *images, int m, const real *texts,
                         real *cosines) {
    int D = f->net.config.dim;
    gemm(&(GemmShape){.tb = true, .m = n, .n = m, .k = D}, images, texts, NULL, cosines, false);
}

double frozen_clip_scale(const FrozenClip *f) {
    return exp((double)f->net.logit_scale->x[0]);
}
