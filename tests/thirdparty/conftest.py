"""The packages in here are other people's: their tests run where they are installed, not with ours."""

collect_ignore_glob = ["licentia-*", "sabotaged/*"]
