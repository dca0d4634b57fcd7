"""What reaches a Licentia server from outside; it imports nothing of the server."""
