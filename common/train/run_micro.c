/* run_micro.c — steps made of micro-batches: which part of everything belongs to which. Of P
 * processes the k-th does the micro-batches k, P + k, 2P + k ... */
#include "train/run_state.h"

#include "base/error.h"
#include "base/processes.h"

#include <stdio.h>
#include <string.h>

void run_micro_check(const RunState *s) {
    const char *why = s->settings.whole_batch, *stage = s->settings.stage;
    int M = s->micro.count, P = process_count();
    if (M > 1 && why)
        usage_error("--micro %d: %s%s%s; leave it out", M, stage ? stage : "", stage ? ": " : "", why);
    if (M % P)
        usage_error("--micro %d: %d processes need a multiple of %d, to do as many each", M, P, P);
}

int run_part(const Run *r, int batch) {
    int M = r->state->micro.count;
    if (batch % M)
        usage_error("--micro %d: does not divide the batch of %d", M, batch);
    return batch / M;
}

bool run_micro_is_last(const RunState *s) {
    return s->micro.index + process_count() >= s->micro.count;
}

/* The k-th stream of random numbers in micro-batch `index` of a step is one of its own, of which a
 * step has the draws from step 2^32 on. */
static void start(Run *r) {
    RunState *s = r->state;
    r->micro_batch = r->step * s->micro.count + s->micro.index;
    if (s->micro.count == 1) return;
    for (int k = 0; k < s->stream_count; k++) {
        char index[16];
        snprintf(index, sizeof index, "%d", s->micro.index);
        s->streams[k].stream = hash_name(s->stream_of[k], index);
        s->streams[k].next = (uint64_t)r->step << 32;
    }
    for (int k = 0; k < s->loader_count; k++) {
        Loader *l = &s->loaders[k];
        l->calls = 0, l->order.next = l->first;
    }
}

void run_micro_first(Run *r) {
    RunState *s = r->state;
    s->micro.index = process_rank();
    for (int k = 0; k < s->loader_count; k++) s->loaders[k].first = s->loaders[k].order.next;
    for (int k = 0; k < s->optimizer_count && s->micro.count > 1; k++)
        sum_start(&s->optimizers[k].sum, s->optimizers[k].params);
    start(r);
}

void run_micro_value(RunState *s, int column, double value) {
    if (s->micro.count == 1 || s->evaluating) {
        s->sum[column] += value;
        s->measured[column]++;
    } else {
        double *part = s->parts[process_rank()];
        part[2 * column] += value, part[2 * column + 1]++;
    }
}

/* what the processes have measured in their micro-batches, in the order of these */
static void add_values(RunState *s) {
    int P = process_count();
    processes_gather_each(s->parts, sizeof *s->parts);
    for (int k = 0; k < P; k++)
        for (int i = 0; i < RUNLOG_COLUMNS; i++) {
            s->sum[i] += s->parts[k][2 * i];
            s->measured[i] += (int64_t)s->parts[k][2 * i + 1];
        }
    memset(s->parts, 0, (size_t)P * sizeof *s->parts);
}

bool run_micro_next(Run *r) {
    RunState *s = r->state;
    if (s->micro.count == 1) return false;
    add_values(s);
    if (run_micro_is_last(s)) return false;
    s->micro.index += process_count();
    start(r);
    return true;
}

void run_micro_end(Run *r) {
    RunState *s = r->state;
    if (s->micro.count == 1) return;
    for (int k = 0; k < s->stream_count; k++) {
        s->streams[k].stream = s->stream_of[k];
        s->streams[k].next = (uint64_t)r->step << 32;
    }
    for (int k = 0; k < s->loader_count; k++) {
        Loader *l = &s->loaders[k];
        l->order.next = l->first + l->calls * (uint64_t)s->micro.count * (uint64_t)l->size;
    }
}
