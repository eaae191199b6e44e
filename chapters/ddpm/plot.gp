# From the files in `record`, as far as they are there, to pictures in `out`:
#   log.csv -> loss.png     schedule.csv -> schedule.png     bound.csv -> bound.png
#   steps.csv -> steps.png  classes.csv -> classes.png

if (there(record."/log.csv")) {
    set output out."/loss.png"
    eval wide
    set multiplot layout 1,2 title "L_{simple}: mean squared error of the predicted noise"
    set xlabel "training step"
    set format x "%.0s%c"
    set logscale y
    set key outside below center vertical height 1 samplen 2
    set title "over all timesteps"
    plot record."/log.csv" using "step":"loss" with lines linecolor rgb sky title "training batches", \
         "" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "validation, averaged weights"
    set title "by quarter of the timesteps"
    plot record."/log.csv" using "step":"quarter_1" with lines linetype 1 title "t = 1 to 250", \
         "" using "step":"quarter_2" with lines linetype 4 title "251 to 500", \
         "" using "step":"quarter_3" with lines linetype 3 title "501 to 750", \
         "" using "step":"quarter_4" with lines linetype 2 title "751 to 1000"
    eval plain
}

if (there(record."/schedule.csv")) {
    set output out."/schedule.png"
    eval wide
    set multiplot layout 1,2 title "The linear schedule"
    set xlabel "t"
    set key outside below center vertical height 1 samplen 2
    set title "scale of image and noise in x_t"
    plot record."/schedule.csv" using "t":"picture" with lines linetype 1 title "scale of the image, √ᾱ", \
         "" using "t":"noise" with lines linetype 2 title "standard deviation of the noise, √(1 − ᾱ)", \
         "" using "t":"alpha_bar" with lines linetype 4 dashtype 2 title "share of the image in the variance, ᾱ"
    set title "variances of a step: β (forward process), β̃ (posterior)"
    set logscale xy
    set format y "10^{%T}"
    set key outside below center vertical height 1 samplen 2 spacing 1.6
    plot record."/schedule.csv" using (column("t") + 1):"beta" with lines linetype 1 title "β", \
         "" using (column("t") + 1):(column("beta_tilde") > 0 ? column("beta_tilde") : NaN) with lines linetype 2 dashtype 2 title "β̃"
    eval plain
}

if (there(record."/bound.csv")) {
    set output out."/bound.png"
    set terminal pngcairo size 1500,500 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,3 title "The bound on test images"
    set key outside below center vertical height 1 samplen 2
    set xlabel "t"
    set title "its terms with β̃, bits per dimension"
    set logscale xy
    set format y "10^{%T}"
    plot record."/bound.csv" using (column("t") + 1):"small" with lines linetype 1
    unset logscale y
    set format y
    set title "a term with β, as a multiple of that with β̃"
    set yrange [0.85:1.1]
    plot record."/bound.csv" using (column("t") + 1):(column("large") / column("small")) with lines linetype 2, \
         1 with lines linecolor rgb grey linewidth 1
    set yrange [*:*]
    # the rows go from noise to picture: what x_t has cost so far are the terms above it
    paid = 0
    set title "rate and distortion, β̃"
    set xlabel "bits per dimension sent so far"
    set ylabel "RMS error of the predicted image, levels of 255"
    set xrange [1e-4:4]
    set format x "10^{%T}"
    plot record."/bound.csv" using (before = paid, paid = paid + column("small"), before):(127.5 * sqrt(column("start_mse"))) \
         with lines linetype 1
    eval plain
}

if (there(record."/steps.csv")) {
    set output out."/steps.png"
    set title "Samples in fewer steps, by the variance of a reverse step"
    set xlabel "sampling steps"
    set ylabel "Fréchet distance (lower is better)"
    set logscale xy
    set key outside below center vertical height 1 samplen 2 spacing 1.6
    set xtics (10, 25, 50, 100, 250, 1000)
    set ytics (0.5, 1, 2, 5, 10, 20, 50)
    set xrange [9:1100]
    set yrange [0.5:60]
    plot for [k=1:2] sprintf("< grep -e variance -e ,%s, '%s/steps.csv'", word("small large", k), record) using "steps":"frechet_distance" \
         with linespoints linetype k title sprintf("variance %s", word("β̃ β", k)), \
         floor_of(record."/metrics.json") with lines linecolor rgb grey dashtype 2 title "as many test images"
    eval plain
}

if (there(record."/classes.csv")) { load "plots/classes.gp" }
