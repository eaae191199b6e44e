/* condition.h — what a latent diffusion model is conditioned on, and tau_theta, which makes of it
 * what the U-Net reads (Rombach et al. 2022, section 3.3).
 *
 *     none       nothing
 *     text       a caption's tokens through CLIP, or a transformer          attended to
 *     layout     a token a box: its class, colour and four sides, summed    attended to
 *     semantic   a map of classes, brought to the latents' size             beside the latents
 *     inpaint    the latents of a picture with a hole, and the hole         beside; a caption as well
 *     superres   a picture of the latents' size                             beside
 *
 * All are known of the wardrobe's scenes exactly; of emoji none, text, inpaint and superres. */
#ifndef CONDITION_H
#define CONDITION_H

#include "eval/frozen_clip.h"
#include "latents.h"
#include "nn/text_transformer.h"
#include "pictures.h"

typedef enum { NO_CONDITION, TEXT, LAYOUT, SEMANTIC, INPAINT, SUPER_RESOLUTION,
               CONDITIONS } Condition;
#define CONDITION_NAMES "none|text|layout|semantic|inpaint|superres"
extern const char *const condition_names[CONDITIONS];
Condition condition_called(const char *name);        /* dies if there is none */
bool reads_texts(Condition c);                       /* text, inpaint */
bool is_attended(Condition c);                       /* those, and layout */
bool knows_emoji(Condition c);                       /* all but layout and semantic */

/* ---- tau_theta ------------------------------------------------------------------------------- */

typedef struct {
    Condition kind;
    bool pooled;                         /* texts and layouts: of all tokens one is left */
    const LatentSpace *space;
    /* of texts: for a transformer that is trained with the U-Net (section 4.3), or a CLIP whose text
     * encoder stays as it is (Stable Diffusion); the other is NULL */
    const Bpe *bpe;
    const FrozenClip *clip;
    TextTransformer tokens;              /* of texts and layouts */
    Linear labels;                       /* of maps: each label's channels */
} Conditioner;

/* channels beside the latents; 0: none */
int condition_channels(Condition c, const LatentSpace *s);
/* what the U-Net attends to: so many tokens, 0: none, of such a width */
int condition_tokens(const Conditioner *c);
enum { CONTEXT_WIDTH = 128, TEXT_TOKENS = 24 };         /* of a text: what is more is cut */

/* c, whose first fields are set, with its networks */
Conditioner conditioner_new(Params *p, Conditioner c);

/* What the network is given; NULL: not there */
typedef struct {
    Tensor *context;                     /* (n,M,D) */
    Tensor *beside;                      /* (n,h,h,k) */
} Conditioned;

/* dropped (n): those whose condition is left out, for guidance; NULL: none. What stands beside the
 * latents is never left out. */
Conditioned condition(const Conditioner *c, Tape *t, const Pictures *p, const bool *dropped);

#endif
