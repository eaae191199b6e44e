#include "commands.h"
#include "draw.h"
#include "base/file.h"
#include "io/picture.h"
#include "train/results.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 8 };

int sample(void) {
    Params params = {0};
    Model net = load_network(&params);
    Arena arena = {0};
    Diffusion all = chosen_chain(), chain = sampling_chain(&all);
    Sampler m = new_sampler(&net, &chain);
    const int *label = wanted_classes(&arena, o.pictures);
    int columns = o.pictures < COLUMNS ? o.pictures : COLUMNS;
    Recording recording = recording_new(&arena, chain.T, columns, PIXELS);
    folder_create(o.common.out);
    free(announced(&o.common, "samples.png")), free(announced(&o.common, "samples.npy"));
    draw_pictures(&m, o.pictures, label, new_images(&arena, o.pictures),
                  (Drawing){.at_once = 16, .quiet = o.common.quiet, .save = save_pictures,
                            .recording = &recording});
    char *strip = announced(&o.common, "progress.png"), *film = announced(&o.common, "film.png");
    recording_strip(&recording, garments(0, 0), strip, cli.line);
    recording_film(&recording, garments(0, 0), film, cli.line);
    free(strip), free(film);
    tape_free(&m.tape);
    diffusion_free(&all), diffusion_free(&chain);
    arena_free(&arena);
    params_free(&params);
    return 0;
}
