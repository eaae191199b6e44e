#include "base/progress.h"

#include "base/processes.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void format_rate(double steps_per_second, char text[static 32]) {
    bool slow = steps_per_second < 1;
    snprintf(text, 32, "%.3g %s", slow ? 1 / steps_per_second : steps_per_second,
             slow ? "s/step" : "steps/s");
}

void format_time(double seconds, char text[static 32]) {
    long s = seconds < 0 ? 0 : seconds > 1e9 ? 1000000000 : (long)(seconds + 0.5);
    if (s < 3600) snprintf(text, 32, "%ld:%02ld", s / 60, s % 60);
    else snprintf(text, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

static int terminal_width(void) {
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col : 80;
}

/* "train 300/1000 (30 %)  loss 0.12  12.3 steps/s  0:57 left" */
static void draw(Progress *p, int64_t done, const char *note, double now) {
    char line[400], rate[32] = "", left[32] = "";
    double elapsed = now - p->start;
    if (done > p->first && elapsed > 0) {
        double speed = (double)(done - p->first) / elapsed;
        format_rate(speed, rate);
        format_time((double)(p->total - done) / speed, left);
    }
    int n = snprintf(line, sizeof line, "%s %lld/%lld (%d %%)", p->what, (long long)done,
                     (long long)p->total, p->total ? (int)(100 * done / p->total) : 100);
    const char *parts[] = {note, rate, left};
    for (int i = 0; i < 3; i++) {
        if (!*parts[i] || n >= (int)sizeof line) continue;
        n += snprintf(line + n, sizeof line - (size_t)n, "  %s%s", parts[i], i == 2 ? " left" : "");
    }
    if (p->terminal) fprintf(stderr, "\r%.*s\033[K", terminal_width() - 1, line);
    else fprintf(stderr, "%s\n", line);
    fflush(stderr);
    p->line_open = p->terminal;
    p->last_drawn = now;
    p->last_shown = done;
}

void progress_start(Progress *p, const char *what, int64_t first, int64_t total, bool quiet) {
    double now = seconds_now();
    *p = (Progress){.what = what, .first = first, .total = total,
                    .quiet = quiet || process_rank(),
                    .done = first, .last_shown = first, .terminal = isatty(STDERR_FILENO),
                    .start = now, .last_drawn = now};
}

void progress_update(Progress *p, int64_t done, const char *note) {
    p->done = done;
    if (p->quiet) return;
    double now = seconds_now(), since = now - p->last_drawn;
    bool twentieth = 20 * (done - p->last_shown) >= p->total;
    bool due = p->terminal ? since > 0.1 : since > 10 || (since > 1 && twentieth);
    if (due) draw(p, done, note, now);
}

void progress_end(Progress *p, int64_t done, const char *note) {
    if (p->quiet) return;
    if (p->terminal || done != p->last_shown) draw(p, done, note, seconds_now());
    if (p->line_open) fputc('\n', stderr);
    p->line_open = false;
}

void progress_clear(Progress *p) {
    if (p->line_open) fputs("\r\033[K", stderr);
    p->line_open = false;
}
