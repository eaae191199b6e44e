/* runlog.h — log.csv: "step,seconds,<columns>", one row every few steps.
 *
 * A row is written by one call, so that a crash leaves whole lines and at most one part of a line,
 * which the next --resume drops. A value that was not measured is an empty cell. */
#ifndef RUNLOG_H
#define RUNLOG_H

#include "base/file.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { RUNLOG_COLUMNS = 16 };

typedef struct {
    FILE *stream;
    AtomicFile begun;            /* between runlog_open and runlog_commit */
    char *path;
    double seconds;              /* in the last row: what earlier parts of a resumed run took */
} RunLog;

/* columns: "loss,validation". resume: keeps the rows of steps <= `step`, then appends; the header
 * must be the same. */
RunLog runlog_open(const char *path, const char *columns, bool resume, int64_t step);
/* until then nothing at `path` has changed */
void runlog_commit(RunLog *log);
/* NAN: an empty cell */
void runlog_row(RunLog *log, int64_t step, double seconds, int count, const double *values);
void runlog_close(RunLog *log);

#endif
