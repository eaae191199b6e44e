#include "levels.h"

#include "io/csv.h"

typedef struct {
    Corruption corruption;
    const char *caption;
} Level;

static const Level levels[] = {
    {{CORRUPT_NONE, 0}, "clean"},          {{GAUSSIAN, 0.1}, "gaussian 0.1"},
    {{GAUSSIAN, 0.25}, "gauss. 0.25"},     {{GAUSSIAN, 0.5}, "gaussian 0.5"},
    {{GAUSSIAN, 0.75}, "gauss. 0.75"},     {{GAUSSIAN, 1}, "gaussian 1"},
    {{MASKING, 0.25}, "mask 25 %"},        {{MASKING, 0.5}, "mask 50 %"},
    {{MASKING, 0.75}, "mask 75 %"},        {{SALT_PEPPER, 0.1}, "s.+p. 10 %"},
    {{SALT_PEPPER, 0.25}, "s.+p. 25 %"},   {{SALT_PEPPER, 0.5}, "s.+p. 50 %"},
};
enum { LEVELS = sizeof levels / sizeof *levels, SHOWN = 3, CELLS = 3 * SHOWN * LEVELS };

/* a row of reconstructions of the row of corrupted images, each with the caption */
static int add_row(const Dae *d, const real *corrupted, const char *caption, int cell,
                   real *images, const char **captions) {
    dae_reconstruct_all(d, LEVELS, corrupted, images + cell * PIXELS);
    for (int k = 0; k < LEVELS; k++) captions[cell + k] = caption;
    return cell + LEVELS;
}

void picture_of_levels(const Cli *cli, const Dae *net, const Dae *plain, const real *x) {
    static real images[CELLS * PIXELS];
    static const char *captions[CELLS];
    int cell = 0;
    for (int i = 0; i < SHOWN; i++) {
        real *corrupted = images + cell * PIXELS;
        for (int k = 0; k < LEVELS; k++, cell++) {
            corrupt_all(levels[k].corruption, 1, x + i * PIXELS, cli->common->seed, "denoising",
                        images + cell * PIXELS);
            captions[cell] = levels[k].caption;
        }
        if (plain) cell = add_row(plain, corrupted, "plain", cell, images, captions);
        cell = add_row(net, corrupted, "denoising", cell, images, captions);
    }
    save_grid(cli, output_path(cli, "denoising.png"), images,
              (Grid){.count = cell, .height = IMAGE, .width = IMAGE, .channels = 1,
                     .columns = LEVELS, .enlarge = 3, .low = 0, .high = 1,
                     .captions = captions});
}

void table_of_levels(const Cli *cli, const Dae *net, const Dae *plain, const Images *test) {
    static const char *const kinds[] = {"gaussian", "masking", "salt-pepper"};
    enum { MOST = 2000 };
    int n = test->count < MOST ? test->count : MOST;
    uint64_t seed = cli->common->seed;
    Arena arena = {0};
    real *x = images_new(&arena, test, n, 0, 1, NULL);
    real *corrupted = images_new(&arena, test, n, 0, 1, NULL);
    AtomicFile f = csv_create(cli->common->out, "denoising.csv",
                              "corruption,level,untouched,denoising,plain");
    for (int k = 0; k < 3; k++)
        for (int tenths = 0; tenths <= 10; tenths++) {
            Corruption c = {corruption_named(kinds[k]), tenths / 10.0};
            corrupt_all(c, n, x, seed, "measure", corrupted);
            fprintf(f.stream, "%s,%g,%.4f,%.4f,", kinds[k], c.level,
                    squared_error_per_image(n, corrupted, x), denoising_error(net, c, n, x, seed));
            if (plain) fprintf(f.stream, "%.4f", denoising_error(plain, c, n, x, seed));
            fprintf(f.stream, "\n");
        }
    file_commit(&f);
    if (!cli->common->quiet) printf("%s/denoising.csv\n", cli->common->out);
    arena_free(&arena);
}
