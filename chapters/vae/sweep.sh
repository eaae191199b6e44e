#!/bin/sh
# sweep.sh [OUT [STEPS]] — what the weight of the KL trades: trains the default network with several betas and writes
# OUT/beta.csv; then one with a two-dimensional z, whose pictures stand in OUT/two. About twenty minutes on two cores.
out=${1:-build/runs/vae-sweep} steps=${2:-2000}
vae=${BUILD:-build}/vae
mkdir -p "$out" || exit 1
# of the samples, where test images and noise have a score of that name, too: it comes first
number() { sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\(-\{0,1\}[0-9.]*\).*/\1/p" "$2" | head -n 1; }

trained() {   # DIR OPTIONS...: trains unless that has been done
    dir=$1
    shift
    [ -s "$dir/metrics.json" ] && return
    $vae train -q --steps "$steps" "$@" --out "$dir" && $vae eval -q --draws 100 --out "$dir" || exit 1
}

echo "beta,log_likelihood,kl,elbo,active_units,frechet_distance" > "$out/beta.csv.tmp"
for beta in 0.25 0.5 1 2 4 8 16; do
    trained "$out/beta-$beta-$steps" --beta $beta
    m=$out/beta-$beta-$steps/metrics.json
    echo "$beta,$(number log_likelihood "$m"),$(number kl "$m"),$(number elbo "$m"),$(number active_units "$m"),$(number frechet_distance "$m")" |
        tee -a "$out/beta.csv.tmp"
done
mv "$out/beta.csv.tmp" "$out/beta.csv"
trained "$out/two-$steps" --code 2
$vae sample -q --out "$out/two-$steps"
