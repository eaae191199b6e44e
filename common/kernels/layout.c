/* layout.c — copies that change shape. */
#include "kernels.h"

#include <string.h>

void k_copy_rows(size_t rows, size_t cols, const real *src, size_t ld_src, real *dst, size_t ld_dst,
                 bool add)
{
    for (size_t i = 0; i < rows; i++, src += ld_src, dst += ld_dst)
        for (size_t j = 0; j < cols; j++) dst[j] = add ? dst[j] + src[j] : src[j];
}

void k_permute(const int shape[4], const int perm[4], const real *x, real *y, bool add)
{
    size_t step[4] = {(size_t)shape[1] * shape[2] * shape[3], (size_t)shape[2] * shape[3], shape[3], 1};
    for (int i = 0; i < shape[perm[0]]; i++)
        for (int j = 0; j < shape[perm[1]]; j++)
            for (int k = 0; k < shape[perm[2]]; k++)
                for (int l = 0; l < shape[perm[3]]; l++, y++) {
                    real v = x[i * step[perm[0]] + j * step[perm[1]] + k * step[perm[2]] + l * step[perm[3]]];
                    *y = add ? *y + v : v;
                }
}

void k_gather_rows(int n, int d, const real *table, const int *index, real *y)
{
    for (int i = 0; i < n; i++)
        memcpy(y + (size_t)i * d, table + (size_t)index[i] * d, d * sizeof(real));
}

void k_scatter_rows(int n, int d, int table_rows, const int *index, const real *dy, real *dtable,
                    bool add)
{
    if (!add) memset(dtable, 0, (size_t)table_rows * d * sizeof(real));
    for (int i = 0; i < n; i++)
        for (int j = 0; j < d; j++) dtable[(size_t)index[i] * d + j] += dy[(size_t)i * d + j];
}

void k_upsample2(int b, int h, int w, int c, real a, const real *x, real *y, bool add)
{
    for (int i = 0; i < b * 2 * h; i++)
        for (int j = 0; j < 2 * w; j++)
            for (int k = 0; k < c; k++, y++) {
                real v = a * x[((size_t)(i / 2) * w + j / 2) * c + k];
                *y = add ? *y + v : v;
            }
}

void k_sum_pool2(int b, int h, int w, int c, real a, const real *x, real *y, bool add)
{
    size_t row = (size_t)2 * w * c;
    for (int i = 0; i < b * h; i++)
        for (int j = 0; j < w; j++)
            for (int k = 0; k < c; k++, y++) {
                const real *at = x + 2 * i * row + (size_t)2 * j * c + k;
                real v = a * ((at[0] + at[c]) + (at[row] + at[row + c]));
                *y = add ? *y + v : v;
            }
}

void k_max_pool2(int b, int h, int w, int c, const real *x, real *y, uint8_t *winner)
{
    size_t row = (size_t)2 * w * c;
    for (int i = 0; i < b * h; i++)
        for (int j = 0; j < w; j++)
            for (int k = 0; k < c; k++, y++, winner++) {
                const real *at = x + 2 * i * row + (size_t)2 * j * c + k;
                const real v[4] = {at[0], at[c], at[row], at[row + c]};
                int best = 0;
                for (int l = 1; l < 4; l++)
                    if (v[l] > v[best]) best = l;
                *y = v[best];
                *winner = (uint8_t)best;
            }
}

void k_max_pool2_back(int b, int h, int w, int c, const uint8_t *winner, const real *dy, real *dx,
                      bool add)
{
    size_t row = (size_t)2 * w * c;
    for (int i = 0; i < b * h; i++)
        for (int j = 0; j < w; j++)
            for (int k = 0; k < c; k++, dy++, winner++)
                for (int l = 0; l < 4; l++) {
                    real *at = dx + (2 * i + l / 2) * row + (size_t)(2 * j + l % 2) * c + k;
                    real d = *winner == l ? *dy : 0;
                    *at = add ? *at + d : d;
                }
}
