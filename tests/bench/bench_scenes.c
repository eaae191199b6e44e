/* bench_scenes.c — how many scenes of the wardrobe one thread makes in a second.
 *
 *   bench_scenes >scenes.csv
 *
 * CSV: size in pixels, scenes, processor time of one thread in microseconds a scene (captions and
 * images as a training reads them: real numbers, no maps or masks), scenes in a second of it. The
 * fastest of several rounds. Time that other programs have taken does not count; caches that they
 * have emptied do. */
#include "data/fashion.h"
#include "data/wardrobe.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 15, BATCHES = 20, BATCH = 100 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static double seconds(const Wardrobe *w, const SceneBatch *out) {
    char text[SCENE_CAPTION];
    double start = now();
    for (int i = 0; i < BATCHES; i++) {
        wardrobe_get(w, PART_TRAIN, 1, (uint64_t)i * BATCH, BATCH, out);
        for (int k = 0; k < BATCH; k++) scene_caption(&out->scenes[k], text);
    }
    return now() - start;
}

int main(void) {
    static Scene scenes[BATCH];
    threads_set(1);
    printf("size,scenes,microseconds,scenes_a_second\n");
    for (int size = 32; size <= 64; size *= 2) {
        WardrobeData d;
        wardrobe_data_open(&d, NULL, size);
        real *images = calloc((size_t)BATCH * size * size * 3, sizeof *images);
        SceneBatch out = {.images = images, .low = -1, .high = 1, .scenes = scenes};
        double least = seconds(&d.wardrobe, &out);
        for (int i = 1; i < ROUNDS; i++) {
            double s = seconds(&d.wardrobe, &out);
            if (s < least) least = s;
        }
        printf("%d,%d,%.1f,%.0f\n", size, BATCHES * BATCH, 1e6 * least / (BATCHES * BATCH),
               BATCHES * BATCH / least);
        free(images);
        wardrobe_data_free(&d);
    }
    return 0;
}
