/* pictures.h — pictures with all that is known of them: the wardrobe's scenes, and emoji, of which
 * the caption is known alone.
 *
 *     PictureSource source;
 *     picture_source_open(&source, run, o.common.batch, o.emoji);
 *     while (run_next(run)) {
 *         Pictures p = pictures_next(&source, run);
 *         ... */
#ifndef PICTURES_H
#define PICTURES_H

#include "train/captioned_source.h"

typedef struct {
    int n;
    real *images;                        /* (n,64,64,3) in [-1,1] */
    const char **captions;               /* (n) */
    Scene *scenes;                       /* (n); of emoji: no garments */
    uint8_t *map;                        /* (n,64,64), see wardrobe.h; of emoji: 0 */
    uint8_t *hole;                       /* (n,64,64): 1 where a picture is to be repainted */
} Pictures;

enum { SCENE_SIDE = 64 };

Pictures pictures_new(Arena *arena, int n);
/* Pictures `at` to at + n - 1 become the scenes first, first + 1, ... of a part and seed; captions are
 * put into the arena, holes are drawn from `holes`. */
void scenes_put(const Pictures *p, int at, int n, Arena *arena, const Wardrobe *w, Part part,
                uint64_t seed, uint64_t first, Rng *holes);
/* both */
Pictures scenes_new(Arena *arena, const Wardrobe *w, Part part, uint64_t seed, uint64_t first,
                    int n, Rng *holes);

/* ---- of a training --------------------------------------------------------------------------- */

typedef struct {
    CaptionedSource captioned;           /* its scenes and emoji, and how many of which */
    double share;                        /* of emoji */
    Rng *holes;
} PictureSource;

/* Right after run_start and run_trained_on. batch: pictures of a step, of which the share `emoji`;
 * the data are recorded with the run. *s must not move. */
void picture_source_open(PictureSource *s, Run *run, int batch, double emoji);
void picture_source_free(PictureSource *s);
/* of a micro-batch, on the run's tape; the last ones are emoji */
Pictures pictures_next(const PictureSource *s, Run *run);
/* The first n scenes of a part and seed, but for the share of emoji, which are never trained on */
Pictures pictures_of_part(const PictureSource *s, Arena *arena, Part part, uint64_t seed, int n);
/* those that validation of either stage is on; never trained on */
Pictures validation_pictures(const PictureSource *s, Arena *arena, int n);

#endif
