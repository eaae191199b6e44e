/* file.h — files that are either whole or not there.
 *
 * What is written goes to "PATH.RANK.PID.tmp" in the same folder, is brought to the disk and then
 * renamed, so that a crash or a full disk leaves the old file as it was. On failure the program ends
 * with one line and status 1; when it exits, for whatever reason, temporary files that were not
 * renamed are removed (of 16 at a time). Of several processes
 * (base/processes.h) the first one writes, and the others write nothing, but for what each makes for
 * itself (file_by_all).
 *
 * Interface:
 *   - file_create, file_put, file_commit   a file written piece by piece; file_sync brings what is
 *                                          there to the disk, so that the commit can hardly fail
 *   - file_write                           the same in one call
 *   - file_by_all                          each of several processes writes: a cache
 *   - file_map, file_unmap                 a file's bytes for reading
 *   - folder_create                        mkdir -p
 *   - own_file                             data that the repository brings along */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    FILE *stream;
    char *path, *temporary;
} AtomicFile;

AtomicFile file_create(const char *path);
void file_put(AtomicFile *f, const void *bytes, size_t n);
void file_sync(AtomicFile *f);
void file_commit(AtomicFile *f);
void file_write(const char *path, const void *bytes, size_t n);

/* From now on (true), or no more (false), every process writes the files it creates: what each reads
 * again, and all make alike. They may share a folder, or have one on each machine. */
void file_by_all(bool all);

const uint8_t *file_map(const char *path, size_t *length);   /* plain files only; read only */
void file_unmap(const uint8_t *bytes, size_t length);

void folder_create(const char *path);      /* and those above it; no error if it is there */

/* A file of the repository that a program was built in, wherever it is called from: in the nearest
 * folder above the program, or the current one, that has it. `name` itself if there is none. The
 * caller frees it. */
char *own_file(const char *name);

/* "folder/name"; the caller frees it */
char *path_join(const char *folder, const char *name);

/* formats like sprintf into memory that the caller frees */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
