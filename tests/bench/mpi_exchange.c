/* mpi_exchange.c — the two exchanges of a training step alone: what is measured for the model in
 * SCALE.md. Process 0 prints a line for each number of parameters:  parameters,seconds,least
 *   seconds     median of both exchanges together: slices of gradients to their owners, and all
 *               parameters to all
 * Several processes (mpirun); $BENCH_DELAY as in mpi_steps.c is for the steps alone. */
#include "base/processes.h"
#include "base/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TURNS = 9 };

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(size_t parameters, float *from, float *to, size_t *start) {
    double times[TURNS];
    size_t P = (size_t)process_count();
    for (size_t k = 0; k <= P; k++) start[k] = parameters * k / P * sizeof *from;
    for (int i = 0; i < TURNS; i++) {
        processes_wait();
        double begin = seconds_now();
        processes_exchange_begin(0, from, start, to);
        processes_exchange_end(0);
        processes_all_gather(from, start);
        times[i] = seconds_now() - begin;
    }
    qsort(times, TURNS, sizeof *times, by_value);
    if (process_rank() == 0) printf("%zu,%.6f,%.6f\n", parameters, times[TURNS / 2], times[0]);
}

int main(void) {
    static const size_t sizes[] = {1, 100000, 1000000, 4000000, 16000000};
    processes_start();
    size_t bytes = (sizes[4] + (size_t)process_count()) * sizeof(float);
    float *from = malloc(bytes), *to = malloc(bytes);
    size_t *start = malloc(((size_t)process_count() + 1) * sizeof *start);
    if (!from || !to || !start) return 1;
    memset(from, 0, bytes), memset(to, 0, bytes);      /* else the system still owes the memory */
    for (int i = 0; i < 5; i++) measure(sizes[i], from, to, start);
    free(from), free(to), free(start);
    return 0;
}
