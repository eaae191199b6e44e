/* progress.h — how far a long job is, on stderr.
 *
 * On a terminal one line that is drawn over and over; otherwise a plain line every 5 %, though not
 * more often than every second nor less often than every 10 s. The rate is the mean since
 * progress_start. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *what;            /* "train" */
    int64_t first, total;        /* in steps */
    bool quiet, terminal, line_open;
    double start, last_drawn;    /* seconds, monotonic clock */
    int64_t done;                /* as of the last update */
    int64_t last_shown;
} Progress;

void progress_start(Progress *p, const char *what, int64_t first, int64_t total, bool quiet);
/* note: "loss 0.1234", or "" */
void progress_update(Progress *p, int64_t done, const char *note);
void progress_end(Progress *p, int64_t done, const char *note);      /* ends the line */
void progress_clear(Progress *p);        /* before other output while a line is being drawn */
double seconds_now(void);                /* monotonic */

/* "12.3 steps/s" or "1.9 s/step"; "1:02:03" or "2:03" */
void format_rate(double steps_per_second, char text[static 32]);
void format_time(double seconds, char text[static 32]);

#endif
