/* noise_schedule.h — how much noise each step of a diffusion adds, and all that follows from it.
 *
 * Ho, Jain & Abbeel 2020, "Denoising Diffusion Probabilistic Models" (linear); Nichol & Dhariwal
 * 2021, "Improved Denoising Diffusion Probabilistic Models" (cosine, respacing); Rombach et al.
 * 2022, "High-Resolution Image Synthesis with Latent Diffusion Models" (linear in the square root).
 *
 * Index t = 0..T-1 is the papers' t + 1: x at index 0 has had one step of noise, and what goes
 * before it is the picture x0.
 *
 *     NoiseSchedule all = schedule_cosine(1000);              what a network is trained with
 *     NoiseSchedule few = schedule_respaced(&all, "50");      what pictures are drawn with
 *     ... few.time[t] is what the network is given at index t ...
 *     schedule_free(&few), schedule_free(&all); */
#ifndef NOISE_SCHEDULE_H
#define NOISE_SCHEDULE_H

/* Tables of T numbers in double: products of a thousand factors near 1, of which float would lose
 * the digits that matter. alpha_bar, the product of (1 - beta), is how much of x0's variance is
 * left in x_t. */
typedef struct {
    int T;                                 /* steps */
    int *step;                             /* which of the original chain's steps each is */
    double *time;                          /* what the network is given: the original step */
    double *beta, *log_beta;               /* variance of the noise that step t adds */
    double *alpha_bar;
    double *alpha_bar_before;              /* of t - 1; 1 at t = 0 */
    double *alpha_bar_after;               /* of t + 1; 0 at t = T - 1 */
    double *xt_coef_x0, *xt_coef_eps;      /* x_t = xt_coef_x0 x0 + xt_coef_eps eps */
    double *x0_coef_xt, *x0_coef_eps;      /* x0 = x0_coef_xt x_t - x0_coef_eps eps */
    double *mean_coef_x0, *mean_coef_xt;   /* posterior mean = mean_coef_x0 x0 + mean_coef_xt x_t */
    double *posterior_variance;            /* beta~, 0 at t = 0 */
    double *posterior_log_variance;        /* its log; where it is 0, that of t = 1 */
    double *memory;                        /* of all these tables */
} NoiseSchedule;

/* beta in equal steps from `first` to `last`: DDPM's are 1e-4 and 0.02 in 1000 steps */
NoiseSchedule schedule_linear(int T, double first, double last);
/* sqrt(beta) in equal steps: LDM's are 0.0015 and 0.0195, Stable Diffusion's 0.00085 and 0.012 */
NoiseSchedule schedule_sqrt_linear(int T, double first, double last);
/* alpha_bar = f(t) / f(0), f(t) = cos^2((t/T + 0.008) / 1.008 * pi/2), but no beta above 0.999
 * (IDDPM, eq. 17) */
NoiseSchedule schedule_cosine(int T);
NoiseSchedule schedule_of_betas(int T, const double *beta);
void          schedule_free(NoiseSchedule *s);

/* time = 1000 step / T, so that networks for different T are given times of one scale */
void schedule_rescale_time(NoiseSchedule *s);

/* n of its steps, in rising order, as a schedule of its own. What is left of the picture is the
 * same at each: beta' = 1 - alpha_bar(S_i) / alpha_bar(S_i-1) (IDDPM, eq. 19). */
NoiseSchedule schedule_of_steps(const NoiseSchedule *from, int n, const int *steps);
/* the steps that space_timesteps gives for `sections`; T = 0 if it gives none. For LDM's the last
 * step leads to alpha_bar[0] of `from` instead of 1. */
NoiseSchedule schedule_respaced(const NoiseSchedule *from, const char *sections);
/* the same for `n` steps of a kind: "", "ddim", "ldm" */
NoiseSchedule schedule_respaced_to(const NoiseSchedule *from, const char *kind, int n);

/* Which steps of T, as the official codes pick them:
 *   "25"         so many, evenly from the first to the last
 *   "10,15,20"   so many from each of as many equal sections
 *   "ddim25"     every k-th from the first on, where a k gives exactly so many
 *   "fast27"     GLIDE's: "10,10,3,2,2", but the last two steps earlier
 *   "ldm50"      LDM's: every (T / 50)-th, and 1 is added; these are more than 50 if it does not
 *                divide T, and so many equal strides where that would lead beyond T
 *   "ldmquad50"  LDM's: squares of equal strides up to 0.8 T
 * Fills steps (T); returns how many, or 0 if it cannot be done. */
int space_timesteps(int T, const char *sections, int *steps);

/* n timesteps without drawing, as many late ones as early ones: each of the T once before one comes
 * again, in no order. For validation. */
void even_timesteps(int T, int n, int *t);

#endif
