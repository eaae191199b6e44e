#!/bin/sh
# sweep.sh [OUT] — what each improvement is worth, on Fashion-MNIST. Writes
#   OUT/steps.csv      steps,sampler,samples,frechet_distance,kernel_distance,precision,recall,coverage,sharpness,
#                      seconds_a_picture: samples of WEIGHTS against the number of steps back, the same steps with the
#                      learned variance (ddpm) and without noise (ddim); up to 50 also with beta~ (small), beta (large)
#   OUT/ablation.csv   schedule,objective,times,width,steps,bits,bits_small,bits_large,frechet_distance,precision,
#                      recall,coverage: networks of their own (the paper's tables 1 and 2, and a wider one); `bits` per
#                      dimension are the bound's with the model's variance, with beta~, with beta; `steps` those of
#                      training
#   OUT/curves.csv     run,step,validation,validation_bits: squared error of eps and the bound while they were trained
#   OUT/noise.csv      run,step,bits,gradient: the bound of single batches where nothing else is trained on, and its
#                      gradient's norm (section 3.3)
# and draws or trains what is not there yet. From the environment:
#   WEIGHTS   trained by the chapter's default (build/runs/iddpm/weights.safetensors)
#   SAMPLES   pictures to score in each row (1000)     LENGTHS   numbers of steps ("10 25 50 100 250 1000")
#   STEPS     training steps of each network for ablation.csv (2000)     BATCH   its batch (64)
#   BOUND     test images for its bound (16)           RESPACE   steps in which its samples are drawn (100)
#   TIMESTEPS of its chain (1000)
#   THREADS   of the program (all processors)          BUILD     where the program is (build)
out=${1:-build/runs/iddpm-sweep} samples=${SAMPLES:-1000} steps=${STEPS:-2000}
weights=${WEIGHTS:-build/runs/iddpm/weights.safetensors}
iddpm=${BUILD:-build}/iddpm threads=${THREADS:+--threads $THREADS}
batch=${BATCH:-64} T=${TIMESTEPS:-1000} bound=${BOUND:-16} respace=${RESPACE:-100}
training="--steps $steps --batch $batch --timesteps $T --preview 0"
mkdir -p "$out" || exit 1
. "$(dirname "$0")/../../common/eval/metrics.sh"

echo "steps,sampler,samples,frechet_distance,kernel_distance,precision,recall,coverage,sharpness,seconds_a_picture" >"$out/steps.csv.tmp"
for n in ${LENGTHS:-10 25 50 100 250 1000}; do
    for sampler in ddpm ddim small large; do
        case $sampler in small|large) [ "$n" -le 50 ] || continue ;; esac
        dir=$out/steps-$n-$sampler-$samples m=$out/steps-$n-$sampler-$samples/metrics.json
        fresh "$m" "$weights" || $iddpm eval -q $threads --weights "$weights" --respace $n --sampler $sampler \
            --samples "$samples" --bound 0 --out "$dir" || exit 1
        row=$n,$sampler,$samples
        for key in frechet_distance kernel_distance precision recall coverage sharpness; do row=$row,$(of samples $key "$m"); done
        echo "$row,$(outer seconds_a_picture "$m")"
    done
done >>"$out/steps.csv.tmp"
mv "$out/steps.csv.tmp" "$out/steps.csv"

# a run's name says its options: schedule, objective, how timesteps are drawn, channels of the first level
rm -f "$out"/*.csv.new
runs="linear-simple-uniform-32 cosine-simple-uniform-32 linear-hybrid-uniform-32 cosine-hybrid-uniform-32
      cosine-vlb-uniform-32 cosine-vlb-importance-32 cosine-hybrid-uniform-64"
for run in $runs; do
    dir=$out/$run-$steps-$batch-$T variance=learned
    IFS=- read -r schedule objective times width <<END
$run
END
    [ $objective = simple ] && variance=small
    if ! grep -q '"finished"' "$dir/run.json" 2>/dev/null; then
        resume=
        [ -s "$dir/checkpoint.safetensors" ] && resume=--resume
        $iddpm train -q $threads $training --schedule $schedule --objective $objective --times $times \
            --variance $variance --width $width $resume --out "$dir" || exit 1
    fi
    m=$dir/scores-$samples-$bound-$respace/metrics.json
    fresh "$m" "$dir/weights.safetensors" || $iddpm eval -q $threads --weights "$dir/weights.safetensors" \
        --samples "$samples" --bound "$bound" --respace "$respace" --out "$(dirname "$m")" || exit 1
    row=$schedule,$objective,$times,$width,$steps
    for key in bits_per_dimension bits_small bits_large; do row=$row,$(outer $key "$m"); done
    for key in frechet_distance precision recall coverage; do row=$row,$(of samples $key "$m"); done
    echo "$row" >>"$out/ablation.csv.new"
    # log.csv: step,seconds,loss,bits,4 quarters,gradient,signal,noise,validation,validation_bits
    awk -F, -v run=$run 'NR > 1 && $13 != "" { print run "," $1 "," $12 "," $13 }' "$dir/log.csv" >>"$out/curves.csv.new"
    [ $objective = vlb ] && awk -F, -v run=$run 'NR > 1 { print run "," $1 "," $4 "," $9 }' "$dir/log.csv" >>"$out/noise.csv.new"
done
finish() { { echo "$2"; cat "$out/$1.csv.new"; } >"$out/$1.csv.tmp" && mv "$out/$1.csv.tmp" "$out/$1.csv" && rm "$out/$1.csv.new"; }
finish ablation schedule,objective,times,width,steps,bits,bits_small,bits_large,frechet_distance,precision,recall,coverage
finish curves run,step,validation,validation_bits
finish noise run,step,bits,gradient
