/* conv_frame.c — images with borders; see conv.h. */
#include "conv.h"
#include "sizes.h"

#include <string.h>

void conv_plan(ConvPlan *p, int units_wanted) {
    const int frame_bytes = 128 * 1024;    /* a quarter of a usual second-level cache */
    int needed_h = (p->oh - 1) * p->stride + p->kh, needed_w = (p->ow - 1) * p->stride + p->kw;
    p->copies = p->pad_top || p->pad_left || needed_h > p->h || needed_w > p->w;
    p->frame_w = p->copies ? needed_w : p->w;
    int row_bytes = most(1, p->frame_w * p->ic * (int)sizeof(real));
    int rows_that_fit = frame_bytes / row_bytes;
    p->images = least(rows_that_fit / most(1, needed_h), most(1, p->b / units_wanted));
    p->rows = p->oh;
    if (p->images < 1) {
        p->images = 1;
        p->rows = most(1, least(p->oh, (rows_that_fit - p->kh) / p->stride + 1));
        int bands = (p->oh + p->rows - 1) / p->rows;    /* bands of nearly equal height */
        p->rows = (p->oh + bands - 1) / bands;
    }
    p->bands = (p->oh + p->rows - 1) / p->rows;
    p->units = p->bands > 1 ? p->b * p->bands : (p->b + p->images - 1) / p->images;
    p->frame_h = p->copies ? (p->rows - 1) * p->stride + p->kh : p->h;
}

size_t conv_frame_count(const ConvPlan *p) {
    return p->copies ? (size_t)p->images * p->frame_h * p->frame_w * p->ic : 0;
}

void conv_offsets(const ConvPlan *p, int *offset) {
    for (int n = 0; n < p->images; n++)
        for (int i = 0; i < p->rows; i++)
            for (int j = 0; j < p->ow; j++)
                *offset++ = ((n * p->frame_h + i * p->stride) * p->frame_w + j * p->stride) * p->ic;
}

/* One row of a frame: row r of image x, or zeros where it lies outside. */
static void copy_row(const ConvPlan *p, const real *x, int r, real *row) {
    size_t count = (size_t)p->frame_w * p->ic;
    int first = most(0, -p->pad_left), left = most(0, p->pad_left);
    int width = least(p->w - first, p->frame_w - left);
    if (r < 0 || r >= p->h || width <= 0) {
        memset(row, 0, count * sizeof(real));
        return;
    }
    size_t before = (size_t)left * p->ic, inside = (size_t)width * p->ic;
    memset(row, 0, before * sizeof(real));
    memcpy(row + before, x + ((size_t)r * p->w + first) * p->ic, inside * sizeof(real));
    memset(row + before + inside, 0, (count - before - inside) * sizeof(real));
}

ConvUnit conv_unit(const ConvPlan *p, int unit, const real *x, real *room) {
    ConvUnit u = {.first_image = unit / p->bands * p->images,
                  .first_row = unit % p->bands * p->rows};
    int images = least(p->images, p->b - u.first_image), rows = least(p->rows, p->oh - u.first_row);
    size_t image = (size_t)p->h * p->w * p->ic;
    x += u.first_image * image;
    u.pixels = images * rows * p->ow;
    u.frame = p->copies ? room : x + (size_t)u.first_row * p->stride * p->w * p->ic;
    if (!p->copies) return u;
    int used = (rows - 1) * p->stride + p->kh;    /* the last band may be shorter than its frame */
    for (int n = 0; n < images; n++)
        for (int i = 0; i < used; i++)
            copy_row(p, x + n * image, u.first_row * p->stride - p->pad_top + i,
                     room + ((size_t)n * p->frame_h + i) * p->frame_w * p->ic);
    return u;
}
