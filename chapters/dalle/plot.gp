# From the files in `record`, as far as they are there, to pictures in `out`:
#   dvae-log.csv -> dvae.png   prior-log.csv -> prior.png   positions.csv -> positions.png
#   prior-full-log.csv, prior-paper-log.csv, prior-snail-log.csv -> priors.png
#   dvae.csv -> kl.png   trade.csv -> trade.png

if (there(record."/dvae-log.csv")) {
    set output out."/dvae.png"
    set terminal pngcairo size 1100,460 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,2 title "The discrete autoencoder"
    set xlabel "training step"
    set key vertical
    set title "share of the variance that is lost, validation"
    set logscale y
    set yrange [*:*] noextend
    set ytics (0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5)
    plot record."/dvae-log.csv" using "step":"hard_error" with linespoints linetype 1 pointsize 0.4 title "hard codes", \
         "" using "step":"soft_error" with linespoints linetype 2 pointsize 0.4 title "relaxed codes"
    unset logscale
    set ytics autofreq
    set title "number of codes"
    set yrange [0:*]
    plot record."/dvae-log.csv" using "step":"codes_used" with linespoints linetype 1 pointsize 0.4 title "in use", \
         "" using "step":"perplexity" with linespoints linetype 4 pointsize 0.4 title "perplexity"
    unset multiplot
    set key horizontal
    set yrange [*:*]
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
}

if (there(record."/prior-log.csv")) {
    set output out."/prior.png"
    set title "What a token costs, training batches (first batches: beyond the axis)"
    set xlabel "training step"
    set ylabel "nats"
    set yrange [0:3]
    later = record."/prior-dropped-log.csv"    # goes on from the other, without some captions
    plot record."/prior-log.csv" using "step":"text" with lines linecolor rgb sky title "a token of the caption", \
         "" using (last = column("step")):"image" with lines linecolor rgb orange title "a code", \
         there(later) ? later : "/dev/null" using (last + column("step")):"text" with lines linecolor rgb sky notitle, \
         there(later) ? later : "/dev/null" using (last + column("step")):"image" with lines linecolor rgb orange notitle
    unset ylabel
    set yrange [*:*]
}

if (there(record."/positions.csv")) {
    set output out."/positions.png"
    set terminal pngcairo size 640,600 font "DejaVu Sans,13" background rgb "#ffffff"
    set title "nats of the code at each place, mean over test scenes"
    set cblabel "nats"
    set size ratio -1
    unset key
    set xlabel "column"
    set ylabel "row"
    set xrange [*:*] noextend
    set yrange [*:*] reverse noextend
    plot record."/positions.csv" using "column":"row":"nats" with image
    set key
    unset cblabel
    set size noratio
    unset ylabel
    set xrange [*:*] extend
    set yrange [*:*] noreverse extend
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
}

if (there(record."/prior-full-log.csv")) {
    set output out."/priors.png"
    set title "What a validation picture's codes cost, each prior on one core"
    set xlabel "minutes of training"
    set ylabel "nats"
    plot for [kind in "full paper snail"] record."/prior-".kind."-log.csv" using (column("seconds") / 60):"validation" \
         with linespoints linewidth 2 title kind eq "full" ? "transformer, full attention" : kind eq "paper" ? "transformer, the paper's masks" : "PixelSNAIL"
    unset ylabel
}

set style fill solid 0.9 noborder
set style data histogram
if (there(record."/dvae.csv")) {
    set output out."/kl.png"
    set title "Codes in use (perplexity) by how the dVAE was trained"
    set xtics noenhanced
    unset xlabel
    set yrange [0:*]
    plot record."/dvae.csv" using "perplexity":xticlabels(1) linecolor rgb blue title "perplexity on test scenes"
}


if (there(record."/trade.csv")) {
    set output out."/trade.png"
    setting(scale, t, k) = "scale ".scale.(t eq "1" ? "" : ", temperature ".t).(k eq "0" ? "" : ", top ".k)
    set title "Sampling by guidance scale, temperature, top-k"
    set xlabel "Fréchet distance"
    set ylabel "share that shows its caption"
    set yrange [*:*]
    set offsets graph 0.05, graph 0.25, graph 0.1, graph 0.05
    plot record."/trade.csv" using "frechet_distance":"whole":(setting(strcol("scale"), strcol("temperature"), strcol("top_k"))) with labels left point pointtype 7 offset 1,0 notitle
    unset offsets
}
