"""``inchworm demo``."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inchworm.app.serve.files import PORT
from inchworm.capture.places import GATEWAY_PORT

if TYPE_CHECKING:  # brings the stores with it, which --help must not wait for
    from inchworm.app.demo.tell import Teller


@click.command(name="demo")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Where the demo keeps its files. One that was stopped goes on there. "
    "If left out: inchworm-demo, and inchworm-demo-live with --live.",
)
@click.option(
    "--recording",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another recording of the model's answers; every figure follows from it.",
)
@click.option(
    "--live",
    is_flag=True,
    help="Ask the model itself, for about a quarter of an hour: make demo LIVE=1 installs it first.",
)
@click.option("--seed", type=int, default=7, show_default=True, help="Seed of the traffic.")
@click.option("--fresh", is_flag=True, help="Begin anew: delete the folder first.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=PORT,
    show_default=True,
    help="Of the pages, if it is free; 0 for any.",
)
@click.option(
    "--gateway-port",
    type=click.IntRange(0, 65_535),
    default=GATEWAY_PORT,
    show_default=True,
    help="Of the gateway, if it is free; 0 for any.",
)
@click.option(
    "--stay/--leave",
    default=None,
    help="Keep the pages up after the story, until Ctrl-C. If left out: at a terminal they stay.",
)
def command(
    folder: Path | None,
    recording: Path | None,
    seed: int,
    *,
    fresh: bool,
    port: int,
    gateway_port: int,
    live: bool,
    stay: bool | None,
) -> None:
    """Tell the whole loop on recorded traffic of a real model: offline, without a key, in a minute."""
    import shutil

    from inchworm.app.demo.running import Setting, run
    from inchworm.app.demo.setting import RECORDING
    from inchworm.app.demo.tell import Teller

    if live and recording is not None:
        raise click.UsageError("--live asks the model, --recording plays one: say one of them")
    folder = folder or Path("inchworm-demo-live" if live else "inchworm-demo")
    if fresh and folder.exists():
        if not (folder / "inchworm.yaml").exists():
            raise click.UsageError(f"{folder} is no folder of the demo; it is not deleted")
        shutil.rmtree(folder)
    chosen = None if live else RECORDING if recording is None else recording.resolve()
    tell = Teller()
    stays = sys.stdin.isatty() and sys.stdout.isatty() if stay is None else stay
    run(
        Setting(folder=folder, recording=chosen, seed=seed, ports=(port, gateway_port)),
        tell,
        ending=(lambda: _stay(tell)) if stays else (lambda: _leave(tell, folder)),
    )


def _stay(tell: Teller) -> None:
    tell.say("The pages stay up; Ctrl-C ends the demo.", style="dim")
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def _leave(tell: Teller, folder: Path) -> None:
    tell.say(f"The pages close with the demo. To see them again: cd {folder} && inchworm serve", style="dim")
