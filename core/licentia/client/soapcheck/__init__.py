"""A lint for SOAP: is a running server reachable as the toolkits of all ages expect it, with all that stands before it?

The server's own answers are tested in its own tests. What is looked for here is what proxies,
firewalls and wrong settings do to them.
"""

from __future__ import annotations

from collections.abc import Iterator

from licentia.client.remote import RemoteLicentia
from licentia.client.soapcheck.bodies import bodies
from licentia.client.soapcheck.calls import Probes, calls
from licentia.client.soapcheck.description import descriptions
from licentia.client.soapcheck.findings import Finding
from licentia.client.soapcheck.line import Line, Target
from licentia.client.soapcheck.probes import probes as answers

__all__ = ["Finding", "Target", "check"]


def check(target: Target, key: str, limit: int, probes: Probes) -> Iterator[Finding]:
    """Look at a server, one finding after the other. Nothing is changed on it.

    `key` may be empty; `limit` is the longest body that the server takes, in bytes; `probes` has for
    each service an operation and a request that changes nothing.

    Raises:
        Unreachable: there is no server.
    """
    with RemoteLicentia(target.base) as licentia:
        lines = [Line(licentia, service) for service in target.services]
        yield from descriptions(lines)
        yield from answers(lines[-1])
        yield from bodies(lines[-1], limit)
        yield from calls(lines, key, probes)
