# From the files in `record`, as far as they are there, to pictures in `out`:
#   STAGE-log.csv -> STAGE-loss.png   priors.csv, captions.csv -> priors.png, scales.png
rows(file, a) = sprintf("< awk -F, 'NR == 1 || $1 == \"%s\"' '%s/%s'", a, record, file)

if (there(record."/prior-log.csv")) {
    set output out."/prior-loss.png"
    set title "prior: squared error of the whitened embedding"
    set xlabel "training step"
    set format x "%.0s%c"
    set yrange [0:*]
    plot record."/prior-log.csv" using "step":"loss" with lines linecolor rgb sky title "training batches", \
         "" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "validation", \
         "" using "step":"cosine" with linespoints linetype 1 pointsize 0.4 title "cosine of one step from noise with the true one"
    eval plain
}

if (there(record."/ar-log.csv")) {
    set output out."/ar-loss.png"
    set title "autoregressive prior: nats of an embedding's codes"
    set xlabel "training step"
    set format x "%.0s%c"
    plot record."/ar-log.csv" using "step":"loss" with lines linecolor rgb sky title "training batches", \
         "" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "validation"
    eval plain
}

if (there(record."/decoder-log.csv")) {
    set output out."/decoder-loss.png"
    set title "decoder: squared error of the velocity"
    set xlabel "training step"
    set logscale y
    set format x "%.0s%c"
    plot record."/decoder-log.csv" using "step":"mse" with lines linecolor rgb sky title "training batches", \
         "" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "validation, with embedding and caption", \
         "" using "step":"without" with linespoints linetype 1 pointsize 0.4 title "without both"
    eval plain
}

do for [stage in "upsampler32 upsampler64"] {
    if (there(record."/".stage."-log.csv")) {
        set output out."/".stage."-loss.png"
        set title stage.": squared error of the velocity"
        set xlabel "training step"
        set logscale y
        set format x "%.0s%c"
        plot record."/".stage."-log.csv" using "step":"loss" with lines linecolor rgb sky title "training batches, parts", \
             "" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "validation, whole images"
        eval plain
    }
}

if (there(record."/priors.csv")) {
    given = "diffusion ar text image none"
    alone = there(record."/captions.csv") ? record."/captions.csv" : "/dev/null"
    set output out."/priors.png"
    set title "What the decoder is given: images that show their captions, and variety"
    set xlabel "recall"
    set ylabel "share that shows its caption"
    plot for [p in given] rows("priors.csv", p) using "recall":"whole" with linespoints title p, \
         alone using "recall":"whole" with linespoints title "trained on captions alone"
    set output out."/scales.png"
    set title "What the decoder's scale does"
    set xlabel "scale (1: no guidance)"
    set ylabel "Fréchet distance"
    plot for [p in given] rows("priors.csv", p) using "scale":"frechet_distance" with linespoints title p, \
         alone using "scale":"frechet_distance" with linespoints title "trained on captions alone"
    eval plain
}
