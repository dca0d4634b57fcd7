"""Licentia licenses software: products, orders, tickets, containers, seats.

Importing this package is light. Server parts (storage, services) load only where they are used.
"""

__version__ = "0.1.0"
