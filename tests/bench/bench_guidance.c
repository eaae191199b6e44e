/* bench_guidance.c — what guidance adds to a step of sampling.
 *
 *   bench_guidance [THREADS] [FILE.csv]      (1, build/bench_guidance.csv)
 *
 * By a classifier: a guided step over the sum of an unguided one and the classifier's forward and
 * backward pass. Without a classifier: a step whose batch holds every picture twice over one at scale 1.
 * Networks of guidance and cfg, random weights, 28x28, 32 pictures. The sides take turns; medians. */
#include "base/error.h"
#include "base/progress.h"
#include "chapters/cfg/cfg.h"
#include "chapters/guidance/guidance.h"
#include "diffusion/sampler.h"
#include "median.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 32, SIDE = 28, PIXELS = BATCH * SIDE * SIDE, CLASSES = 10, ROUNDS = 41 };

/* ---- what is timed --------------------------------------------------------------------------- */

static Sampler sampler(const Denoiser *d, const NoiseSchedule *chain) {
    return (Sampler){.denoiser = d, .schedule = chain, .height = SIDE, .width = SIDE, .channels = 1,
                     .seed = 1};
}

static double step_time(Sampler *m) {
    static real x[PIXELS];
    start_noise(m, 0, BATCH, x);
    double start = seconds_now();
    sample_step(m, m->schedule->T / 2, 0, BATCH, x);
    return 1e3 * (seconds_now() - start);
}

static double gradient_time(const ClassGuide *guide, Sampler *m) {
    static real x[PIXELS], gradient[PIXELS];
    start_noise(m, 0, BATCH, x);
    tape_reset(&m->tape);
    Step at = {.schedule = m->schedule, .t = m->schedule->T / 2, .n = BATCH, .height = SIDE,
               .width = SIDE, .channels = 1, .tape = &m->tape};
    double start = seconds_now();
    guide_gradient(guide, &at, x, gradient);
    return 1e3 * (seconds_now() - start);
}

/* parts: 0, or what it is divided by */
static void report(FILE *csv, const char *name, double ms, double parts) {
    printf("%-34s %8.2f ms", name, ms);
    fprintf(csv, "%s,%d,%.4f,", name, threads_get(), ms);
    if (parts > 0) printf("  %.3f", ms / parts), fprintf(csv, "%.4f", ms / parts);
    printf("\n"), fprintf(csv, "\n");
}

/* ---- by a classifier ------------------------------------------------------------------------- */

static void classifier_guidance(FILE *csv, const int *label) {
    static double unguided[ROUNDS], gradient[ROUNDS], guided[ROUNDS];
    Tape tape = {0};
    Params network = {0}, frozen = {0};
    ModelConfig c = model_config("default");
    NoiseSchedule chain = model_schedule(&c);
    ClassUNet net = class_unet_new(&network, c.unet, 0);
    NoisyClassifier classifier = noisy_classifier_new(&frozen, classifier_config("default"), SIDE);
    params_freeze(&frozen, true);
    LabelledDenoiser labelled;
    const Denoiser *d = clipped_labelled(&labelled, (Labelled){&net, NULL}, LEARNED_RANGE);
    ClassGuide guide = class_guide(&classifier, label, &tape);
    ScoreGuidance by_score = score_guidance(d, guide_gradient, &guide, 4);
    Sampler m = sampler(d, &chain), g = sampler(&by_score.denoiser, &chain);
    for (int warm = 1, i = 0; i < ROUNDS; i += !warm, warm = 0) {
        unguided[i] = step_time(&m);
        gradient[i] = gradient_time(&guide, &m);
        guided[i] = step_time(&g);
    }
    double a = median(ROUNDS, unguided), b = median(ROUNDS, gradient);
    report(csv, "unguided step", a, 0);
    report(csv, "classifier forward and backward", b, 0);
    report(csv, "guided step", median(ROUNDS, guided), a + b);
    sampler_free(&m), sampler_free(&g), schedule_free(&chain), tape_free(&tape);
    params_free(&network), params_free(&frozen);
}

/* ---- without one ----------------------------------------------------------------------------- */

static void classifier_free_guidance(FILE *csv, const int *label) {
    static double single[ROUNDS], doubled[ROUNDS];
    Params params = {0};
    ModelConfig c = model_config("default");
    NoiseSchedule chain = model_schedule(&c);
    ClassUNet net = class_unet_new(&params, c.unet, CLASSES + 1);
    GuidedClasses one = {&net, label, CLASSES, 1}, two = {&net, label, CLASSES, 3};
    NetworkDenoiser by_one = guided_classes(&one, LEARNED_RANGE);
    NetworkDenoiser by_two = guided_classes(&two, LEARNED_RANGE);
    Sampler s = sampler(&by_one.denoiser, &chain), d = sampler(&by_two.denoiser, &chain);
    for (int warm = 1, i = 0; i < ROUNDS; i += !warm, warm = 0) {
        single[i] = step_time(&s);
        doubled[i] = step_time(&d);
    }
    double a = median(ROUNDS, single);
    report(csv, "step at scale 1", a, 0);
    report(csv, "step with both in one batch", median(ROUNDS, doubled), a);
    sampler_free(&s), sampler_free(&d), schedule_free(&chain), params_free(&params);
}

int main(int argc, char **argv) {
    int label[BATCH];
    const char *path = argc > 2 ? argv[2] : "build/bench_guidance.csv";
    for (int i = 0; i < BATCH; i++) label[i] = i % CLASSES;
    threads_set(argc > 1 ? atoi(argv[1]) : 1);
    FILE *csv = fopen(path, "w");
    if (!csv) fail("bench_guidance: cannot write %s", path);
    fprintf(csv, "step,threads,ms,ratio\n");
    classifier_guidance(csv, label);
    classifier_free_guidance(csv, label);
    if (fclose(csv)) fail("bench_guidance: cannot write %s", path);
    return 0;
}
