/* run_state.h — what run.c and run_folder.c know of a run. */
#ifndef RUN_STATE_H
#define RUN_STATE_H

#include "base/progress.h"
#include "io/json.h"
#include "train/run.h"
#include "train/runlog.h"

enum { RUN_PARAMS = 8, RUN_OPTIMIZERS = 8, RUN_STREAMS = 8, RUN_LOADERS = 4, RUN_FILES = 4 };

typedef struct RunState {
    RunSettings settings;
    Cli *cli;
    char *folder, *checkpoint;       /* --out, and the checkpoint in it */
    int lock;                        /* the folder's descriptor, locked */
    bool writes;                     /* the one process that writes files and messages */
    /* registered */
    Params params[RUN_PARAMS];
    Optimizer optimizers[RUN_OPTIMIZERS];
    Rng streams[RUN_STREAMS];
    uint64_t stream_of[RUN_STREAMS]; /* their streams, while they draw from a micro-batch's */
    Loader loaders[RUN_LOADERS];
    Weights files[RUN_FILES];
    int params_count, optimizer_count, stream_count, loader_count, file_count;
    Ema ema;
    Optimizer *averaged;             /* whose weights `ema` averages; NULL: none */
    Fashion fashion;                 /* loaded by the run, or none */
    const char *base;                /* the weights this stage builds on, and their sum; or NULL */
    char *trained_on;
    Checkpoint saved;                /* all of it */
    int saved_params, saved_numbers, saved_texts;
    /* the step under way */
    bool started, had_ended, under_way, averages_in_use;
    MicroBatch micro;
    bool decided, saving;            /* looked at once a step, so that saving and stopping agree */
    int stopping;                    /* the signal, or 0 */
    RunLog log;
    Progress progress;
    double sum[RUNLOG_COLUMNS];      /* of the columns since the last row */
    int64_t measured[RUNLOG_COLUMNS];
    bool evaluating;                 /* run_every or run_saves was true */
    double (*parts)[2 * RUNLOG_COLUMNS];     /* sums and numbers of each process's micro-batch */
    char note[80];                   /* "loss 0.123" */
    int64_t first;                   /* steps at the start */
    double start, wall;              /* seconds: when this part began, what earlier ones took */
    double waited;                   /* for other processes, before this part began */
    cJSON *record;                   /* run.json */
} RunState;

/* ---- run_folder.c: the files of --out ---------------------------------------------------------- */

/* one training in a folder at a time; removes what killed programs have left half-written */
void run_folder_open(RunState *s);
/* Is there a checkpoint to go on from? Takes its options over. */
bool run_folder_resumes(RunState *s);
/* is this stage the one that --stage names? */
bool run_folder_is_asked_for(const RunState *s);
/* is it weights.safetensors, which a stage that begins sets aside? */
bool run_folder_renames(const RunState *s, const char *path);
/* Renames what an earlier run has left of this stage, unless it goes on, and of those that build on
 * it; says so. */
void run_folder_set_aside(RunState *s, bool goes_on);
void run_folder_close(RunState *s);

/* ---- run_micro.c: a step made of micro-batches ------------------------------------------------- */

/* --micro is one that can be: before there is a folder */
void run_micro_check(const RunState *s);
/* All processes are about to do the same: program, options, data and weights are; or process 0 says
 * whose are not. */
void run_agree(const Run *r);
/* the first micro-batch of a step that this process does */
void run_micro_first(Run *r);
/* Ends a micro-batch. Is there another one of this step to do here? */
bool run_micro_next(Run *r);
bool run_micro_is_last(const RunState *s);
/* this micro-batch's share of the log */
void run_micro_value(RunState *s, int column, double value);
/* Ends a step. */
void run_micro_end(Run *r);

#endif
