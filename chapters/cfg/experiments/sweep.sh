#!/bin/sh
# sweep.sh [OUT] — what the guidance scale does. Writes
#   OUT/classes.csv   scale,w,samples,accuracy,frechet_distance,precision,recall of Fashion-MNIST by class, at each of SCALES
#   OUT/texts.csv     scale,w,samples,whole,seen,held_out_colours,held_out_relations,garment,frechet_distance,precision,recall,seconds
#                     of scenes drawn from captions; seconds of the base for a picture: at 0 and 1 a single pass, else a doubled one
#   OUT/emoji.csv     scale,w,seen_name,seen_concept,seen_group,held_out_name,held_out_concept,held_out_group: what CLIP
#                     finds nearest to emoji drawn from their names
#   OUT/clip.csv      clip_scale,samples,whole,seen,garment,frechet_distance,precision,recall,seconds: the same scenes, the base
#                     guided by CLIP alone, at each of CLIP_SCALES ("0.5 1 2 4")
#   OUT/toy.csv       scale,class,x,y: points of three Gaussian classes, guided with exact scores
#   OUT/dropped.csv   p_uncond,scale,accuracy,frechet_distance: networks that were trained for it, STEPS steps each (0: none)
# and draws or trains what is not there yet. From the environment:
#   WEIGHTS   the folder of the reference run (build/runs/cfg)   SCALES   ("0 1 1.5 2 3 4 6 8")
#   SAMPLES   images to score in each row (900; of scenes two thirds show seen combinations)   STEPS    (4000)
#   DROPPED   shares of classes left out ("0.1 0.2 0.5")         THREADS  of the program   BUILD   where it is (build)
out=${1:-build/runs/cfg-sweep} samples=${SAMPLES:-900} steps=${STEPS:-4000}
from=${WEIGHTS:-build/runs/cfg} scales=${SCALES:-0 1 1.5 2 3 4 6 8}
cfg=${BUILD:-build}/cfg threads=${THREADS:+--threads $THREADS}
mkdir -p "$out" || exit 1
. "$(dirname "$0")/../../../common/eval/metrics.sh"

# scored DIR WEIGHTS OPTIONS...: DIR/metrics.json of these weights and those that are drawn with beside them, unless it
# is there, of as many
scored() {
    at=$1 weights=$2
    shift 2
    case " $(outer pictures "$at/metrics.json" 2>/dev/null) $(outer n "$at/metrics.json" 2>/dev/null) " in
    *" $samples "*) ;;
    *) rm -f "$at/metrics.json" ;;
    esac
    for beside in upsampler noisy-clip; do
        [ "$from/$beside-weights.safetensors" -nt "$at/metrics.json" ] && rm -f "$at/metrics.json"
    done
    fresh "$at/metrics.json" "$weights" ||
        $cfg eval -q $threads --samples "$samples" --weights "$weights" --out "$at" "$@" || exit 1
}

# kept FILE: FILE.tmp becomes FILE if it has rows
kept() {
    if [ "$(wc -l <"$1.tmp")" -gt 1 ]; then mv "$1.tmp" "$1"; else rm "$1.tmp"; fi
}

# ---- where scores are known ------------------------------------------------------------------------------

$cfg toy -q --out "$out" || exit 1

# ---- by class, and by caption ---------------------------------------------------------------------------

echo "scale,w,samples,accuracy,frechet_distance,precision,recall" >"$out/classes.csv.tmp"
echo "scale,w,samples,whole,seen,held_out_colours,held_out_relations,garment,frechet_distance,precision,recall,seconds" \
    >"$out/texts.csv.tmp"
echo "scale,w,seen_name,seen_concept,seen_group,held_out_name,held_out_concept,held_out_group" >"$out/emoji.csv.tmp"
for s in $scales; do
    w=$(awk "BEGIN { print $s - 1 }")
    if [ -s "$from/classes-weights.safetensors" ]; then
        m=$out/classes-$s/metrics.json
        scored "$out/classes-$s" "$from/classes-weights.safetensors" --stage classes --respace 25 --scale "$s"
        echo "$s,$w,$samples,$(of samples intended_class_accuracy "$m"),$(of samples frechet_distance "$m"),$(of samples precision "$m"),$(of samples recall "$m")" \
            >>"$out/classes.csv.tmp"
    fi
    if [ -s "$from/base-weights.safetensors" ] && [ -s "$from/upsampler-weights.safetensors" ]; then
        m=$out/texts-$s/metrics.json
        scored "$out/texts-$s" "$from/base-weights.safetensors" --scale "$s"
        numbers=$(for key in caption_whole caption_seen caption_held_out_colours caption_held_out_relations \
            caption_garment frechet_distance precision recall base_seconds_a_picture; do printf ',%s' "$(outer $key "$m")"; done)
        echo "$s,$w,$samples$numbers" >>"$out/texts.csv.tmp"
        numbers=$(for part in seen held_out; do
            for key in name concept group; do printf ',%s' "$(of $part $key "$m")"; done
        done)
        echo "$s,$w$numbers" >>"$out/emoji.csv.tmp"
    fi
done
for kind in classes texts emoji; do kept "$out/$kind.csv"; done

# ---- CLIP guidance --------------------------------------------------------------------------------------

echo "clip_scale,samples,whole,seen,garment,frechet_distance,precision,recall,seconds" >"$out/clip.csv.tmp"
for s in ${CLIP_SCALES:-0.5 1 2 4}; do
    [ -s "$from/noisy-clip-weights.safetensors" ] && [ -s "$from/upsampler-weights.safetensors" ] || continue
    m=$out/clip-$s/metrics.json
    scored "$out/clip-$s" "$from/base-weights.safetensors" --scale 0 --clip-scale "$s"
    numbers=$(for key in caption_whole caption_seen caption_garment frechet_distance precision recall \
        base_seconds_a_picture; do printf ',%s' "$(outer $key "$m")"; done)
    echo "$s,$samples$numbers" >>"$out/clip.csv.tmp"
done
kept "$out/clip.csv"

# ---- how often the class is left out --------------------------------------------------------------------

[ "$steps" = 0 ] && exit
echo "p_uncond,scale,accuracy,frechet_distance" >"$out/dropped.csv.tmp"
for p in ${DROPPED:-0.1 0.2 0.5}; do
    dir=$out/dropped-$p-$steps
    grep -q '"finished"' "$dir/classes-run.json" 2>/dev/null ||
        $cfg train -q $threads --stage classes --classes-steps "$steps" --p-uncond "$p" --preview 0 --out "$dir" || exit 1
    for s in 1 2 4; do
        m=$dir/scale-$s/metrics.json
        scored "$dir/scale-$s" "$dir/classes-weights.safetensors" --stage classes --scale "$s"
        echo "$p,$s,$(of samples intended_class_accuracy "$m"),$(of samples frechet_distance "$m")" >>"$out/dropped.csv.tmp"
    done
done
mv "$out/dropped.csv.tmp" "$out/dropped.csv"
