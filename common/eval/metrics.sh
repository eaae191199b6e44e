# metrics.sh — numbers of a metrics.json, for the sweeps: . common/eval/metrics.sh
# of OBJECT KEY FILE: a number in an object; outer KEY FILE: one beside the objects
of() { tr -d '\n\t ' <"$3" | sed -n "s/.*\"$1\":{\([^}]*\)}.*/\1/p" | sed -n "s/.*\"$2\":\([-0-9.e+]*\).*/\1/p"; }
outer() { tr -d '\n\t ' <"$2" | sed -n "s/.*\"$1\":\([-0-9.e+]*\).*/\1/p"; }
# fresh METRICS WEIGHTS: are there scores, of these weights?
fresh() { grep -q '"scores"' "$1" 2>/dev/null && [ -n "$(find "$1" -newer "$2")" ]; }
