"""Front ends: files and arrays into programs, one operation at a time."""
