Model status
Empty

# Primal solution values
None

# Dual solution values
None
