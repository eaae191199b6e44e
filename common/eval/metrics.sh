# metrics.sh — numbers of a metrics.json, for the sweeps: . common/eval/metrics.sh
# of OBJECT KEY FILE: a number in an object; outer KEY FILE: the first of this name in the file
of() { tr -d '\n\t ' <"$3" | sed -n "s/.*\"$1\":{\([^}]*\)}.*/\1/p" | sed -n "s/.*\"$2\":\([-0-9.e+]*\).*/\1/p"; }
outer() { tr -d '\n\t ' <"$2" | grep -o "\"$1\":[-0-9.e+]*" | head -n 1 | sed 's/.*://'; }
# fresh METRICS WEIGHTS: are there scores, of these weights?
fresh() { grep -q '"scores"' "$1" 2>/dev/null && [ -n "$(find "$1" -newer "$2")" ]; }
