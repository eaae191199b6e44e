/* random.c — Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011: "Parallel random numbers: as easy as
 * 1, 2, 3"): a bijection of 128-bit counters under a 64-bit key, so thorough that its values on 0,
 * 1, 2, ... pass as independent draws. The key is the seed; the counter is (index / 4, stream), and
 * word index % 4 of the block is the index-th draw. Nothing is carried along, so the threads can
 * compute any part, and LANES blocks are computed side by side in vectors. */
#include "kernels.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

enum { LANES = 32, BLOCK = 4096 };

/* One block, as published: ten rounds of two multiplications whose halves are exchanged. */
void philox_ref(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t k0 = key[0], k1 = key[1];
    memcpy(out, counter, 4 * sizeof *out);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53 * out[0], p1 = (uint64_t)0xCD9E8D57 * out[2];
        out[0] = (uint32_t)(p1 >> 32) ^ out[1] ^ k0;
        out[1] = (uint32_t)p1;
        out[2] = (uint32_t)(p0 >> 32) ^ out[3] ^ k1;
        out[3] = (uint32_t)p0;
        k0 += 0x9E3779B9;    /* the golden ratio */
        k1 += 0xBB67AE85;    /* sqrt(3) - 1 */
    }
}

/* Blocks block .. block+LANES-1 of a stream, four words each: philox_ref side by side. */
static void philox(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[LANES * 4]) {
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];
    for (int i = 0; i < LANES; i++) {
        c0[i] = (uint32_t)(block + i);
        c1[i] = (uint32_t)((block + i) >> 32);
        c2[i] = (uint32_t)stream;
        c3[i] = (uint32_t)(stream >> 32);
    }
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < LANES; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53 * c0[i], p1 = (uint64_t)0xCD9E8D57 * c2[i];
            c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ key0;
            c1[i] = (uint32_t)p1;
            c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ key1;
            c3[i] = (uint32_t)p0;
        }
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
    for (int i = 0; i < LANES; i++) {
        out[4 * i] = c0[i];
        out[4 * i + 1] = c1[i];
        out[4 * i + 2] = c2[i];
        out[4 * i + 3] = c3[i];
    }
}

/* Draws first .. first+n-1, on one thread. */
static void fill_bits(uint64_t seed, uint64_t stream, uint64_t first, size_t n, uint32_t *bits) {
    uint32_t words[LANES * 4];
    size_t done = 0;
    while (done < n) {
        uint64_t at = first + done;
        size_t skip = at % 4, count = least_size(LANES * 4 - skip, n - done);
        philox(seed, stream, at / 4, words);
        memcpy(bits + done, words + skip, count * sizeof *bits);
        done += count;
    }
}

void rng_bits(Rng *r, size_t n, uint32_t *bits) {
    PARALLEL_FOR((double)n * COST_DRAW)
    for (size_t i = 0; i < n; i += BLOCK)
        fill_bits(r->seed, r->stream, r->next + i, least_size(BLOCK, n - i), bits + i);
    r->next += n;
}

uint64_t hash_name(uint64_t seed, const char *name) {
    uint64_t h = 0xCBF29CE484222325 ^ seed;    /* FNV-1a ... */
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 0x100000001B3;
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9;    /* ... then the finaliser of splitmix64 */
    h = (h ^ h >> 27) * 0x94D049BB133111EB;
    return h ^ h >> 31;
}

Rng rng_new(uint64_t seed, const char *purpose) {
    return (Rng){seed, hash_name(0, purpose), 0};
}

static void uniform_block(const Rng *r, size_t first, size_t n, real *x) {
    uint32_t bits[BLOCK];
    fill_bits(r->seed, r->stream, r->next + first, n, bits);
    for (size_t i = 0; i < n; i++) x[i] = (real)(int)(bits[i] >> 8) * (real)0x1p-24;
}

void rng_uniform(Rng *r, size_t n, real *x) {
    PARALLEL_FOR((double)n * COST_DRAW)
    for (size_t i = 0; i < n; i += BLOCK) uniform_block(r, i, least_size(BLOCK, n - i), x + i);
    r->next += n;
}

/* Box and Muller: with u, t uniform, sqrt(-2 ln u) (cos 2 pi t, sin 2 pi t) are two normals.
 * u = (31 bits + 1/2) / 2^31 is never 0, so the largest normal is 6.7. */
static void normal_block(const Rng *r, size_t first, size_t n, real *x) {
    enum { PAIRS = BLOCK / 2 };
    uint32_t bits[BLOCK];
    real u[PAIRS] = {(real)0.5}, t[PAIRS] = {0};
    size_t pairs = (n + 1) / 2;
    fill_bits(r->seed, r->stream, r->next + first, 2 * pairs, bits);
    for (size_t i = 0; i < pairs; i++) {
        u[i] = ((real)(int)(bits[2 * i] >> 1) + (real)0.5) * (real)0x1p-31;
        t[i] = (real)(int)(bits[2 * i + 1] >> 1) * (real)0x1p-31;
    }
    for (size_t i = 0; i < pairs; i += VEC) {
        vec sine, cosine, radius = vsqrt(vset(-2) * vlog(vload(u + i)));
        vsincos_turns(vload(t + i), &sine, &cosine);
        vstore(u + i, radius * cosine);
        vstore(t + i, radius * sine);
    }
    for (size_t i = 0; i < n / 2; i++) {
        x[2 * i] = u[i];
        x[2 * i + 1] = t[i];
    }
    if (n % 2) x[n - 1] = u[pairs - 1];
}

void rng_normal(Rng *r, size_t n, real *x) {
    PARALLEL_FOR((double)n * COST_DRAW)
    for (size_t i = 0; i < n; i += BLOCK) normal_block(r, i, least_size(BLOCK, n - i), x + i);
    r->next += n + n % 2;
}

bool rng_chance(Rng *r, double p) {
    real u;
    rng_uniform(r, 1, &u);
    return (double)u < p;
}

uint32_t rng_below(Rng *r, uint32_t n) {
    uint64_t index = r->next++, block = index / 4;
    uint32_t words[4];
    philox_ref((uint32_t[4]){(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)r->stream,
                             (uint32_t)(r->stream >> 32)},
               (uint32_t[2]){(uint32_t)r->seed, (uint32_t)(r->seed >> 32)}, words);
    return (uint32_t)((uint64_t)words[index % 4] * n >> 32);
}

void rng_permutation(Rng *r, int n, int *index) {
    uint64_t end = r->next + n;
    for (int i = 0; i < n; i++) index[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int j = (int)rng_below(r, i + 1), kept = index[i];
        index[i] = index[j];
        index[j] = kept;
    }
    r->next = end;
}
