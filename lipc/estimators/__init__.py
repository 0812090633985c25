"""Published estimators of Lipschitz constants, one file each."""
