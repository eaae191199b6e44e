#!/bin/sh
# scores.sh OUT — scores of all chapters' committed weights on Fashion-MNIST, with the same numbers of samples:
# OUT/scores.csv, a row for each chapter, number of samples and seed, and OUT/summary.csv, mean and standard
# deviation over the seeds. Chapters that are not in $CHAPTERS are read from their records; so are those of
# diffusion, whose samples take an hour. Kernel distances are those of the chapters' records (OUT/kernel.csv):
# they are unbiased, so each may have its own number of samples. Their deviation is over pairs of subsets.
BUILD=${BUILD:-build}
out=${1:?scores.sh OUT}
chapters=${CHAPTERS:-gan vae vqvae vqvae2}
seeds=${SEEDS:-1 2 3}
mkdir -p "$out" || exit 1

# FILE of an eval command, samples|test_images, names of scores -> the scores, with commas between
values() {
    tr -d ' \t\n' <"$1" | sed "s/.*\"$2\":{//; s/}.*//" | tr ',' '\n' | awk -F: -v names="$3" '
        { gsub(/"/, ""); v[$1] = $2 }
        END { n = split(names, name, " "); for (i = 1; i <= n; i++) printf "%s%s", v[name[i]], i < n ? "," : "\n" }'
}

# name, chapter/record, samples|test_images
kernel() {
    file=notebooks-data/$2.json
    n=$(tr -d ' \t\n' <"$file" | sed 's/.*"scores":{"n"://; s/,.*//')
    echo "$1,$n,$(values "$file" "$3" "kernel_distance kernel_distance_deviation")"
}

# chapter, samples, steps, seed, FILE
row() {
    scores="frechet_distance precision recall coverage sharpness"
    echo "$1,$2,$3,$4,$(values "$5" samples "$scores")" >>"$out/rows"
    [ "$1" != gan ] || [ "$4" != 1 ] || echo "test images,$2,,1,$(values "$5" test_images "$scores")" >>"$out/rows"
}

rm -f "$out/rows"
for n in ${SAMPLES:-2000 10000}; do
    for chapter in $chapters; do
        cheap=
        [ "$chapter" = vae ] && cheap="--draws 1"
        for seed in $seeds; do
            run=$out/$chapter-$n-$seed
            [ -s "$run/metrics.json" ] || "$BUILD/$chapter" eval -q --seed "$seed" --samples "$n" $cheap \
                --weights "notebooks-data/$chapter/weights.safetensors" --out "$run" >/dev/null || exit 1
            row "$chapter" "$n" "" "$seed" "$run/metrics.json"
        done
    done
done
for record in vqvae2/metrics: ddpm/metrics-2000:100 iddpm/metrics-2000:50; do
    case " $chapters " in *" ${record%%/*} "*) continue ;; esac
    row "${record%%/*}" 2000 "${record##*:}" 1 "notebooks-data/${record%%:*}.json"
done

{
    echo "chapter,kernel_samples,kernel_distance,kernel_deviation"
    for record in gan/metrics vae/metrics vqvae/metrics vqvae2/metrics ddpm/metrics-2000 iddpm/metrics-2000; do
        kernel "${record%%/*}" "$record" samples
    done
    kernel "test images" gan/metrics test_images
} >"$out/kernel.csv"

{ echo "chapter,samples,steps,seed,frechet_distance,precision,recall,coverage,sharpness"; cat "$out/rows"; } >"$out/scores.csv"
awk -F, '
    FNR == NR { if (FNR > 1) { name[++count] = $1; kernel[$1] = sprintf("%d,%.5g,%.3g", $2, $3, $4) } next }
    { rows[$1]++; key = $1 "," $2 "," $3; if (!n[key]++) order[++keys] = key
      for (i = 5; i <= 9; i++) { sum[key, i] += $i; square[key, i] += $i * $i } }
    END {
        print "chapter,samples,steps,seeds,frechet_distance,frechet_deviation,precision,precision_deviation," \
              "recall,recall_deviation,coverage,coverage_deviation,sharpness,sharpness_deviation," \
              "kernel_samples,kernel_distance,kernel_deviation"
        for (k = 1; k <= keys; k++) {
            key = order[k]; line = key "," n[key]
            for (i = 5; i <= 9; i++) {
                mean = sum[key, i] / n[key]
                variance = n[key] > 1 ? (square[key, i] - n[key] * mean * mean) / (n[key] - 1) : 0
                line = line sprintf(",%.5g,", mean) (n[key] > 1 ? sprintf("%.3g", sqrt(variance > 0 ? variance : 0)) : "")
            }
            split(key, part, ",")
            print line "," kernel[part[1]]
        }
        for (k = 1; k <= count; k++)
            if (!rows[name[k]]) print name[k] ",,,,,,,,,,,,,," kernel[name[k]]
    }' "$out/kernel.csv" "$out/rows" >"$out/summary.csv"
rm -f "$out/rows"
