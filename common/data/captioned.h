/* captioned.h — colour pictures with captions, in four parts: what emoji_load and folder_load give.
 *
 *   train        for training
 *   validation   for choices: which step, which setting
 *   test         for the final scores alone; what is nearly the same stands in one part
 *   held_out     combinations that training has never shown, of parts that it has: the emoji's
 *                alone, see emoji_names.h */
#ifndef CAPTIONED_H
#define CAPTIONED_H

#include "data/images.h"
#include "io/safetensors.h"

enum { CAPTIONED_LABELS = 256 };
typedef enum { PART_TRAIN, PART_VALIDATION, PART_TEST, PART_HELD_OUT, PARTS } Part;

typedef struct {
    Images all;                       /* (count,size,size,3): the four parts, in this order */
    Images train, validation, test, held_out;
    const int32_t *concept;           /* (count) of all: equal for variations of one picture */
    const int32_t *number;            /* (count) of all: its place in the source */
    int classes, groups;              /* a label is a class; each class is of one group */
    const char *class_name[CAPTIONED_LABELS], *group_name[CAPTIONED_LABELS];
    int32_t group_of[CAPTIONED_LABELS];
    char *source;                     /* for run.json: where the pictures are from, and checksums */
    /* private: what is to be freed */
    Safetensors file;
    char *text;
    void *memory[5];
} Captioned;

/* Makes the parts out of `all`. */
void captioned_parts(Captioned *c, const int32_t count[static PARTS]);
void captioned_free(Captioned *c);

#endif
