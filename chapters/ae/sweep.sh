#!/bin/sh
# sweep.sh [OUT [STEPS]] — test error against code size, for both networks and PCA: trains twelve networks and
# writes OUT/sweep.csv, and OUT/codes.csv, the codes of the two-number convolutional one. About twenty minutes on two cores.
out=${1:-build/runs/ae-sweep} steps=${2:-2000}
ae=${BUILD:-build}/ae
mkdir -p "$out" || exit 1
number() { sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\([0-9.]*\).*/\1/p" "$2"; }

error_of() {   # CONFIG CODE: trains unless that has been done
    dir=$out/$1-$2-$steps
    [ -s "$dir/metrics.json" ] && return
    $ae train -q --config "$1" --code "$2" --steps "$steps" --out "$dir" &&
        $ae eval -q --weights "$dir/weights.safetensors" --out "$dir" || exit 1
}

echo "code,pca,hinton2006,convolutional" > "$out/sweep.csv.tmp"
for code in 2 4 8 16 32 64; do
    error_of hinton2006 $code
    error_of default $code
    pca=$(number pca_squared_error_per_image "$out/default-$code-$steps/metrics.json")
    hinton=$(number squared_error_per_image "$out/hinton2006-$code-$steps/metrics.json")
    convolutional=$(number squared_error_per_image "$out/default-$code-$steps/metrics.json")
    echo "$code,$pca,$hinton,$convolutional" | tee -a "$out/sweep.csv.tmp"
done
mv "$out/sweep.csv.tmp" "$out/sweep.csv"
cp "$out/default-2-$steps/codes.csv" "$out/codes.csv"
