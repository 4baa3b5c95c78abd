"""Sends what is due, as the server does, in a process of its own: ``python sender.py FOLDER``."""

import asyncio
import sys
from pathlib import Path

from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.notify.sending import Sender


def main(folder: Path) -> None:
    with House(load(folder / "inchworm.yaml"), actor="ana") as house:
        print("ready", flush=True)  # noqa: T201  # that is how a worker speaks
        asyncio.run(Sender(house).round())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
