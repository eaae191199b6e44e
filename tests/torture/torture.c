/* torture KILLS SEED — kills trainings at random system calls, resumes them, and compares every file with
 * those of a run that was not killed: weights, checkpoint, log (but for its seconds) and pictures. Nothing
 * half-written may be left. Prints a line a chapter; exit status 1 if anything differs.
 *
 * The child is traced (ptrace): it is killed when it enters its k-th system call, k drawn from all calls
 * of a run that is left alone. One thread, so that these calls come in one order. */
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/fashion.h"
#include "kernels/kernels.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* small runs, with several checkpoints each; one of two stages, one of three */
static const struct { const char *chapter, *arguments; } trainings[] = {
    {"ae", "--steps 6 --batch 2 --code 2"},
    {"vqvae", "--steps 4 --prior-steps 4 --batch 2 --hidden 4 --residual 2 --codes 8 --dim 4 "
              "--layers 1 --width 4 --head 4"},
    {"vqvae2", "--steps 2 --top-steps 2 --bottom-steps 2 --batch 2 --prior-batch 2 --width 4 --dim 4 "
               "--prior-channels 16 --codes 8"},
};
enum { TRAININGS = sizeof trainings / sizeof *trainings, MOST_WORDS = 64, NEVER = 1 << 30 };

static char scratch[40];             /* folder of everything */
static const char *build;

/* ---- the child ------------------------------------------------------------------------------- */

/* runs `command` in DIR; killed when it enters system call number `at`. Returns its exit status, or
 * 128 + SIGKILL; *calls: how many it has entered */
static int run(char *command, int at, int *calls) {
    char *words[MOST_WORDS + 1], *save;
    int n = 0, status;
    for (char *w = strtok_r(command, " ", &save); w && n < MOST_WORDS;
         w = strtok_r(NULL, " ", &save)) words[n++] = w;
    words[n] = NULL;
    pid_t child = fork();
    if (child < 0) fail("no process: %s", strerror(errno));
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1), dup2(null, 2);
        setenv("OMP_WAIT_POLICY", "passive", 1);
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        execv(words[0], words);
        _exit(127);
    }
    *calls = 0;
    bool entering = true;
    int pass = 0;
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        int signal_number = WSTOPSIG(status);
        pass = signal_number == SIGTRAP || signal_number == (SIGTRAP | 0x80) ? 0 : signal_number;
        if (signal_number == (SIGTRAP | 0x80)) {
            if (entering && ++*calls == at) kill(child, SIGKILL);
            entering = !entering;
        } else {
            ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
        }
        ptrace(PTRACE_SYSCALL, child, NULL, (void *)(intptr_t)pass);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int train(int k, const char *folder, bool resume, int at, int *calls) {
    char *command = text_format("%s/%s train %s --threads 1 --data %s/data --quiet --out %s%s", build,
                                trainings[k].chapter, trainings[k].arguments, scratch, folder,
                                resume ? " --resume" : "");
    int status = run(command, at, calls);
    free(command);
    return status;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

/* a log without its second column */
static size_t without_seconds(char *text, size_t n) {
    size_t m = 0;
    for (size_t i = 0, column = 0; i < n; i++) {
        if (text[i] == ',' || text[i] == '\n') column = text[i] == ',' ? column + 1 : 0;
        if (column != 1 || text[i] == '\n') text[m++] = text[i];
    }
    return m;
}

/* a PNG without the text that names the command: --resume stands in it */
static size_t without_text(char *bytes, size_t n) {
    size_t m = 8;
    for (size_t i = 8; i + 12 <= n; ) {
        const uint8_t *b = (const uint8_t *)bytes + i;
        size_t length = ((size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3]) + 12;
        if (length > n - i) break;
        if (memcmp(bytes + i + 4, "tEXt", 4)) memmove(bytes + m, bytes + i, length), m += length;
        i += length;
    }
    return m;
}

/* what is to be equal in a file; to be freed */
static char *content(const char *path, const char *name, size_t *n) {
    const uint8_t *bytes = file_map(path, n);
    char *copy = memory_new(*n + 1, 1, "%s", path);
    memcpy(copy, bytes, *n);
    file_unmap(bytes, *n);
    if (ends_with(name, ".csv")) *n = without_seconds(copy, *n);
    if (ends_with(name, ".png")) *n = without_text(copy, *n);
    return copy;
}

static bool same(const char *a, const char *b, const char *name) {
    char *one = path_join(a, name), *two = path_join(b, name);
    bool equal = access(two, R_OK) == 0;
    if (equal) {
        size_t n, m;
        char *x = content(one, name, &n), *y = content(two, name, &m);
        equal = n == m && !memcmp(x, y, n);
        free(x), free(y);
    }
    free(one), free(two);
    return equal;
}

/* every file of the straight run is in the other, alike, and the other has nothing half-written */
static bool same_folders(const char *straight, const char *other, const char **what) {
    static char name[256];
    bool good = true;
    DIR *d = opendir(straight);
    for (struct dirent *e; good && d && (e = readdir(d)); ) {
        if (e->d_name[0] == '.' || ends_with(e->d_name, "run.json")) continue;
        if (!same(straight, other, e->d_name)) good = false, strcpy(name, e->d_name);
    }
    closedir(d);
    d = opendir(other);
    for (struct dirent *e; good && d && (e = readdir(d)); )
        if (ends_with(e->d_name, ".tmp")) good = false, strcpy(name, e->d_name);
    closedir(d);
    *what = name;
    return good;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* 120 training and 40 test images, as IDX files */
static void write_data(void) {
    Fashion f = fashion_load(NULL);
    char *folder = text_format("%s/data", scratch);
    folder_create(folder);
    for (int k = 0; k < 4; k++) {
        const Images *set = k < 2 ? &f.train : &f.test;
        uint8_t n = k < 2 ? 120 : 40, pixels = k % 2 == 0;
        uint8_t head[16] = {0, 0, 8, pixels ? 3 : 1, 0, 0, 0, n, 0, 0, 0, 28, 0, 0, 0, 28};
        char *path = path_join(folder, fashion_files[k]);
        AtomicFile out = file_create(path);
        file_put(&out, head, pixels ? 16 : 8);
        file_put(&out, pixels ? set->pixels : set->labels, n * (pixels ? 784u : 1u));
        file_commit(&out);
        free(path);
    }
    free(folder);
    fashion_free(&f);
}

/* Kills a run, and goes on to its end; false: what differs is printed. *hits counts the kills that ended
 * a run: one whose system calls are fewer this time is over before. */
static bool survive(int k, const char *straight, int calls, Rng *rng, int *hits) {
    char *folder = text_format("%s/killed", scratch), *remove = text_format("rm -rf %s", folder);
    const char *what;
    int at = 1 + (int)rng_below(rng, (uint32_t)calls), entered;
    if (system(remove)) fail("%s cannot be removed", folder);
    int status = train(k, folder, false, at, &entered);
    char *checkpoint = text_format("ls %s/*checkpoint.safetensors >/dev/null 2>&1", folder);
    bool hit = status == 128 + SIGKILL;
    if (hit) status = train(k, folder, system(checkpoint) == 0, NEVER, &entered);
    *hits += hit;
    bool good = status == 0 && same_folders(straight, folder, &what);
    if (status) printf("%s, killed at system call %d: going on ends with status %d\n",
                       trainings[k].chapter, at, status);
    else if (!good) printf("%s, killed at system call %d: %s differs\n", trainings[k].chapter, at, what);
    free(folder), free(remove), free(checkpoint);
    return good;
}

int main(int argc, char **argv) {
    int kills = argc > 1 ? atoi(argv[1]) : 0, failed = 0;
    if (kills < 1 || argc > 3) usage_error("torture KILLS [SEED]");
    build = getenv("BUILD") ? getenv("BUILD") : "build";
    strcpy(scratch, "/tmp/torture-XXXXXX");
    if (!mkdtemp(scratch)) fail("%s: %s", scratch, strerror(errno));
    write_data();
    Rng rng = rng_new(argc > 2 ? strtoull(argv[2], NULL, 10) : 1, "kills");
    for (int k = 0; k < TRAININGS; k++) {
        char *straight = text_format("%s/straight-%s", scratch, trainings[k].chapter);
        int calls, lost = 0, hits = 0, n = (kills + TRAININGS - 1) / TRAININGS;
        if (train(k, straight, false, NEVER, &calls)) fail("%s: does not train", trainings[k].chapter);
        for (int i = 0; i < n; i++) lost += !survive(k, straight, calls, &rng, &hits);
        printf("%s: %d of %d kills at one of %d system calls hit; %d: everything equal after going on\n",
               trainings[k].chapter, hits, n, calls, n - lost);
        if (10 * hits < 9 * n) printf("%s: too few kills hit\n", trainings[k].chapter), lost++;
        fflush(stdout);
        failed += lost;
        free(straight);
    }
    char *remove = text_format("rm -rf %s", scratch);
    if (system(remove)) fail("%s cannot be removed", scratch);
    free(remove);
    return failed > 0;
}
