/* prompts.c — the program's `sample` for texts: prompts, inpainting, editing. */
#include "base/error.h"
#include "data/picture_decode.h"
#include "diffusion/drawing.h"
#include "draw_text.h"
#include "settings.h"
#include "train/captions.h"
#include "train/draw_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a user's pictures ----------------------------------------------------------------------- */

/* the file n times over, (n,side,side,3) in [-1,1] */
static real *picture_from(Arena *arena, const char *path, int n, int side) {
    size_t len = (size_t)(side * side * 3);
    real *x = arena_get(arena, len * sizeof *x);
    picture_read(path, side, -1, 1, x);
    return n_copies(arena, n, len, x);
}

/* white is 1, known; what is not white enough is not */
static real *mask_from(Arena *arena, const char *path, int n, int side) {
    const real *x = picture_from(arena, path, n, side);
    size_t pixels = (size_t)(n * side * side), known = 0;
    real *mask = arena_get(arena, pixels * sizeof *mask);
    for (size_t i = 0; i < pixels; i++) {
        mask[i] = x[3 * i] + x[3 * i + 1] + x[3 * i + 2] > 0;
        known += mask[i] > 0;
    }
    if (known == pixels) fail("%s: all of it is white, so nothing is to be drawn", path);
    return mask;
}

/* ---- from prompts to pictures ---------------------------------------------------------------- */

static void check_options(void) {
    if (!o.inpaint != !o.image)
        usage_error("--inpaint and --image belong together: a mask, and the picture it is for");
    if (o.edit && o.inpaint) usage_error("--edit and --inpaint: one of them");
    if (cli_given(&cli, "strength") && !o.edit) usage_error("--strength is for --edit");
    if (strstr(o.common.config, "upsample"))
        usage_error("--config %s: enlarges what --config glide-base draws: that, with --upsampler "
                    "FILE", o.common.config);
    if (strstr(o.common.config, "inpaint") && !o.inpaint)
        usage_error("--config %s: needs --inpaint and --image", o.common.config);
}

static int edited_steps(const TextModels *m) {
    NoiseSchedule s = base_steps(m);
    int steps = steps_of_strength(s.T, o.strength);
    schedule_free(&s);
    return steps;
}

/* The pictures' sizes at the end and, half as large, where the base draws */
typedef struct {
    int n, side, small;
    const real *given, *mask;                    /* (n,side,...) or NULL */
    real *low;                                   /* (n,small,small,3): what the base draws */
} Sheet;

static void draw_small(const TextModels *m, Arena *arena, Sheet *s, const char **captions) {
    int n = s->n;
    s->low = arena_get(arena, (size_t)(n * s->small * s->small * 3) * sizeof *s->low);
    BaseDrawing d = {.n = n, .captions = captions, .mask = s->mask,
                     .scale = chosen_scale(), .quiet = o.common.quiet};
    const real *given = s->given ? shrink(arena, n, s->side, s->small, s->given) : NULL;
    if (s->mask) d.known = given;
    for (int side = s->side; d.mask && side > s->small; side /= 2)
        d.mask = halve_mask(arena, n, side, d.mask);
    if (o.edit) {
        memcpy(s->low, given, (size_t)(n * s->small * s->small * 3) * sizeof *given);
        d.last_steps = edited_steps(m);
    }
    draw_base(m, d, s->low);
}

/* given.png: the picture, and what the mask keeps of it, on grey */
static void save_given(Arena *arena, const Sheet *s) {
    const char *const under[] = {"given", "kept"};
    int pixels = s->side * s->side;
    real *x = arena_get(arena, (size_t)(6 * pixels) * sizeof *x);
    memcpy(x, s->given, (size_t)(3 * pixels) * sizeof *x);
    for (int i = 0; s->mask && i < 3 * pixels; i++) x[3 * pixels + i] = x[i] * s->mask[i / 3];
    int n = s->mask ? 2 : 1;
    save_grid(&cli, output_path(&cli, "given.png"), x, colour_grid(n, s->side, n, under));
}

static Grid grid_of_captions(int n, int side, const char **captions) {
    return colour_grid(n, side, n < 8 ? n : 8, captions);
}

static void enlarge(const TextModels *m, Arena *arena, const Sheet *s, const char **captions) {
    TextTable text = captions_table(arena, &m->upsampler, &m->bpe, s->n, captions);
    TextSampler up;
    upsampler_open(m, &up, &text, s->low, s->mask ? s->given : NULL, s->mask);
    draw_samples(&cli, &up.sampler, s->n, grid_of_captions(s->n, s->side, captions));
    text_sampler_close(&up);
}

int text_sample(void) {
    TextModels m;
    Arena arena = {0};
    check_options();
    chosen_scale();
    text_models_load(&m, o.inpaint != NULL);
    say_tokens(&cli, &m.bpe, &o.prompt, m.base.config.text.length, m.base.config.clip ? 2 : 0);
    int n = o.pictures;
    const char **captions = prompted_captions(&arena, &o.prompt, n);
    Sheet s = {.n = n, .side = text_models_side(&m), .small = m.base.config.side};
    if (o.inpaint) {
        pictures_of_one_shape(o.image, o.inpaint);
        s.mask = mask_from(&arena, o.inpaint, n, s.side);
    }
    if (o.image || o.edit) s.given = picture_from(&arena, o.image ? o.image : o.edit, n, s.side);
    remove_output(&cli, "given.png"), remove_output(&cli, "base.png");
    if (s.given) save_given(&arena, &s);
    draw_small(&m, &arena, &s, captions);
    Grid g = grid_of_captions(n, s.small, captions);
    if (m.enlarges) {
        save_grid(&cli, output_path(&cli, "base.png"), s.low, g);
        enlarge(&m, &arena, &s, captions);
    } else samples_open(&cli), samples_save(&cli, s.low, g);
    captions_save(&cli, n, captions);
    say_scale();
    arena_free(&arena);
    text_models_free(&m);
    return 0;
}
