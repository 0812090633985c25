"""From a compiled question to its answer: start, solve, certify, and again until the pair is proven."""
