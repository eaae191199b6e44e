#!/bin/sh
# mpi.sh OUT — what two processes gain in every chapter's training step, and what a slow network costs.
# Run from the top of the repository by `make bench-mpi`, which builds the programs in $BUILD. Two cores are
# wanted for it alone, and for the networks root: between two network namespaces the rate is limited by
# tc's token buckets (tbf); messages are late by a delay in the exchange (mpi_steps.c).
# ROWS="ae ddpm": some rows only; PARTS="local memory 10gbit 1gbit-0.001 published": only these, added to what
# OUT has; BENCH_SECONDS: for the steps of one measurement. On a machine with other work, `chrt -r 1 sh mpi.sh`
# puts that off.
#
# OUT/steps.csv      a line for each row and way to train it
# OUT/exchange.csv   the exchanges alone, for several numbers of parameters
# OUT/published.csv  a picture through two published networks
out=${1:?} build=${BUILD:-build} work=$(mktemp -d) pid=$$
unset OMP_WAIT_POLICY GOMP_SPINCOUNT            # threads wait as a user's do
export BENCH_SECONDS="${BENCH_SECONDS:-0.8}"
export BENCH_DELAY=0
mpirun="mpirun -q --allow-run-as-root"
mkdir -p "$out"

# ---- two network namespaces and a cable ----------------------------------------------------------------
a=bench$pid-a b=bench$pid-b subnet=10.77.0

cable() {       # RATE, as tc has it
    ip netns add $a && ip netns add $b && ip link add va netns $a type veth peer name vb netns $b || return 1
    ip -n $a addr add $subnet.1/24 dev va
    ip -n $b addr add $subnet.2/24 dev vb
    for end in a b; do
        ip -n bench$pid-$end link set lo up
        ip -n bench$pid-$end link set v$end up
        ip netns exec bench$pid-$end tc qdisc add dev v$end root tbf rate "$1" burst 1mb latency 50ms || return 1
    done
}

no_cable() {
    ip netns del $a 2>/dev/null
    ip netns del $b 2>/dev/null
}
trap 'no_cable; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

# what mpirun calls in place of ssh: HOST COMMAND...
cat >"$work/agent" <<END
#!/bin/sh
shift
exec ip netns exec $b unshare -u sh -c 'hostname bench-b; exec taskset -c 1 sh -c "\$1"' sh "\$*"
END
chmod +x "$work/agent"

# two processes, each on one core and in a namespace of its own
over_cable() {
    ip netns exec $a unshare -u sh -c 'hostname bench-a; exec taskset -c 0 "$@"' sh $mpirun -n 2 --map-by node \
        --bind-to none -H $subnet.1:1,$subnet.2:1 --mca plm_rsh_agent "$work/agent" \
        -x BENCH_SECONDS -x BENCH_DELAY --mca oob_tcp_if_include $subnet.0/24 --mca btl tcp,self \
        --mca btl_tcp_if_include $subnet.0/24 "$@"
}

# ---- rows: NAME PROGRAM and its options ----------------------------------------------------------------
rows() {
    cat <<END
ae ae
vae vae
dae_mae dae_mae --schedule 1000000
vqvae vqvae --stage prior
vqvae2 vqvae2 --stage top
dalle dalle --stage dvae
ddpm ddpm
iddpm iddpm
guidance guidance --stage diffusion
cfg cfg --stage base
dalle2 dalle2 --stage prior --fit 500
ldm ldm --stage autoencoder
END
}

# a new folder; priors are trained on the codes of an autoencoder, which takes one step for that
prepare() {
    rm -rf "$work/run"
    case $1 in
    vqvae|vqvae2)
        [ -d "$work/$1" ] || "$build/$1" train -q --stage autoencoder --steps 1 --threads 1 --out "$work/$1" || exit 1
        cp -r "$work/$1" "$work/run" ;;
    esac
}

# measure NAME NETWORK PROCESSES THREADS, then what starts the program, --, its options
measure() {
    line="$1,$2,$3,$4" processes=$3 threads=$4
    shift 4
    start=
    while [ "$1" != -- ]; do start="$start $1"; shift; done
    program=$2
    shift 2
    prepare "$program"
    said=$($start "$PWD/$build/steps-$program" train -q --steps 1000000 --threads "$threads" --micro "$processes" \
        --out "$work/run" "$@" 2>"$work/err") || { echo "mpi.sh: $line: $(tail -n 3 "$work/err")" >&2; return; }
    echo "$line,$said" | tee -a "$out/steps.csv"
}

wanted() { case " ${ROWS:-$1} " in *" $1 "*) ;; *) return 1 ;; esac; }
part() { case " ${PARTS:-$1} " in *" $1 "*) ;; *) return 1 ;; esac; }

each_row() {    # NETWORK PROCESSES THREADS, and what starts the program
    rows | while read -r name options; do
        wanted "$name" && measure "$name" "$1" "$2" "$3" $4 -- $options </dev/null
    done
}

# the ways of one machine in turns
local_ways() {
    rows | while read -r name options; do
        wanted "$name" || continue
        measure "$name" none 1 1 taskset -c 0 -- $options </dev/null
        measure "$name" none 1 2 -- $options </dev/null
        measure "$name" memory 2 1 $mpirun -n 2 --bind-to core -- $options </dev/null
    done
}

exchange() {    # NETWORK, and what starts the program
    name=$1
    shift
    "$@" "$PWD/$build/mpi_exchange" </dev/null | sed "s/^/$name,/" | tee -a "$out/exchange.csv"
}

begin() {       # FILE HEADER: a new file; with PARTS what there is stays
    [ "$PARTS" ] && [ -s "$out/$1" ] || echo "$2" >"$out/$1"
}
begin steps.csv row,network,processes,threads,parameters,steps,seconds,least,largest,waiting,exchange,exchanges
begin exchange.csv network,parameters,seconds,least
begin published.csv network,parameters,forward,training,largest
part local && local_ways
part memory && exchange memory $mpirun -n 2 --bind-to core
for rate in 10gbit 1gbit; do
    part $rate || part $rate-0.0001 || part $rate-0.001 || continue
    if cable $rate; then
        part $rate && exchange $rate over_cable
        for delay in 0.0001 0.001; do
            BENCH_DELAY=$delay
            part $rate-$delay && each_row "$rate $delay" 2 1 over_cable
        done
    else echo "mpi.sh: no network namespaces, or no tbf: the slow networks are not measured" >&2; fi
    no_cable
done
part published && taskset -c 0 "$build/mpi_published" | tee -a "$out/published.csv"
for file in $(cd "$out" && ls *.csv); do echo "$out/$file"; done
