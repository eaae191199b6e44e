/* run.h — what surrounds a training loop: folder, log, record, progress, checkpoints, Ctrl-C.
 *
 *     Run *run = run_start(&cli, (RunSettings){.columns = "loss,validation", .log_every = 10});
 *     Params *params = run_params(run, "");
 *     Network net = network_new(params);
 *     Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
 *     run_ema(run, adam, 0.999);
 *     Loader *loader = run_loader(run, &data.train);
 *     while (run_next(run)) {
 *         Tensor *loss = network_loss(&net, loader_images(loader, &run->tape, 0, 1));
 *         run_log(run, "loss", loss);
 *         minimise(adam, loss, o.common.lr);
 *         if (run_every(run, 250)) run_value(run, "validation", validation_loss(&net));
 *         if (run_saves(run)) save_samples(run, &net);
 *     }
 *     return run_finish(run);
 *
 * What is registered (parameters, optimisers, averages, random streams, the order of the images) is
 * saved in checkpoints, and read again before the first step of --resume: the run goes on bit for
 * bit. Where there are averages, evaluations and pictures are made with them: run_every and
 * run_saves put them in the weights' place until the step ends.
 *
 * With --init FILE training starts from the weights in FILE, which an earlier run wrote; optimisers,
 * averages and the number of steps start anew. FILE must hold all that is trained.
 *
 * Files in --out: log.csv (runlog.h), run.json (what was run, where, and what it took),
 * checkpoint.safetensors (all that training needs), weights.safetensors (what is passed on), and
 * the chapter's pictures. A picture is drawn before the checkpoint of its step is saved, so that
 * whatever kills the program, a resumed run draws it again. Files of an earlier run are renamed,
 * never overwritten: log.csv.old, then log.csv.old2 ... A stage that is trained anew, or further,
 * does the same with the files of later stages, which were trained on what it was.
 *
 * With --micro M a step is made of M micro-batches, each a turn of the loop: run_next hands out the
 * step's batch in M equal parts, and minimise or optimizer_step steps at the end of the last turn
 * (nn/gradient_sum.h). run->step, the averages and the learning rate are those of the step; what is
 * logged is the mean over the micro-batches; run_every and run_saves are true in the last one at
 * most. Each draws from random streams of its own, by (seed, stream, step, micro-batch). So nothing
 * passes from one micro-batch to the next, and several processes can share them (base/processes.h).
 * What depends on a whole batch (batch normalisation, a contrastive loss, the norm of a gradient
 * that is logged) depends on a micro-batch then. A loop that reads what the same step has changed,
 * like a codebook that follows the batches, says so in RunSettings.whole_batch, and is refused.
 *
 * Ctrl-C, SIGTERM or SIGHUP: the step is finished and saved, and run_finish prints the command that
 * goes on. A second one ends the program at once. */
#ifndef RUN_H
#define RUN_H

#include "data/batches.h"
#include "data/image_set.h"
#include "nn/optimizer.h"
#include "train/program.h"

typedef struct {
    const char *columns;         /* of log.csv after step and seconds: "loss,validation" */
    int log_every;               /* steps a row, which holds their means; 0: 1 */
    int save_every;              /* steps between checkpoints; 0: a tenth of the run */
    /* where training has several stages, each a run of its own in the same folder */
    const char *stage;           /* starts its files' names: "prior-log.csv"; NULL: none */
    const char *later;           /* the stages that build on it: "prior", "top bottom"; or NULL */
    const int *steps;            /* how many; NULL: --steps */
    const char *whole_batch;     /* why --micro must be 1; NULL: it need not */
} RunSettings;

typedef struct Run {
    Tape tape;                   /* of the step; reset before each */
    Arena arena;                 /* for what lasts as long as the run */
    int64_t step;                /* steps done */
    int64_t micro_batch;         /* micro-batches before this one: step M + its index */
    bool resumed;                /* there is a checkpoint to go on from */
    bool random;                 /* the first step begins with random weights */
    struct RunState *state;      /* run.c's own */
} Run;

/* Makes the folder and locks it: one training at a time. With --resume the checkpoint must be there
 * (a stage without one starts anew: it was not reached), and its options are taken over: build the
 * network after this. */
Run *run_start(Cli *cli, RunSettings settings);

const CommonOptions *run_options(const Run *r);

/* A stage that builds on the weights in `path`: right after run_start. If the checkpoint was
 * trained on others, the run says so and starts anew. Its checkpoint and weights remember what they
 * were trained on. */
void run_trained_on(Run *r, const char *path);
/* After run_trained_on: loads the weights of another stage that builds on the same ones,
 * STAGE-weights.safetensors in the folder. False: they are not there, or were trained on others,
 * which is said. (Weights that do not say what they were trained on are taken to fit.) */
bool run_load_stage(Run *r, const char *stage, Params *p);

/* ---- what is trained and saved: everything belongs to the run, and goes with it ---------------- */

/* a network's parameters, seeded by --seed, saved under the prefix: "", "g." */
Params *run_params(Run *r, const char *prefix);
/* Optimisers of one network each; a checkpoint has their state under the name: "adam", "adam.g" */
Optimizer *run_adam(Run *r, const char *name, Params *p, Adam settings);
Optimizer *run_sgd(Run *r, const char *name, Params *p, Sgd settings);
/* averages of this optimiser's weights, one a run */
void run_ema(Run *r, Optimizer *o, double decay);
/* a stream of random numbers, of --seed and the name */
Rng *run_rng(Run *r, const char *name);
/* the same, saved under another name */
Rng *run_rng_as(Run *r, const char *name, const char *saved);
/* anything else: tensors, counters */
void run_state(Run *r, const char *prefix, Params *p);
void run_counter(Run *r, const char *name, uint64_t *counter);

/* The order of a set's images, and the batch of the step */
typedef struct {
    const Images *images;        /* NULL: of numbers alone */
    Batches order;
    int size, *index, *labels;   /* of a micro-batch; its images' numbers, and their classes */
    const MicroBatch *micro;     /* which one */
    uint64_t first, calls;       /* where the step began; batches handed out in this micro-batch */
} Loader;
/* a micro-batch's part of a batch: batch / --micro, which must divide it */
int run_part(const Run *r, int batch);
Loader *run_loader(Run *r, const Images *images);             /* such a part of --batch at a time */
Loader *run_order(Run *r, int count, int size);               /* `size` numbers below count */
void    loader_next(Loader *l);                               /* the next batch's index and labels */
Tensor *loader_images(Loader *l, Tape *t, double low, double high);  /* and its images (B,H,W,C) */
/* rows of a table (count,width) for this batch: (B,width), on the tape */
int    *loader_rows(const Loader *l, Tape *t, int width, const int *table);

/* What is passed on, in half precision: the averages where there are any. One file in --out, by
 * default weights.safetensors (of a stage: STAGE-weights.safetensors) with the first registered
 * parameters. */
typedef struct {
    const char *file;            /* NULL: the default */
    const Cli *cli;              /* whose options describe the networks; NULL: the run's */
    CheckpointParams params[8];
} Weights;
void run_weights(Run *r, Weights w);

/* ---- the record ------------------------------------------------------------------------------ */

/* Which data: into run.json, checkpoints and weights. A resumed run, and a stage that builds on
 * weights, must have the same, unless --data is given anew. */
void run_data(Run *r, const char *name, const char *checksum);
void run_fashion(Run *r, const Fashion *data);
/* --data, or the package's: at least so many images; recorded, and freed with the run */
const Fashion *run_load_fashion(Run *r, int training, int testing);
void run_image_set(Run *r, const ImageSet *data);
void run_record(Run *r, const char *key, double value);       /* parameters, final scores */

/* ---- the loop -------------------------------------------------------------------------------- */

/* Ends the step under way: counts it, logs, saves if due. Is there another one? */
bool run_next(Run *r);
void run_log(Run *r, const char *column, const Tensor *scalar);
void run_value(Run *r, const char *column, double value);     /* of this step; must be finite */
/* minimise (nn/optimizer.h), with "loss" and the norm of its gradient, "gradient", in the log */
void run_minimise(Run *r, Optimizer *o, Tensor *loss, double lr);
/* Is this step one of every so many, or the last? Then the averages are in the weights' place. */
bool run_every(Run *r, int64_t steps);
/* The same for steps that are saved: every save_every steps, at the end, on Ctrl-C. */
bool run_saves(Run *r);
/* a file in the folder, "samples-%05d.png"; free it */
char *run_path(const Run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* writes run.json; returns the exit status: 0, or 128 + signal */
int run_finish(Run *r);

#endif
