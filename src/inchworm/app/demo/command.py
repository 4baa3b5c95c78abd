"""``inchworm demo``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="demo")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("inchworm-demo"),
    show_default=True,
    help="Where the demo keeps its files. One that was stopped goes on there.",
)
@click.option(
    "--recording",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another recording of the model's answers; every figure follows from it.",
)
@click.option("--seed", type=int, default=7, show_default=True, help="Seed of the traffic.")
@click.option("--fresh", is_flag=True, help="Begin anew: delete the folder first.")
def command(folder: Path, recording: Path | None, seed: int, *, fresh: bool) -> None:
    """Tell the whole loop on recorded traffic of a real model: offline, without a key, in a minute."""
    import shutil

    from inchworm.app.demo.setting import RECORDING
    from inchworm.app.demo.story import Setting, run
    from inchworm.app.demo.tell import Teller

    if fresh and folder.exists():
        if not (folder / "inchworm.yaml").exists():
            raise click.UsageError(f"{folder} is no folder of the demo; it is not deleted")
        shutil.rmtree(folder)
    chosen = RECORDING if recording is None else recording.resolve()
    run(Setting(folder=folder, recording=chosen, seed=seed), Teller())
