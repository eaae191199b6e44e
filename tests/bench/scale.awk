# scale.awk — the model of SCALE.md, from the records of mpi.sh.
#   awk -v out=build/scale -f tests/bench/scale.awk build/scale/exchange.csv build/scale/published.csv build/scale/steps.csv
# writes OUT/efficiency.csv, the time of two threads over that of two processes, OUT/model.csv, predictions for what
# was measured, OUT/error.csv, how far off they are, and OUT/scale.csv, predictions for what was not.
#
# A step of P machines takes C + max(X - 2/3 C, X / R) + X + 3 L log2 P seconds. C is the computation of a machine's part
# of the batch, two thirds of it the backward pass; X an exchange of all gradients, or of all parameters:
#     X = 4 (P - 1) max(N / P, M) / B  +  R (P - 1) L
# N parameters of 4 bytes, M of them the largest tensor, B bytes a second, L seconds a message, R rounds
# (nn/gradient_sum.c). Gradients go to their owners during the backward pass, but for the last round; parameters come
# back after it; both from each machine to each in turn. Tensors travel whole, so the owner of the largest one has M
# numbers at least to receive from each, and to send to each. Three small exchanges are trees.
# B is that of the exchanges of a million parameters for networks of about so many, of 16 million for larger ones.
# OUT/scale.csv says in `runs` whether what is built can do it: MPI counts what comes at once in 31 bits.
# Of records of the same thing the last one counts.
BEGIN { FS = OFS = "," }

function log2_up(p,  k) { while (2 ^ k < p) k++; return k }
function rounds(N, P,  one) {
    one = max(2 ^ 18, P * 2 ^ 16)
    return int((N + one - 1) / one)
}
function one_exchange(N, M, P, rate, L) { return 4 * (P - 1) * max(N / P, M) / rate + rounds(N, P) * (P - 1) * L }
# what the exchanges add to a step: x seconds each of the two large ones, r rounds
function added(x, r, c) { return max(x - 2 / 3 * c, x / r) + x }
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
function predict(name, N, M, C1, batch, P,  b, c, x, small) {
    if (P > batch) return
    for (b = 1; b <= 10; b *= 10) {
        c = C1 * batch / P; small = 3 * log2_up(P) * 1e-4
        x = one_exchange(N, M, P, B[b "gbit", N > 4e6 ? 16000000 : 1000000], 1e-4)
        printf "%s,%d,%d,%.4f,%.4f,%.3f,%.3f,%s\n", name, b, P, c, 2 * x + small, c / (c + added(x, rounds(N, P), c) + small),
            c / (c + 2 * x + small), 4 * M * (P - 1) < 2 ^ 31 ? "yes" : "no" > out "/scale.csv"
    }
}

# of a row of steps.csv between two processes on a network: a line of model.csv
function check(key,  k, net, r, x, message) {
    split(key, k, SUBSEP); split(k[2], net, " ")
    r = rounds(count[k[1]], 2); message = start[net[1]] + net[2]
    x = 2 * count[k[1]] / B[net[1], 1000000] + r * message
    x = added(x, r, C[k[1]]) + (exchanges[key] - 2 * r) * message
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
    print "network,gbit,machines,computation,exchange,efficiency,afterwards,runs" > out "/scale.csv"
    threads = alone["iddpm", 2] / alone["iddpm", 1]             # a machine has two cores
    for (P = 2; P <= 1024; P *= 2) {
        predict("ddpm", count["ddpm"], 64 * 128 * 9, alone["ddpm", 2] / 32, 32, P)
        predict("iddpm imagenet64", N["iddpm imagenet64"], M["iddpm imagenet64"], threads * one["iddpm imagenet64"], 128, P)
        predict("iddpm imagenet64 4 pictures each", N["iddpm imagenet64"], M["iddpm imagenet64"], threads * one["iddpm imagenet64"], 4 * P, P)
        predict("sd1", N["sd1"], M["sd1"], threads * one["sd1"], 2048, P)
        predict("sd1 100 times as fast", N["sd1"], M["sd1"], threads * one["sd1"] / 100, 2048, P)
    }
}
