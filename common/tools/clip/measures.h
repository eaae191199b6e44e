/* measures.h — what a trained CLIP can tell apart, on scenes of the wardrobe that it never saw. */
#ifndef CLIP_MEASURES_H
#define CLIP_MEASURES_H

#include "data/captioned.h"
#include "data/wardrobe.h"
#include "eval/frozen_clip.h"

/* Zero-shot classification (section 3.1 of the paper) of n scenes of one garment: the class, the
 * colour, and the pair of both whose captions are nearest. Shares, 0..1. A class is the mean of
 * its captions in all colours and wordings, a colour of those in all classes; `bare`: one caption
 * alone, "a sneaker", "red". */
typedef struct {
    int scenes;
    double class, colour, pair, bare_class, bare_colour;
} ZeroShot;
ZeroShot zero_shot(const FrozenClip *f, const Wardrobe *w, Part part, int n);

/* Of n images, for how many is their own text (of n texts, their own image) the nearest, and one of
 * the five nearest? Shares, 0..1 */
typedef struct {
    int pairs;
    double text_1, text_5, image_1, image_5;
} Recall;
/* n scenes, of which no two show the same garments in the same relation */
Recall recall_scenes(const FrozenClip *f, const Wardrobe *w, Part part, int n);
Recall recall_images(const FrozenClip *f, const Images *set);        /* by their captions */

/* Of n scenes of two garments: is the caption nearer than the one with the garments exchanged ("a
 * above b", "b above a")? Of those side by side, and of those one above the other? Than the one with
 * their colours exchanged? Chance is one half. Of the
 * held-out part: scenes whose relation is held out, which training shows the other way round. */
typedef struct {
    int scenes, two_colours;             /* of two_colours the colours differ */
    double order, beside, stacked, colours;
} Order;
Order order_of_two(const FrozenClip *f, const Wardrobe *w, Part part, int n);

/* Cosines of n different scenes with each other's captions, as a picture: a caption above each
 * column, its scene before each row. Saved to `path`. */
void similarity_picture(const FrozenClip *f, const Wardrobe *w, Part part, int n,
                        const char *path, const char *command);

#endif
