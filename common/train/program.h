/* program.h — what the commands of all chapters' programs share.
 *
 *   - program_main                  parses the command line, runs the command
 *   - print_parameters, info_network      for info
 *   - weights_path, weights_options, weights_load, weights_load_any      what sample and eval read
 *   - output_path, save_grid, samples_open, samples_save, metrics_new, metrics_save      what they write to --out */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "data/images.h"
#include "io/json.h"
#include "io/picture.h"
#include "nn/official_names.h"
#include "train/checkpoint.h"

/* Returns the exit status: the command's, or 1 if what it printed could not be written. */
int program_main(Cli *cli, int argc, char **argv);

/* every tensor, and how many numbers are trained; network NULL if there is only one */
void print_parameters(const char *network, const Params *p);
/* all of info, where there is one network: prints and frees its parameters; returns 0 */
int info_network(Params *p);

/* ---- trained weights ------------------------------------------------------------------------- */

/* --weights, or weights.safetensors, which training left in --out; the caller frees it */
char *weights_path(const Cli *cli);
/* of a program of several stages: --weights is the file of the stage `named`; those of the others
 * stand beside it, or all in --out. The caller frees it. */
char *stage_weights_path(const Cli *cli, const char *stage, const char *named);
/* Before the networks are built: takes over the options that describe them. */
void weights_options(Cli *cli);
/* parameters by the prefix they have in the file: weights_load(&cli, (CheckpointParams[]){{"", p},
 * {0}}) */
void weights_load(const Cli *cli, const CheckpointParams *params);
/* the only parameters of a file */
void weights_load_one(const Cli *cli, Params *p);
/* The same, or those of a file that no program of this project wrote: our names or official ones */
void weights_load_any(const Cli *cli, const OfficialMap *official, Params *p);
/* from another file than --weights */
void weights_load_file(const Cli *cli, const char *path, const OfficialMap *official, Params *p);
/* fails where a guidance scale other than 1 is asked of a network that never saw its condition left
 * out (--p-uncond 0), by what the file says */
void weights_guidable(const char *path, double scale);

/* ---- results --------------------------------------------------------------------------------- */

/* A file in --out, which is made if it is not there. Its name is printed, unless --quiet or while
 * training. The caller frees it. */
char *output_path(const Cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `count` images like the set's, of values from `low` to 1, in rows of `columns`, twice as large */
Grid grid_of(const Images *set, int count, int columns, double low);
/* rows x columns grey 28x28 images in [0,1]; "first|second": labels of rows and of columns, or NULL */
Grid fashion_grid(int rows, int columns, const char *row_labels, const char *column_labels);
/* colour images of values from -1 to 1, enlarged towards 128 pixels; captions under them, or NULL */
Grid colour_grid(int count, int side, int columns, const char *const *captions);
/* a PNG of images, which carries the command line; frees `path` */
void save_grid(const Cli *cli, char *path, const real *images, Grid g);
/* removes what an earlier run left in --out under this name */
void remove_output(const Cli *cli, const char *name);
/* Makes --out and names the files of samples_save: before what may take long. */
void samples_open(const Cli *cli);
/* the pictures that were drawn so far: samples.png, and samples.npy (count,height,width,channels)
 * with g.low to g.high as 0 to 1, which build/score reads */
void samples_save(const Cli *cli, const real *images, Grid g);

/* metrics.json: the command is in it; the caller adds to it */
cJSON *metrics_new(const Cli *cli);
/* writes what it has, in case that what follows is interrupted */
void metrics_keep(const Cli *cli, const cJSON *metrics);
/* writes it, and frees it */
void metrics_save(const Cli *cli, cJSON *metrics);

#endif
