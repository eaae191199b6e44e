# From the files in `record`, as far as they are there, to pictures in `out`:
#   log.csv -> loss.png     mask_ratio.csv -> mask_ratio.png     labels.csv -> labels.png

# ---- part 1: denoising ----
#   dae_denoising.csv -> dae_denoising.png      dae_log.csv -> dae_loss.png
#   toy_score.csv, toy_arrows.csv, toy_chain.csv, toy_langevin.csv -> the same names, dae_toy_...png

if (there(record."/dae_denoising.csv")) {
    set output out."/dae_denoising.png"
    set terminal pngcairo size 1320,560 font "DejaVu Sans,13" background rgb "#ffffff"
    set bmargin 9.5
    set multiplot layout 1,3 title "Error of the reconstruction, 2,000 test images"
    set logscale y
    set yrange [1:1500]
    set key outside below center vertical height 1
    kinds = "gaussian masking salt-pepper"
    names = "'Gaussian noise' 'masking' 'salt and pepper'"
    do for [k = 1:3] {
        kind = word(kinds, k)
        set title word(names, k)
        set xlabel (k == 1 ? "standard deviation" : "share of pixels corrupted")
        set ylabel (k == 1 ? "squared error per image" : "")
        here(column_name) = strcol("corruption") eq kind && column("level") > 0 ? column(column_name) : NaN
        plot record."/dae_denoising.csv" using "level":(here("untouched")) with lines linecolor rgb grey dashtype 2 title "corrupted image", \
             "" using "level":(here("plain")) with linespoints linetype 4 title "plain autoencoder", \
             "" using "level":(here("masking")) with linespoints linetype 1 title "trained on masking 0.5", \
             "" using "level":(here("gaussian")) with linespoints linetype 2 title "trained on Gaussian 0.5"
    }
    unset multiplot
    unset bmargin
    unset logscale y
    set yrange [*:*]
    set key outside below center horizontal
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
}

if (there(record."/dae_log.csv")) {
    set output out."/dae_loss.png"
    set title "Denoising autoencoder: Gaussian noise of deviation 0.5 on every picture"
    set xlabel "training step"
    set ylabel "cross-entropy, nats per image"
    set y2label "squared error per image"
    set y2tics
    set yrange [200:400]
    set y2range [0:30]
    set ytics nomirror
    plot record."/dae_log.csv" using "step":"loss" with lines linecolor rgb sky linewidth 1.5 title "training batches (left)", \
         "" using "step":"validation_error" axes x1y2 with linespoints linetype 2 pointsize 0.6 title "error on validation, averaged weights (right)"
    unset y2tics
    unset y2label
    set yrange [*:*]
    set y2range [*:*]
}

if (there(record."/toy_score.csv")) {
    set output out."/dae_toy_score.png"
    set title "(r(x) - x) / sigma^2 against the exact score"
    set xlabel "sigma of the noise"
    set ylabel "relative error"
    set logscale xy
    set xrange [0.025:1.2]
    set xtics (0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1)
    plot record."/toy_score.csv" using "sigma":"smoothed" with linespoints linetype 1 title "against grad log p_{sigma}", \
         "" using "sigma":"data" with linespoints linetype 2 title "against grad log p", \
         "" using "sigma":"blur" with lines linecolor rgb grey dashtype 2 title "p_{sigma} itself, without a network"
    unset logscale
    set xrange [*:*]
    set xtics autofreq
}

if (there(record."/toy_arrows.csv") && there(record."/toy_chain.csv")) {
    set output out."/dae_toy_arrows.png"
    set terminal pngcairo size 1320,620 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,2
    set size ratio -1
    unset grid
    set xlabel "x"
    set ylabel "y"
    set xrange [-2.2:2.2]
    set yrange [-1.75:1.75]
    short = 0.35
    from(name) = record."/".name
    set title "r(x) - x: where the network moves a point, sigma = 0.3"
    plot from("toy_chain.csv") using "x":(strcol("what") eq "data" ? column("y") : NaN) with points pointtype 7 pointsize 0.3 linecolor rgb sky, \
         from("toy_arrows.csv") using "x":"y":(short * column("u")):(short * column("v")) with vectors head size 0.06,20 filled linecolor rgb red linewidth 1.5
    set title "sigma^2 grad log p_{sigma}: where the exact score does"
    plot from("toy_chain.csv") using "x":(strcol("what") eq "data" ? column("y") : NaN) with points pointtype 7 pointsize 0.3 linecolor rgb sky, \
         from("toy_arrows.csv") using "x":"y":(short * column("exact_u")):(short * column("exact_v")) with vectors head size 0.06,20 filled linecolor rgb "#000000" linewidth 1.5
    unset multiplot
}

if (there(record."/toy_chain.csv")) {
    set output out."/dae_toy_chain.png"
    set terminal pngcairo size 1320,440 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,3 title "A thousand steps of the chain, sigma = 0.1, from one point in the middle"
    set size ratio -1
    set xrange [-2.2:2.2]
    set yrange [-1.75:1.75]
    set xlabel "x"
    set ylabel "y"
    what = "data chain without_resampling"
    titles = "'data' 'corrupt, reconstruct, resample' 'corrupt, reconstruct'"
    do for [k = 1:3] {
        set title word(titles, k)
        plot record."/toy_chain.csv" using "x":(strcol("what") eq word(what, k) ? column("y") : NaN) with points pointtype 7 pointsize 0.35 linecolor rgb (k == 1 ? sky : red)
    }
    unset multiplot
    set size noratio
    set xrange [*:*]
    set yrange [*:*]
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
}

if (there(record."/toy_langevin.csv")) {
    set output out."/dae_toy_langevin.png"
    set terminal pngcairo size 1320,440 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,3 title "1,200 Langevin steps from one point (black)"
    set size ratio -1
    set xrange [-3:3]
    set yrange [-2.4:2.4]
    set xlabel "x"
    set ylabel "y"
    what = "smallest_sigma largest_sigma falling_sigma"
    titles = "'sigma = 0.05' 'sigma = 1' 'sigma from 1 down to 0.05'"
    do for [k = 1:3] {
        set title word(titles, k)
        plot record."/toy_langevin.csv" using "x":(strcol("what") eq word(what, k) ? column("y") : NaN) with points pointtype 7 pointsize 0.35 linecolor rgb red, \
             "+" using (-1.5):(-0.25) with points pointtype 7 pointsize 1 linecolor rgb "#000000"
    }
    unset multiplot
    set size noratio
    set xrange [*:*]
    set yrange [*:*]
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
}

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
    set terminal pngcairo size 1100,480 font "DejaVu Sans,13" background rgb "#ffffff"
    set bmargin 6
    set multiplot layout 1,2 title "Masking ratio: 1,000 steps of pre-training each"
    unset title
    set xlabel "hidden, %"
    set xrange [0:100]
    set yrange [60:90]
    set ylabel "test accuracy, %"
    plot record."/mask_ratio.csv" using "ratio":(100 * column("probe")) with linespoints linetype 1 title "linear probe, all labels", \
         "" using "ratio":(100 * column("finetuned")) with linespoints linetype 2 title "fine-tuned, 1,000 labels"
    set yrange [0:*]
    set ylabel "mean squared error of hidden pixels, in [0,1]"
    plot record."/mask_ratio.csv" using "ratio":"error" with linespoints linetype 3 title "reconstruction, at the ratio of training"
    unset multiplot
    unset bmargin
    set xrange [*:*]
    set yrange [*:*]
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
}

if (there(record."/labels.csv")) {
    set output out."/labels.png"
    set title "Fine-tuned after pre-training, trained from scratch, and linear baselines"
    set xlabel "labels"
    set ylabel "test accuracy, %"
    set logscale x
    set xrange [60:200000]
    set yrange [50:100]
    set yrange [50:90]
    # baselines of the denoising half: accuracies of linear probes, all labels and 1,000
    probe_of(file, block, key) = there(file) ? 100 * real(system(sprintf("tr -d ' \\t\\n' <'%s' | sed -n 's/.*\"%s\":{[^}]*\"%s\":\\([0-9.]*\\).*/\\1/p'", file, block, key))) : NaN
    dae = record."/dae_metrics.json"; vincent = record."/dae_vincent_metrics.json"
    set print $baselines
    print sprintf("1000,%g,%g", probe_of(dae, "probe_pixels", "few_labels"), probe_of(vincent, "probe", "few_labels"))
    print sprintf("55000,%g,%g", probe_of(dae, "probe_pixels", "all_labels"), probe_of(vincent, "probe", "all_labels"))
    set print
    of(start, aside) = strcol("start") eq start ? column("labels") * aside : NaN
    plot record."/labels.csv" using (of("pretrained", 0.93)):(100 * column("accuracy")) with points linetype 1 pointsize 1.5 title "pretrained", \
         "" using (of("scratch", 1.07)):(100 * column("accuracy")) with points linetype 2 pointsize 1.5 title "from scratch, at each learning rate tried", \
         $baselines using 1:2 with points linetype 3 pointsize 1.5 title "linear, on pixels", \
         $baselines using 1:3 with points linetype 4 pointsize 1.5 title "linear, on the denoising autoencoder of 2008"
    unset logscale
    set xrange [*:*]
    set yrange [*:*]
}
