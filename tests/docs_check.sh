#!/bin/sh
# docs_check.sh FILE... — fences of the form
#     ```c file=chapters/ae/ae.c fn=encode
# in the READMEs must hold exactly the function of that name as it stands in that file, and files that
# links or fences name must exist; and the commands in the pictures of plots/ must be ones that anybody
# can run.
status=0
for doc in "$@"; do
    awk -v doc="$doc" '
        function source_of(file, fn,    line, text, inside) {   # from the line that names fn to the closing brace
            text = ""; inside = 0
            while ((getline line < file) > 0) {
                if (!inside && line ~ "^[A-Za-z].*[ *]" fn "\\(" && line !~ /;[ ]*(\/\*.*)?$/) inside = 1
                if (inside) {
                    text = text line "\n"
                    if (line ~ /^}/ || (text == line "\n" && line ~ /}$/)) break
                }
            }
            close(file)
            return text
        }
        /^```c file=/ {
            split($2, f, "="); split($3, n, "="); quoting = 1; quote = ""; at = NR; next
        }
        /^```/ && quoting {
            quoting = 0; checked++
            want = source_of(f[2], n[2])
            if (want == "") { printf "%s:%d: %s has no function %s\n", doc, at, f[2], n[2]; bad = 1 }
            else if (want != quote) { printf "%s:%d: %s differs from %s:\n%s", doc, at, n[2], f[2], want; bad = 1 }
            next
        }
        quoting { quote = quote $0 "\n" }
        END { exit bad }
    ' "$doc" || status=1
    grep -n '@@' "$doc" && { echo "$doc: has an open placeholder"; status=1; }
    dir=$(dirname "$doc")
    for target in $(grep -o '](\([^)#]*\))\|src="[^"]*"' "$doc" | sed 's/^](//; s/)$//; s/^src="//; s/"$//' | grep -v '^http'); do
        [ -e "$dir/$target" ] || { echo "$doc: $target does not exist"; status=1; }
    done
done
for picture in plots/*.png plots/*/*.png; do     # each says what drew it
    [ -e "$picture" ] && head -c 2000 "$picture" | tr '\0' ' ' | LC_ALL=C grep -a -q 'parameters [ -~]* /[a-z]' &&
        { echo "$picture: its command names a folder of one machine"; status=1; }
done
[ $status = 0 ] && echo "docs-check: quoted functions equal the source, linked files exist"
exit $status
