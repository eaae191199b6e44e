#define _GNU_SOURCE   /* vasprintf, program_invocation_name */
#include "base/file.h"

#include "base/error.h"
#include "base/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

char *text_format(const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text;
    if (vasprintf(&text, format, args) < 0) fail("out of memory");
    va_end(args);
    return text;
}

char *path_join(const char *folder, const char *name) {
    size_t n = strlen(folder);
    return text_format("%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* what can be done about a failed write */
static const char *advice(int error) {
    switch (error) {
    case ENOSPC: case EDQUOT: return "; free some space, or choose another folder with --out";
    case EACCES: case EPERM: case EROFS: case ENOTDIR: case ENOENT:
        return "; choose another folder with --out";
    default: return "";
    }
}

/* Of files that are not committed yet, by this process; when it exits, they are taken away. */
enum { UNFINISHED = 16 };
static char *unfinished[UNFINISHED];
static pid_t writer;

static void remove_unfinished(void) {
    for (int i = 0; i < UNFINISHED && writer == getpid(); i++)
        if (unfinished[i]) unlink(unfinished[i]);
}

/* in the place of `old`; NULL: of nothing */
static void note_unfinished(const char *old, char *temporary) {
    if (!writer) atexit(remove_unfinished);
    if (writer != getpid()) memset(unfinished, 0, sizeof unfinished);
    writer = getpid();
    for (int i = 0; i < UNFINISHED; i++)
        if (unfinished[i] == old) {
            unfinished[i] = temporary;
            return;
        }
}

/* Takes the unfinished file away and ends the program; the old file stays. */
static _Noreturn void give_up(AtomicFile *f, int error) {
    if (f->stream) fclose(f->stream);
    if (!f->path) fail("/dev/null: %s", strerror(error));
    unlink(f->temporary);
    fail("%s: cannot be written: %s%s", f->path, strerror(error), advice(error));
}

static bool by_all;

void file_by_all(bool all) {
    by_all = all;
}

/* Of several processes the first one writes; what the others would write is lost. */
static AtomicFile file_nowhere(void) {
    AtomicFile f = {.stream = fopen("/dev/null", "wb")};
    if (!f.stream) fail("/dev/null: cannot be opened: %s", strerror(errno));
    return f;
}

AtomicFile file_create(const char *path) {
    int rank = process_rank();
    if (rank && !by_all) return file_nowhere();
    AtomicFile f = {.path = text_format("%s", path),
                    .temporary = text_format("%s.%d.%ld.tmp", path, rank, (long)getpid())};
    unlink(f.temporary);                  /* of a killed process with these numbers */
    int fd = open(f.temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    f.stream = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!f.stream) {
        fail("%s: cannot be created: %s%s", path, strerror(errno), advice(errno));
    }
    note_unfinished(NULL, f.temporary);
    return f;
}

void file_put(AtomicFile *f, const void *bytes, size_t n) {
    if (n && fwrite(bytes, 1, n, f->stream) != n) give_up(f, errno);
}

void file_sync(AtomicFile *f) {
    if (!f->path) return;
    if (ferror(f->stream) || fflush(f->stream) || fsync(fileno(f->stream))) give_up(f, errno);
}

void file_commit(AtomicFile *f) {
    file_sync(f);
    FILE *stream = f->stream;
    f->stream = NULL;
    if (fclose(stream) || (f->path && rename(f->temporary, f->path))) give_up(f, errno);
    if (f->path) note_unfinished(f->temporary, NULL);
    free(f->path);
    free(f->temporary);
    *f = (AtomicFile){0};
}

void file_write(const char *path, const void *bytes, size_t n) {
    AtomicFile f = file_create(path);
    file_put(&f, bytes, n);
    file_commit(&f);
}

/* ---- folders --------------------------------------------------------------------------------- */

static bool is_folder(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

void folder_create(const char *path) {
    if (!*path) fail("the name of the output folder is empty; choose one with --out");
    char *part = text_format("%s", path);
    for (char *end = part + 1; ; end++) {
        if (*end != '/' && *end) continue;
        char next = *end;
        *end = 0;
        if (mkdir(part, 0777) && !(errno == EEXIST && is_folder(part))) {
            int error = errno == EEXIST ? ENOTDIR : errno;
            fail("%s: the folder cannot be created: %s%s", part, strerror(error), advice(error));
        }
        if (!(*end = next)) break;
    }
    if (access(path, W_OK | X_OK)) {
        fail("%s: nothing can be written there: %s%s", path, strerror(errno), advice(errno));
    }
    free(part);
}

/* in the nearest folder above the file `place`; NULL if there is none */
static char *file_above(const char *place, const char *name) {
    char *folder = text_format("%s", place), *path = NULL;
    for (char *slash; !path && (slash = strrchr(folder, '/')); ) {
        *slash = 0;
        path = text_format("%s/%s", folder, name);
        if (access(path, R_OK)) free(path), path = NULL;
    }
    free(folder);
    return path;
}

/* Started by way of the dynamic loader, /proc/self/exe is the loader: then the name that the program
 * was called by tells where it is. */
char *own_file(const char *name) {
    if (access(name, R_OK) == 0) return text_format("%s", name);
    char place[4096], *called = realpath(program_invocation_name, NULL), *path;
    ssize_t n = readlink("/proc/self/exe", place, sizeof place - 1);
    place[n > 0 ? n : 0] = 0;
    path = file_above(place, name);
    if (!path && called) path = file_above(called, name);
    free(called);
    return path ? path : text_format("%s", name);
}

/* ---- reading --------------------------------------------------------------------------------- */

const uint8_t *file_map(const char *path, size_t *length) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);    /* a pipe: do not wait for a writer */
    struct stat s;
    if (fd < 0 || fstat(fd, &s)) fail("%s: cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(s.st_mode)) fail("%s: is not a plain file", path);
    *length = (size_t)s.st_size;
    const uint8_t *bytes = NULL;      /* an empty file cannot be mapped, and needs not be */
    if (*length) {
        bytes = mmap(NULL, *length, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED) fail("%s: cannot be read: %s", path, strerror(errno));
    }
    close(fd);
    return bytes;
}

void file_unmap(const uint8_t *bytes, size_t length) {
    if (bytes) munmap((void *)bytes, length);
}
