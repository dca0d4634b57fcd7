"""The containers, bindings and directories that come with Licentia; each is found by its entry point only."""
