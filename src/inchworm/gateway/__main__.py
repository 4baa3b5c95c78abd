"""``python -m inchworm.gateway``: one gateway, until it is told to stop."""

from __future__ import annotations

import sys

from inchworm.domain.errors import UsageError
from inchworm.gateway.running import run
from inchworm.gateway.settings import settings_from

if __name__ == "__main__":
    try:
        settings = settings_from(sys.argv[1:])
    except UsageError as error:
        sys.exit(error.message)
    sys.exit(run(settings))
