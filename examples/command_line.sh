#!/bin/sh
# How much can a logit of the digits network change around one image? From a file to a proven number, by command line.
set -eu
cd "$(dirname "$0")"
question="--center digit_one.csv --radius 0.1 --clip 0 1"

# The largest constant over the ten logits, as a table for people.
lipc solve digits.onnx $question

# One logit against another, perturbations in l_1, as JSON for programs.
lipc solve digits.onnx $question --norm l1 --output "y[1] - y[7]" --json --quiet

# The range of one logit: the network alone as a mixed-integer program.
lipc solve digits.onnx $question --output "y[1]" --objective max --quiet
