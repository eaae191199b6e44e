#include "train/captioned_source.h"

#include "base/error.h"

void captioned_source_open(CaptionedSource *s, Run *run, int batch, double emoji, int side) {
    const CommonOptions *o = run_options(run);
    int B = run_part(run, batch);
    *s = (CaptionedSource){.batch = B, .emoji = (int)(emoji * B), .seed = o->seed};
    if (emoji > 0 && !s->emoji)
        usage_error("--emoji %g: of %d images less than one; a larger batch, or a smaller --micro",
                    emoji, B);
    captioned_data_open(&s->data, o->data, side);
    run_fashion(run, &s->data.fashion);
    run_data(run, "emoji", s->data.emoji.source);
    s->order = run_order(run, s->data.emoji.train.count, s->emoji ? s->emoji : 1);
    s->moved = run_rng(run, "emoji");
}

void captioned_source_free(CaptionedSource *s) {
    captioned_data_free(&s->data);
}

void captioned_source_alike(CaptionedSource *s, Run *run, double share) {
    s->alike = share;
    s->kinds = run_rng(run, "kinds");
}

/* of the next batch's scenes; {0}: any. Two garments need 64 pixels. */
static SceneKind draw_kind(const CaptionedSource *s) {
    real u[2];
    if (!s->kinds) return (SceneKind){0};
    rng_uniform(s->kinds, 2, u);
    int first = (int)rng_below(s->kinds, WARDROBE_COLOURS);
    int other = (first + 1 + (int)rng_below(s->kinds, WARDROBE_COLOURS - 1)) % WARDROBE_COLOURS;
    SceneKind alike = {.count = s->data.side < 64 || (double)u[1] < 0.5 ? 1 : 2,
                       .colours = 1u << first | 1u << other};
    while (alike.count == 2 && __builtin_popcount(alike.classes) < 4)
        alike.classes |= 1u << rng_below(s->kinds, WARDROBE_CLASSES);
    return (double)u[0] < s->alike ? alike : (SceneKind){0};
}

/* Each micro-batch has a range of scenes of its own, large enough to find a kind in it. */
CaptionedBatch captioned_source_next(const CaptionedSource *s, Run *run) {
    enum { SEARCHED = 1024 };
    uint64_t range = (uint64_t)(s->batch - s->emoji) * (s->kinds ? SEARCHED : 1);
    loader_next(s->order);
    return training_batch(&s->data, &run->tape, (BatchPlan){
        .n = s->batch, .emoji = s->emoji, .kind = draw_kind(s), .seed = s->seed,
        .first = (uint64_t)run->micro_batch * range, .number = s->order->index, .rng = s->moved});
}
