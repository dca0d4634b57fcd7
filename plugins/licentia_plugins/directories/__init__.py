"""The directories that come with Licentia, one package each."""
