#!/bin/sh
# sweep.sh [OUT] — what the size of latents, the kind of first stage, guidance and samplers are worth, on the wardrobe.
# Writes
#   OUT/costs.csv     factor,codes,steps,parameters,first_seconds,seconds,psnr,seed,seconds_a_picture,frechet,whole,garment:
#                     text to image, from pixels (1) to latents an eighth of the side, KL and VQ, each training of diffusion
#                     from its beginning; seconds of training the first stage and diffusion; its reconstructions' PSNR.
#                     Each factor has a U-Net of its own. costs-means.csv: of the sampling seeds, mean and deviation
#   OUT/contexts.csv  context,text,seconds,seconds_a_picture,frechet,whole: texts attended to, or summed up in one token;
#                     read by CLIP, or by a transformer of the U-Net's own; on one first stage
#   OUT/steps.csv     sampler,steps,seconds_a_picture,frechet,whole: pictures of WEIGHTS
#   OUT/scales.csv    scale,frechet,whole: the same, by guidance scale
# frechet: distance in the caption evaluator's features; whole: share of the pictures that show what their captions
# say. Trains and draws what is not there yet. From the environment:
#   WEIGHTS   trained by the chapter's default (build/runs/ldm/weights.safetensors); its first stage serves KL at 4
#   SAMPLES   pictures to score in each row (300, of which two thirds show seen combinations)
#   TABLES    of these four ("costs contexts steps scales")
#   COSTS     factor:codes:steps of diffusion for each training of costs.csv (a quarter of an hour each, and more for
#             pixels and for latents of a fourth)    SEEDS   of sampling ("1 2")
#   STEPS     of the other first stages (the program's default)
#   CONTEXTS  context:text for each row of contexts.csv    CONTEXT_STEPS   of training each (3500)
#   SAMPLING_STEPS   of the rows of steps.csv ("10 20 50 100")
#   THREADS   of the program (all processors)     BUILD   where the program is (build)
out=${1:-build/runs/ldm-sweep} samples=${SAMPLES:-300}
weights=${WEIGHTS:-build/runs/ldm/weights.safetensors}
ldm=${BUILD:-build}/ldm threads=${THREADS:+--threads $THREADS}
mkdir -p "$out" || exit 1
. "$(dirname "$0")/../../../common/eval/metrics.sh"

wanted() { case " ${TABLES:-costs contexts steps scales} " in *" $1 "*) ;; *) return 1 ;; esac; }

# score FOLDER WEIGHTS OPTIONS...: metrics.json in the folder
score() {
    dir=$1 of=$2
    shift 2
    fresh "$dir/metrics.json" "$of" || $ldm eval -q $threads --weights "$of" --samples "$samples" "$@" --out "$dir" || exit 1
}

# trained STAGE FOLDER OPTIONS...: a stage's networks in the folder, whose name holds the steps; what was interrupted
# goes on
trained() {
    stage=$1 to=$2
    shift 2
    grep -q '"finished"' "$to/$stage-run.json" 2>/dev/null && return
    resume=; [ ! -e "$to/$stage-checkpoint.safetensors" ] || resume=--resume
    $ldm train -q $threads --stage $stage $resume --preview 0 "$@" --out "$to" || exit 1
}

reference=$(dirname "$weights") first=${STEPS:-8000}
# first_of FACTOR CODES: the folder of a first stage
first_of() {
    [ "$1:$2" != 4:0 ] && echo "$out/first-$1-$2-$first" || echo "$reference"
}

if wanted costs; then
    for row in ${COSTS:-1:0:900 1:0:2700 2:0:1800 4:0:1000 4:0:3500 4:0:16000 4:1024:3500 8:0:6000}; do
        factor=${row%%:*} steps=${row##*:} codes=${row#*:} psnr=nan seconds=0
        codes=${codes%:*} run=$out/diffusion-$factor-$codes-$steps from=
        at=$(first_of $factor $codes)
        if [ "$factor" != 1 ]; then
            [ "$at" = "$reference" ] || trained autoencoder "$at" --factor "$factor" --codes "$codes" \
                --steps "$first" --disc-start $((first / 2))
            score "$out/reconstructions-$factor-$codes" "$at/autoencoder-weights.safetensors" --stage autoencoder
            psnr=$(outer psnr "$dir/metrics.json") seconds=$(outer wall_seconds "$at/autoencoder-run.json")
            from="--autoencoder $at/autoencoder-weights.safetensors"
        fi
        trained diffusion "$run" --factor "$factor" --codes "$codes" $from --diffusion-steps "$steps"
        for seed in ${SEEDS:-1 2}; do
            m=$run/pictures-$seed/metrics.json
            score "$run/pictures-$seed" "$run/weights.safetensors" --seed "$seed"
            echo "$factor,$codes,$steps,$(outer parameters "$m"),$seconds,$(outer wall_seconds "$run/diffusion-run.json"),$psnr,$seed,$(outer seconds_a_picture "$m"),$(outer frechet_distance "$m"),$(outer caption_whole "$m"),$(outer caption_garment "$m")"
        done
    done >"$out/costs.rows" || exit 1
    { echo "factor,codes,steps,parameters,first_seconds,seconds,psnr,seed,seconds_a_picture,frechet,whole,garment"
      sort -t, -k1,1n -k2,2n -k3,3n -k8,8n "$out/costs.rows"; } >"$out/costs.csv"
    means "$out/costs.csv" >"$out/costs-means.csv"
fi

if wanted contexts; then
    for pair in ${CONTEXTS:-attended:clip pooled:clip attended:learned}; do
        context=${pair%:*} text=${pair#*:} run=$out/$context-$text-${CONTEXT_STEPS:-3500}
        trained diffusion "$run" --autoencoder "$reference/autoencoder-weights.safetensors" \
            --context $context --text $text --diffusion-steps "${CONTEXT_STEPS:-3500}"
        m=$run/pictures/metrics.json
        score "$run/pictures" "$run/weights.safetensors"
        echo "$context,$text,$(outer wall_seconds "$run/diffusion-run.json"),$(outer seconds_a_picture "$m"),$(outer frechet_distance "$m"),$(outer caption_whole "$m")"
    done >"$out/contexts.rows" || exit 1
    { echo "context,text,seconds,seconds_a_picture,frechet,whole"; cat "$out/contexts.rows"; } >"$out/contexts.csv"
fi

if wanted steps; then
    for sampler in ddim plms ancestral; do
        for n in ${SAMPLING_STEPS:-10 20 50 100}; do
            dir=$out/steps-$sampler-$n
            score "$dir" "$weights" --sampler $sampler --steps $n
            m=$dir/metrics.json
            echo "$sampler,$n,$(outer seconds_a_picture "$m"),$(outer frechet_distance "$m"),$(outer caption_whole "$m")"
        done
    done >"$out/steps.rows" || exit 1
    { echo "sampler,steps,seconds_a_picture,frechet,whole"; cat "$out/steps.rows"; } >"$out/steps.csv"
fi

if wanted scales; then
    for scale in 1 1.5 2 3 5 8; do
        dir=$out/scale-$scale
        score "$dir" "$weights" --scale $scale
        m=$dir/metrics.json
        echo "$scale,$(outer frechet_distance "$m"),$(outer caption_whole "$m")"
    done >"$out/scales.rows" || exit 1
    { echo "scale,frechet,whole"; cat "$out/scales.rows"; } >"$out/scales.csv"
fi
