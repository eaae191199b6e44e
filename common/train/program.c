#define _GNU_SOURCE   /* vasprintf */
#include "train/program.h"

#include "base/error.h"
#include "base/file.h"
#include "base/processes.h"
#include "data/fashion.h"
#include "io/npy.h"
#include "nn/entry.h"
#include "nn/official.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the program ----------------------------------------------------------------------------- */

/* Files that are opened later must not get the numbers of closed standard streams. Results for a
 * standard output that is closed cannot be written, and must not seem to be; messages are lost. */
static void open_standard_streams(void) {
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY) < 0) exit(1);
}

int program_main(Cli *cli, int argc, char **argv) {
    open_standard_streams();
    processes_start();
    if (process_rank() && !freopen("/dev/null", "w", stdout)) fail("/dev/null cannot be opened");
    cli_parse(cli, argc, argv);
    if (cli->common && cli->common->threads) threads_set(cli->common->threads);
    const Command *c = cli->commands;
    while (!cli->operand && strcmp(c->name, cli->command)) c++;
    int status = cli->operand ? cli->run() : c->run();
    if (fflush(stdout) || ferror(stdout)) fail("standard output cannot be written");
    return status;
}

void print_parameters(const char *network, const Params *p) {
    for (int i = 0; i < p->count; i++) printf("%s\n", t_describe(p->list[i]));
    printf("%s%s%zu parameters\n", network ? network : "", network ? ": " : "", params_count(p));
}

int info_network(Params *p) {
    print_parameters(NULL, p);
    params_free(p);
    return 0;
}

/* ---- trained weights ------------------------------------------------------------------------- */

char *weights_path(const Cli *cli) {
    const CommonOptions *o = cli->common;
    return o->weights ? text_format("%s", o->weights) : path_join(o->out, "weights.safetensors");
}

char *stage_weights_path(const Cli *cli, const char *stage, const char *named) {
    const char *given = cli->common->weights, *slash = given ? strrchr(given, '/') : NULL;
    if (given && !strcmp(stage, named)) return text_format("%s", given);
    char *name = text_format("%s-weights.safetensors", stage);
    char *path = given ? text_format("%.*s%s", slash ? (int)(slash + 1 - given) : 0, given, name)
                       : path_join(cli->common->out, name);
    free(name);
    return path;
}

void weights_options(Cli *cli) {
    char *path = weights_path(cli);
    checkpoint_options(path, cli, false);
    free(path);
}

void weights_load(const Cli *cli, const CheckpointParams *params) {
    Checkpoint c = {.cli = cli};
    for (int i = 0; params[i].params; i++) c.params[i] = params[i];
    char *path = weights_path(cli);
    checkpoint_load(path, &c);
    free(path);
}

void weights_load_one(const Cli *cli, Params *p) {
    weights_load(cli, (CheckpointParams[]){{"", p, NULL}, {0}});
}

/* Do its metadata name the chapter that wrote it, or has it all of p under our names? */
static bool is_ours(const char *path, const Params *p) {
    Safetensors s = safetensors_open(path);
    Entries e = {0};
    int found = 0;
    entries_add(&e, "", p);
    for (int i = 0; i < e.count; i++) found += safetensors_find(&s, e.list[i].name) != NULL;
    bool ours = safetensors_metadata(&s, "chapter") || found == e.count;
    entries_free(&e);
    safetensors_close(&s);
    return ours;
}

void weights_load_file(const Cli *cli, const char *path, const OfficialMap *official, Params *p) {
    if (is_ours(path, p))
        checkpoint_load(path, &(Checkpoint){.cli = cli, .params = {{"", p, NULL}}});
    else official_load(path, "", official, p);
}

void weights_guidable(const char *path, double scale) {
    char *share = checkpoint_text(path, "option.p-uncond");
    if (share && atof(share) == 0 && scale != 1)
        fail("%s: was trained with --p-uncond 0, so it draws with --scale 1 alone", path);
    free(share);
}

void weights_load_any(const Cli *cli, const OfficialMap *official, Params *p) {
    char *path = weights_path(cli);
    weights_load_file(cli, path, official, p);
    free(path);
}

/* ---- results --------------------------------------------------------------------------------- */

char *output_path(const Cli *cli, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *name, *path;
    if (vasprintf(&name, format, args) < 0) fail("out of memory");
    va_end(args);
    folder_create(cli->common->out);
    path = path_join(cli->common->out, name);
    if (!cli->common->quiet && strcmp(cli->command, "train")) printf("%s\n", path);
    free(name);
    return path;
}

Grid grid_of(const Images *set, int count, int columns, double low) {
    return (Grid){.count = count, .height = set->height, .width = set->width,
                  .channels = set->channels, .columns = columns, .enlarge = 2, .low = low,
                  .high = 1};
}

Grid fashion_grid(int rows, int columns, const char *row_labels, const char *column_labels) {
    return (Grid){.count = rows * columns, .height = FASHION_SIDE, .width = FASHION_SIDE,
                  .channels = 1, .columns = columns, .enlarge = 2, .low = 0, .high = 1,
                  .row_labels = row_labels, .column_labels = column_labels};
}

Grid colour_grid(int count, int side, int columns, const char *const *captions) {
    return (Grid){.count = count, .height = side, .width = side, .channels = 3, .columns = columns,
                  .enlarge = side < 128 ? 128 / side : 1, .low = -1, .high = 1,
                  .captions = captions};
}

void save_grid(const Cli *cli, char *path, const real *images, Grid g) {
    picture_save(path, images, g, cli->line);
    free(path);
}

void remove_output(const Cli *cli, const char *name) {
    char *path = path_join(cli->common->out, name);
    remove(path);
    free(path);
}

void samples_open(const Cli *cli) {
    free(output_path(cli, "samples.png")), free(output_path(cli, "samples.npy"));
}

void samples_save(const Cli *cli, const real *images, Grid g) {
    Arena arena = {0};
    size_t n = (size_t)g.count * (size_t)(g.height * g.width * g.channels);
    real *unit = arena_get(&arena, n * sizeof *unit);
    double range = g.high - g.low;
    k_affine(n, images, (real)(1 / range), (real)(-g.low / range), unit);
    char *numbers = path_join(cli->common->out, "samples.npy");
    save_grid(cli, path_join(cli->common->out, "samples.png"), images, g);
    npy_save(numbers, unit, SHAPE(g.count, g.height, g.width, g.channels));
    free(numbers);
    arena_free(&arena);
}

cJSON *metrics_new(const Cli *cli) {
    cJSON *m = json_object();
    json_text(m, "command", cli->line);
    return m;
}

void metrics_keep(const Cli *cli, const cJSON *metrics) {
    char *path = path_join(cli->common->out, "metrics.json");
    json_save(path, metrics);
    free(path);
}

void metrics_save(const Cli *cli, cJSON *metrics) {
    char *path = output_path(cli, "metrics.json");
    json_save(path, metrics);
    cJSON_Delete(metrics);
    free(path);
}
