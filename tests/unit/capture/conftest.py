import gzip
import io
import json

import pytest

from inchworm.capture import read
from inchworm.domain.configuration import AppRef

APP = AppRef(app="shop-support", environment="production")


@pytest.fixture
def imported():
    """Import bytes, or records one per line; gives what came out and the tally."""

    def run(*records, raw=None, packed=False, **options):
        data = "".join(json.dumps(one) + "\n" for one in records).encode() if raw is None else raw
        stream = io.BytesIO(gzip.compress(data) if packed else data)
        reading = read(stream, **{"app": APP, "default_at": 1000.0, **options})
        return list(reading), reading.tally

    return run


@pytest.fixture
def one(imported):
    """Import one record that becomes one trace or one refusal."""

    def run(record, **options):
        (became,), _ = imported(record, **options)
        return became

    return run
