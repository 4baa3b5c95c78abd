"""Alembic, run from Python: no ``alembic.ini``, and the caller's transaction around everything."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

SCRIPTS = Path(__file__).resolve().parents[1] / "migrations"


def settings(connection: Connection | None = None) -> Config:
    """Alembic's configuration for our migrations, run on ``connection`` if there is one."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest revision, inside the transaction that ``connection`` is in."""
    command.upgrade(settings(connection), "head")
