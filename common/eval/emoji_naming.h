/* emoji_naming.h — do pictures that were drawn from emoji's names show what the names say? CLIP says
 * which of all emoji's names is nearest to each picture.
 *
 *     EmojiNamer namer = emoji_namer(&arena, &clip, &emoji);
 *     EmojiNaming drawn = emoji_naming(&namer, n, number, x);
 *
 * It is a fair judge of what was drawn without its help alone: not of pictures that it guided or
 * chose. What it says of the real pictures stands beside as the ceiling. */
#ifndef EMOJI_NAMING_H
#define EMOJI_NAMING_H

#include "data/emoji.h"
#include "eval/frozen_clip.h"
#include "io/json.h"

typedef struct {
    const FrozenClip *clip;
    const Captioned *emoji;              /* of the images' size that the network sees */
    real *names;                         /* (all.count,D) features of the names */
} EmojiNamer;

/* `clip` and `emoji` must outlive it; names live in the arena. Fails with one line if the network
 * sees images of another size. */
EmojiNamer emoji_namer(Arena *arena, const FrozenClip *clip, const Captioned *emoji);

/* Of n pictures the share whose nearest name is: the very one; of the same concept (see
 * emoji_names.h); of the same group */
typedef struct {
    int pictures;
    double name, concept, group;
} EmojiNaming;

/* x (n,side,side,3) in [0,1], drawn from the names of emoji number[i] of all */
EmojiNaming emoji_naming(const EmojiNamer *e, int n, const int *number, const real *x);
/* of the emoji themselves */
EmojiNaming emoji_naming_real(const EmojiNamer *e, int n, const int *number);

cJSON *emoji_naming_json(const EmojiNaming *s);

#endif
