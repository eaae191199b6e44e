/* test_dalle.c — the stages together: ranking, what a caption says of codes, pictures from codes;
 * and the program. */
#include "dalle.h"
#include "programs.h"
#include "scenes.h"

#include <math.h>

SUITE(dalle);
PROGRAM_SUITE(dalle_program);

enum { SMALL_SIDE = 16, SMALL_VALUES = SMALL_SIDE * SMALL_SIDE * 3, N = 16, K = 11 };

static Dalle small_dalle(void) {
    Dalle d = {.side = SMALL_SIDE, .bpe = bpe_load(NULL)};
    d.params[STAGE_DVAE].seed = d.params[STAGE_PRIOR].seed = 1;
    d.dvae = dvae_new(&d.params[STAGE_DVAE], (DvaeConfig){
        .channels = 3, .groups = 3, .blocks = 1, .width = 4, .init = 6, .codes = K});
    d.prior = prior_new(&d.params[STAGE_PRIOR], (PriorConfig){
        .text = 12, .vocabulary = d.bpe.size, .rows = 4, .columns = 4, .codes = K, .width = 16,
        .depth = 2, .heads = 2, .kernel = 3});
    for (int i = 0; i < d.params[STAGE_PRIOR].count; i++) {  /* so that captions matter */
        Tensor *w = d.params[STAGE_PRIOR].list[i];
        k_axpy(w->len, 8, w->x, w->x, false);
    }
    return d;
}

/* ---- ranking --------------------------------------------------------------------------------- */

/* The picture with the largest cosine first; is it CLIP's of this picture and this caption? */
Test(dalle, pictures_are_ranked_by_their_cosine_with_the_caption) {
    enum { PICTURES = 9, LARGE = 64, LEN = LARGE * LARGE * 3 };
    FrozenClip clip = {.bpe = bpe_load(NULL)};
    clip.params.seed = 3;
    clip.net = clip_new(&clip.params, clip_small(LARGE, clip.bpe.size));
    static real x[PICTURES * LEN];
    real cosines[PICTURES], image[512], text[512];
    int order[PICTURES], D = clip.net.config.dim;
    const char *caption = "a red bag";
    test_values("pictures", 0, 1, PICTURES * LEN, x);
    for (int i = 0; i < PICTURES; i++)
        k_axpy(LEN, (real)(i * 5 % 9) / 9, x + i * LEN, x + i * LEN, false);
    dalle_rank(&clip, caption, PICTURES, x, order, cosines);
    bool there[PICTURES] = {0};
    for (int i = 0; i < PICTURES; i++) {
        there[order[i]] = true;
        if (i) cr_expect(cosines[order[i]] <= cosines[order[i - 1]]);
    }
    for (int i = 0; i < PICTURES; i++) cr_expect(there[i]);
    cr_expect(order[0] != 0 || order[1] != 1, "the order is that of the pictures");
    cr_assert_leq(D, 512);
    frozen_clip_texts(&clip, 1, &caption, text);
    frozen_clip_images(&clip, 1, x + 4 * LEN, image);
    double dot = 0;
    for (int i = 0; i < D; i++) dot += (double)image[i] * (double)text[i];
    cr_assert_float_eq(cosines[4], dot, 1e-4);
    frozen_clip_free(&clip);
}

/* ---- captions and codes ---------------------------------------------------------------------- */

Test(dalle, a_caption_costs_what_the_prior_says) {
    Dalle d = small_dalle();
    const char *captions[3] = {"a red bag", "a blue coat above a red bag", "a green dress"};
    int codes[N], text[12];
    double nats[3], each[N], sum = 0;
    for (int i = 0; i < N; i++) codes[i] = i * 7 % K;
    caption_nats(&d, codes, 3, captions, nats);
    prior_text(&d.bpe, captions[1], NULL, 12, text);
    prior_nats(&d.prior, 1, text, codes, each);
    for (int i = 0; i < N; i++) sum += each[i];
    cr_assert_float_eq(nats[1], sum, 1e-4 * sum);
    cr_expect(fabs(nats[0] - nats[2]) > 1e-4, "the caption does not matter");
    dalle_free(&d);
}

/* The likeliest codes at scale 0 are those of the empty caption, at 1 the caption's own, and at 3
 * others still. */
Test(dalle, guidance_leads_away_from_the_empty_caption) {
    enum { SCALES = 4 };
    Dalle d = small_dalle();
    const double scale[SCALES] = {0, 1, 1, 3};
    const char *caption[SCALES] = {"a red bag", "", "a red bag", "a red bag"};
    static int codes[SCALES][N];
    static real x[SMALL_VALUES];
    Rng rng = rng_new(1, "draws");
    for (int i = 0; i < SCALES; i++)
        dalle_draw(&d, (DalleDraw){.n = 1, .captions = caption + i, .scale = scale[i],
                                   .sampler = {.temperature = 0, .top_p = 1}, .codes = codes[i],
                                   .x = x}, &rng);
    cr_expect_arr_eq(codes[0], codes[1], sizeof codes[0]);
    cr_expect(memcmp(codes[1], codes[2], sizeof codes[1]), "the caption does not matter");
    cr_expect(memcmp(codes[2], codes[3], sizeof codes[2]), "the scale does not matter");
    dalle_free(&d);
}

/* Are the pictures those of the codes that come back, the given ones left as they are? */
Test(dalle, drawn_pictures_are_those_of_their_codes) {
    enum { PICTURES = 3 };
    Dalle d = small_dalle();
    const char *captions[PICTURES] = {"a red bag", "a red bag", "a blue coat"};
    int codes[PICTURES * N];
    static real x[PICTURES * SMALL_VALUES], y[PICTURES * SMALL_VALUES];
    for (int i = 0; i < PICTURES * N; i++) codes[i] = i % 5;
    Rng rng = rng_new(1, "draws");
    dalle_draw(&d, (DalleDraw){.n = PICTURES, .captions = captions, .known = N / 2,
                               .scale = 1, .sampler = {TOKEN_SAMPLER_DEFAULTS},
                               .codes = codes, .x = x}, &rng);
    for (int i = 0; i < PICTURES; i++)
        for (int k = 0; k < N / 2; k++) cr_expect_eq(codes[i * N + k], (i * N + k) % 5);
    cr_expect(memcmp(codes + N / 2, codes + N + N / 2, N / 2 * sizeof *codes),
              "two pictures of a caption are the same");
    dvae_decode(&d.dvae, PICTURES, SMALL_SIDE, codes, y);
    cr_expect_arr_eq(x, y, sizeof x);
    dalle_free(&d);
}

Test(dalle, the_best_of_more_is_at_least_as_good) {
    static const int level[] = {1, 3, 4, 8};
    const real cosines[] = {(real)0.2, (real)-0.5, (real)0.3, (real)0.3, 0, (real)0.9, (real)0.9, 0};
    int best[4];
    best_of_each(4, level, cosines, best);
    cr_expect(best[0] == 0 && best[1] == 2 && best[2] == 2 && best[3] == 5);
    best_of_each(2, level, cosines, best);
    cr_expect(best[1] == 2);
}

/* ---- the program ----------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
#define SMALL_PRIOR "--prior-batch 4 --prior-width 16 --prior-depth 1 --prior-heads 2 "  \
                    "--validation 12 "
#define DVAE "--width 4 --codes 16 --batch 4 -q --data %s --out %s/run "
#define SMALL SMALL_PRIOR DVAE

/* Trained, then what it draws of prompts, of test scenes; official weights are another matter. */
Test(dalle_program, draws_prompts_and_completes_pictures) {
    few_garments(400, 120);
    RUN("dalle", "train --steps 2 --prior-steps 2 --attention paper --quantiser vq " SMALL);
    RUN("dalle", "sample -q --data %s --out %s/run -n 2 --prompt 'a red bag' "
                 "--prompt 'a blue coat'");
    cr_expect(file_there("run/samples.png") && file_there("run/samples.npy"));
    char path[100], text[200] = "";
    snprintf(path, sizeof path, "%s/run/captions.txt", folder);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    cr_expect_str_eq(text, "a red bag\na red bag\na blue coat\na blue coat\n");
    cr_expect(!file_there("run/completions.png"));
    RUN("dalle", "sample -q --data %s --out %s/run -n 1");
    cr_expect(file_there("run/completions.png"));
    RUN("dalle", "sample -q --image %s/run/samples.png --out %s/run --prompt 'a red bag'");
}

/* A prior is trained on the dVAE in a file of both stages as on the stage's own; but that file must
 * not be one that this training sets aside. Captions left out, and guidance, make a difference. */
Test(dalle_program, a_prior_is_trained_on_the_weights_of_both_stages) {
    few_garments(400, 120);
    RUN("dalle", "train --steps 2 --prior-steps 2 --grid 8 --quantiser vq " SMALL);
    expect_refusal("dalle", "train --stage prior --dvae %s/run/weights.safetensors --data %s --out "
                   "%s/run", 1, "copy it");
    static const struct { const char *dvae, *rest, *out; } prior[] = {
        {"weights", "", "one"}, {"dvae-weights", "", "two"}, {"weights", "--p-uncond 1", "three"}};
    for (int i = 0; i < 3; i++) {
        char line[600];
        snprintf(line, sizeof line, "train -q --stage prior --prior-steps 12 --prior-lr 2 %s "
                 "--dvae %s/run/%s.safetensors --data %s --out %s/%s " SMALL_PRIOR, prior[i].rest,
                 folder, prior[i].dvae, folder, folder, prior[i].out);
        RUN("dalle", line);
    }
    static const struct { const char *from, *scale, *out; } drawn[] = {
        {"one", "1", "a"}, {"two", "1", "b"}, {"three", "1", "c"}, {"one", "100", "d"}};
    for (int i = 0; i < 4; i++) {
        char line[600];
        snprintf(line, sizeof line, "sample -q -n 1 -p 'a red bag' --scale %s --weights "
                 "%s/%s/weights.safetensors --out %s/%s", drawn[i].scale, folder, drawn[i].from,
                 folder, drawn[i].out);
        RUN("dalle", line);
    }
    cr_expect(same_file("a/samples.npy", "b/samples.npy"), "another dVAE");
    cr_expect(!same_file("a/samples.npy", "c/samples.npy"), "captions are not left out");
    cr_expect(!same_file("a/samples.npy", "d/samples.npy"), "the scale does not matter");
}

/* The best of 1 and of 8 are scored; what codes cost place by place adds up to what they cost. */
Test(dalle_program, eval_scores_the_best_of_more_and_each_place) {
    few_garments(400, 120);
    RUN("dalle", "train --steps 2 --prior-steps 2 --grid 8 " SMALL);
    RUN("dalle", "eval -q --captions 150 --best-of 8 --data %s --out %s/run");
    char path[200];
    snprintf(path, sizeof path, "%s/run/metrics.json", folder);
    char *text = text_of(path);
    const char *one = strstr(text, "\"best_of\":\t1,"), *eight = strstr(text, "\"best_of\":\t8,");
    cr_expect(one && eight && one < eight && !strstr(eight + 1, "\"best_of\""), "%s", text);
    free(text);
    snprintf(path, sizeof path, "%s/run/positions.csv", folder);
    FILE *f = fopen(path, "r");
    cr_assert(f && fscanf(f, "row,column,nats") == 0);
    double sum = 0, nats = number_in("run/metrics.json", "nats_test");
    int row, column, places = 0;
    for (double place; fscanf(f, "%d,%d,%lf", &row, &column, &place) == 3; places++) sum += place;
    fclose(f);
    cr_expect(places == 64 && row == 7 && column == 7);
    cr_expect_float_eq(sum, nats, 1e-3 * nats);
}

/* The decoder's last steps see hard codes alone, at no temperature; a run that goes on with more steps
 * does not train the encoder again. A random encoder is not kept. */
Test(dalle_program, the_decoder_ends_on_hard_codes) {
    few_garments(400, 120);
    RUN("dalle", "train --stage dvae --grid 8 --hard 0.5 --steps 20 --validation 12 " DVAE);
    RUN("dalle", "train --stage dvae --grid 8 --hard 0.5 --steps 40 --validation 12 --resume " DVAE);
    char path[200];
    snprintf(path, sizeof path, "%s/run/dvae-log.csv", folder);
    char *log = text_of(path), *rest = log, *line;
    enum { TAU = 7 };
    for (int row = 0; (line = strsep(&rest, "\n")) && *line; row++) {
        const char *field = "";
        for (int k = 0; k <= TAU; k++) field = strsep(&line, ",");
        if (row == 0) cr_assert_str_eq(field, "tau");
        else cr_expect_eq(*field != 0, row == 1, "row %d: %s", row, field);
        cr_expect_leq(row, 4);
    }
    free(log);
    expect_refusal("dalle", "train --stage dvae --hard 1 --data %s --out %s/other", 2, "--hard 1");
}

/* Half of the pairs are emoji, in both stages: the sheets are theirs, and CLIP names drawn ones. */
Test(dalle_program, emoji_are_trained_on_drawn_and_named) {
    few_garments(400, 120);
    RUN("dalle", "train --steps 2 --prior-steps 2 --grid 8 --emoji 0.5 " SMALL);
    RUN("dalle", "eval -q --captions 150 --emoji-samples 2 --data %s --out %s/run");
    char path[200];
    snprintf(path, sizeof path, "%s/run/metrics.json", folder);
    char *text = text_of(path);
    cr_expect(strstr(text, "\"emoji\"") && strstr(text, "\"held_out\"") &&
              strstr(text, "\"clip_sha256\""), "%s", text);
    free(text);
    snprintf(path, sizeof path, "%s/run/dvae-run.json", folder);
    text = text_of(path);
    cr_expect(strstr(text, "\"emoji\":\t0.5") != NULL, "%s", text);
    free(text);
}

/* A batch becomes what both stages train on: [0,1], each picture beside its caption. */
Test(dalle_program, a_batch_holds_scenes_and_emoji_with_their_captions) {
    few_garments(400, 120);
    enum { PAIRS = 5, EMOJI = 2 };
    CaptionedData data;
    Tape tape = {.no_grad = true}, again = {.no_grad = true};
    captioned_data_open(&data, folder, SIDE);
    CaptionedBatch plain = validation_batch(&data, &tape, PAIRS, EMOJI);
    CaptionedBatch given = validation_batch(&data, &again, PAIRS, EMOJI);
    Scenes s = scenes_of_batch(&given);
    cr_assert_eq(s.n, PAIRS);
    real low = 1, high = 0;
    for (size_t k = 0; k < PAIRS * VALUES; k++) {
        cr_assert_float_eq(s.x[k], plain.images->x[k] / 2 + (real)0.5, 1e-6);
        if (s.x[k] < low) low = s.x[k];
        if (s.x[k] > high) high = s.x[k];
    }
    cr_expect(low >= 0 && low < 0.3 && high > 0.9 && high <= 1);
    for (int i = 0; i < PAIRS; i++) cr_expect_str_eq(s.captions[i], plain.captions[i]);
    tape_free(&tape), tape_free(&again), captioned_data_free(&data);
}

Test(dalle_program, what_does_not_fit_together_is_refused) {
    few_garments(400, 120);
    expect_refusal("dalle", "sample --best-of 2 -n 4 --out %s/run", 2, "--best-of 2");
    expect_refusal("dalle", "eval --best-of 16 --out %s/run", 2, "--best-of 16");
    expect_refusal("dalle", "sample --image x.png --out %s/run", 2, "--prompt");
    expect_refusal("dalle", "sample --config dalle-12b --out %s/run", 2, "dalle-12b");
    expect_refusal("dalle", "sample --config openai --out %s/run", 2, "--weights");
    expect_refusal("dalle", "train --config mindalle --out %s/run", 2, "mindalle");
    expect_refusal("dalle", "train --prior-width 10 --prior-heads 3 --out %s/run", 2, "3 heads");
    expect_refusal("dalle", "train --dvae x --out %s/run", 2, "--dvae");
    expect_refusal("dalle", "train --prior snail --prior-depth 3 --out %s/run", 2, "--prior gpt");
    expect_refusal("dalle", "train --quantiser vq --tau 0.5 --out %s/run", 2, "gumbel");
    expect_refusal("dalle", "sample --clip x --out %s/run", 2, "is for --best-of");
    expect_refusal("dalle", "eval --clip x --out %s/run", 2, "--emoji-samples");
    expect_refusal("dalle", "train --stage prior --steps 3 --out %s/run", 2, "is for --stage dvae");
    expect_refusal("dalle", "sample --config openai -n 2 --weights x --image y --out %s/run", 2,
                   "--config default");
    expect_refusal("dalle", "train --stage prior --data %s --out %s/run", 1, "dvae-weights");
}
#endif
