"""The styles of solution files, those of a solver in one file each."""
