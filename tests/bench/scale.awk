# scale.awk — the model of SCALE.md, from the records of mpi.sh.
#   awk -v out=build/scale -f tests/bench/scale.awk build/scale/exchange.csv build/scale/published.csv build/scale/steps.csv
# writes OUT/efficiency.csv, the time of two threads over that of two processes, OUT/model.csv, predictions for what
# was measured, OUT/error.csv, how far off they are, and OUT/scale.csv, predictions for what was not.
#
# A step of P machines takes C + X seconds. C is the computation of a machine's part of the batch, X the exchanges:
#     X = 2 x 4 (P - 1) max(N / P, M) / B  +  (2 R (P - 1) + 3 log2 P) L
# N parameters of 4 bytes, M of them the largest tensor, B bytes a second, L seconds a message, R rounds
# (nn/gradient_sum.c). Gradients go to their owners and parameters come back, both from each machine to each in turn;
# tensors travel whole, so the owner of the largest one has M numbers at least to receive from each, and to send to
# each. Three small exchanges are trees.
# Overlapped: gradients travel while the backward pass, two thirds of C, goes on.
# B is that of the exchanges of a million parameters for networks of about so many, of 16 million for larger ones.
# OUT/scale.csv says in `runs` whether what is built can do it: MPI counts what comes at once in 31 bits.
# Of records of the same thing the last one counts.
BEGIN { FS = OFS = "," }

function log2_up(p,  k) { while (2 ^ k < p) k++; return k }
function rounds(N, P,  part) {
    part = 2 ^ 20 / P; if (part < 2 ^ 16) part = 2 ^ 16
    return int((N / P + part - 1) / part)
}
function bytes_time(N, P, rate, M) { return 8 * (P - 1) * max(N / P, M) / rate }
function latencies(N, P) { return 2 * rounds(N, P) * (P - 1) + 3 * log2_up(P) }
function ratio(a, b) { return b ? a / b : 0 }
function max(a, b) { return a > b ? a : b }

FILENAME ~ /exchange.csv$/ && FNR > 1 {     # two processes, a round: 4 N bytes each way in all
    if ($2 == 1) start[$1] = $3 / 2
    B[$1, $2] = 4 * $2 / ($3 - 2 * start[$1])
}
FILENAME ~ /published.csv$/ && FNR > 1 {
    if ($4 != "") backward = $4 / $3            # a training pass over a forward pass
    N[$1] = $2; one[$1] = backward * $3; M[$1] = $5
}
FILENAME ~ /steps.csv$/ && FNR > 1 {
    if (!($1 in count)) name[++names] = $1
    seconds[$1, $2, $4] = $7; least[$1, $2, $4] = $8; if ($3 == 2) waits[$1, $2] = $10
    if ($2 == "none") alone[$1, $4] = $7
    if ($2 == "memory") C[$1] = $7 - $11
    if ($2 ~ / / && !(($1, $2) in exchange)) checked[++checks] = $1 SUBSEP $2
    exchange[$1, $2] = $11; exchanges[$1, $2] = $12
    count[$1] = $5
}

# C1: seconds of a picture on one machine
function predict(name, N, M, C1, batch, P,  b, c, x1, rate, t, lat) {
    if (P > batch) return
    for (b = 1; b <= 10; b *= 10) {
        rate = B[b "gbit", N > 4e6 ? 16000000 : 1000000]; c = C1 * batch / P
        x1 = bytes_time(N, P, rate, M) / 2; lat = latencies(N, P) * 1e-4
        t = c + 2 * x1 + lat
        printf "%s,%d,%d,%.4f,%.4f,%.3f,%.3f,%s\n", name, b, P, c, 2 * x1 + lat, c / t,
            c / (c + max(0, x1 + lat / 2 - 2 / 3 * c) + x1 + lat / 2),
            4 * M * (P - 1) < 2 ^ 31 ? "yes" : "no" > out "/scale.csv"
    }
}

# of a row of steps.csv between two processes on a network: a line of model.csv
function check(key,  k, net, x) {
    split(key, k, SUBSEP); split(k[2], net, " ")
    x = 4 * count[k[1]] / B[net[1], 1000000] + exchanges[key] * (start[net[1]] + net[2])
    return k[1] "," net[1] "," net[2] "," seconds[key, 1] "," C[k[1]] + x "," exchange[key] "," x
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
    for (i = 1; i <= checks; i++) {
        line = check(checked[i])
        print line > out "/model.csv"
        split(line, v); e = v[5] / v[4] - 1; if (e < 0) e = -e
        key = v[2] "," v[3]; if (!(key in n)) keys[++m] = key
        n[key]++; mean[key] += e; taken[key] += v[6]; said[key] += v[7]; if (e > worst[key]) { worst[key] = e; at[key] = v[1] }
    }
    print "network,delay,rows,mean,worst,row,exchange,exchange_predicted" > out "/error.csv"
    for (i = 1; i <= m; i++) { k = keys[i]; printf "%s,%d,%.4f,%.4f,%s,%.4f,%.4f\n", k, n[k], mean[k] / n[k], worst[k], at[k], taken[k], said[k] > out "/error.csv" }
    print "network,gbit,machines,computation,exchange,efficiency,overlapped,runs" > out "/scale.csv"
    threads = alone["iddpm", 2] / alone["iddpm", 1]             # a machine has two cores
    for (P = 2; P <= 1024; P *= 2) {
        predict("ddpm", count["ddpm"], 64 * 128 * 9, alone["ddpm", 2] / 32, 32, P)
        predict("iddpm imagenet64", N["iddpm imagenet64"], M["iddpm imagenet64"], threads * one["iddpm imagenet64"], 128, P)
        predict("iddpm imagenet64 4 pictures each", N["iddpm imagenet64"], M["iddpm imagenet64"], threads * one["iddpm imagenet64"], 4 * P, P)
        predict("sd1", N["sd1"], M["sd1"], threads * one["sd1"], 2048, P)
        predict("sd1 100 times as fast", N["sd1"], M["sd1"], threads * one["sd1"] / 100, 2048, P)
    }
}
