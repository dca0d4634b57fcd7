"""sample: a machine is whoever holds the key on a stick."""

from licentia.bindings import Binding


class Sample(Binding):
    """The setting `stick`, on the device only, is the file with the key: 64 hexadecimal digits."""

    def server(self):
        from licentia_binding_sample.server import Server

        return Server(self.name, self.settings)

    def client(self):
        from licentia_binding_sample.client import Client

        return Client(self.name, self.settings)
