/* sha256.h — SHA-256 (FIPS 180-4), to say which data a run has seen. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_TEXT = 65 };

void sha256(const void *bytes, size_t n, char hex[static SHA256_TEXT]);
void file_sha256(const char *path, char hex[static SHA256_TEXT]);     /* fails with one line */

#endif
