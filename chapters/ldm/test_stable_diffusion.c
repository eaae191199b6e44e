/* test_stable_diffusion.c — released checkpoints: half precision, names, prompts, strength. */
#include "io/half.h"
#include "official_file.h"
#include "stable_diffusion.h"
#include "tensor/half.h"
#include "tiny_models.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

SUITE(stable_diffusion);

/* ---- weights in half precision --------------------------------------------------------------- */

static char *temporary(char text[static 60]) {
    snprintf(text, 60, "%s/weights.safetensors", temporary_folder());
    return text;
}

/* One network's weights written under the official names, read into full and into half precision:
 * the second is the first with weights rounded. */
Test(stable_diffusion, weights_in_half_precision_are_the_rounded_ones) {
    char path[60];
    Params full = {.seed = 1}, half = {.shapes_only = true};
    Tape t = {.no_grad = true};
    UNetOfficial design = {.config = tiny_unet};
    OfficialMap map = ldm_unet_official(&design);
    LdmUNet a = ldm_unet_new(&full, tiny_unet), b = ldm_unet_new(&half, tiny_unet);
    params_keep_half(&half);
    move_params(&full, 0.2);
    write_official(temporary(path), &map, &full);
    official_load(path, "", &map, &half);
    int kept = 0;
    for (int i = 0; i < full.count; i++) {
        const Tensor *w = full.list[i], *h = half.list[i];
        const uint16_t *halves = halves_of(h);
        kept += halves != NULL;
        for (size_t k = 0; k < w->len; k++) {
            float rounded = half_to_float(half_from_float((float)w->x[k]));
            if (halves) w->x[k] = rounded;
            cr_expect(halves ? half_to_float(halves[k]) == rounded : h->x[k] == w->x[k]);
        }
    }
    cr_expect(kept > 20, "%d", kept);
    Tensor *x = tiny_eps(&a, &t, 7, 2), *y = tiny_eps(&b, &t, 7, 2);
    cr_expect(k_sum_squared_difference(x->len, x->x, y->x) == 0);
    unlink(path);
    params_free(&full), params_free(&half), tape_free(&t);
}

/* averages have names without dots, and are read where they are */
Test(stable_diffusion, averaged_weights_have_no_dots) {
    char path[60];
    Params p = {.seed = 1}, q = {.seed = 2};
    linear_new(scope(&p, "a.0"), 2, 3, true), linear_new(scope(&q, "a.0"), 2, 3, true);
    float w[6] = {1, 2, 3, 4, 5, 6}, b[3] = {7, 8, 9};
    StOutput out[] = {{"ema.modela0weight", ST_F32, 2, {3, 2}, w, NULL},
                      {"ema.modela0bias", ST_F32, 1, {3}, b, NULL},
                      {"ema.modelloss1", ST_F32, 1, {3}, b, NULL},
                      {"ema.modelloss2", ST_F32, 1, {3}, b, NULL}};
    static const char *const ignored[] = {"loss*", NULL};
    OfficialMap map = {.without_dots = true, .ignored = ignored};
    safetensors_write(temporary(path), out, 4, NULL);
    official_load(path, "ema.model", &map, &q);
    cr_expect_eq(q.list[0]->x[1], 3);            /* (in 0, out 1): the file's (1,0) */
    cr_expect_eq(q.list[1]->x[2], 9);
    unlink(path);
    params_free(&p), params_free(&q);
}

static void drop_dots(char *name) {
    char *to = name;
    for (; *name; name++)
        if (*name != '.') *to++ = *name;
    *to = 0;
}

/* A file with both: averages are what is read, unless --raw asks for the weights as trained. */
Test(stable_diffusion, averages_are_read_unless_raw_weights_are_wanted) {
    char path[60];
    Params trained = {.seed = 1}, averaged = {.seed = 2};
    UNetOfficial design = {.config = tiny_unet};
    OfficialMap map = ldm_unet_official(&design);
    ldm_unet_new(&trained, tiny_unet), ldm_unet_new(&averaged, tiny_unet);
    move_params(&trained, 0.2), move_params(&averaged, 0.3);
    StOutput *out = calloc((size_t)trained.count * 2 * OFFICIAL_TENSORS, sizeof *out);
    int n = 0;
    for (int i = 0; i < 2 * trained.count; i++) {
        OfficialTensor tensors[OFFICIAL_TENSORS];
        bool ema = i >= trained.count;
        Tensor *w = ema ? averaged.list[i - trained.count] : trained.list[i];
        int k = official_tensors(&map, w, tensors);
        for (int j = 0; j < k; j++) {
            StOutput one = official_output(&tensors[j]);
            if (ema) drop_dots((char *)(uintptr_t)one.name);
            const char *name = one.name;
            one.name = text_format("%s%s", ema ? "model_ema.diffusion_model"
                                               : "model.diffusion_model.", name);
            free((void *)(uintptr_t)name);
            out[n++] = one;
        }
    }
    safetensors_write(temporary(path), out, n, NULL);
    for (int raw = 0; raw < 2; raw++) {
        Params p = {0};
        const Params *want = raw ? &trained : &averaged;
        sd_load_unet(&(SdCheckpoint){.path = path, .full = true, .raw = raw}, tiny_unet, &p);
        for (int i = 0; i < p.count; i++)
            cr_expect(!memcmp(p.list[i]->x, want->list[i]->x, p.list[i]->len * sizeof(real)), "%s",
                      p.list[i]->name);
        params_free(&p);
    }
    for (int i = 0; i < n; i++)
        free((void *)(uintptr_t)out[i].source), free((void *)(uintptr_t)out[i].name);
    free(out), unlink(path), params_free(&trained), params_free(&averaged);
}

/* ---- Stable Diffusion ------------------------------------------------------------------------ */

/* Three networks in one file, each read back under its own prefix: weights written at random, no
 * name missing and none left over */
Test(stable_diffusion, a_random_checkpoint_can_be_read) {
    char path[60];
    SdModel tiny = {.text = {.context = 7, .vocabulary = 20, .width = 8, .depth = 2, .heads = 2},
                    .latents.unet = tiny_unet, .first_stage = tiny_kl};
    Params p = {0}, first = {0}, decoder = {0};
    sd_write_random(temporary(path), &tiny, 3);
    SdCheckpoint c = {.path = path};
    LdmUNet m = sd_load_unet(&c, tiny_unet, &p);
    FirstStage f = sd_load_first_stage(&c, tiny_kl, true, &first);
    sd_load_first_stage(&c, tiny_kl, false, &decoder);
    cr_expect(halves_of(m.unet.in.w) && halves_of(f.encoder.in.w) && m.unet.in.b->x);
    cr_expect(decoder.count < first.count);
    Tape t = {.no_grad = true};
    Tensor *eps = tiny_eps(&m, &t, 7, 1);
    cr_expect(k_all_finite(eps->len, eps->x) && k_sum_squares(eps->len, eps->x) > 0);
    Params again = {0};
    LdmUNet full = sd_load_unet(&(SdCheckpoint){.path = path, .full = true}, tiny_unet, &again);
    Tensor *same = tiny_eps(&full, &t, 7, 1);
    cr_expect(k_sum_squared_difference(eps->len, eps->x, same->x) == 0, "halves in the file");
    unlink(path);
    params_free(&p), params_free(&first), params_free(&decoder), params_free(&again);
    tape_free(&t);
}

Test(stable_diffusion, strength_says_how_many_steps_are_drawn) {
    cr_expect_eq(steps_of_strength(50, 0.75), 37);
    cr_expect_eq(steps_of_strength(50, 1), 50);
    cr_expect_eq(steps_of_strength(50, 0), 1);
    cr_expect_eq(steps_of_strength(3, 0.5), 1);
}

/* A picture to start from has the noise of the step that is drawn first, not of the next */
Test(stable_diffusion, a_picture_is_noised_to_the_step_where_drawing_begins) {
    NoiseSchedule all = schedule_sqrt_linear(1000, 0.00085, 0.012);
    NoiseSchedule s = schedule_respaced_to(&all, "ldm", 50);
    const real z0[3] = {1, -2, 0.5}, noise[3] = {0.25, -1, 3};
    for (int whole = 0; whole < 2; whole++) {
        real z[3] = {noise[0], noise[1], noise[2]};
        int t = start_from_latent(&s, whole ? 1 : 0.75, 3, z0, z);
        cr_expect_eq(t, whole ? 49 : 36);
        double left = s.alpha_bar[t];
        for (int i = 0; i < 3; i++)
            cr_expect_float_eq(z[i], sqrt(left) * z0[i] + sqrt(1 - left) * noise[i], 1e-6);
    }
    schedule_free(&s), schedule_free(&all);
}

/* Each latent's is the first pixel of its f x f; white is redrawn. */
Test(stable_diffusion, the_hole_of_latents_is_where_the_mask_is_white) {
    enum { F = 4, H = 2, W = 3 };
    real mask[F * H * F * W * 3], hole[H * W];
    for (int y = 0; y < F * H; y++)
        for (int x = 0; x < F * W; x++)
            for (int c = 0; c < 3; c++)      /* white: the lower right, one pixel of others */
                mask[(y * F * W + x) * 3 + c] = (y >= F && x >= F) || (y == 1 && x == 1) ? 1 : -1;
    hole_of_latents(H, W, F, mask, hole);
    const real want[H * W] = {0, 0, 0, 0, 1, 1};
    for (int i = 0; i < H * W; i++) cr_expect_eq(hole[i], want[i], "%d", i);
}

/* runwayml's nine channels: z, the hole, the masked picture's latent */
Test(stable_diffusion, the_hole_stands_before_the_latent_of_what_is_left) {
    enum { PIXELS = 2, E = 3 };
    const real hole[PIXELS] = {1, 0}, latent[PIXELS * E] = {2, 3, 4, 5, 6, 7};
    const real z[PIXELS * E] = {-1, -2, -3, -4, -5, -6};
    const real nine[PIXELS * (2 * E + 1)] = {-1, -2, -3, 1, 2, 3, 4, -4, -5, -6, 0, 5, 6, 7};
    real beside[PIXELS * (E + 1)];
    hole_and_latent(PIXELS, E, hole, latent, beside);
    Tape t = {.no_grad = true};
    Tensor *x = t_concat(t_input(&t, z, SHAPE(1, 1, PIXELS, E)),
                         t_input(&t, beside, SHAPE(1, 1, PIXELS, E + 1)), 3);
    for (int i = 0; i < PIXELS * (2 * E + 1); i++) cr_expect_eq(x->x[i], nine[i]);
    tape_free(&t);
}
