"""The passes: a program and a question in, an easier program with the same answer out. One file per pass."""
