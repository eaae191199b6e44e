/* run.h — what surrounds a training loop: folder, log, record, progress, Ctrl-C.
 *
 *     Run run = {.columns = "loss,validation"};
 *     run_start(&run, &cli, &o.common);
 *     ... build the network ...
 *     if (run.resumed) checkpoint_load(run.checkpoint, &all);    // sets run.step, too
 *     while (run_next(&run)) {
 *         ... one step ...
 *         run_value(&run, "loss", loss->x[0]);
 *         run_step(&run);
 *         if (run_save_due(&run)) {
 *             checkpoint_save_half(run.weights, &weights);      // first: a run is as far as its
 *             checkpoint_save(run.checkpoint, &all);            // checkpoint says, weights and all
 *         }
 *     }
 *     return run_finish(&run);
 *
 * Files in the folder --out: log.csv (runlog.h), run.json (what was run, where, and what it took)
 * and, by the chapter, checkpoint.safetensors, weights.safetensors and pictures. A run that starts
 * anew where there is one already keeps that one's log and checkpoint as log.csv.old and
 * checkpoint.safetensors.old.
 *
 * Ctrl-C or SIGTERM: the step is finished, run_save_due says yes, the loop ends, and run_finish
 * prints the command that goes on. A second one ends the program at once. */
#ifndef RUN_H
#define RUN_H

#include "train/cli.h"
#include "base/progress.h"
#include "train/runlog.h"

typedef struct {
    /* set before run_start */
    const char *columns;         /* of log.csv after step and seconds: "loss,validation" */
    /* steps a row; 0: 1. A row holds the means since the last one, or since a --resume. */
    int log_every;
    int save_every;              /* steps between checkpoints; 0: a tenth of the run */
    const int *steps;            /* where the number of steps is; NULL: --steps */
    const char *name;            /* of a stage: starts its files' names; NULL: none */
    /* to be used */
    bool resumed;                /* there is a checkpoint to load */
    int64_t step;                /* steps done; save and load it with the checkpoint */
    char *folder, *checkpoint, *weights;      /* --out, and the two files in it */
    /* private */
    Cli *cli;
    const CommonOptions *options;
    bool started;
    RunLog log;
    Progress progress;
    bool stopping, under_way;    /* under_way: between run_next and run_step */
    double start, wall;          /* seconds: when this part began, what earlier ones took */
    double sum[RUNLOG_COLUMNS];
    int measured[RUNLOG_COLUMNS];
    int64_t first;               /* steps at the start */
    char note[80];               /* "loss 0.123" */
    struct cJSON *record;        /* run.json */
} Run;

/* Makes the folder and sets the number of threads. With --resume the checkpoint must be there (a
 * stage without one starts anew: it was not reached), and its options are taken over: build the
 * network after this. */
void run_start(Run *r, Cli *cli, const CommonOptions *o);
void run_record(Run *r, const char *key, const char *text);   /* into run.json: data checksums */
void run_record_number(Run *r, const char *key, double value);    /* parameters, final scores */
/* a file in the folder, "samples-%05d.png"; free it */
char *run_path(const Run *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

bool run_next(Run *r);                                     /* is there another step to do? */
void run_value(Run *r, const char *column, double value);  /* of this step; must be finite */
void run_step(Run *r);                        /* the step is done: counts, logs, draws progress */
/* is this step one of every so many, or the last? The same before and after run_step. */
bool run_due(const Run *r, int64_t every);
bool run_save_due(const Run *r);              /* every save_every steps, at the end, on Ctrl-C */
int  run_finish(Run *r);     /* writes run.json; returns the exit status: 0, or 128 + signal */

#endif
