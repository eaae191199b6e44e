/* cfg.c — a picture of a prompt, a step at a time: the base's 32x32, then the upsampler's 64x64, as
 * `build/cfg sample` draws them. what 0: begins, with the seed try_in[0], in try_in[1] steps of the
 * base, at the guidance scale try_in[2], for the prompt whose bytes follow, after them a 0; 1: one
 * step. try_out: x_t, then the x_0 that the network sees in it, both in [-1,1], then how many steps
 * of both networks are left. what 2: how many tokens the prompt in try_in has, and how many the
 * base reads. */
#include "../../../../chapters/cfg/text_sampler.h"
#include "base/error.h"
#include "try.h"

#include <stdio.h>
#include <string.h>

enum { BASE, UPSAMPLER, STAGES, SMALL = 32 * 32 * 3 };

const char *const try_files[] = {"cfg/weights.safetensors", "cfg/upsampler-weights.safetensors",
                                 "clip/weights.safetensors", NULL};

/* notebooks-data/tokenizer/captions.bpe as one string */
static const char merges[] =
#include "captions.inc"
;

static Bpe bpe;
static Clip clip;
static Glide net[STAGES];
static Arena arena;
static TextTable text[STAGES];
static TextSampler way[STAGES];
static real low[SMALL];
static int left;

void EXPORT(try_start)(void);
int  EXPORT(try_draw)(int what);

void try_start(void) {
    char message[BPE_MESSAGE];
    if (!bpe_parse(&bpe, BPE_CLIP, merges, sizeof merges - 1, message)) die("%s", message);
    clip = clip_new(&try_params[STAGES], clip_small(64, bpe.size));
    GlideConfig c = glide_config("base", bpe.size);
    glide_read_by_clip(&c, &clip.text);
    net[BASE] = glide_new(&try_params[BASE], c);
    net[UPSAMPLER] = glide_new(&try_params[UPSAMPLER], glide_config("upsampler", bpe.size));
}

static void open_way(int stage, const char *steps, TextDrawing how) {
    NoiseSchedule all = glide_schedule(&net[stage].config);
    how.text = &text[stage];
    how.chain = schedule_respaced(&all, steps);
    schedule_free(&all);
    text_sampler_close(&way[stage]);
    text_sampler_open(&way[stage], &net[stage], how);
}

static void begin(uint64_t seed, int steps, double scale, const char *prompt) {
    char sections[16];
    snprintf(sections, sizeof sections, "%d", steps);
    arena_reset(&arena);
    for (int k = 0; k < STAGES; k++)
        text[k] = captions_table(&arena, &net[k], &bpe, 1, &prompt);
    open_way(BASE, sections, (TextDrawing){.scale = scale, .seed = seed});
    open_way(UPSAMPLER, "fast27", (TextDrawing){.scale = 1, .method = DDIM, .low = low,
                                                  .seed = seed + 1});
    way[UPSAMPLER].sampler.start_temperature = 0.997;
    start_noise(&way[BASE].sampler, 0, 1, try_out);
    memset(try_out + SMALL, 0, sizeof low);
    left = way[BASE].chain.T + way[UPSAMPLER].chain.T;
}

/* the base's picture as bytes have it is what the upsampler sees */
static void turn_to_upsampler(void) {
    memcpy(low, try_out, sizeof low);
    as_bytes(SMALL, low);
    start_noise(&way[UPSAMPLER].sampler, 0, 1, try_out);
}

static void step(void) {
    int after = way[UPSAMPLER].chain.T;
    if (left == after) turn_to_upsampler();
    bool small = left > after;
    Sampler *s = &way[small ? BASE : UPSAMPLER].sampler;
    left--;
    Prediction p = sample_step(s, small ? left - after : left, 0, 1, try_out);
    memcpy(try_out + p.n, p.x0, p.n * sizeof *try_out);
}

static int count_tokens(const char *prompt) {
    enum { START_AND_END = 2 };
    try_out[0] = (real)(bpe_encode(&bpe, prompt, strlen(prompt), NULL, NULL, 0) + START_AND_END);
    try_out[1] = (real)net[BASE].config.text.length;
    return 2;
}

int try_draw(int what) {
    static char prompt[TRY_NUMBERS];
    int length = 0;
    while (try_in[3 + length] != 0) prompt[length] = (char)(int)try_in[3 + length], length++;
    prompt[length] = 0;
    if (what == 2) return count_tokens(prompt);
    if (what == 0) begin((uint64_t)try_in[0], (int)try_in[1], (double)try_in[2], prompt);
    else if (left) step();
    int n = 2 * (int)sampler_size(&way[left < way[UPSAMPLER].chain.T ? UPSAMPLER : BASE].sampler);
    try_out[n] = (real)left;
    return n + 1;
}
