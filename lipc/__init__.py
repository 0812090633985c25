"""lipc compiles a neural network and a question about it into a mixed-integer program."""

__version__ = "0.1.0"
