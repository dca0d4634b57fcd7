"""broken: a container whose library is not on this machine."""

raise ImportError("libdongle.so.3: cannot open shared object file")
