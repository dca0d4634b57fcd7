"""The built-in bindings: what ties a container to a machine, a virtual machine or a cluster."""
