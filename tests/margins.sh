#!/bin/sh
# margins.sh FILE — of what the tests wrote to $MARGINS, a line for each place that compares numbers: the
# smallest tolerance / error (1: at its limit; about 10: as it should be), that error and tolerance, how often,
# precision, test, place. The nearest first; places that are never off are counted at the end.
awk -F '\t' '
    { place = $3 ~ /\.c:/ ? $3 : "-"; key = $1 "\t" $2 "\t" place; n[key]++
      if ($4 + 0 > 0 && (!(key in least) || $5 / $4 < least[key])) { least[key] = $5 / $4; error[key] = $4; limit[key] = $5 } }
    END { for (key in n) {
            if (key in least) printf "%.3g\t%.2g\t%.2g\t%d\t%s\n", least[key], error[key], limit[key], n[key], key | "sort -g"
            else exact++ }
          close("sort -g")
          printf "%d more places are exact\n", exact }
' "$1"
