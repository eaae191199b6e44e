#include "data/idx.h"

#include "data/sha256.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ---- the format ------------------------------------------------------------------------------ */

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool check_magic(const uint8_t *p, size_t length, char *message) {
    if (length < 4) {
        snprintf(message, IDX_MESSAGE, "holds %zu bytes, an IDX file has at least 4", length);
    } else if (p[0] || p[1]) {
        snprintf(message, IDX_MESSAGE, "starts with the bytes %02x %02x %02x %02x, "
                 "an IDX file starts with 00 00", p[0], p[1], p[2], p[3]);
    } else if (p[2] != 8) {
        snprintf(message, IDX_MESSAGE, "has numbers of type %02x, only bytes (08) are read", p[2]);
    } else if (p[3] < 1 || p[3] > IDX_MAX_RANK) {
        snprintf(message, IDX_MESSAGE, "says it has %d axes, 1 to %d are read", p[3], IDX_MAX_RANK);
    } else {
        return true;
    }
    return false;
}

bool idx_parse(Idx *idx, const uint8_t *bytes, size_t length, char message[static IDX_MESSAGE]) {
    *idx = (Idx){0};
    if (!check_magic(bytes, length, message)) return false;
    int rank = bytes[3];
    size_t header = 4 + 4 * (size_t)rank, len = 1;
    if (length < header) {
        snprintf(message, IDX_MESSAGE, "ends inside its header: %zu bytes of %zu", length, header);
        return false;
    }
    for (int i = 0; i < rank; i++) {
        uint32_t size = big_endian(bytes + 4 + 4 * i);
        if (size == 0 || size > INT32_MAX || __builtin_mul_overflow(len, size, &len)) {
            snprintf(message, IDX_MESSAGE, "says axis %d has the size %u: it cannot", i, size);
            return false;
        }
        idx->shape[i] = (int)size;
    }
    if (length - header != len) {
        snprintf(message, IDX_MESSAGE, "%s: its header declares %zu bytes of data, %zu follow",
                 length - header < len ? "is cut short" : "has surplus bytes", len,
                 length - header);
        return false;
    }
    idx->rank = rank;
    idx->len = len;
    idx->data = bytes + header;
    return true;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* The whole file, decompressed if it is gzipped. */
static uint8_t *read_all(const char *path, size_t *length) {
    gzFile f = gzopen(path, "rbe");
    if (!f) fail("%s: cannot be read: %s", path, strerror(errno));
    gzbuffer(f, 1 << 17);
    size_t capacity = 1 << 26, n = 0;     /* memory costs nothing until it is used */
    uint8_t *bytes = memory_new(capacity, 1, "%s", path);
    int got;
    while ((got = gzread(f, bytes + n, (unsigned)(capacity - n))) > 0) {
        n += (size_t)got;
        if (n < capacity) continue;
        if (capacity >= (size_t)1 << 30) fail("%s: has more than a gigabyte of data", path);
        bytes = memory_grow(bytes, &capacity, n + 1, 1, "%s", path);
    }
    int error;
    const char *why = gzerror(f, &error);
    if (got < 0 || error != Z_OK) {
        fail("%s: cannot be read: %s", path, error == Z_ERRNO ? strerror(errno) :
             error == Z_BUF_ERROR ? "the compressed data is cut short" : why);
    }
    gzclose(f);
    *length = n;
    return bytes;
}

Idx idx_open(const char *path) {
    size_t length;
    char message[IDX_MESSAGE];
    uint8_t *bytes = read_all(path, &length);
    Idx idx;
    if (!idx_parse(&idx, bytes, length, message)) {
        free(bytes);
        fail("%s: %s", path, message);
    }
    idx.bytes = bytes;
    sha256(bytes, length, idx.sha256);
    return idx;
}

void idx_close(Idx *idx) {
    free(idx->bytes);
    *idx = (Idx){0};
}
