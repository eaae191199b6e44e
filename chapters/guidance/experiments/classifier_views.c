#include "classifier_views.h"

#include "base/file.h"
#include "diffusion/validation.h"
#include "io/picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- accuracy -------------------------------------------------------------------------------- */

enum { IMAGES = 500, TIMES = 20 };

/* means over n images, all of them at t[0] = ... = t[n-1] */
static void measure(const NoisyClassifier *c, Validation v, double *accuracy, double *nats) {
    double right[VALIDATION_BATCH];
    *accuracy = *nats = 0;
    while (validation_next(&v)) {
        Tensor *logits = class_logits(c, v.batch.xt, v.batch.time);
        Tensor *log_p = class_log_probability(logits, v.labels);
        class_is_right(logits, v.labels, right);
        for (int b = 0; b < v.B; b++) *accuracy += right[b] / v.n;
        *nats -= k_sum(log_p->len, log_p->x) / v.n;
    }
    validation_free(&v);
}

double accuracy_by_time(const NoisyClassifier *c, const NoiseSchedule *s, const Images *test,
                        const char *path) {
    int n = test->count < IMAGES ? test->count : IMAGES, t[IMAGES];
    double mean = 0;
    AtomicFile f = file_create(path);
    fprintf(f.stream, "t,alpha_bar,accuracy,nats\n");
    for (int k = 0; k < TIMES; k++) {
        double accuracy, nats;
        for (int i = 0; i < n; i++) t[i] = (2 * k + 1) * s->T / (2 * TIMES);
        measure(c, (Validation){.schedule = s, .images = test, .n = n, .t = t}, &accuracy, &nats);
        fprintf(f.stream, "%d,%.6g,%.6g,%.6g\n", t[0], s->alpha_bar[t[0]], accuracy, nats);
        mean += accuracy / TIMES;
    }
    file_commit(&f);
    return mean;
}

/* ---- its gradient ---------------------------------------------------------------------------- */

enum { MOMENTS = 6, SHOWN = 2, SIDE = FASHION_SIDE, PIXELS = FASHION_PIXELS, ROWS = 3 };

static void paint(const real *x, double scale, bool grey, real *rgb) {
    for (int i = 0; i < PIXELS; i++) {
        double v = fmax(-1, fmin(1, (double)x[i] * scale));
        double red = grey ? v : v < 0 ? 1 + 2 * v : 1, blue = grey ? v : v > 0 ? 1 - 2 * v : 1;
        rgb[3 * i] = (real)red, rgb[3 * i + 2] = (real)blue;
        rgb[3 * i + 1] = (real)fmin(red, blue);
    }
}

/* x_t and its class's gradient, in colours; returns p(class|x_t) */
static double paint_gradient(const NoisyClassifier *c, const Step *at, const real *xt, int class,
                             real *rgb) {
    real gradient[PIXELS], largest = 0;
    Tape tape = {0};
    ClassGuide guide = class_guide(c, &class, &tape);
    guide_gradient(&guide, at, xt, gradient);
    for (int i = 0; i < PIXELS; i++) largest = (real)fmax(largest, fabs((double)gradient[i]));
    paint(gradient, 1 / fmax((double)largest, 1e-30), false, rgb);
    Tensor *x = t_input(&tape, xt, SHAPE(1, SIDE, SIDE, 1));
    tape.no_grad = true;
    Tensor *log_p = class_log_probability(class_logits(c, x, step_times(at)), &class);
    double p = exp((double)log_p->x[0]);
    tape_free(&tape);
    return p;
}

/* one column: x_t, the gradient for its own class, that for another one; captions: p(class|x_t) */
static void paint_column(const NoisyClassifier *c, const Step *at, const real *xt,
                         const int *class, real *rgb, char **captions) {
    size_t row = (size_t)MOMENTS * PIXELS * 3;
    paint(xt, 1, true, rgb);
    captions[0] = text_format("%s", "");
    for (int k = 0; k < 2; k++) {
        double p = paint_gradient(c, at, xt, class[k], rgb + (size_t)(k + 1) * row);
        captions[(k + 1) * MOMENTS] = text_format("p = %.0f %%", 100 * p);
    }
}

static int timestep(const NoiseSchedule *s, int column) {
    return (2 * column + 1) * s->T / (2 * MOMENTS);
}

static int another_class(const Fashion *data, int class) {
    return (class + 1) % data->classes;
}

static const char *row_labels(Arena *arena, const Fashion *data, const int *class) {
    char *text = arena_text(arena, "%s", "");
    for (int i = 0; i < SHOWN; i++) {
        const char *own = data->class_names[class[i]];
        const char *other = data->class_names[another_class(data, class[i])];
        text = arena_text(arena, "%s%snoisy %s|gradient of log p(%s)|gradient of log p(%s)", text,
                          i ? "|" : "", own, own, other);
    }
    return text;
}

static const char *column_labels(Arena *arena, const NoiseSchedule *s) {
    char *text = arena_text(arena, "%s", "");
    for (int k = 0; k < MOMENTS; k++)
        text = arena_text(arena, "%s%st = %d", text, k ? "|" : "", timestep(s, k));
    return text;
}

void gradient_picture(const NoisyClassifier *c, const NoiseSchedule *s, const Fashion *data,
                      char *path, const char *parameters) {
    enum { CELLS = SHOWN * ROWS * MOMENTS };
    static real x0[SHOWN * PIXELS], eps[PIXELS], xt[PIXELS], rgb[CELLS * PIXELS * 3];
    char *captions[CELLS];
    int label[SHOWN];
    Tape tape = {0};
    Arena arena = {0};
    images_get(&data->test, SHOWN, NULL, -1, 1, x0, label);
    for (int i = 0; i < SHOWN; i++)
        for (int k = 0; k < MOMENTS; k++) {
            int t = timestep(s, k), cell = i * ROWS * MOMENTS + k;
            int class[2] = {label[i], another_class(data, label[i])};
            Step at = {.schedule = s, .t = t, .n = 1, .height = SIDE, .width = SIDE, .channels = 1,
                       .tape = &tape};
            sampling_noise(1, i, X_T, PIXELS, eps);
            q_sample(s, t, PIXELS, x0 + i * PIXELS, eps, xt);
            paint_column(c, &at, xt, class, rgb + (size_t)cell * PIXELS * 3, captions + cell);
        }
    Grid g = {.count = CELLS, .height = SIDE, .width = SIDE, .channels = 3, .columns = MOMENTS,
              .enlarge = 3, .low = -1, .high = 1, .captions = (const char *const *)captions,
              .row_labels = row_labels(&arena, data, label),
              .column_labels = column_labels(&arena, s)};
    picture_save(path, rgb, g, parameters);
    for (int k = 0; k < CELLS; k++) free(captions[k]);
    tape_free(&tape);
    arena_free(&arena);
    free(path);
}
