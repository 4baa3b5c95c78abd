"""Inchworm: continuous delivery for AI systems, one layer at a time, measured as it goes.

This package is also the client library inside other people's programs, so importing it loads the standard
library and nothing else that is heavy. Import what you need from a room, for example `inchworm.domain`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
