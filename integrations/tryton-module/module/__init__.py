"""Rings at Licentia when a sale or a subscription has changed."""
