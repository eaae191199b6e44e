# From log.csv in `record` to loss.png in `out`

if (there(record."/log.csv")) {
    set output out."/loss.png"
    eval wide
    set multiplot layout 1,2
    set title "Contrastive loss"
    set xlabel "training step"
    set format x "%.0s%c"
    set xtics 1000
    set ylabel "nats"
    set yrange [0:*]
    plot record."/log.csv" using "step":"ln_batch" with lines linecolor rgb grey dashtype 2 title "ln 128: features that say nothing", \
         "" using "step":"loss" with lines linecolor rgb sky linewidth 1.5 title "training batches", \
         "" using "step":"validation" with linespoints linetype 2 title "validation"
    set title "Zero-shot on validation scenes"
    set ylabel "accuracy, %"
    set yrange [0:103]
    plot record."/log.csv" using "step":"class" with linespoints linetype 1 title "class", \
         "" using "step":"colour" with linespoints linetype 4 title "colour", \
         "" using "step":"beside" with linespoints linetype 3 title "left or right", \
         "" using "step":"stacked" with linespoints linetype 2 title "above or below"
    eval plain
}
