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
    spaces = system("tail -n +2 ".costs." | cut -d, -f1,2 | sort -u | tr '\\n' ' '")    # "1,0 4,0 4,1024": f, codes
    minutes(w) = strcol("factor").",".strcol("codes") eq w ? (column("first_seconds") + column("seconds")) / 60 : NaN
    name(w) = w[1:2] eq "1," ? "pixels" : "f = ".w[1:1].(w[3:] eq "0" ? "" : ", VQ")
    set output out."/costs.png"
    eval wide
    set multiplot layout 1,2 title "Pixels and latents: what minutes of training come to"
    set xlabel "minutes of training, both stages"
    set logscale x
    set xtics (5, 10, 20, 50, 100, 200)
    set yrange [0:*]
    set key outside bottom center horizontal samplen 2
    do for [score in "frechet whole"] {
        percent = score eq "whole" ? 100 : 1
        set title score eq "whole" ? "all is as the caption says, %" : "Fréchet distance"
        plot for [w in spaces] costs using (minutes(w)):(percent * column(score)):(percent * column(score."_deviation")) with yerrorlines title name(w)
    }
    eval plain
}

if (there(record."/steps.csv")) {
    of(s, score) = strcol("sampler") eq s ? column(score) : NaN
    set output out."/steps.png"
    eval wide
    set multiplot layout 1,2 title "Samplers"
    set xlabel "sampling steps"
    set logscale x
    set xtics (10, 20, 50, 100)
    set xrange [9:110]
    set yrange [0:*]
    set title "Fréchet distance"
    plot for [s in "ddim plms ancestral"] record."/steps.csv" using "steps":(of(s, "frechet")) with linespoints title s
    set title "all is as the caption says, %"
    plot for [s in "ddim plms ancestral"] record."/steps.csv" using "steps":(100 * of(s, "whole")) with linespoints title s
    eval plain
}

if (there(record."/scales.csv")) {
    set output out."/scales.png"
    eval wide
    set multiplot layout 1,2 title "Guidance"
    set xlabel "scale"
    set yrange [0:*]
    set title "Fréchet distance"
    plot record."/scales.csv" using "scale":"frechet" with linespoints notitle
    set title "all is as the caption says, %"
    plot record."/scales.csv" using "scale":(100 * column("whole")) with linespoints notitle
    eval plain
}
