#!/bin/sh
# Pipe the program into a solver: glpsol where it is installed (Debian: glpk-utils), else SCIP from the pyscipopt wheel.
# The file minimizes, so the optimum printed is the Lipschitz constant negated.
set -eu
cd "$(dirname "$0")"
question="--center digit_one.csv --radius 0.1 --clip 0 1"

if command -v glpsol >/dev/null; then
    lipc digits.onnx $question -o - | glpsol --freemps /dev/stdin -w /dev/stdout
else
    lipc digits.onnx $question -o - | python -c '
from pyscipopt import Model
model = Model()
model.readProblem("/dev/stdin", "mps")
model.optimize()'
fi
