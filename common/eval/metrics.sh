# metrics.sh — numbers of a metrics.json, for the sweeps: . common/eval/metrics.sh
# of OBJECT KEY FILE: a number in an object; outer KEY FILE: the first of this name in the file
of() { tr -d '\n\t ' <"$3" | sed -n "s/.*\"$1\":{\([^}]*\)}.*/\1/p" | sed -n "s/.*\"$2\":\([-0-9.e+]*\).*/\1/p"; }
outer() { tr -d '\n\t ' <"$2" | grep -o "\"$1\":[-0-9.e+]*" | head -n 1 | sed 's/.*://'; }
# fresh METRICS WEIGHTS: are there scores, of these weights?
fresh() { grep -q '"scores"' "$1" 2>/dev/null && [ -n "$(find "$1" -newer "$2")" ]; }
# means FILE: rows that agree in what stands before the column seed become one: how many seeds, the mean of each later
# column, and its standard deviation
means() {
    awk -F, -v OFS=, '
    NR == 1 {
        for (seed = 1; $seed != "seed"; seed++) head = head $seed OFS
        printf "%sseeds", head
        for (i = seed + 1; i <= NF; i++) printf ",%s,%s_deviation", $i, $i
        print ""
        next
    }
    {
        key = ""
        for (i = 1; i < seed; i++) key = key $i OFS
        if (!(key in n)) order[++keys] = key
        n[key]++
        for (i = seed + 1; i <= NF; i++) { sum[key, i] += $i; square[key, i] += $i * $i }
    }
    END {
        for (k = 1; k <= keys; k++) {
            key = order[k]
            printf "%s%d", key, n[key]
            for (i = seed + 1; i <= NF; i++) {
                mean = sum[key, i] / n[key]
                above = square[key, i] / n[key] - mean * mean
                printf ",%.6g,", mean
                if (n[key] > 1) printf "%.3g", sqrt((above > 0 ? above : 0) * n[key] / (n[key] - 1))
            }
            print ""
        }
    }' "$1"
}
