/* wardrobe.h — scenes of the wardrobe as files. */
#ifndef DATASET_WARDROBE_H
#define DATASET_WARDROBE_H

#include <stdint.h>

typedef struct {
    int count, size;
    uint64_t seed;
    const char *part, *out, *data;
} WardrobeOptions;

/* OUT/00000.png and on, captions.txt as build/dataset folder and --data read it, and sheet.png with
 * the first 24; returns the exit status */
int write_wardrobe(const WardrobeOptions *o, const char *command);

#endif
