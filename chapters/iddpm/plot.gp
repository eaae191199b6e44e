# From the files in `record`, as far as they are there, to pictures in `out`:
#   log.csv -> loss.png         schedule.csv -> schedule.png    bound.csv -> bound.png    classes.csv -> classes.png
#   steps.csv -> steps.png      ablation.csv -> ablation.png    curves.csv, noise.csv -> objectives.png
# with the curves of chapter ddpm, where its record stands beside this one's.
ddpm = record.(strstrt(record, "-sweep") ? "/../ddpm-sweep" : "/../ddpm")
# rows of a csv file whose first, or another, column is this
rows(file, column, value) = sprintf("< awk -F, 'NR == 1 || $%d == \"%s\"' '%s/%s'", column, value, record, file)

if (there(record."/log.csv")) {
    set output out."/loss.png"
    set terminal pngcairo size 1500,540 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,3 title "Both parts of the loss while training (validation: averaged weights)"
    set xlabel "training step"
    set key outside below center vertical height 1 samplen 2
    set format x "%.0s%c"
    set logscale y
    set title "squared error of the noise, by quarter of the timesteps"
    plot record."/log.csv" using "step":"quarter_1" with lines linetype 1 title "first", \
         "" using "step":"quarter_2" with lines linetype 4 title "second", \
         "" using "step":"quarter_3" with lines linetype 3 title "third", \
         "" using "step":"quarter_4" with lines linetype 2 title "last"
    set title "the same on validation images, all timesteps"
    if (there(ddpm."/log.csv")) {
        plot record."/log.csv" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "this chapter", \
             ddpm."/log.csv" using "step":"validation" with linespoints linetype 4 pointsize 0.4 title "ddpm"
    } else {
        plot record."/log.csv" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "this chapter"
    }
    set title "the bound, bits per dimension"
    set yrange [1:100]
    plot record."/log.csv" using "step":"bits" with lines linecolor rgb sky title "training batches", \
         "" using "step":"validation_bits" with linespoints linetype 2 pointsize 0.4 title "validation"
    eval plain
}

if (there(record."/schedule.csv")) {
    set output out."/schedule.png"
    eval wide
    set multiplot layout 1,2 title "Two schedules"
    set xlabel "t / T"
    set key outside below center vertical height 1 samplen 2
    set title "ᾱ: share of the picture's variance that is left"
    plot for [s in "linear cosine"] rows("schedule.csv", 1, s) using (column("T") == 1000 ? column("t") / 1000 : NaN):"alpha_bar" \
         with lines linetype (s eq "linear" ? 1 : 2) title s
    set key outside below center vertical height 1 samplen 2
    set title "β̃ / β: ratio of the two fixed variances (cosine)"
    plot for [k=1:3] rows("schedule.csv", 1, "cosine") using \
         (column("T") == word("30 100 1000", k) + 0 ? column("t") / column("T") : NaN):"variance_ratio" \
         with lines linetype k title "T = ".word("30 100 1000", k)
    eval plain
}

if (there(record."/bound.csv")) {
    set output out."/bound.png"
    set terminal pngcairo size 1500,500 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,3 title "The bound on test images"
    set key outside below center vertical height 1 samplen 2
    set xlabel "t"
    set logscale xy
    set format y "10^{%T}"
    set title "its terms with the learned variance, bits per dimension"
    plot record."/bound.csv" using (column("t") + 1):"model" with lines linetype 1
    unset logscale y
    set format y
    set title "term with a fixed variance / with the learned one"
    plot record."/bound.csv" using (column("t") + 1):(column("small") / column("model")) with lines linetype 3 title "β̃", \
         "" using (column("t") + 1):(column("large") / column("model")) with lines linetype 4 title "β", \
         1 with lines linecolor rgb grey linewidth 1
    # the rows go from noise to picture: what x_t has cost so far are the terms above it
    set title "rate and distortion"
    set xlabel "bits per dimension sent so far"
    set ylabel "RMS error of the prediction, levels of 255"
    set xrange [1e-4:4]
    set format x "10^{%T}"
    paid = 0; other = 0
    if (there(ddpm."/bound.csv")) {
        plot record."/bound.csv" using (before = paid, paid = paid + column("model"), before):(127.5 * sqrt(column("start_mse"))) \
             with lines linetype 1 title "this chapter", \
             ddpm."/bound.csv" using (before = other, other = other + column("small"), before):(127.5 * sqrt(column("start_mse"))) \
             with lines linetype 4 title "ddpm, β̃"
    } else {
        plot record."/bound.csv" using (before = paid, paid = paid + column("model"), before):(127.5 * sqrt(column("start_mse"))) \
             with lines linetype 1 title "this chapter"
    }
    eval plain
}

if (there(record."/steps.csv")) {
    set output out."/steps.png"
    set title "Samples in fewer steps"
    set xlabel "sampling steps"
    set ylabel "Fréchet distance"
    set logscale xy
    set key outside below center vertical height 1 samplen 2 spacing 1.4
    set terminal pngcairo size 960,680 font "DejaVu Sans,13" background rgb "#ffffff"
    set xtics (10, 25, 50, 100, 250, 1000)
    set ytics (0.5, 1, 2, 5, 10, 20, 50)
    set xrange [9:1100]
    set yrange [0.5:60]
    floor = floor_of(record."/metrics.json")
    names = "'learned variance' 'the same weights, DDIM, η = 0' 'the same weights, β̃' 'the same weights, β'"
    if (there(ddpm."/steps.csv")) {
        plot for [k=1:4] rows("steps.csv", 2, word("ddpm ddim small large", k)) using "steps":"frechet_distance" \
             with linespoints linetype k title word(names, k), \
             for [k=1:2] sprintf("< awk -F, 'NR == 1 || $2 == \"%s\"' '%s/steps.csv'", word("small large", k), ddpm) \
             using "steps":"frechet_distance" with linespoints linetype 4 + k dashtype 2 title "chapter ddpm, ".word("β̃ β", k), \
             floor with lines linecolor rgb grey dashtype 2 title "as many test images"
    } else {
        plot for [k=1:4] rows("steps.csv", 2, word("ddpm ddim small large", k)) using "steps":"frechet_distance" \
             with linespoints linetype k title word(names, k), \
             floor with lines linecolor rgb grey dashtype 2 title "as many test images"
    }
    eval plain
}

if (there(record."/ablation.csv")) {
    set output out."/ablation.png"
    eval wide
    set multiplot layout 1,2 title "Schedules and objectives, runs of equal length"
    set key outside below center vertical height 1 samplen 2 spacing 1.4
    set xtics rotate by -45
    set rmargin 12
    set offsets 0.5, 0.5, graph 0.4, graph 0.05
    unset xlabel
    label(schedule, objective, times, width) = schedule.", ".objective.(objective eq "vlb" ? ", ".times : width == 32 ? "" : ", wide")
    named(row) = label(strcol("schedule"), strcol("objective"), strcol("times"), column("width"))
    set title "the bound on test images, bits per dimension"
    plot record."/ablation.csv" using 0:"bits_large":xticlabels(named(0)) with points linetype 4 pointsize 1.6 title "β", \
         "" using 0:"bits_small" with points linetype 3 pointsize 1.6 title "β̃", \
         "" using 0:(strcol("objective") eq "simple" ? NaN : column("bits")) with points linetype 1 pointsize 1.6 title "learned variance"
    set offsets 0.5, 0.5, graph 0.05, 0
    set title "samples: Fréchet distance"
    set yrange [0:*]
    plot record."/ablation.csv" using 0:"frechet_distance":xticlabels(named(0)) with impulses linetype 2 linewidth 18 notitle
    unset rmargin
    unset offsets
    eval plain
}

if (there(record."/curves.csv") && there(record."/noise.csv")) {
    set output out."/objectives.png"
    eval wide
    set multiplot layout 1,2 title "Objectives"
    set xlabel "training step"
    set key outside below center vertical height 1 samplen 2
    set title "the bound on validation images, bits per dimension"
    set offsets 0, 0, graph 0.5, 0
    runs = "linear-simple-uniform-32 cosine-simple-uniform-32 linear-hybrid-uniform-32 cosine-hybrid-uniform-32 cosine-vlb-uniform-32 cosine-vlb-importance-32 cosine-hybrid-uniform-64"
    names = "'linear, simple' 'cosine, simple' 'linear, hybrid' 'cosine, hybrid' 'cosine, vlb, uniform' 'cosine, vlb, importance' 'cosine, hybrid, wide'"
    plot for [k=1:7] rows("curves.csv", 1, word(runs, k)) using "step":"validation_bits" \
         with linespoints linetype k linewidth 2 pointsize 0.6 title word(names, k)
    unset offsets
    set title "trained on the bound alone: its mean over ten batches"
    set logscale y
    plot for [k=5:6] rows("noise.csv", 1, word(runs, k)) using "step":"bits" \
         with lines linetype k linewidth (k == 5 ? 3 : 2) title word(names, k)
    eval plain
}

if (there(record."/classes.csv")) { load "plots/classes.gp" }
