"""The steps that bring any earlier database to the schema of today, in order of their numbers."""
