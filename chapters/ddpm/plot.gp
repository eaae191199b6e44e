# From the files in `record`, as far as they are there, to pictures in `out`:
#   log.csv -> loss.png     schedule.csv -> schedule.png     bound.csv -> bound.png
#   steps.csv -> steps.png  classes.csv -> classes.png

if (there(record."/log.csv")) {
    set output out."/loss.png"
    set terminal pngcairo size 1200,540 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,2 title "L_{simple}: mean squared error of the predicted noise"
    set xlabel "training step" offset 0,0.6
    set format x "%.0s%c"
    set logscale y
    set title "over all timesteps"
    plot record."/log.csv" using "step":"loss" with lines linecolor rgb sky title "training batches", \
         "" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "validation, averaged weights"
    set title "by quarter of the timesteps"
    plot record."/log.csv" using "step":"quarter_1" with lines linetype 1 linewidth 1 title "t = 1 to 250: nearly the picture", \
         "" using "step":"quarter_2" with lines linetype 4 linewidth 1 title "251 to 500", \
         "" using "step":"quarter_3" with lines linetype 3 linewidth 1 title "501 to 750", \
         "" using "step":"quarter_4" with lines linetype 2 linewidth 1 title "751 to 1000: nearly noise"
    unset multiplot
    unset logscale
    unset title
    set format x
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
}

if (there(record."/schedule.csv")) {
    set output out."/schedule.png"
    set terminal pngcairo size 1200,540 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,2 title "The linear schedule"
    set xlabel "t" offset 0,0.6
    set title "what x_t is made of"
    plot record."/schedule.csv" using "t":"picture" with lines linetype 1 title "share of the picture, √ᾱ", \
         "" using "t":"noise" with lines linetype 2 title "standard deviation of the noise, √(1 − ᾱ)", \
         "" using "t":"alpha_bar" with lines linetype 4 dashtype 2 title "ᾱ: what remains of the picture's variance"
    set title "variance of a step: there, β; back, between β̃ and β"
    set logscale xy
    set format y "10^{%T}"
    plot record."/schedule.csv" using (column("t") + 1):"beta" with lines linetype 1 title "β", \
         "" using (column("t") + 1):(column("beta_tilde") > 0 ? column("beta_tilde") : NaN) with lines linetype 2 dashtype 2 title "β̃"
    unset multiplot
    unset logscale
    unset title
    set format y
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
}

if (there(record."/bound.csv")) {
    set output out."/bound.png"
    set terminal pngcairo size 1200,540 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,2 title "The bound on test images"
    set xlabel "t" offset 0,0.6
    set title "its terms, bits per dimension"
    set logscale xy
    set format y "10^{%T}"
    plot record."/bound.csv" using (column("t") + 1):"small" with lines linetype 1 title "variance β̃", \
         "" using (column("t") + 1):"large" with lines linetype 2 linewidth 1 title "variance β"
    unset logscale
    set format y
    # the rows go from noise to picture: what x_t has cost so far are the terms above it
    paid = 0
    set title "told step by step: how far is the predicted picture?"
    set xlabel "bits per dimension told so far" offset 0,0.6
    set ylabel "root mean square error, of 255"
    plot record."/bound.csv" using (before = paid, paid = paid + column("small"), before):(127.5 * sqrt(column("start_mse"))) \
         with lines linetype 1
    unset multiplot
    unset title
    unset ylabel
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
}

if (there(record."/steps.csv")) {
    set output out."/steps.png"
    set title "Samples in fewer steps, by the variance of a step back"
    set xlabel "steps of the way back"
    set ylabel "Fréchet distance (lower is better)"
    set logscale x
    set xtics (10, 25, 50, 100, 250, 1000)
    set xrange [9:1100]
    plot for [k=1:2] sprintf("< grep -e variance -e ,%s, '%s/steps.csv'", word("small large", k), record) using "steps":"frechet_distance" \
         with linespoints linetype k title sprintf("variance %s", word("β̃ β", k))
    set xrange [*:*]
    unset logscale
    set xtics autofreq
    unset title
    unset ylabel
}

if (there(record."/classes.csv")) { load "plots/classes.gp" }
