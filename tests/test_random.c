/* test_random.c — random numbers: known answers, moments, the same bits for any number of threads. */
#include "arrays.h"
#include "kernels/kernels.h"
#include "testing.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int sizes[] = {1, 7, 8, 9, 15, 16, 17, 63, 65};
enum { SIZES = sizeof sizes / sizeof *sizes };

TestSuite(random, .fini = free_arrays);

/* ---- random numbers -------------------------------------------------------------------------- */

static void check_philox(const uint32_t counter[4], const uint32_t key[2], const uint32_t want[4]) {
    uint32_t got[4];
    philox_ref(counter, key, got);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(got[i], want[i], "word %d is %08x, expected %08x", i, got[i], want[i]);
}

/* Do the numbers equal those of the authors' own library, Random123? */
Test(random, philox_gives_the_published_known_answers) {
    check_philox((uint32_t[4]){0, 0, 0, 0}, (uint32_t[2]){0, 0},
                 (uint32_t[4]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    check_philox((uint32_t[4]){~0u, ~0u, ~0u, ~0u}, (uint32_t[2]){~0u, ~0u},
                 (uint32_t[4]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    check_philox((uint32_t[4]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                 (uint32_t[2]){0xa4093822, 0x299f31d0},
                 (uint32_t[4]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

Test(random, random_bits_are_blocks_of_philox) {
    Rng r = {0x123456789abcdef0, 0xfedcba9876543210, 0x3fffffffc};    /* the block number carries */
    Rng s = r;
    uint32_t bits[100], want[4];
    rng_bits(&r, 100, bits);
    for (int i = 0; i < 100; i++) {
        uint64_t block = (s.next + i) / 4;
        philox_ref((uint32_t[4]){(uint32_t)block, (uint32_t)(block >> 32), 0x76543210, 0xfedcba98},
                   (uint32_t[2]){0x9abcdef0, 0x12345678}, want);
        cr_assert_eq(bits[i], want[(s.next + i) % 4], "word %d", i);
    }
}

Test(random, random_numbers_depend_on_their_index_only) {
    uint32_t all[1000], part[1000];
    Rng r = rng_new(7, "noise"), s = r;
    rng_bits(&r, 1000, all);
    cr_assert_eq(r.next, 1000u);
    for (size_t done = 0, n = 1; done < 1000; done += n, n = n * 2 + 1) {
        if (n > 1000 - done) n = 1000 - done;
        rng_bits(&s, n, part + done);
    }
    cr_assert(memcmp(all, part, sizeof all) == 0, "drawn in pieces they differ");
    real normal[5], next;
    rng_normal(&r, 5, normal);
    cr_assert_eq(r.next, 1006u, "normal numbers are drawn in pairs");
    rng_normal(&r, 1, &next);
    cr_assert(next != normal[4]);
    cr_assert(rng_new(7, "data").stream != rng_new(7, "noise").stream);
    cr_assert(hash_name(1, "a") != hash_name(2, "a") && hash_name(1, "a") != hash_name(1, "b"));
}

Test(random, uniform_and_normal_numbers_have_the_right_moments) {
    enum { N = 400000 };
    real *x = array(N);
    Rng r = rng_new(3, "test");
    rng_uniform(&r, N, x);
    double mean = 0, square = 0;
    for (int i = 0; i < N; i++) {
        cr_assert(x[i] >= 0 && x[i] < 1);
        mean += x[i] / N;
        square += (double)x[i] * x[i] / N;
    }
    cr_assert(fabs(mean - 0.5) < 0.003 && fabs(square - 1 / 3.) < 0.003,
              "uniform: mean %g, E x^2 %g", mean, square);
    double moment[5] = {0};
    rng_normal(&r, N, x);
    for (int i = 0; i < N; i++)
        for (int k = 1; k < 5; k++) moment[k] += pow(x[i], k) / N;
    cr_assert(fabs(moment[1]) < 0.008 && fabs(moment[2] - 1) < 0.012 && fabs(moment[3]) < 0.03 &&
                  fabs(moment[4] - 3) < 0.08,
              "normal: moments %g %g %g %g", moment[1], moment[2], moment[3], moment[4]);
}

Test(random, normal_numbers_are_those_of_box_and_muller) {
    for (int i = 0; i < SIZES + 1; i++) {
        size_t n = i < SIZES ? (size_t)sizes[i] : 9001;
        Rng r = {5, 6, 3}, s = r;
        real *x = array(n), *want = array(n);
        uint32_t *bits = malloc((n + 1) * sizeof *bits);
        rng_normal(&r, n, x);
        rng_bits(&s, n + n % 2, bits);
        cr_assert_eq(r.next, s.next);
        for (size_t j = 0; j < n; j++) {
            double radius = sqrt(-2 * log(((bits[j & ~1ul] >> 1) + 0.5) * 0x1p-31));
            double angle = 6.28318530717958647693 * ((bits[j | 1] >> 1) * 0x1p-31);
            want[j] = (real)(radius * (j % 2 ? sin(angle) : cos(angle)));
        }
        agree(n, x, want, sizeof(real) == 4 ? 1e-5 : 1e-13, "%zu normal numbers", n);
        free(bits);
        free_arrays();
    }
}

Test(random, numbers_below_a_limit_are_scaled_bits) {
    enum { N = 9, LIMIT = 1000 };
    uint32_t bits[N];
    Rng r = rng_new(3, "below"), s = r;
    rng_bits(&r, N, bits);
    for (int i = 0; i < N; i++)
        cr_assert_eq(rng_below(&s, LIMIT), (uint64_t)bits[i] * LIMIT >> 32, "number %d", i);
    cr_assert_eq(s.next, r.next);
}

Test(random, permutations_hold_every_index_once) {
    for (int i = 0; i < SIZES; i++) {
        int index[65], seen[65] = {0};
        Rng r = rng_new(i, "order");
        rng_permutation(&r, sizes[i], index);
        cr_assert_eq(r.next, (uint64_t)sizes[i]);
        for (int j = 0; j < sizes[i]; j++)
            cr_assert(index[j] >= 0 && index[j] < sizes[i] && !seen[index[j]]++);
    }
    Rng r = rng_new(1, "below");
    for (int i = 0; i < 1000; i++) cr_assert(rng_below(&r, 10) < 10);
    cr_assert_eq(r.next, 1000u);
}

Test(random, dropout_keeps_the_right_share_and_scales_it) {
    enum { N = 100000 };
    real *x = array(N), *y = array(N), *twice = array(N);
    for (int i = 0; i < N; i++) x[i] = 1;
    k_dropout(N, (real)0.25, 1, 2, 5, x, y, false);
    int kept = 0;
    for (int i = 0; i < N; i++) {
        cr_assert(y[i] == 0 || fabs((double)y[i] * 0.75 - 1) < 1e-6);
        kept += y[i] != 0;
    }
    cr_assert(abs(kept - N * 3 / 4) < 700, "%d of %d kept", kept, N);
    memcpy(twice, y, N * sizeof(real));
    k_dropout(N, (real)0.25, 1, 2, 5, x, twice, true);
    for (int i = 0; i < N; i++) cr_assert(twice[i] == 2 * y[i]);
    k_dropout(N - 3, (real)0.25, 1, 2, 8, x, twice, false);
    cr_assert(memcmp(twice, y + 3, (N - 3) * sizeof(real)) == 0, "counters shifted by three");
    SAME_BITS_FOR_ANY_THREADS(N, y, k_dropout(N, (real)0.25, 1, 2, 5, x, y, false));
}

Test(random, random_numbers_have_the_same_bits_for_any_number_of_threads) {
    size_t n = 30001;
    real *x = array(n);
    Rng r;
    SAME_BITS_FOR_ANY_THREADS(n, x, (r = rng_new(1, "a"), rng_uniform(&r, n, x)));
    SAME_BITS_FOR_ANY_THREADS(n, x, (r = rng_new(1, "a"), rng_normal(&r, n, x)));
}
