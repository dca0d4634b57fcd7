"""The containers that come with Licentia, one package each."""
