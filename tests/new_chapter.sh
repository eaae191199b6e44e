#!/bin/sh
# new_chapter.sh BUILD FOLDER — the chapter that chapters/README.md shows, tried as a new user would: its files go from
# the page into FOLDER, a copy of the repository without chapters, and are built, trained and tested there.
# What is compiled of common/ in BUILD is used again. Ends with the first step that fails.
set -e
build=$1 tree=$2
mkdir -p "$tree/chapters" "$tree/$build/float" "$tree/$build/double" "$tree/$build/tests"
cp -a Makefile common tests "$tree"
cp -a chapters/README.md "$tree/chapters"
ln -s "$PWD/notebooks-data" "$tree/notebooks-data"
for precision in float double; do
    cp -a "$build/$precision/common" "$build/$precision/tests" "$tree/$build/$precision"
    cp -a "$build/lib$precision.a" "$tree/$build"
done
cp -a "$build/flags" "$build/commit" "$tree/$build"
cp -a "$build/tests/programs-float" "$tree/$build/tests"
cd "$tree"

awk '/^```c new=/ { file = substr($2, 5); system("mkdir -p `dirname " file "`"); next }
     /^```/ { file = "" }
     file { print > file }' chapters/README.md
lines=$(cat chapters/tiny/* | wc -l)
[ "$lines" -gt 60 ] && [ "$lines" -lt 80 ] || { echo "README's chapter has $lines lines"; exit 1; }

unset BXFI_MAP                  # a Criterion program that runs another one
make -s BUILD="$build" COMMIT="$(cat "$build/commit")" test-tiny >log 2>&1 || { cat log; exit 1; }
cat log
! grep warning: log

# killed at once after a checkpoint, resumed; the same weights as without
"$build/tiny" train -q --batch 8 --steps 6000 --out straight
"$build/tiny" train -q --batch 8 --steps 6000 --out killed &
while kill -0 $! && [ ! -e killed/checkpoint.safetensors ]; do sleep 0.01; done
kill -9 $!
wait $! || [ $? = 137 ]
"$build/tiny" train -q --resume --out killed
cmp straight/weights.safetensors killed/weights.safetensors
"$build/tiny" sample -q --out killed
[ -s killed/samples.png ]
