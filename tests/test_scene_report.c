/* test_scene_report.c — which scenes are scored, and that sweeps read their scores and not the noise's. */
#include "testing.h"
#include "train/scene_report.h"

#include <stdio.h>
#include <stdlib.h>

/* Each scene once: two of the test part, then one of a held-out combination. */
Test(scene_report, two_of_three_scenes_are_of_seen_combinations) {
    uint64_t next[PARTS] = {0};
    for (int i = 0; i < 1500; i++) {
        ScoredScene s = scored_scene(i);
        cr_expect_eq(s.part, i % 3 == 2 ? PART_HELD_OUT : PART_TEST);
        cr_expect_eq(s.number, next[s.part]++, "scene %d", i);
    }
    cr_expect(next[PART_TEST] == 1000 && next[PART_HELD_OUT] == 500);
}

/* A file of scores has the same names for samples, test images and noise. */
Test(scene_report, sweeps_read_the_headline) {
    char *folder = temporary_folder(), command[400], path[60];
    snprintf(path, sizeof path, "%s/metrics.json", folder);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs("{ \"frechet_distance\":\t-1.5e+00,\n \"scores\": { \"samples\": {\n \"frechet_distance\": 2, "
          "\"recall\": 0.25 },\n \"noise\": { \"frechet_distance\": 100, \"recall\": 0 } } }\n", f);
    fclose(f);
    snprintf(command, sizeof command, ". common/eval/metrics.sh; "
             "[ \"$(outer frechet_distance %s)\" = -1.5e+00 ] && "
             "[ \"$(of samples recall %s)\" = 0.25 ]", path, path);
    cr_expect_eq(system(command), 0, "%s", command);
}
