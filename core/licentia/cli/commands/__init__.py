"""Commands written by hand, one module each."""
