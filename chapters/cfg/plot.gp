# From the files in `record`, as far as they are there, to pictures in `out`:
#   STAGE-log.csv -> STAGE-loss.png   toy.csv -> toy.png   classes.csv, texts.csv -> classes.png, texts.png
#   dropped.csv -> dropped.png
# rows of a csv file whose first column is this
rows(file, a) = sprintf("< awk -F, 'NR == 1 || $1 == \"%s\"' '%s/%s'", a, record, file)

do for [stage in "base upsampler inpaint classes"] {
    if (there(record."/".stage."-log.csv")) {
        set output out."/".stage."-loss.png"
        set title stage.": mean squared error"
        set xlabel "training step"
        set logscale y
        set yrange [*:*] noextend
        set ytics (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1)
        set format x "%.0f"
        plot record."/".stage."-log.csv" using "step":"mse" with lines linecolor rgb sky title "training batches", \
             "" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "validation, with the condition", \
             "" using "step":"without" with linespoints linetype 1 pointsize 0.4 title "without it"
        eval plain
    }
}

if (there(record."/toy.csv")) {
    set output out."/toy.png"
    set terminal pngcairo size 1500,460 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,4 title "Three classes that are Gaussians, guided with exact scores"
    unset key
    unset xlabel
    set xtics 1
    set ytics 1
    set size ratio -1
    set xrange [-2:2]
    set yrange [-2:2]
    do for [s in "1 2 3 5"] {
        set title "scale ".s
        plot for [k=0:2] sprintf("< awk -F, '$1 == \"%s\" && $2 == \"%d\"' '%s/toy.csv'", s, k, record) using 3:4 \
             with points linetype k + 1 pointtype 7 pointsize 0.3
    }
    set size noratio
    eval plain
}

if (there(record."/classes.csv")) {
    set output out."/classes.png"
    eval wide
    set multiplot layout 1,2 title "Fashion-MNIST by class: what the guidance scale does"
    set xlabel "scale (1: no guidance)"
    set key inside bottom right vertical
    set yrange [0:1]
    plot record."/classes.csv" using "scale":"accuracy" with linespoints linetype 1 title "the class that was asked for", \
         "" using "scale":"precision" with linespoints linetype 3 title "precision", \
         "" using "scale":"recall" with linespoints linetype 2 title "recall"
    set yrange [0:*]
    set key inside top left
    plot record."/classes.csv" using "scale":"frechet_distance" with linespoints linetype 4 title "Fréchet distance"
    eval plain
}

if (there(record."/texts.csv")) {
    set output out."/texts.png"
    eval wide
    set multiplot layout 1,2 title "Scenes from captions: what the guidance scale does"
    set xlabel "scale (1: no guidance)"
    set key outside below center horizontal
    set ylabel "share of scenes as their captions say; recall"
    set yrange [0:1]
    plot record."/texts.csv" using "scale":"seen" with linespoints linetype 1 title "seen combinations", \
         "" using "scale":"held_out_colours" with linespoints linetype 2 title "held-out colours", \
         "" using "scale":"held_out_relations" with linespoints linetype 5 title "held-out relations", \
         "" using "scale":"recall" with linespoints linetype 6 title "recall"
    set yrange [0:*]
    unset ylabel
    plot record."/texts.csv" using "scale":"frechet_distance" with linespoints linetype 4 title "Fréchet distance"
    eval plain
}

if (there(record."/dropped.csv")) {
    set output out."/dropped.png"
    set title "How often the class was left out in training"
    set xlabel "accuracy"
    set ylabel "Fréchet distance"
    plot for [p in "0.1 0.2 0.5"] rows("dropped.csv", p) using "accuracy":"frechet_distance" with linespoints title p." of the images"
    eval plain
}
