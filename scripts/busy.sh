#!/bin/sh
# make busy: runs `make test` five times in a row, next to two processes that keep two cores busy at normal priority.
cd -- "$(dirname -- "$0")/.." || exit

# Each also ends when this script is gone, however that ended.
hog='
import os, sys
while os.getppid() == int(sys.argv[1]):
    for _ in range(1_000_000):
        pass
'
hogs=
trap 'kill $hogs' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for _ in 1 2; do
    .venv/bin/python -c "$hog" $$ &
    hogs="$hogs $!"
done
for run in 1 2 3 4 5; do
    echo "busy: run $run of 5"
    make --no-print-directory test || exit
done
