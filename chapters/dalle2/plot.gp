# From the files in `record`, as far as they are there, to pictures in `out`:
#   STAGE-log.csv -> STAGE-loss.png   priors.csv, captions.csv -> priors.png, scales.png
rows(prior) = prior eq "captions" ? record."/captions.csv" : \
              sprintf("< awk -F, 'NR == 1 || $1 == \"%s\"' '%s/priors.csv'", prior, record)
name(prior) = prior eq "diffusion" ? "diffusion prior" : prior eq "ar" ? "autoregressive prior" : \
              prior eq "text" ? "the text's embedding" : prior eq "image" ? "the true image's embedding" : \
              prior eq "none" ? "the caption alone" : "trained on captions alone"

if (there(record."/prior-log.csv")) {
    set output out."/prior-loss.png"
    set title "prior: squared error of the whitened embedding"
    set xlabel "training step"
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
    plot record."/ar-log.csv" using "step":"loss" with lines linecolor rgb sky title "training batches", \
         "" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "validation"
    eval plain
}

if (there(record."/decoder-log.csv")) {
    set output out."/decoder-loss.png"
    set title "decoder: squared error of the velocity"
    set xlabel "training step"
    set logscale y
    set yrange [0.05:1]
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
        plot record."/".stage."-log.csv" using "step":"loss" with lines linecolor rgb sky title "training batches, parts", \
             "" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "validation, whole images"
        eval plain
    }
}

if (there(record."/priors.csv")) {
    given = "diffusion ar text image none".(there(record."/captions.csv") ? " captions" : "")
    set output out."/priors.png"
    set title "What the decoder is given; each label is a scale, in the colour of its line"
    set xlabel "Fréchet distance"
    set ylabel "all is right, %"
    plot for [p in given] rows(p) using "frechet_distance":(100 * column("whole")) with linespoints title name(p), \
         for [k=1:words(given)] rows(word(given, k)) using "frechet_distance":(100 * column("whole")):"scale" with labels textcolor linetype k offset 0.9,0.6 notitle
    set output out."/scales.png"
    set title "Variety as the decoder's scale rises"
    set xlabel "scale (1: no guidance)"
    set ylabel "recall, %"
    set yrange [85:100]
    plot for [p in given] rows(p) using "scale":(100 * column("recall")) with linespoints title name(p)
    eval plain
}
