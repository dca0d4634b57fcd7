"""sample: a shelf for each machine, in the memory of the server."""

from licentia.containers import ContainerBackend, ContainerRef
from licentia.errors import InvalidRequest


class Sample(ContainerBackend):
    """A machine is named by its `container_id`; what is on its shelf is gone when the server stops."""

    def __init__(self, kind, host, settings):
        super().__init__(kind, host, settings)
        self.shelves = {}

    async def _provision(self, wanted):
        if not wanted.container_id:
            raise InvalidRequest.at("/container/container_id", "name the machine")
        return ContainerRef(binding=wanted.container_id)

    async def _apply(self, ref, update):
        self.shelves[ref.binding] = update.contents

    async def _read(self, ref):
        return self.shelves.get(ref.binding, ())

    async def _retire(self, ref):
        self.shelves.pop(ref.binding, None)
