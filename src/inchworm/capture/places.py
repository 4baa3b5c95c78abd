"""Where things are that more than one process looks for."""

from __future__ import annotations

GATEWAY_PORT = 4141
"""Where a gateway listens, and where the client library looks for one, if nobody says another."""
SPOOL = "spool"
"""The spool's folder in the data directory."""
