/* random.c — Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011: "Parallel random numbers: as easy as
 * 1, 2, 3"): a bijection of 128-bit counters under a 64-bit key, so good that its values on 0, 1, 2, ...
 * pass as independent draws. The key is the seed; the counter is (index / 4, stream), and word
 * index % 4 of the block is the index-th draw. */
#include "kernels.h"

#include <math.h>

static void philox(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4])
{
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53 * c[0], p1 = (uint64_t)0xCD9E8D57 * c[2];
        uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ key[0], (uint32_t)p1,
                            (uint32_t)(p0 >> 32) ^ c[3] ^ key[1], (uint32_t)p0};
        for (int i = 0; i < 4; i++) c[i] = next[i];
        key[0] += 0x9E3779B9;    /* the golden ratio */
        key[1] += 0xBB67AE85;    /* sqrt(3) - 1 */
    }
    for (int i = 0; i < 4; i++) out[i] = c[i];
}

void rng_bits(Rng *r, size_t n, uint32_t *bits)
{
    uint32_t block[4];
    for (size_t i = 0; i < n; i++) {
        uint64_t index = r->next + i;
        if (i == 0 || index % 4 == 0) philox(r->seed, r->stream, index / 4, block);
        bits[i] = block[index % 4];
    }
    r->next += n;
}

uint64_t hash_name(uint64_t seed, const char *name)
{
    uint64_t h = 0xCBF29CE484222325 ^ seed;    /* FNV-1a ... */
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 0x100000001B3;
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9;    /* ... then the finaliser of splitmix64 */
    h = (h ^ h >> 27) * 0x94D049BB133111EB;
    return h ^ h >> 31;
}

Rng rng_new(uint64_t seed, const char *purpose)
{
    return (Rng){seed, hash_name(0, purpose), 0};
}

void rng_uniform(Rng *r, size_t n, real *x)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        rng_bits(r, 1, &bits);
        x[i] = (real)(bits >> 8) * (real)0x1p-24;
    }
}

/* Box and Muller: with u, t uniform, sqrt(-2 ln u) (cos 2 pi t, sin 2 pi t) are two normals. */
void rng_normal(Rng *r, size_t n, real *x)
{
    for (size_t i = 0; i < n; i += 2) {
        uint32_t bits[2];
        rng_bits(r, 2, bits);
        double u = (bits[0] + 0.5) * 0x1p-32, t = bits[1] * 0x1p-32;
        double radius = sqrt(-2 * log(u)), angle = 6.28318530717958647693 * t;
        x[i] = (real)(radius * cos(angle));
        if (i + 1 < n) x[i + 1] = (real)(radius * sin(angle));
    }
}

uint32_t rng_below(Rng *r, uint32_t n)
{
    uint32_t bits;
    rng_bits(r, 1, &bits);
    return (uint32_t)((uint64_t)bits * n >> 32);
}

void rng_permutation(Rng *r, int n, int *index)
{
    uint64_t end = r->next + n;
    for (int i = 0; i < n; i++) index[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int j = (int)rng_below(r, i + 1), kept = index[i];
        index[i] = index[j];
        index[j] = kept;
    }
    r->next = end;
}
