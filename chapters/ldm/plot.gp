# From the files in `record`, as far as they are there, to pictures in `out`:
#   autoencoder-log.csv -> autoencoder.png     diffusion-log.csv -> diffusion.png
#   costs-means.csv -> costs.png               steps.csv -> steps.png     scales.csv -> scales.png

if (there(record."/autoencoder-log.csv")) {
    set output out."/autoencoder.png"
    eval wide
    set multiplot layout 1,2 title "The first stage"
    set xlabel "training step"
    set xtics 1000
    set key inside top right vertical samplen 2
    set logscale y
    set title "errors"
    plot record."/autoencoder-log.csv" using "step":"l1" with lines linetype 1 title "mean |x - x'|", \
         "" using "step":"perceptual" with lines linetype 2 title "perceptual distance"
    unset logscale y
    set key inside bottom right vertical samplen 2
    set title "validation"
    plot record."/autoencoder-log.csv" using "step":"validation_psnr" with linespoints linetype 1 pointsize 0.4 title "PSNR, dB"
    eval plain
}

if (there(record."/diffusion-log.csv")) {
    set output out."/diffusion.png"
    set xlabel "training step"
    set format x "%.0s%c"
    set logscale y
    set title "Mean squared error of the predicted noise of latents"
    set key inside top right vertical samplen 2
    plot record."/diffusion-log.csv" using "step":"loss" with lines linecolor rgb sky title "training batches, errors weighted by noise", \
         "" using "step":"validation" with linespoints linetype 2 pointsize 0.4 title "validation, not weighted; averaged parameters"
    eval plain
}

if (there(record."/costs-means.csv")) {
    costs = record."/costs-means.csv"
    row(f, vq) = column("factor") == f + 0 && (column("codes") > 0) == vq
    minutes(f, vq) = row(f, vq) ? (column("first_seconds") + column("seconds")) / 60 : NaN
    set output out."/costs.png"
    eval wide
    set multiplot layout 1,2 title "Pixels (f = 1) and latents: what minutes of training come to"
    set xlabel "minutes of training, both stages"
    set logscale x
    set key outside bottom center horizontal samplen 2
    do for [score in "frechet whole"] {
        percent = score eq "whole" ? 100 : 1
        set title score eq "whole" ? "all is as the caption says, %" : "Fréchet distance"
        plot for [i=1:4] costs using (minutes(word("1 2 4 8", i), 0)):(percent * column(score)):(percent * column(score."_deviation")) with yerrorlines linetype i title "f = ".word("1 2 4 8", i), \
             costs using (minutes(4, 1)):(percent * column(score)):(percent * column(score."_deviation")) with yerrorlines linetype 5 title "f = 4, VQ"
    }
    eval plain
}

if (there(record."/steps.csv")) {
    set output out."/steps.png"
    set xlabel "steps back"
    set logscale x
    set title "Samplers"
    set ylabel "Fréchet distance"
    set key inside top right vertical samplen 2
    plot for [s in "plms ddim ancestral"] record."/steps.csv" using "steps":(strcol("sampler") eq s ? column("frechet") : NaN) with linespoints title s
    eval plain
}

if (there(record."/scales.csv")) {
    set output out."/scales.png"
    eval wide
    set multiplot layout 1,2 title "Guidance"
    set xlabel "scale"
    set title "Fréchet distance"
    plot record."/scales.csv" using "scale":"frechet" with linespoints notitle
    set title "pictures that show what their captions say"
    plot record."/scales.csv" using "scale":"whole" with linespoints notitle
    eval plain
}
