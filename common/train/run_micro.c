/* run_micro.c — steps made of micro-batches: which part of everything belongs to which. Of P
 * processes the k-th does the micro-batches k, P + k, 2P + k ... */
#include "train/run_state.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/processes.h"
#include "data/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* ---- before the first step ------------------------------------------------------------------- */

enum { COMPARED = 4 };
typedef struct {
    char host[64], sum[COMPARED][SHA256_TEXT];
} Identity;

static void sum_options(const Cli *cli, char to[static SHA256_TEXT]) {
    char *all = text_format("%s", cli->program), value[CLI_TEXT];
    for (const Option *o = cli->options; o->name; o++) {
        bool same = cli_kept(cli, o) && strcmp(o->name, "data");     /* their folders may differ */
        const char *v = same ? cli_text(o, value) : NULL;
        char *longer = v ? text_format("%s --%s %s", all, o->name, v) : NULL;
        if (longer) free(all), all = longer;
    }
    sha256(all, strlen(all), to);
    free(all);
}

static void sum_texts(const Checkpoint *c, char to[static SHA256_TEXT]) {
    char *all = text_format("data");
    for (const CheckpointText *t = c->texts; t->name; t++) {
        char *longer = text_format("%s %s %s", all, t->name, t->text);
        free(all), all = longer;
    }
    sha256(all, strlen(all), to);
    free(all);
}

static void sum_weights(const RunState *s, char to[static SHA256_TEXT]) {
    char both[2 * SHA256_TEXT] = "";
    for (int k = 0; k < s->optimizer_count; k++) {
        const Params *p = s->optimizers[k].params;
        for (int i = 0; i < p->count; i++) {
            sha256(p->list[i]->x, p->list[i]->len * sizeof(real), both + strlen(both));
            sha256(both, strlen(both), to);
            strcpy(both, to);
        }
    }
    sha256(both, strlen(both), to);
}

void run_agree(const Run *r) {
    static const char *const what[COMPARED] = {"program", "options", "data", "weights"};
    const RunState *s = r->state;
    int P = process_count();
    if (P == 1) return;
    Identity *all = memory_new((size_t)P, sizeof *all, "%d processes", P);
    Identity *own = all + process_rank();
    gethostname(own->host, sizeof own->host - 1);
    file_sha256("/proc/self/exe", own->sum[0]);
    sum_options(s->cli, own->sum[1]), sum_texts(&s->saved, own->sum[2]);
    sum_weights(s, own->sum[3]);
    processes_all_gather_each(all, sizeof *all);
    for (int k = 1; k < P && s->writes; k++)
        for (int i = 0; i < COMPARED; i++)
            if (strcmp(all[k].sum[i], all[0].sum[i]))
                fail("process %d on %s: its %s (sha256 %.16s...) are not those of process 0 on %s "
                     "(%.16s...)", k, all[k].host, what[i], all[k].sum[i], all[0].host,
                     all[0].sum[i]);
    free(all);
}

/* ---- turns ----------------------------------------------------------------------------------- */

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
    processes_all_gather_each(s->parts, sizeof *s->parts);
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
