# From the files in `record`, as far as they are there, to pictures in `out`:
#   log.csv    -> loss.png         sweep.csv -> code_size.png      codes.csv -> codes.png

if (there(record."/log.csv")) {
    set output out."/loss.png"
    set title "Autoencoder on Fashion-MNIST: loss per image"
    set xlabel "training step"
    set ylabel "loss, summed over 784 pixels in [0,1]"
    set logscale y
    set yrange [*:*] noextend
    set ytics (2, 5, 10, 20, 50, 100, 200, 500)
    plot record."/log.csv" using "step":"loss" with lines linecolor rgb sky linewidth 1.5 title "training batches", \
         "" using "step":"validation" with linespoints linetype 2 pointsize 0.6 title "validation, averaged weights"
    unset logscale y
    set yrange [*:*]
    set ytics autofreq
}

if (there(record."/sweep.csv")) {
    set output out."/code_size.png"
    set title "Test error against code size: autoencoders and PCA"
    set xlabel "numbers in the code"
    set ylabel "squared error per test image"
    set logscale xy
    set xtics (2, 4, 8, 16, 32, 64)
    set xrange [1.8:71]
    set yrange [6:45]
    set ytics (6, 8, 10, 15, 20, 30, 40)
    plot record."/sweep.csv" using "code":"pca" with linespoints linetype 4 title "PCA", \
         "" using "code":"hinton2006" with linespoints linetype 2 title "Hinton \\& Salakhutdinov 2006", \
         "" using "code":"convolutional" with linespoints linetype 1 title "convolutional"
    unset logscale
    set xtics autofreq
    set xrange [*:*]
    set yrange [*:*]
    set ytics autofreq
}

if (there(record."/codes.csv")) {
    set output out."/codes.png"
    set terminal pngcairo size 960,800 font "DejaVu Sans,13" background rgb "#ffffff"
    set title "Codes of 3,000 test images, two numbers each"
    set key outside right top vertical
    set xlabel "h_1"
    set ylabel "h_2"
    name(i) = word("T-shirt Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Boot", i + 1)
    plot for [i = 0:9] record."/codes.csv" using "h1":(column("class") == i ? column("h2") : NaN) \
         with points pointtype 7 pointsize 0.55 linecolor rgb word(class_colours, i + 1) title name(i)
}
