# From the files in `record`, as far as they are there, to pictures in `out`:
#   log.csv -> loss.png     mask_ratio.csv -> mask_ratio.png     labels.csv -> labels.png

# ---- part 1: denoising ----

# ---- part 2: masking ----

if (there(record."/log.csv")) {
    set output out."/loss.png"
    set title "Masked autoencoder on Fashion-MNIST: error of the hidden patches"
    set xlabel "training step"
    set ylabel "mean squared error, pixels in [0,1]"
    set logscale y
    # the loss is on the scale [-1,1]
    plot record."/log.csv" using "step":(column("loss") / 4) with lines linecolor rgb sky title "training batches, cropped and flipped", \
         "" using "step":"validation_error" with linespoints linetype 2 pointsize 0.5 title "validation"
    unset logscale
}

if (there(record."/mask_ratio.csv")) {
    set output out."/mask_ratio.png"
    set multiplot layout 1,2 title "How much to hide"
    set xlabel "hidden, %"
    set xrange [0:100]
    set ylabel "test accuracy, %"
    plot record."/mask_ratio.csv" using "ratio":(100 * column("probe")) with linespoints linetype 1 title "linear probe, all labels", \
         "" using "ratio":(100 * column("finetuned")) with linespoints linetype 2 title "fine-tuned, 1,000 labels"
    set ylabel "mean squared error of hidden pixels in [0,1]"
    plot record."/mask_ratio.csv" using "ratio":"error" with linespoints linetype 3 title "reconstruction"
    unset multiplot
    set xrange [*:*]
}

if (there(record."/labels.csv")) {
    set output out."/labels.png"
    set title "Fine-tuned after pre-training, and trained from scratch: three seeds each"
    set xlabel "labels"
    set ylabel "test accuracy, %"
    set logscale x
    set xrange [60:100000]
    plot record."/labels.csv" using "labels":(strcol("start") eq "pretrained" ? 100 * column("accuracy") : NaN) with points linetype 1 pointsize 1.5 title "pretrained", \
         "" using "labels":(strcol("start") eq "scratch" ? 100 * column("accuracy") : NaN) with points linetype 2 pointsize 1.5 title "from scratch"
    unset logscale
    set xrange [*:*]
}
