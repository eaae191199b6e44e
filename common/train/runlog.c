#include "train/runlog.h"

#include "base/file.h"
#include "base/error.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what an earlier part of the run has left ------------------------------------------------ */

/* The step that begins a whole row of `commas` + 1 cells, or -1; seconds are the second cell. `row`
 * ends with '\n'. */
static int64_t row_step(const char *row, int commas, double *seconds) {
    for (const char *p = row; *p != '\n'; p++) commas -= *p == ',';
    char *end;
    long long step = strtoll(row, &end, 10);
    if (commas || end == row || *end != ',' || step < 0) return -1;
    *seconds = strtod(end + 1, NULL);
    return step;
}

/* length of a line without its end, "\n", or "\r\n" if a spreadsheet saved it */
static size_t without_end(const char *line, size_t n) {
    return n > 1 && line[n - 2] == '\r' ? n - 2 : n - 1;
}

/* Copies the header and the rows of steps up to `step` into `f`; a part of a line, a row that is
 * none, or one that goes back is dropped. */
static void keep_rows(RunLog *log, AtomicFile *f, const char *text, size_t length, int64_t step,
                      const char *header) {
    const char *end = text + length, *line = text, *newline;
    int64_t last = -1;
    int commas = 0;
    for (const char *p = header; *p; p++) commas += *p == ',';
    line = memchr(text, '\n', length);
    for (line++; (newline = memchr(line, '\n', (size_t)(end - line))); line = newline + 1) {
        size_t n = (size_t)(newline + 1 - line);
        double seconds;
        int64_t s = row_step(line, commas, &seconds);
        if (s <= last || s > step) continue;
        last = s;
        log->seconds = seconds;
        file_put(f, line, without_end(line, n));
        file_put(f, "\n", 1);
    }
}

/* before any file is made */
static void check_header(const char *path, const char *text, size_t length, const char *header) {
    size_t n = (size_t)((const char *)memchr(text, '\n', length) + 1 - text);
    n = without_end(text, n);
    if (n == strlen(header) - 1 && memcmp(text, header, n) == 0) return;
    fail("%s: has the columns %.*s, this run writes %.*s; choose another folder with --out", path,
         (int)n, text, (int)strlen(header) - 1, header);
}

/* ---- interface ------------------------------------------------------------------------------- */

RunLog runlog_open(const char *path, const char *columns, bool resume, int64_t step) {
    RunLog log = {.path = text_format("%s", path)};
    char *header = text_format("step,seconds,%s\n", columns);
    size_t length = 0;
    bool before = resume && access(path, F_OK) == 0;
    const char *text = before ? (const char *)file_map(path, &length) : NULL;
    size_t mapped = length;
    if (!length || !memchr(text, '\n', length)) length = 0;    /* not even a header */
    else check_header(path, text, length, header);
    AtomicFile f = file_create(path);
    file_put(&f, header, strlen(header));
    if (length) keep_rows(&log, &f, text, length, step, header);
    if (before) file_unmap((const uint8_t *)text, mapped);
    file_sync(&f);
    free(header);
    log.begun = f;
    return log;
}

void runlog_commit(RunLog *log) {
    file_commit(&log->begun);
    log->stream = fopen(log->path, "ae");
    if (!log->stream) fail("%s: cannot be written: %s", log->path, strerror(errno));
}

void runlog_row(RunLog *log, int64_t step, double seconds, int count, const double *values) {
    FILE *f = log->stream;                   /* buffered: the row goes out in one piece */
    fprintf(f, "%lld,%.3f", (long long)step, seconds);
    for (int i = 0; i < count; i++) {
        if (isnan(values[i])) fputc(',', f);
        else fprintf(f, ",%.7g", values[i]);
    }
    fputc('\n', f);
    if (fflush(f)) fail("%s: cannot be written: %s", log->path, strerror(errno));
}

void runlog_close(RunLog *log) {
    if (log->stream && fclose(log->stream)) {
        fail("%s: cannot be written: %s", log->path, strerror(errno));
    }
    free(log->path);
    *log = (RunLog){0};
}
