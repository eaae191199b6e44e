# From the files in `record`, as far as they are there, to pictures in `out`:
#   autoencoder-log.csv -> loss.png     the same, gradient-log.csv and averages-log.csv -> perplexity.png
#   codebook.csv -> codebook.png        prior-log.csv -> prior.png

log = record."/autoencoder-log.csv"
by_gradient = record."/gradient-log.csv"      # without revival, and so is
by_averages = record."/averages-log.csv"

if (there(log)) {
    set output out."/loss.png"
    set title "Reconstruction: the share of the pixels' variance that is lost"
    set xlabel "training step"
    set ylabel "mean squared error / variance"
    set logscale y
    set yrange [0.02:1.5]
    plot log using "step":"nmse" with lines linecolor rgb sky title "training batches", \
         "" using "step":"validation_nmse" with linespoints linetype 2 pointsize 0.4 title "validation images"
    unset logscale
    set yrange [*:*]

    set output out."/perplexity.png"
    set title "How many codes an epoch's vectors chose"
    set ylabel "codes"
    set yrange [0:*]
    if (there(by_gradient) && there(by_averages)) {
        plot log using "step":"codes_used" with linespoints linetype 1 title "averages and revival: chosen at all", \
             "" using "step":"perplexity" with linespoints linetype 1 dashtype 2 title "averages and revival: perplexity", \
             by_averages using "step":"codes_used" with linespoints linetype 3 title "averages, no revival: chosen at all", \
             "" using "step":"perplexity" with linespoints linetype 3 dashtype 2 title "averages, no revival: perplexity", \
             by_gradient using "step":"codes_used" with linespoints linetype 2 title "gradient, no revival: chosen at all", \
             "" using "step":"perplexity" with linespoints linetype 2 dashtype 2 title "gradient, no revival: perplexity"
    } else {
        plot log using "step":"codes_used" with linespoints linetype 1 title "chosen at all", \
             "" using "step":"perplexity" with linespoints linetype 2 title "perplexity: as many codes, used alike, would be as hard to guess"
    }
    set yrange [*:*]
}

if (there(record."/codebook.csv")) {
    set output out."/codebook.png"
    set terminal pngcairo size 760,760 font "DejaVu Sans,13" background rgb "#ffffff"
    set title "The codes on the plane in which they vary most;\narea: how often test images chose them; colour: as in codes.png"
    set xlabel "first principal component"
    set ylabel "second principal component"
    set size ratio -1
    plot record."/codebook.csv" using "x":"y":(0.3 + sqrt(column("times")) / 18):"colour" with points pointtype 7 pointsize variable linecolor rgb variable
    set size noratio
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
}

if (there(record."/prior-log.csv")) {
    set output out."/prior.png"
    set title "Negative log likelihood of the codes under the prior: 1,000 training and 1,000 validation maps"
    set xlabel "training step"
    set ylabel "nats per code"
    plot record."/prior-log.csv" using "step":"train_nats" with linespoints linetype 1 pointsize 0.4 title "training images", \
         "" using "step":"validation_nats" with linespoints linetype 2 pointsize 0.4 title "validation images"
}
