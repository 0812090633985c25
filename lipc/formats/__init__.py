"""Files: the MPS and LP writers, the sidecar that explains a model, atomic writing."""
