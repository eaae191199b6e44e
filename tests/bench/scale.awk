# scale.awk — the model of SCALE.md, from the records of mpi.sh.
#   awk -v out=build/scale -f tests/bench/scale.awk build/scale/exchange.csv build/scale/published.csv build/scale/steps.csv
# writes OUT/efficiency.csv, the time of two threads over that of two processes, OUT/model.csv, predictions for what
# was measured, OUT/error.csv, how far off they are, and OUT/scale.csv, predictions for what was not.
#
# A step of P machines takes C + X seconds. C is the computation of a machine's part of the batch, X the exchanges:
#     X = 2 x 4 N (P - 1) / (P B)  +  (2 R (P - 1) + 3 log2 P) L
# N parameters of 4 bytes, B bytes a second, L seconds a message, R rounds (nn/gradient_sum.c). Slices of gradients go to
# their owners and parameters come back, both from each machine to each in turn; three small exchanges are trees.
# Overlapped: gradients travel while the backward pass, two thirds of C, goes on.
BEGIN { FS = OFS = "," }

function log2_up(p,  k) { while (2 ^ k < p) k++; return k }
function rounds(N, P,  part) {
    part = 2 ^ 20 / P; if (part < 2 ^ 16) part = 2 ^ 16
    return int((N / P + part - 1) / part)
}
function bytes_time(N, P, rate) { return 8 * N * (P - 1) / P / rate }
function latencies(N, P) { return 2 * rounds(N, P) * (P - 1) + 3 * log2_up(P) }
function ratio(a, b) { return b ? a / b : 0 }
function max(a, b) { return a > b ? a : b }

FILENAME ~ /exchange.csv$/ && FNR > 1 {     # two processes, a round: 4 N bytes each way in all
    if ($2 == 1) start[$1] = $3 / 2
    if ($2 == 1000000) B[$1] = 4 * $2 / ($3 - 2 * start[$1])
}
FILENAME ~ /published.csv$/ && FNR > 1 {
    if ($4 != "") backward = $4 / $3            # a training pass over a forward pass
    N[$1] = $2; one[$1] = backward * $3
}
FILENAME ~ /steps.csv$/ && FNR > 1 {
    if (!($1 in count)) name[++names] = $1
    seconds[$1, $2, $4] = $7; least[$1, $2, $4] = $8; if ($3 == 2) waits[$1, $2] = $10
    if ($2 == "none") alone[$1, $4] = $7
    if ($2 == "memory") C[$1] = $7 - $11
    if (split($2, net, " ") == 2) {
        x = 4 * $5 / B[net[1]] + $12 * (start[net[1]] + net[2])
        line[++lines] = $1 "," net[1] "," net[2] "," $7 "," C[$1] + x "," $11 "," x
    }
    count[$1] = $5
}

function predict(name, N, C1, batch, P,  b, x, rate, t) {       # C1: seconds of a picture on one machine
    if (P > batch) return
    for (b = 1; b <= 10; b *= 10) {
        rate = B[b "gbit"]; c = C1 * batch / P
        x1 = bytes_time(N, P, rate) / 2; lat = latencies(N, P) * 1e-4
        t = c + 2 * x1 + lat
        printf "%s,%d,%d,%.4f,%.4f,%.3f,%.3f\n", name, b, P, c, 2 * x1 + lat, c / t,
            c / (c + max(0, x1 + lat / 2 - 2 / 3 * c) + x1 + lat / 2) > out "/scale.csv"
    }
}

END {
    print "row,parameters,one,threads,processes,waiting,quickest,memory,fast,fast_late,slow,slow_late" > out "/efficiency.csv"
    for (i = 1; i <= names; i++) {
        r = name[i]; t = alone[r, 2]
        printf "%s,%d,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f\n", r, count[r], alone[r, 1], t,
            seconds[r, "memory", 1], ratio(waits[r, "memory"], seconds[r, "memory", 1]),
            ratio(least[r, "none", 2], least[r, "memory", 1]), ratio(t, seconds[r, "memory", 1]),
            ratio(t, seconds[r, "10gbit 0.0001", 1]), ratio(t, seconds[r, "10gbit 0.001", 1]), ratio(t, seconds[r, "1gbit 0.0001", 1]),
            ratio(t, seconds[r, "1gbit 0.001", 1]) > out "/efficiency.csv"
    }
    print "row,network,delay,step,predicted,exchange,exchange_predicted" > out "/model.csv"
    for (i = 1; i <= lines; i++) {
        print line[i] > out "/model.csv"
        split(line[i], v); e = v[5] / v[4] - 1; if (e < 0) e = -e
        key = v[2] "," v[3]; if (!(key in n)) keys[++m] = key
        n[key]++; mean[key] += e; taken[key] += v[6]; said[key] += v[7]; if (e > worst[key]) { worst[key] = e; at[key] = v[1] }
    }
    print "network,delay,rows,mean,worst,row,exchange,exchange_predicted" > out "/error.csv"
    for (i = 1; i <= m; i++) { k = keys[i]; printf "%s,%d,%.4f,%.4f,%s,%.4f,%.4f\n", k, n[k], mean[k] / n[k], worst[k], at[k], taken[k], said[k] > out "/error.csv" }
    print "network,gbit,machines,computation,exchange,efficiency,overlapped" > out "/scale.csv"
    threads = alone["iddpm", 2] / alone["iddpm", 1]             # a machine has two cores
    for (P = 2; P <= 1024; P *= 2) {
        predict("ddpm", count["ddpm"], alone["ddpm", 2] / 32, 32, P)
        predict("iddpm imagenet64", N["iddpm imagenet64"], threads * one["iddpm imagenet64"], 128, P)
        predict("iddpm imagenet64 4 pictures each", N["iddpm imagenet64"], threads * one["iddpm imagenet64"], 4 * P, P)
        predict("sd1", N["sd1"], threads * one["sd1"], 2048, P)
        predict("sd1 100 times as fast", N["sd1"], threads * one["sd1"] / 100, 2048, P)
    }
}
