/* mpi_steps.c — times the training steps of a chapter's program. `make bench-mpi` links it with
 * the chapter, and the linker (--wrap) sends these calls of the chapter and of the library here
 * first. Nothing is evaluated, drawn or saved meanwhile.
 *
 * After two steps, which make memory and fill caches, as many are timed as take $BENCH_SECONDS,
 * five at least. Process 0 prints one line:
 *     parameters,steps,median,least,largest,waiting,exchange,exchanges
 *   parameters              trained, of all optimisers
 *   steps                   timed
 *   median, least, largest  seconds of a step
 *   waiting                 seconds of the median step until all processes had come to exchange
 *   exchange                seconds of the median step in exchanges after that: not those that go on
 *                           during the backward pass
 *   exchanges               how many these are
 *
 * $BENCH_DELAY: seconds that a message is on its way. Each exchange among two processes is one
 * message in both directions, so it is over that much after its beginning at the earliest. */
#include "base/processes.h"
#include "base/progress.h"
#include "train/run_state.h"

#include <stdio.h>
#include <stdlib.h>

enum { WARM = 2, LEAST = 5, MOST = 500 };

static double delay, exchanged, waited;      /* the last two: of the step under way */
static int exchanges;                        /* of the step under way */
static double begun[EXCHANGES];              /* when those under way have begun */

typedef struct {
    double step, waited, exchanged;
    int exchanges;
} Time;
static Time times[MOST];

/* ---- exchanges ------------------------------------------------------------------------------- */

void __real_processes_exchange_begin(int which, const void *from, const size_t *start, void *to);
void __real_processes_exchange_end(int which);
void __real_processes_all_gather(void *all, const size_t *start);
void __real_processes_all_gather_each(void *all, size_t size);
void __real_processes_share(void *bytes, size_t n);

/* the delay, then what has begun at `start` is over */
static void arrived(double start) {
    double sent = seconds_now();
    while (process_count() > 1 && seconds_now() < sent + delay);
    exchanged += seconds_now() - start;
    exchanges++;
}

void __wrap_processes_exchange_begin(int which, const void *from, const size_t *start, void *to) {
    double before = seconds_now();
    __real_processes_exchange_begin(which, from, start, to);
    begun[which] = seconds_now();
    exchanged += begun[which] - before;
}

void __wrap_processes_exchange_end(int which) {
    double before = seconds_now();
    processes_wait();
    double all_here = seconds_now();
    waited += all_here - before;
    __real_processes_exchange_end(which);
    while (process_count() > 1 && seconds_now() < begun[which] + delay);
    exchanged += seconds_now() - all_here;
    exchanges++;
}

void __wrap_processes_all_gather(void *all, const size_t *start) {
    double before = seconds_now();
    __real_processes_all_gather(all, start);
    arrived(before);
}

void __wrap_processes_all_gather_each(void *all, size_t size) {
    double before = seconds_now();
    __real_processes_all_gather_each(all, size);
    arrived(before);
}

void __wrap_processes_share(void *bytes, size_t n) {
    double before = seconds_now();
    __real_processes_share(bytes, n);
    arrived(before);
}

/* ---- steps ----------------------------------------------------------------------------------- */

bool __real_run_next(Run *r);

bool __wrap_run_every(Run *r, int64_t steps) {
    (void)r, (void)steps;
    return false;
}

bool __wrap_run_saves(Run *r) {
    (void)r;
    return false;
}

static double variable(const char *name, double otherwise) {
    const char *text = getenv(name);
    return text ? atof(text) : otherwise;
}

static int by_step(const void *a, const void *b) {
    double x = ((const Time *)a)->step, y = ((const Time *)b)->step;
    return (x > y) - (x < y);
}

static void finish(const RunState *s, int n) {
    size_t parameters = 0;
    for (int k = 0; k < s->optimizer_count; k++)
        parameters += params_count(s->optimizers[k].params);
    qsort(times, (size_t)n, sizeof *times, by_step);
    Time m = times[n / 2];
    if (process_rank() == 0)
        printf("%zu,%d,%.6f,%.6f,%.6f,%.6f,%.6f,%d\n", parameters, n, m.step, times[0].step,
               times[n - 1].step, m.waited, m.exchanged, m.exchanges);
    fflush(stdout);
    exit(0);
}

/* how many steps to time: the same for all processes */
static int how_many(double a_step) {
    double n = variable("BENCH_SECONDS", 1) / a_step;
    int count = n < LEAST ? LEAST : n > MOST ? MOST : (int)n;
    __real_processes_share(&count, sizeof count);
    return count;
}

bool __wrap_run_next(Run *r) {
    static int64_t steps;
    static int wanted;
    static double last;
    bool more = __real_run_next(r);
    if (last == 0) delay = variable("BENCH_DELAY", 0), last = seconds_now();
    if (r->step == steps) return more;           /* another micro-batch of the same step */
    steps = r->step;
    double now = seconds_now(), step = now - last;
    int64_t n = steps - WARM;                    /* timed by now */
    if (n > 0) times[n - 1] = (Time){step, waited, exchanged, exchanges};
    if (n == 0) wanted = how_many(step);
    if (n > 0 && n == wanted) finish(r->state, wanted);
    waited = exchanged = 0, exchanges = 0;
    last = n == 0 ? seconds_now() : now;
    return more;
}
