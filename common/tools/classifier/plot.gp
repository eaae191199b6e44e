# From the files in `record` to pictures in `out`:
#   log.csv -> loss.png      calibration.csv -> calibration.png      sizes.csv -> sizes.png

if (there(record."/log.csv")) {
    set output out."/loss.png"
    set bmargin 6
    set title "The classifier behind the scores, trained on 55,000 Fashion-MNIST images"
    set xlabel "training step"
    set ylabel "cross-entropy, nats per image"
    set y2label "validation images named rightly, %"
    set logscale y
    set ytics nomirror (0.1, 0.2, 0.5, 1, 2)
    set y2tics
    set border 11
    plot record."/log.csv" using "step":"loss" with lines linecolor rgb sky linewidth 1.5 title "training batches", \
         "" using "step":"validation_accuracy" axes x1y2 with linespoints linetype 2 pointsize 0.6 title "validation, averaged weights (right axis)"
    set bmargin
    unset logscale y
    unset y2label
    unset y2tics
    set ytics nomirror autofreq
    set border 3
}

if (there(record."/calibration.csv")) {
    set output out."/calibration.png"
    set terminal pngcairo size 1100,660 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,2
    set tmargin at screen 0.90
    set bmargin at screen 0.19
    unset ylabel
    set yrange [15.6:-0.6]
    set lmargin at screen 0.19
    set rmargin at screen 0.55
    set title "Fréchet distance"
    set xlabel "lower is better; dashed: test images"
    set logscale x
    set xrange [0.01:200]
    floor_of = system(sprintf("awk -F, '$1 == \"test images\" {print $3}' '%s'", record."/calibration.csv")) + 0
    set arrow 1 from floor_of,graph 0 to floor_of,graph 1 nohead dashtype 2 linecolor rgb grey
    plot record."/calibration.csv" using "frechet":0:ytic(1) with points pointtype 7 pointsize 1.4 linecolor rgb blue notitle
    unset arrow 1
    unset logscale x
    set lmargin at screen 0.60
    set rmargin at screen 0.97
    set title "Precision, recall, coverage"
    set key at screen 0.76,0.045 center center vertical maxrows 1 width -4
    set xlabel "share of pictures, %"
    set xrange [-3:103]
    set format y ""
    plot record."/calibration.csv" using (100*column("precision")):0 with points linetype 2 pointsize 1.3 title "precision", \
         "" using (100*column("recall")):0 with points linetype 3 pointsize 1.5 title "recall", \
         "" using (100*column("coverage")):0 with points linetype 1 pointtype 6 pointsize 1.6 title "coverage"
    unset multiplot
    set key outside below center horizontal Left reverse noautotitle
    set format y
    set lmargin
    set rmargin
    set tmargin
    set bmargin
    set xrange [*:*]
    set yrange [*:*]
    set ytics nomirror autofreq
}

if (there(record."/sizes.csv")) {
    set output out."/sizes.png"
    unset xlabel
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 2,1
    set title "Test images against training images: what the number of samples does to a distance"
    set ylabel "Fréchet distance"
    set logscale xy
    set xrange [40:13000]
    set yrange [0.01:10]
    set format y "%g"
    set xtics (50, 100, 200, 500, "1,000" 1000, "2,000" 2000, "5,000" 5000, "10,000" 10000)
    plot record."/sizes.csv" using "n":"frechet" with linespoints linetype 1 notitle, \
         "" using "n":"frechet":"frechet_deviation" with yerrorbars linetype 1 notitle
    unset logscale y
    unset title
    set ylabel "kernel distance"
    set xlabel "N, test images in a set; bars: standard deviation over up to ten sets"
    set yrange [-0.05:0.05]
    set xzeroaxis linecolor rgb grey
    plot record."/sizes.csv" using "n":"kernel" with linespoints linetype 2 notitle, \
         "" using "n":"kernel":"kernel_deviation" with yerrorbars linetype 2 notitle
    unset multiplot
    unset logscale
}
