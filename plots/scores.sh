#!/bin/sh
# scores.sh OUT — scores of all chapters' committed weights on Fashion-MNIST, with the same numbers of samples:
# OUT/scores.csv, a row for each chapter, number of samples and seed, and OUT/summary.csv, mean and standard
# deviation over the seeds. Chapters that are not in $CHAPTERS are read from their records; so are those of
# diffusion, whose samples take an hour.
BUILD=${BUILD:-build}
out=${1:?scores.sh OUT}
chapters=${CHAPTERS:-gan vae vqvae vqvae2}
seeds=${SEEDS:-1 2 3}
mkdir -p "$out" || exit 1

# FILE of an eval command, samples|test_images -> distance, precision, recall, coverage, sharpness
values() {
    tr -d ' \t\n' <"$1" | sed "s/.*\"$2\":{//; s/}.*//" | tr ',' '\n' | awk -F: '
        { gsub(/"/, ""); v[$1] = $2 }
        END { print v["frechet_distance"] "," v["precision"] "," v["recall"] "," v["coverage"] "," v["sharpness"] }'
}

# chapter, samples, steps, seed, FILE
row() {
    echo "$1,$2,$3,$4,$(values "$5" samples)" >>"$out/rows"
    [ "$1" != gan ] || [ "$4" != 1 ] || echo "test images,$2,,1,$(values "$5" test_images)" >>"$out/rows"
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

{ echo "chapter,samples,steps,seed,frechet_distance,precision,recall,coverage,sharpness"; cat "$out/rows"; } >"$out/scores.csv"
awk -F, '
    { key = $1 "," $2 "," $3; if (!n[key]++) order[++keys] = key
      for (i = 5; i <= 9; i++) { sum[key, i] += $i; square[key, i] += $i * $i } }
    END {
        print "chapter,samples,steps,seeds,frechet_distance,frechet_deviation,precision,precision_deviation," \
              "recall,recall_deviation,coverage,coverage_deviation,sharpness,sharpness_deviation"
        for (k = 1; k <= keys; k++) {
            key = order[k]; line = key "," n[key]
            for (i = 5; i <= 9; i++) {
                mean = sum[key, i] / n[key]
                variance = n[key] > 1 ? (square[key, i] - n[key] * mean * mean) / (n[key] - 1) : 0
                line = line sprintf(",%.5g,", mean) (n[key] > 1 ? sprintf("%.3g", sqrt(variance > 0 ? variance : 0)) : "")
            }
            print line
        }
    }' "$out/rows" >"$out/summary.csv"
rm -f "$out/rows"
