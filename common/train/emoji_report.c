#include "train/emoji_report.h"

#include <stdio.h>

enum { SIDE = 64 };

void emoji_evaluator_open(EmojiEvaluator *e, const FrozenClip *clip, int n) {
    *e = (EmojiEvaluator){.emoji = emoji_load(SIDE, NULL), .report = json_object()};
    e->namer = emoji_namer(&e->arena, clip, &e->emoji);
    for (int part = 0; part < EMOJI_PARTS; part++) {
        const Captioned *c = &e->emoji;
        const Images *of = part == EMOJI_SEEN ? &c->train : &c->held_out;
        int first = part == EMOJI_SEEN ? 0 : c->all.count - of->count;
        int some = n < of->count ? n : of->count;
        int *number = arena_get(&e->arena, (size_t)some * sizeof *number);
        const char **captions = arena_get(&e->arena, (size_t)some * sizeof *captions);
        for (int i = 0; i < some; i++) {
            number[i] = first + (int)((int64_t)i * of->count / some);
            captions[i] = c->all.captions[number[i]];
        }
        e->scored[part].n = some, e->scored[part].number = number;
        e->scored[part].captions = captions;
    }
}

void report_emoji(const Cli *cli, const EmojiEvaluator *e, int part, const real *x) {
    int n = e->scored[part].n;
    EmojiNaming drawn = emoji_naming(&e->namer, n, e->scored[part].number, x);
    EmojiNaming there = emoji_naming_real(&e->namer, n, e->scored[part].number);
    cJSON *both = json_object();
    json_item(both, "samples", emoji_naming_json(&drawn));
    json_item(both, "real", emoji_naming_json(&there));
    json_item(e->report, part == EMOJI_SEEN ? "seen" : "held_out", both);
    if (!cli->common->quiet)
        printf("%d emoji, %-9s CLIP finds the name of %5.1f %% (real ones: %.1f %%), the "
               "concept %5.1f %% (%.1f %%), the group %5.1f %% (%.1f %%)\n", n,
               part == EMOJI_SEEN ? "seen:" : "held out:", 100 * drawn.name, 100 * there.name,
               100 * drawn.concept, 100 * there.concept, 100 * drawn.group, 100 * there.group);
}

void emoji_evaluator_free(EmojiEvaluator *e, cJSON *metrics) {
    json_text(e->report, "clip_sha256", e->namer.clip->sha256);
    json_item(metrics, "emoji", e->report);
    captioned_free(&e->emoji), arena_free(&e->arena);
}
