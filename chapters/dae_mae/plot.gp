# plot.gp — called by plots/plot.sh with record (a run's folder) and out (where pictures go).

# ---- part 1: denoising ----

# ---- part 2: masking ----
