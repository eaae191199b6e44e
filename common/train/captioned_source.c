#include "train/captioned_source.h"

void captioned_source_open(CaptionedSource *s, Run *run, int batch, double emoji, int side) {
    const CommonOptions *o = run_options(run);
    int B = run_part(run, batch);
    *s = (CaptionedSource){.batch = B, .emoji = (int)(emoji * B), .seed = o->seed,
                           .searched = 1};
    captioned_data_open(&s->data, o->data, side);
    run_fashion(run, &s->data.fashion);
    run_data(run, "emoji", s->data.emoji.source);
    s->order = run_order(run, s->data.emoji.train.count, s->emoji ? s->emoji : 1);
    s->moved = run_rng(run, "emoji");
}

void captioned_source_free(CaptionedSource *s) {
    captioned_data_free(&s->data);
}

/* Each micro-batch has a range of scenes of its own. */
CaptionedBatch captioned_source_next(const CaptionedSource *s, Run *run, SceneKind kind) {
    uint64_t range = (uint64_t)(s->batch - s->emoji) * s->searched;
    loader_next(s->order);
    return training_batch(&s->data, &run->tape, (BatchPlan){
        .n = s->batch, .emoji = s->emoji, .kind = kind, .seed = s->seed,
        .first = (uint64_t)run->micro_batch * range, .number = s->order->index, .rng = s->moved});
}

SceneKind alike_scenes(Rng *rng, double share) {
    real u[2];
    rng_uniform(rng, 2, u);
    int first = (int)rng_below(rng, WARDROBE_COLOURS);
    int other = (first + 1 + (int)rng_below(rng, WARDROBE_COLOURS - 1)) % WARDROBE_COLOURS;
    SceneKind alike = {.count = (double)u[1] < 0.5 ? 1 : 2, .colours = 1u << first | 1u << other};
    while (alike.count == 2 && __builtin_popcount(alike.classes) < 4)
        alike.classes |= 1u << rng_below(rng, WARDROBE_CLASSES);
    return (double)u[0] < share ? alike : (SceneKind){0};
}
