/* processes.h — several processes that do one training, or draw and score the same pictures:
 * started by mpirun, or one alone.
 *
 * Only a program built with `make MPI=1` can be one of several (MPI does the sending); any other is
 * process 0 of 1, and what follows costs it nothing. What is marked "together" must be called by every
 * process, in the same order. A process that fails ends all of them.
 *
 * Interface:
 *   - processes_start         before the command line is read
 *   - process_rank, process_count
 *   - processes_exchange_begin, processes_exchange_end, processes_all_gather,
 *     processes_all_gather_each, processes_share, processes_wait
 *                             together
 *   - processes_exchange_go_on
 *   - processes_bring         one of them, and process 0
 *   - processes_waited        how long these have taken
 *   - processes_own, processes_alone, processes_apart, and together processes_collect: work in
 *     groups, each process some */
#ifndef PROCESSES_H
#define PROCESSES_H

#include <stdbool.h>
#include <stddef.h>

/* joins the others; when the program ends, the connection does */
void processes_start(void);

int process_rank(void);      /* 0 .. process_count() - 1 */
int process_count(void);

/* Together: sends bytes start[k] .. start[k+1] of `from` to process k; own slice of every process's
 * comes to `to`, in the order of the processes. It may be under way, as number `which` of EXCHANGES,
 * while the program does something else: from _begin to _end both memories are not to be touched.
 * All processes begin and end them in the same order. */
enum { EXCHANGES = 2 };
void processes_exchange_begin(int which, const void *from, const size_t *start, void *to);
void processes_exchange_end(int which);
/* What is under way moves only while MPI is called: to be called now and then. */
void processes_exchange_go_on(void);
/* Together: each process has bytes start[rank] .. start[rank+1] of `all`; then every process has all. */
void processes_all_gather(void *all, const size_t *start);
/* The same with slices of `size` bytes */
void processes_all_gather_each(void *all, size_t size);
/* Process `from` and process 0: the first one's n bytes come to the second. */
void processes_bring(int from, void *bytes, size_t n);
/* Together: process 0's n bytes come to all */
void processes_share(void *bytes, size_t n);
/* Together: no process goes on before all have called it */
void processes_wait(void);
/* Seconds that this process has spent in these: sending, and waiting for the others */
double processes_waited(void);

/* ---- work in groups -----------------------------------------------------------------------------
 *
 *     for (int i = 0; i < n; i += GROUP)
 *         if (processes_own(i / GROUP)) draw(some(n, i), x + i * size);
 *     processes_collect(x, n * size * sizeof *x, GROUP * size * sizeof *x);
 *
 * All processes run the same command; what a group needs must not depend on other groups. */
bool processes_own(int group);       /* does this process do it? */
bool processes_alone(void);          /* does this one do all of them? */
/* Together: every process has all `bytes`, which lie in groups of so many; the last may be
 * smaller. */
void processes_collect(void *all, size_t bytes, size_t group);
/* From now on (true), or no more (false), each process does by itself what it does, all groups */
void processes_apart(bool apart);

#endif
