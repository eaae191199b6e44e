# From the files in `record`, as far as they are there, to pictures in `out`:
#   diffusion-log.csv, classifier-log.csv -> loss.png     classifier.csv -> classifier.png     tradeoff.csv, tradeoff-means.csv -> tradeoff.png
#   steps.csv -> steps.png      ablation.csv -> ablation.png
# rows of a csv file whose column has this value
rows(file, column, value) = sprintf("< awk -F, 'NR == 1 || $%d == \"%s\"' '%s/%s'", column, value, record, file)

if (there(record."/diffusion-log.csv") && there(record."/classifier-log.csv")) {
    set output out."/loss.png"
    eval wide
    set multiplot layout 1,2 title "Two networks that are trained on the same noisy pictures"
    set xlabel "training step"
    set key inside top right vertical samplen 2
    set format x "%.0s%c"
    set title "squared error of the noise, by quarter of the timesteps"
    set logscale y
    plot record."/diffusion-log.csv" using "step":"quarter_1" with lines linetype 1 title "first", \
         "" using "step":"quarter_2" with lines linetype 4 title "second", \
         "" using "step":"quarter_3" with lines linetype 3 title "third", \
         "" using "step":"quarter_4" with lines linetype 2 title "last", \
         "" using "step":"validation" with linespoints linetype 5 pointsize 0.4 title "validation, all"
    unset logscale y
    set key inside bottom right
    set title "how often the classifier is right about validation images"
    set yrange [0:1]
    set xtics 1000
    plot for [k=1:4] record."/classifier-log.csv" using "step":"validation_".k with linespoints linetype word("1 4 3 2", k) + 0 \
         pointsize 0.4 title word("first second third last", k)." quarter"
    eval plain
}

if (there(record."/classifier.csv")) {
    set output out."/classifier.png"
    eval wide
    set multiplot layout 1,2 title "The noisy classifier on test images"
    set xlabel "t"
    set title "how often it is right; what is left of the picture's variance"
    set yrange [0:1]
    set key outside below center horizontal
    plot record."/classifier.csv" using "t":"accuracy" with linespoints linetype 1 title "right", \
         "" using "t":"alpha_bar" with lines linecolor rgb grey title "ᾱ", 0.1 with lines linetype 2 title "chance"
    set title "-log p(y|x_t), nats"
    set yrange [0:*]
    plot record."/classifier.csv" using "t":"nats" with linespoints linetype 1, log(10) with lines linetype 2 title "chance"
    eval plain
}

if (there(record."/tradeoff-means.csv")) {
    set output out."/tradeoff.png"
    set terminal pngcairo size 1500,500 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,3 title "What the guidance scale does (points: sampling seeds; lines and the left panel: their means)"
    set key outside below center horizontal samplen 2
    names = "unconditional conditional"
    set xlabel "recall"; set ylabel "precision"
    set xtics 0.04
    set offsets 0.01, 0.01, 0.005, 0.005
    set title "each label is a scale, in the colour of its line"
    plot for [k=1:2] rows("tradeoff-means.csv", 1, word(names, k)) using "recall":"precision" with linespoints linetype k title word(names, k), \
         for [k=1:2] rows("tradeoff-means.csv", 1, word(names, k)) using "recall":"precision":"scale" with labels textcolor linetype k offset (k == 1 ? -0.9 : 0.9),(k == 1 ? -0.5 : 0.6) notitle
    set xlabel "scale"; set ylabel "share"
    unset offsets
    set title "images in which the intended class is seen"
    set yrange [0:1.04]
    set xrange [-0.3:8.3]
    set xtics 1
    plot for [k=1:2] rows("tradeoff-means.csv", 1, word(names, k)) using "scale":"accuracy" with lines linetype k title word(names, k), \
         for [k=1:2] rows("tradeoff.csv", 1, word(names, k)) using "scale":"accuracy" with points linetype k notitle
    set ylabel "Fréchet distance"
    set title "distance from the training images"
    set yrange [0:*]
    plot for [k=1:2] rows("tradeoff-means.csv", 1, word(names, k)) using "scale":"frechet_distance" with lines linetype k title word(names, k), \
         for [k=1:2] rows("tradeoff.csv", 1, word(names, k)) using "scale":"frechet_distance" with points linetype k notitle
    eval plain
}

if (there(record."/steps.csv")) {
    set output out."/steps.png"
    eval wide
    set multiplot layout 1,2 title "Unguided and guided samples in more and fewer steps"
    set logscale x
    set xrange [9:110]
    set xtics (10, 25, 50, 100)
    set xlabel "sampling steps"
    some(scale, sampler) = sprintf("< awk -F, 'NR == 1 || ($2 == \"%s\" && $3 == \"%s\")' '%s/steps.csv' | sed 's/,ddim\\([0-9]\\)/,\\1/'", scale, sampler, record)
    set key inside top right vertical samplen 2
    set title "Fréchet distance"
    set yrange [0:*]
    plot for [k=1:4] some(word("0 4 0 4", k), word("ancestral ancestral ddim ddim", k)) using "respace":"frechet_distance" \
         with linespoints linetype k title word("ancestral ancestral ddim ddim", k).", scale ".word("0 4 0 4", k)
    set title "share of images in which the intended class is seen"
    set yrange [0:1]
    plot for [k=1:4] some(word("0 4 0 4", k), word("ancestral ancestral ddim ddim", k)) using "respace":"accuracy" \
         with linespoints linetype k notitle
    eval plain
}

if (there(record."/ablation.csv")) {
    set output out."/ablation.png"
    eval wide
    set multiplot layout 1,2 title "The base network but for one part, after 1,000 training steps (points: seeds)"
    names = "base add one-head attention-7 no-attention conv deep wide"
    place(name) = strstrt(" ".names." ", " ".name." ") ? words(substr(names, 1, strstrt(" ".names." ", " ".name." ") + strlen(name) - 1)) : 0
    set xrange [0.5:8.5]
    unset xlabel
    set xtics rotate by -35 ("base" 1, "add" 2, "one head" 3, "attention at 7" 4, "no attention" 5, "conv" 6, "deep" 7, "wide" 8)
    set title "squared error of the noise, validation"
    plot record."/ablation.csv" using (place(stringcolumn("network"))):"validation" with points linetype 1 notitle
    set title "Fréchet distance"
    plot record."/ablation.csv" using (place(stringcolumn("network"))):"frechet_distance" with points linetype 2 notitle
    eval plain
}
