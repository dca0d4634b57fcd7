"""Connectors to business systems, one folder per system; each is found by its entry point only."""
