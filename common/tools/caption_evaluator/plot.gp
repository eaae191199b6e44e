# From the files in `record` to pictures in `out`: log.csv -> loss.png      calibration.csv -> calibration.png

if (there(record."/log.csv")) {
    set output out."/loss.png"
    set bmargin 6
    set title "The caption evaluator, trained on scenes of garments for training"
    set xlabel "training step"
    set ylabel "loss, all its parts"
    set y2label "validation scenes found as their captions say, %"
    set logscale y
    set ytics nomirror (1, 2, 5, 10, 20)
    set y2tics
    set y2range [0:100]
    set border 11
    plot record."/log.csv" using "step":"loss" with lines linecolor rgb sky linewidth 1.5 title "training batches", \
         "" using "step":"validation_whole" axes x1y2 with linespoints linetype 2 pointsize 0.6 title "validation, averaged weights (right axis)"
    set bmargin
    unset logscale y
    unset y2label
    unset y2tics
    set ytics nomirror autofreq
    set border 3
}

if (there(record."/calibration.csv")) {
    set output out."/calibration.png"
    set terminal pngcairo size 1100,700 font "DejaVu Sans,13" background rgb "#ffffff"
    unset ylabel
    set yrange [17.6:-0.6]
    set xrange [-3:103]
    set lmargin at screen 0.26
    set title "What the caption evaluator says of scenes that are wrong in known ways"
    set xlabel "share of pictures, garments or pairs, %"
    plot record."/calibration.csv" using (100*column("whole")):0:ytic(1) with points linetype 1 pointsize 1.7 title "whole", \
         "" using (100*column("count")):0 with points linetype 6 pointsize 1.6 title "count", \
         "" using (100*column("class")):0 with points linetype 3 pointsize 1.4 title "class", \
         "" using (100*column("colour")):0 with points linetype 4 pointsize 1.4 title "colour", \
         "" using (100*column("relation")):0 with points linetype 2 pointsize 1.1 title "relation"
}
