#!/bin/sh
# sweep.sh [OUT [STEPS]] — what the parts are worth. Writes
#   OUT/dvae.csv      run,lost_variance,codes_used,perplexity,whole: the KL's weight, the temperature's end, VQ
#   OUT/prior.csv     prior,steps,seconds,nats_test,captioning_test,whole,frechet_distance,seconds_a_picture: the masks,
#                     and a PixelSNAIL in the transformer's place, on one dVAE's codes; seconds of training; not guided
#   OUT/trade.csv     temperature,top_k,scale,whole,class,frechet_distance,precision,recall of WEIGHTS (default: the committed ones)
# and trains or draws what is not there yet: STEPS steps of each stage, which stand in the folders' names. From the
# environment:
#   CAPTIONS   that are drawn and scored in each row (300)    THREADS   of the program    BUILD   where it is (build)
#   TABLES     of these three ("dvae prior trade")
#   DVAE       its weights, for prior.csv (default: one trained here)
#   PRIORS     kind:steps for each row of prior.csv
#   SETTINGS   temperature:top_k:scale for each row of trade.csv
out=${1:-build/runs/dalle-sweep} steps=${2:-2000} captions=${CAPTIONS:-300}
dalle=${BUILD:-build}/dalle threads=${THREADS:+--threads $THREADS}
mkdir -p "$out" || exit 1
. "$(dirname "$0")/../../../common/eval/metrics.sh"

wanted() { case " ${TABLES:-dvae prior trade} " in *" $1 "*) ;; *) return 1 ;; esac; }

trained() {   # DIR STAGE OPTIONS...: trains a stage unless it is there
    dir=$1 stage=$2
    shift 2
    grep -q '"finished"' "$dir/$stage-run.json" 2>/dev/null && return
    $dalle train -q $threads --stage "$stage" "$@" --out "$dir" || exit 1
}

# after KEY PATTERN FILE: the first number of this key behind another key
after() { tr -d '\n\t ' <"$3" | sed "s/.*\"$1\"://" | grep -o "\"$2\":[-0-9.e+]*" | head -n 1 | sed 's/.*://'; }

scored() {    # DIR WEIGHTS OPTIONS...: DIR/metrics.json, unless it is there and newer
    dir=$1 weights=$2
    shift 2
    fresh "$dir/metrics.json" "$weights" ||
        $dalle eval -q $threads --captions "$captions" --weights "$weights" --out "$dir" "$@" || exit 1
}

fall=$((steps * 2 / 3)) nets=$out/$steps-steps
if wanted dvae; then
    for run in "beta-0 --beta 0" "beta-1 --beta 1" "beta-6.6 --beta 6.6" "slow --beta-steps $fall" "tau-0.5 --tau 0.5" "vq --quantiser vq"; do
        name=${run%% *} annealed="--tau-steps $fall"
        [ $name = vq ] && annealed=                 # has no temperature
        trained "$nets/$name" dvae --steps "$steps" $annealed ${run#* }
        trained "$nets/$name" prior --prior-steps 20
        scored "$nets/$name" "$nets/$name/weights.safetensors"
        m=$nets/$name/metrics.json
        echo "$name,$(outer lost_variance "$m"),$(outer codes_used "$m"),$(outer perplexity "$m"),$(outer whole "$m")"
    done >"$out/dvae.rows" || exit 1
    { echo "run,lost_variance,codes_used,perplexity,whole"; cat "$out/dvae.rows"; } >"$out/dvae.csv"
fi

if wanted prior; then
    [ -n "$DVAE" ] || trained "$nets/beta-1" dvae --steps "$steps" --tau-steps "$fall" --beta 1
    for row in ${PRIORS:-full:$steps paper:$steps row:$steps column:$steps convolution:$steps snail:$steps}; do
        kind=${row%:*} n=${row#*:}
        dir=$out/$n-steps/$kind option="--attention $kind --p-uncond 0" unguided="--scale 1"
        [ $kind = snail ] && option="--prior snail" unguided=
        trained "$dir" prior --prior-steps "$n" $option --dvae "${DVAE:-$nets/beta-1/dvae-weights.safetensors}"
        scored "$dir" "$dir/weights.safetensors" $unguided
        m=$dir/metrics.json
        echo "$kind,$n,$(outer wall_seconds "$dir/prior-run.json"),$(outer nats_test "$m"),$(outer captioning_test "$m"),$(after best_of whole "$m"),$(outer frechet_distance "$m"),$(outer seconds_a_picture "$m")"
    done >"$out/prior.rows" || exit 1
    { echo "prior,steps,seconds,nats_test,captioning_test,whole,frechet_distance,seconds_a_picture"; cat "$out/prior.rows"; } >"$out/prior.csv"
fi

if wanted trade; then
    weights=${WEIGHTS:-notebooks-data/dalle/weights.safetensors}
    for setting in ${SETTINGS:-0.5:0:1 0.7:0:1 0.85:0:1 1:0:1 1.2:0:1 1:16:1 1:64:1 1:256:1 1:0:1.5 1:0:2 1:0:3 1:0:5}; do
        scale=${setting##*:} t=${setting%%:*} k=${setting#*:}
        k=${k%:*} m=$out/trade-$setting/metrics.json
        scored "$out/trade-$setting" "$weights" --temperature "$t" --top-k "$k" --scale "$scale"
        echo "$t,$k,$scale,$(after best_of whole "$m"),$(after best_of class "$m"),$(outer frechet_distance "$m"),$(outer precision "$m"),$(outer recall "$m")"
    done >"$out/trade.rows" || exit 1
    { echo "temperature,top_k,scale,whole,class,frechet_distance,precision,recall"; cat "$out/trade.rows"; } >"$out/trade.csv"
fi
