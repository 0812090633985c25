#!/bin/sh
# Pipe the program into a solver: glpsol where it is installed (Debian: glpk-utils), else SCIP from the pyscipopt wheel.
# What glpsol answers is certified by lipc check; SCIP prints the constant negated, as the file minimizes.
set -eu
cd "$(dirname "$0")"
question="--center digit_one.csv --radius 0.1 --clip 0 1"

if command -v glpsol >/dev/null; then
    map=$(mktemp)
    trap 'rm -f "$map"' EXIT
    lipc digits.onnx $question -o - --map "$map" | glpsol --freemps /dev/stdin -w /dev/fd/1 | lipc check "$map" -
else
    lipc digits.onnx $question | python -c '
from pyscipopt import Model
model = Model()
model.readProblem("/dev/stdin", "mps")
model.optimize()'
fi
