"""Search for points and activation patterns with a large objective."""
