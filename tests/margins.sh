#!/bin/sh
# margins.sh FILE — of what the tests wrote to $MARGINS, a line for each comparison: tolerance / largest error
# (1: at its limit; 10: as it should be), error, tolerance, how often, where. The nearest first; comparisons
# that are never off at all last.
awk -F '\t' '
    { key = $1 "\t" $2 "\t" $4; n[key]++; if (!(key in worst) || $3 + 0 > worst[key]) worst[key] = $3 + 0 }
    END { for (key in n) { split(key, k, FS)
          printf "%.3g\t%.2g\t%.2g\t%d\t%s\t%s\n", worst[key] > 0 ? k[3] / worst[key] : 1e99, worst[key], k[3], n[key], k[1], k[2] } }
' "$1" | sort -g
