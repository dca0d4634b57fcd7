"""Keys and signatures. Formats are fixed and named; a verifier's policy, never the message, decides what counts."""
