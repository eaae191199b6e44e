#define _DEFAULT_SOURCE   /* on_exit */
#include "base/processes.h"

#include "base/memory.h"

#include <stdlib.h>

#ifndef WITH_MPI

void processes_start(void) {}

int process_rank(void) { return 0; }
int process_count(void) { return 1; }

void processes_exchange_begin(int which, const void *from, const size_t *start, void *to) {
    (void)which, (void)from, (void)start, (void)to;
}

void processes_exchange_end(int which) { (void)which; }
void processes_exchange_go_on(void) {}

void processes_all_gather(void *all, const size_t *start) {
    (void)all, (void)start;
}

void processes_all_gather_each(void *all, size_t size) {
    (void)all, (void)size;
}

void processes_bring(int from, void *bytes, size_t n) {
    (void)from, (void)bytes, (void)n;
}

void processes_share(void *bytes, size_t n) {
    (void)bytes, (void)n;
}

void processes_wait(void) {}

double processes_waited(void) { return 0; }

#else

#include <limits.h>
#include <mpi.h>

static int rank, count = 1;
static double waited;

/* an exchange with the others, and how long it took */
#define TIMED(call) do { double start_ = MPI_Wtime(); call; waited += MPI_Wtime() - start_; } while (0)

int process_rank(void) { return rank; }
int process_count(void) { return count; }
double processes_waited(void) { return waited; }

/* MPI's own handler ends the whole job at an error: no call returns one. */
static void stop(int status, void *unused) {
    int ended;
    (void)unused;
    MPI_Finalized(&ended);
    if (ended) return;
    if (status == 0) MPI_Finalize();
    else MPI_Abort(MPI_COMM_WORLD, status);
}

/* Without mpirun there are no others. Open MPI and other users of PMIx, MPICH and Slurm (PMI) leave
 * these in the environment. */
void processes_start(void) {
    if (!getenv("OMPI_COMM_WORLD_SIZE") && !getenv("PMIX_RANK") && !getenv("PMI_RANK")) return;
    MPI_Init(NULL, NULL);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &count);
    on_exit(stop, NULL);
}

static int as_int(size_t n) {
    if (n > INT_MAX) fail("%zu MB at once are more than MPI sends", n >> 20);
    return (int)n;
}

/* lengths, then beginnings, of slices as MPI counts them; to be freed */
static int *slices(const size_t *start) {
    int *s = memory_new(2 * (size_t)count, sizeof *s, "%d processes", count);
    for (int k = 0; k < count; k++) {
        s[k] = as_int(start[k + 1] - start[k]);
        s[count + k] = as_int(start[k]);
    }
    return s;
}

/* `slices` of both sides, which MPI reads until it is over; NULL: none is under way */
static struct {
    int *out, *in;
    MPI_Request request;
} exchange[EXCHANGES];

void processes_exchange_begin(int which, const void *from, const size_t *start, void *to) {
    size_t mine = start[rank + 1] - start[rank];
    size_t *received = memory_new((size_t)count + 1, sizeof *received, "%d processes", count);
    for (int k = 0; k <= count; k++) received[k] = (size_t)k * mine;
    int *out = slices(start), *in = slices(received);
    exchange[which].out = out, exchange[which].in = in;
    TIMED(MPI_Ialltoallv(from, out, out + count, MPI_BYTE, to, in, in + count, MPI_BYTE,
                         MPI_COMM_WORLD, &exchange[which].request));
    free(received);
}

void processes_exchange_go_on(void) {
    int over;
    for (int i = 0; i < EXCHANGES; i++)
        if (exchange[i].out) MPI_Test(&exchange[i].request, &over, MPI_STATUS_IGNORE);
}

void processes_exchange_end(int which) {
    TIMED(MPI_Wait(&exchange[which].request, MPI_STATUS_IGNORE));
    free(exchange[which].out), free(exchange[which].in);
    exchange[which].out = exchange[which].in = NULL;
}

void processes_all_gather(void *all, const size_t *start) {
    if (count == 1) return;
    int *s = slices(start);
    TIMED(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_BYTE, all, s, s + count, MPI_BYTE, MPI_COMM_WORLD));
    free(s);
}

void processes_all_gather_each(void *all, size_t size) {
    if (count == 1) return;
    TIMED(MPI_Allgather(MPI_IN_PLACE, 0, MPI_BYTE, all, as_int(size), MPI_BYTE, MPI_COMM_WORLD));
}

void processes_bring(int from, void *bytes, size_t n) {
    int size = as_int(n);
    if (from && rank == from) TIMED(MPI_Send(bytes, size, MPI_BYTE, 0, 0, MPI_COMM_WORLD));
    if (from && rank == 0)
        TIMED(MPI_Recv(bytes, size, MPI_BYTE, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
}

void processes_share(void *bytes, size_t n) {
    if (count == 1) return;
    TIMED(MPI_Bcast(bytes, as_int(n), MPI_BYTE, 0, MPI_COMM_WORLD));
}

void processes_wait(void) {
    if (count == 1) return;
    TIMED(MPI_Barrier(MPI_COMM_WORLD));
}

#endif

/* ---- work in groups, by the above ------------------------------------------------------------ */

static bool is_apart;

void processes_apart(bool apart) {
    is_apart = apart;
}

bool processes_alone(void) {
    return is_apart || process_count() == 1;
}

bool processes_own(int group) {
    return processes_alone() || group % process_count() == process_rank();
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* a round of one group for each process after the other */
void processes_collect(void *all, size_t bytes, size_t group) {
    if (processes_alone()) return;
    size_t P = (size_t)process_count(), *start = memory_new(P + 1, sizeof *start, "%zu slices", P);
    for (size_t first = 0; first < bytes; first += P * group) {
        for (size_t k = 0; k <= P; k++) start[k] = least(k * group, bytes - first);
        processes_all_gather((char *)all + first, start);
    }
    free(start);
}
