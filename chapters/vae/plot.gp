# From the files in `record`, as far as they are there, to pictures in `out`:
#   log.csv -> loss.png and elbo.png     kl.csv -> kl.png     classes.csv -> classes.png
#   beta.csv -> beta.png     codes.csv, beside ae/codes.csv -> latents.png

if (there(record."/log.csv")) {
    set output out."/loss.png"
    set terminal pngcairo size 1200,480 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,3 title "VAE on Fashion-MNIST: the evidence lower bound and its two parts, nats per image"
    set xlabel "training step"
    set xtics 5000
    set key outside below center vertical height 1
    set title "ELBO"
    set yrange [-270:*]
    plot record."/log.csv" using "step":(-column("loss")) with lines linecolor rgb sky title "training batches", \
         "" using "step":"validation_elbo" with linespoints linetype 2 pointsize 0.4 title "validation, averaged weights"
    set title "log p(x|z)"
    plot record."/log.csv" using "step":"log_likelihood" with lines linetype 1 title "training batches"
    set title "KL(q(z|x) || p(z))"
    set yrange [0:*]
    plot record."/log.csv" using "step":"kl" with lines linetype 4 title "training batches"
    unset multiplot
    set terminal pngcairo size 960,600 font "DejaVu Sans,13" background rgb "#ffffff"
    set xtics autofreq
    set yrange [*:*]
    set key outside below center horizontal
}

if (there(record."/kl.csv")) {
    set output out."/kl.png"
    set title "KL of each dimension of z"
    set xlabel "dimension of z, in order of its KL"
    set ylabel "KL, nats per image"
    set style fill solid 0.9 noborder
    set boxwidth 0.7
    set xrange [0.3:32.7]
    plot record."/kl.csv" using "rank":(column("variance") > 0.01 ? column("kl") : NaN) with boxes linecolor rgb blue title "active: the mean varies with x", \
         "" using "rank":(column("variance") > 0.01 ? NaN : column("kl")) with boxes linecolor rgb red title "not active: KL near 0"
    set xrange [*:*]
}

if (there(record."/classes.csv")) { load "plots/classes.gp" }

if (there(record."/beta.csv")) {
    set output out."/beta.png"
    eval wide
    set multiplot layout 1,2 title "The weight of the KL, beta"
    set xlabel "beta"
    set ylabel "nats per test image"
    set logscale x 2
    set title "reconstruction against KL"
    plot record."/beta.csv" using "beta":(-column("log_likelihood")) with linespoints linetype 1 title "-log p(x|z)", \
         "" using "beta":"kl" with linespoints linetype 4 title "KL"
    set title "their sum with weight 1"
    set offsets 0, 0, graph 0.05, graph 0.05
    plot record."/beta.csv" using "beta":(-column("elbo")) with linespoints linetype 2 title "-ELBO"
    unset offsets
    eval plain
}

if (there(record."/codes.csv")) {
    set output out."/latents.png"
    set terminal pngcairo size 1320,600 font "DejaVu Sans,13" background rgb "#ffffff"
    set multiplot layout 1,2
    name(i) = word("T-shirt Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Boot", i + 1)
    set tmargin at screen 0.92; set bmargin at screen 0.1
    set lmargin at screen 0.06; set rmargin at screen 0.44
    set title "autoencoder"
    set xlabel "h_1"
    set ylabel "h_2"
    unset key
    plot for [i = 0:9] "notebooks-data/ae/codes.csv" using "h1":(column("class") == i ? column("h2") : NaN) \
         with points pointtype 7 pointsize 0.4 linecolor rgb word(class_colours, i + 1)
    set lmargin at screen 0.51; set rmargin at screen 0.89
    set title "variational autoencoder"
    set xlabel "mean of q(z_1|x)"
    set ylabel "mean of q(z_2|x)"
    set xrange [-5:5]
    set yrange [-5:5]
    set key at screen 0.995, screen 0.9 right top vertical samplen 1
    plot for [i = 0:9] record."/codes.csv" using "z1":(column("class") == i ? column("z2") : NaN) \
         with points pointtype 7 pointsize 0.4 linecolor rgb word(class_colours, i + 1) title name(i)
    unset multiplot
}
