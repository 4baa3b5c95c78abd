"""By which names a part on this machine may be called.

A page of another site whose name is made to point here (DNS rebinding) would be of the same origin to a
browser; it says its own name in the ``Host`` header, though, and is refused by that.
"""

from __future__ import annotations

from collections.abc import Mapping

HOSTS = "INCHWORM_HOSTS"
"""The environment variable with further names that gateway and server are called by, separated by commas."""
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
"""How this machine calls itself."""


def configured(environ: Mapping[str, str]) -> frozenset[str]:
    """The names in :data:`HOSTS`."""
    return frozenset(name.strip().lower() for name in environ.get(HOSTS, "").split(",") if name.strip())


def host_name(host: str) -> str:
    """The name in a ``Host`` header, without the port and the brackets: ``[::1]:4140`` is ``::1``."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
