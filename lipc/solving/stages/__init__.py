"""The stages of a run, one file each: each works on the same `State`."""
