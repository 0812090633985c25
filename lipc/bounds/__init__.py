"""Sound bounds of every value of a program, floating-point rounding included."""
