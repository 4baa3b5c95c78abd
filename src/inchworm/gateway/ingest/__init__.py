"""What tracing clients send: taken in as they know it, durable before it is acknowledged.

A body is bounded, unpacked within bounds, looked at cheaply, and spooled as it came; the drain reads it. What
is refused is said in the protocol's own form and counted. Paths and forms: docs/telemetry.md.
"""

from inchworm.gateway.ingest.entrance import Ingest, open_ingest

__all__ = ["Ingest", "open_ingest"]
