/* run_folder.c — the folder of a run: one training at a time, and nothing of an earlier one lost. */
#define _GNU_SOURCE   /* flock */
#include "train/run_state.h"

#include "base/error.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the lock -------------------------------------------------------------------------------- */

/* the process that holds the lock on the folder, by /proc/locks; 0: not known */
static long lock_holder(int folder) {
    struct stat s;
    char line[256];
    long holder = 0;
    FILE *f = fopen("/proc/locks", "re");
    if (fstat(folder, &s)) s.st_ino = 0;
    while (f && fgets(line, sizeof line, f)) {
        long pid;
        unsigned long long inode;
        if (sscanf(line, "%*d: FLOCK %*s %*s %ld %*x:%*x:%llu", &pid, &inode) == 2 &&
            inode == (unsigned long long)s.st_ino) holder = pid;
    }
    if (f) fclose(f);
    return holder;
}

/* Is there no such process any more? One that was killed stays until its parent asks how it ended. */
static bool has_ended(int pid) {
    char path[40], state = 0;
    if (kill(pid, 0)) return errno == ESRCH;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1) state = 0;
    if (f) fclose(f);
    return state == 'Z';
}

/* "weights.safetensors.0.1234.tmp" of process 1234, if that one is no more */
static bool is_abandoned(const char *name) {
    size_t n = strlen(name);
    if (n < 4 || strcmp(name + n - 4, ".tmp")) return false;
    const char *dot = name + n - 4;
    int number[2];                                 /* the process, then its rank */
    for (int k = 0; k < 2; k++) {
        const char *end = dot;
        while (dot > name && dot[-1] >= '0' && dot[-1] <= '9') dot--;
        if (dot == end || dot == name || *--dot != '.') return false;
        number[k] = atoi(dot + 1);
    }
    return number[0] > 0 && has_ended(number[0]);
}

static void remove_abandoned(const char *folder) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)); )
        if (is_abandoned(e->d_name)) unlinkat(dirfd(d), e->d_name, 0);
    if (d) closedir(d);
}

void run_folder_open(RunState *s) {
    folder_create(s->folder);
    s->lock = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->lock >= 0 && flock(s->lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
        long pid = lock_holder(s->lock);
        char who[40] = "another process";
        if (pid) snprintf(who, sizeof who, "process %ld", pid);
        fail("%s: %s is training in this folder; wait for it, or choose another with --out",
             s->folder, who);
    }
    remove_abandoned(s->folder);
}

void run_folder_close(RunState *s) {
    if (s->lock >= 0) close(s->lock);
}

/* ---- going on -------------------------------------------------------------------------------- */

bool run_folder_is_asked_for(const RunState *s) {
    const char *stage = s->settings.stage;
    for (const Option *o = s->cli->options; stage && o->name; o++)
        if (!strcmp(o->name, "stage") && o->s && !strcmp(*o->s, stage)) return true;
    return false;
}

bool run_folder_renames(const RunState *s, const char *path) {
    struct stat a, b;
    char *own = path_join(s->folder, "weights.safetensors");
    bool same = !stat(path, &a) && !stat(own, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    free(own);
    return same;
}

/* Of a run of all stages, those that it has not come to begin; it knows its options. */
bool run_folder_resumes(RunState *s) {
    bool there = access(s->checkpoint, F_OK) == 0;
    if (!there && (!s->settings.stage || run_folder_is_asked_for(s)))
        fail("%s: not found, so there is nothing to go on from; leave --resume out to start anew",
             s->checkpoint);
    if (there) checkpoint_options(s->checkpoint, s->cli, true);
    return there;
}

/* ---- starting anew --------------------------------------------------------------------------- */

enum { SAID = 1000 };

/* FOLDER/NAME becomes FOLDER/NAME.old, or .old2 ... if there is one; what was renamed is added to
 * `said`. */
static void set_aside(const char *folder, const char *name, char said[static SAID]) {
    char *path = path_join(folder, name), *old = text_format("%s.old", path);
    for (int k = 2; access(path, F_OK) == 0 && access(old, F_OK) == 0; k++) {
        free(old);
        old = text_format("%s.old%d", path, k);
    }
    if (rename(path, old) == 0) {
        size_t n = strlen(said);
        snprintf(said + n, SAID - n, "%s%s", n ? ", " : "", strrchr(old, '/') + 1);
    }
    free(path), free(old);
}

static void set_stage_aside(const char *folder, const char *stage, char said[static SAID]) {
    static const char *const files[] = {"checkpoint.safetensors", "log.csv", "run.json",
                                        "weights.safetensors"};
    for (int i = 0; i < 4; i++) {
        char *name = *stage ? text_format("%s-%s", stage, files[i]) : text_format("%s", files[i]);
        set_aside(folder, name, said);
        free(name);
    }
}

void run_folder_set_aside(RunState *s, bool goes_on) {
    const char *stage = s->settings.stage, *stages = s->settings.later;
    char said[SAID] = "", *later = text_format("%s", stages ? stages : ""), *rest;
    if (!goes_on) set_stage_aside(s->folder, stage ? stage : "", said);
    for (char *t = strtok_r(later, " ", &rest); t; t = strtok_r(NULL, " ", &rest))
        set_stage_aside(s->folder, t, said);
    if (stage && (stages || !goes_on))       /* of all stages */
        set_aside(s->folder, "weights.safetensors", said);
    if (*said) fprintf(stderr, "%s: an earlier run's files are kept as %s\n", s->folder, said);
    free(later);
}
