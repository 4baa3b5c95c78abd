"""What the spool's tests run in processes of their own: ``python spool_worker.py WHAT ROOT ...``."""

import asyncio
import errno
import itertools
import os
import resource
import sys
import time
from pathlib import Path

from inchworm.capture.spool import Spool
from inchworm.domain.errors import StoreError

KEY = bytes(range(32))


def say(*words: object) -> None:
    """One line to whoever started us."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def endless(root: Path, name: str, adders: int) -> None:
    """Add for ever; say each record's name once it is acknowledged: who adds, which one."""
    spool = Spool.open(root / "g", KEY, clock=time.time, rotate_s=0.02, rotate_bytes=200_000)

    async def adder(number: int) -> None:
        for count in itertools.count():
            record = f"{name} {number} {count}"
            await spool.add(record.encode().ljust(3000))
            say(record)

    await asyncio.gather(*(adder(number) for number in range(adders)))


async def limited(root: Path, most: int) -> None:
    """Add with files that cannot grow beyond ``most`` bytes; say what was acknowledged, and what failed."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    spool = Spool.open(root / "g", KEY, clock=time.time, rotate_s=3600)
    for number in range(40):
        try:
            await spool.add(b"%d" % number + bytes(1000))
        except StoreError as error:
            say("failed", number, os.strerror(errno.EFBIG) in error.message)
        else:
            say("kept", number)
    await spool.close()


if __name__ == "__main__":
    what, root, *rest = sys.argv[1:]
    if what == "endless":
        asyncio.run(endless(Path(root), rest[0], int(rest[1])))
    else:
        asyncio.run(limited(Path(root), int(rest[0])))
