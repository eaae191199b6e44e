#!/bin/sh
# sweep.sh [OUT] — what the number of steps and the fixed variance cost, and what the network should predict. Writes
#   OUT/steps.csv      steps,variance,samples,frechet_distance,kernel_distance,precision,recall,coverage,sharpness,
#                      seconds_a_picture: samples of WEIGHTS
#   OUT/predict.csv    predict,steps,bits_small,bits_large,frechet_distance,precision,recall,coverage: networks of their
#                      own, trained on eps, x0 or the posterior's mean, and on eps without t (no-time); bits
#                      per dimension are the bound's with beta~ and beta, samples are drawn with beta~, `steps` those of
#                      training
# and draws or trains what is not there yet. From the environment:
#   WEIGHTS   trained by the chapter's default (build/runs/ddpm/weights.safetensors)
#   SAMPLES   pictures to score in each row (1000)     LENGTHS   numbers of steps ("10 25 50 100 250 1000")
#   STEPS     training steps of each network for predict.csv (2000)     BATCH   its batch (64)
#   BOUND     test images for its bound (16)
#   THREADS   of the program (all processors)          BUILD     where the program is (build)
out=${1:-build/runs/ddpm-sweep} samples=${SAMPLES:-1000} steps=${STEPS:-2000} batch=${BATCH:-64} bound=${BOUND:-16}
weights=${WEIGHTS:-build/runs/ddpm/weights.safetensors}
ddpm=${BUILD:-build}/ddpm threads=${THREADS:+--threads $THREADS}
mkdir -p "$out" || exit 1
. "$(dirname "$0")/../../common/eval/metrics.sh"

echo "steps,variance,samples,frechet_distance,kernel_distance,precision,recall,coverage,sharpness,seconds_a_picture" >"$out/steps.csv.tmp"
for n in ${LENGTHS:-10 25 50 100 250 1000}; do
    for variance in small large; do
        dir=$out/steps-$n-$variance-$samples m=$out/steps-$n-$variance-$samples/metrics.json
        fresh "$m" "$weights" || $ddpm eval -q $threads --weights "$weights" --steps "$n" --variance $variance \
            --samples "$samples" --bound 0 --out "$dir" || exit 1
        row=$n,$variance,$samples
        for key in frechet_distance kernel_distance precision recall coverage sharpness; do row=$row,$(of samples $key "$m"); done
        echo "$row,$(outer seconds_a_picture "$m")"
    done
done >>"$out/steps.csv.tmp"
mv "$out/steps.csv.tmp" "$out/steps.csv"

echo "predict,steps,bits_small,bits_large,frechet_distance,precision,recall,coverage" >"$out/predict.csv.tmp"
for predict in noise start mean no-time; do
    dir=$out/predict-$predict-$steps-$batch task="--predict $predict"
    [ $predict = no-time ] && task=--no-time
    if ! grep -q '"finished"' "$dir/run.json" 2>/dev/null; then
        resume=
        [ -s "$dir/checkpoint.safetensors" ] && resume=--resume
        $ddpm train -q $threads $task --steps "$steps" --batch "$batch" --preview 0 $resume --out "$dir" || exit 1
    fi
    m=$dir/scores-$samples-$bound/metrics.json
    fresh "$m" "$dir/weights.safetensors" || $ddpm eval -q $threads --weights "$dir/weights.safetensors" \
        --variance small --samples "$samples" --bound "$bound" --out "$(dirname "$m")" || exit 1
    row=$predict,$steps,$(outer bits_small "$m"),$(outer bits_large "$m")
    for key in frechet_distance precision recall coverage; do row=$row,$(of samples $key "$m"); done
    echo "$row"
done >>"$out/predict.csv.tmp"
mv "$out/predict.csv.tmp" "$out/predict.csv"
