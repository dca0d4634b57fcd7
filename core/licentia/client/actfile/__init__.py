"""What opens an act-file on the machine that it is for: by an application, by the command line.

from licentia.client.actfile import ActFile

licenses = ActFile(path, trust=manifest)
licenses.require("201001", feature="pro")
"""

from licentia.client.actfile.device import ActFile
from licentia.client.actfile.held import License
from licentia.client.actfile.shelf import Shelf

__all__ = ["ActFile", "License", "Shelf"]
