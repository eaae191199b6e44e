# From the files in `record` to pictures in `out`: detector-log.csv and classes-log.csv -> loss.png
# calibration.csv -> calibration.png

if (there(record."/detector-log.csv") && there(record."/classes-log.csv")) {
    set output out."/loss.png"
    eval wide
    set multiplot layout 1,2
    set title "Where garments are, and in which colour"
    set xlabel "training step"
    set ylabel "loss, all its parts"
    set logscale y
    plot record."/detector-log.csv" using "step":"loss" with lines linecolor rgb sky linewidth 1.5 notitle
    set title "Of which class a crop is"
    set ylabel "cross-entropy, nats per garment"
    plot record."/classes-log.csv" using "step":"loss" with lines linecolor rgb sky linewidth 1.5 notitle
    eval plain
}

if (there(record."/calibration.csv")) {
    set output out."/calibration.png"
    set terminal pngcairo size 1100,700 font "DejaVu Sans,13" background rgb "#ffffff"
    unset ylabel
    set bmargin 7
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
