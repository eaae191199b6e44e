# From the files in `record`, as far as they are there, to pictures in `out`:
#   log.csv -> losses.png, probabilities.png      classes.csv -> classes.png
#   toy_value.csv, toy_optimum.csv, toy_gradient.csv, toy_samples.csv -> the same names, .png
#   modes_points.csv, modes_summary.csv -> modes.png

if (there(record."/log.csv")) {
    set output out."/losses.png"
    set title "Losses of discriminator and generator (hinge)"
    set xlabel "training step"
    set ylabel "loss"
    set samples 1000
    plot record."/log.csv" using "step":"loss_d" with lines linetype 1 linewidth 1 title "discriminator", \
         "" using "step":"loss_g" with lines linetype 2 linewidth 1 title "generator"

    set output out."/probabilities.png"
    set title "The discriminator's logits of real and generated images, through a sigmoid"
    set ylabel "mean of sigmoid(logit)"
    set yrange [0:1]
    plot record."/log.csv" using "step":"d_real" with lines linetype 1 linewidth 1 title "real", \
         "" using "step":"d_fake" with lines linetype 2 linewidth 1 title "generated", \
         1 / (1 + exp(-1)) with lines linecolor rgb grey dashtype 2 title "logits of 1 and -1, the margins of the hinge loss", \
         1 / (1 + exp(1)) with lines linecolor rgb grey dashtype 2 notitle
    set yrange [*:*]
}

if (there(record."/classes.csv")) { load "plots/classes.gp" }

if (there(record."/toy_value.csv")) {
    set output out."/toy_value.png"
    set title "The value V(D,G) while D learns"
    set xlabel "training step"
    set ylabel "V(D,G)"
    set yrange [-1.6:-0.75]
    plot record."/toy_value.csv" using "step":"fixed" with lines linetype 1 title "fixed G", \
         "" using "step":"best" with lines linetype 1 linewidth 1 dashtype 2 title "fixed G, the largest possible value", \
         "" using "step":"equal" with lines linetype 3 title "p_g = p", \
         "" using "step":"game" with lines linetype 2 title "both learn", \
         -log(4) with lines linecolor rgb grey dashtype 2 title "-log 4"
    set yrange [*:*]
}

if (there(record."/toy_optimum.csv")) {
    set output out."/toy_optimum.png"
    set title "A trained D against p / (p + p_g), along a line through two modes"
    set xlabel "x"
    set ylabel "D(x); densities times 4"
    set xrange [-4:4]
    plot record."/toy_optimum.csv" using "x":(4 * column("density_real")) with filledcurves y1=0 linecolor rgb sky fillstyle transparent solid 0.3 title "p", \
         "" using "x":(4 * column("density_fake")) with filledcurves y1=0 linecolor rgb orange fillstyle transparent solid 0.3 title "p_g", \
         "" using "x":"optimum" with lines linecolor rgb "#000000" dashtype 2 title "p/(p+p_g)", \
         "" using "x":"d" with points linetype 2 pointsize 0.8 title "D, trained"
    set xrange [*:*]
}

if (there(record."/toy_gradient.csv")) {
    set output out."/toy_gradient.png"
    set title "The generator's gradient while D is trained and G is not"
    set xlabel "D(G(z))"
    set ylabel "norm of the gradient at G(z)"
    set logscale xy
    set xrange [1:3e-4]
    set format y "10^{%L}"
    plot record."/toy_gradient.csv" using "d_fake":"minimax" with points linetype 1 pointsize 0.7 title "minimax: log(1 - D(G(z)))", \
         "" using "d_fake":"non_saturating" with points linetype 2 pointsize 0.7 title "non-saturating: -log D(G(z))"
    unset logscale
    set format y "%g"
    set xrange [*:*]
}

if (there(record."/toy_samples.csv")) {
    set output out."/toy_samples.png"
    set terminal pngcairo size 760,760 font "DejaVu Sans,13" background rgb "#ffffff"
    set title "Eight Gaussians on a ring: data and generated points"
    set xlabel "x"
    set ylabel "y"
    set size ratio -1
    plot record."/toy_samples.csv" using "x":(column("made") == 0 ? column("y") : NaN) with points pointtype 7 pointsize 0.4 linecolor rgb sky title "data", \
         "" using "x":(column("made") == 1 ? column("y") : NaN) with points pointtype 7 pointsize 0.4 linecolor rgb red title "generated"
}

if (there(record."/modes_points.csv")) {
    set output out."/modes.png"
    set terminal pngcairo size 1320,400 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,4
    set xlabel "x"
    set ylabel "y"
    set size ratio -1
    set xrange [-2.8:2.8]
    set yrange [-2.8:2.8]
    games = "'minimax' 'non-saturating' 'hinge' 'hinge with spectral norm'"
    do for [k = 1:4] {
        set title word(games, k)
        plot for [m = 0:7] "+" using (2 * cos(pi * m / 4)):(2 * sin(pi * m / 4)) with points pointtype 6 pointsize 3 linecolor rgb grey, \
             record."/modes_points.csv" using "x":(strcol("game") eq word(games, k) ? column("y") : NaN) with points pointtype 7 pointsize 0.35 linecolor rgb red
    }
    unset multiplot
}
