/* idx.h — the IDX files of MNIST and its relatives: 00 00 08 RANK, RANK big-endian uint32 sizes,
 * then bytes.
 *
 * Interface:
 *   - idx_parse   checks bytes in memory and prints nothing
 *   - idx_open    reads a file, gzipped or not; fails with one line */
#ifndef IDX_H
#define IDX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IDX_MAX_RANK = 4, IDX_MESSAGE = 200 };

typedef struct {
    int rank;
    int shape[IDX_MAX_RANK];
    const uint8_t *data;         /* points into the bytes */
    size_t len;
    char sha256[65];             /* of the whole file, decompressed; idx_open only */
    uint8_t *bytes;              /* owned; idx_open only */
} Idx;

bool idx_parse(Idx *idx, const uint8_t *bytes, size_t length, char message[static IDX_MESSAGE]);
Idx  idx_open(const char *path);
void idx_close(Idx *idx);

#endif
