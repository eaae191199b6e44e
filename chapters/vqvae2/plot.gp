# From the files in `record`, as far as they are there, to pictures in `out`:
#   autoencoder-log.csv -> autoencoder.png    top-log.csv, bottom-log.csv -> priors.png
#   levels.csv -> levels.png    priors.csv -> ablation.png    trade.csv -> trade.png

if (there(record."/autoencoder-log.csv")) {
    set output out."/autoencoder.png"
    set terminal pngcairo size 1100,460 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,2 title "The two-level autoencoder"
    set xlabel "training step"
    set title "squared error / variance of the data"
    set key vertical
    set logscale y
    plot record."/autoencoder-log.csv" using "step":"error" with lines linecolor rgb sky title "training batches, black frame included", \
         "" using "step":"validation_error" with linespoints linetype 2 pointsize 0.4 title "validation, without it"
    unset logscale
    set title "perplexity of the codes on validation images"
    set yrange [0:*]
    plot record."/autoencoder-log.csv" using "step":"perplexity_top" with linespoints linetype 1 pointsize 0.4 title "top", \
         "" using "step":"perplexity_bottom" with linespoints linetype 4 pointsize 0.4 title "bottom"
    unset multiplot
    set key horizontal
    set yrange [*:*]
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
}

if (there(record."/top-log.csv") && there(record."/bottom-log.csv")) {
    set output out."/priors.png"
    set title "Negative log likelihood of a code under its prior"
    set xlabel "training step"
    set ylabel "nats per code"
    plot record."/top-log.csv" using "step":"training" with linespoints linecolor rgb sky pointtype 6 pointsize 0.4 title "top, training images", \
         "" using "step":"validation" with linespoints linetype 1 pointsize 0.4 title "top, validation", \
         record."/bottom-log.csv" using "step":"training" with linespoints linecolor rgb orange pointtype 6 pointsize 0.4 title "bottom, training images", \
         "" using "step":"validation" with linespoints linecolor rgb red pointtype 7 pointsize 0.4 title "bottom, validation"
    unset ylabel
}

set style fill solid 0.9 noborder
set style histogram clustered gap 1
if (there(record."/levels.csv")) {
    set output out."/levels.png"
    set ylabel "squared error / variance"
    set title "Reconstruction from both levels, the top, the bottom; from one level"
    set xtics noenhanced
    set style data histogram
    set logscale y
    set yrange [0.02:1]
    unset xlabel
    plot record."/levels.csv" using "test":xticlabels(strcol("levels") eq "one" ? "one level" : strcol("shown") eq "both" ? "two levels" : strcol("shown") eq "top_only" ? "the top alone" : "the bottom alone") linecolor rgb blue title "test", \
         "" using "train" linecolor rgb sky title "train"
    unset logscale y
}

if (there(record."/priors.csv")) {
    set output out."/ablation.png"
    set title "Negative log likelihood of an image's codes under the priors"
    set style data histogram
    set yrange [0:*]
    unset xlabel
    set ylabel "bits per image"
    set xlabel " "
    prior(name) = name eq "none" ? "no attention" : name eq "top" ? "attention\nat the top" : name eq "both" ? "attention\nat both" : "one level,\nattention"
    plot record."/priors.csv" using "train":xticlabels(prior(strcol(1))) linecolor rgb sky title "train", \
         "" using "validation" linecolor rgb green title "validation", \
         "" using "test" linecolor rgb blue title "test"
}

if (there(record."/trade.csv")) {
    set output out."/trade.png"
    set title "Quality against variety, 1,000 samples"
    set style data linespoints
    set xlabel "recall"
    set ylabel "precision"
    set xrange [0.2:0.5]
    set yrange [0.8:1]
    plot record."/trade.csv" using (column("keep") == 1 ? column("recall") : NaN):"precision":"temperature" with labels offset 0,1 notitle, \
         "" using (column("keep") == 1 ? column("recall") : NaN):"precision" with points linetype 1 pointtype 7 title "temperature (its value above)", \
         "" using (column("keep") < 1 ? column("recall") : NaN):"precision":"keep" with labels offset 0,1 notitle, \
         "" using (column("keep") < 1 ? column("recall") : NaN):"precision" with points linetype 2 pointtype 7 title "rejection (share kept above), circular"
}
