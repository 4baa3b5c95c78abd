"""From what is seen of the installation to findings: the program, its files, its parts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inchworm.app.doctor import seen
from inchworm.app.doctor.findings import Finding, note, ok, or_ok, problem, warning
from inchworm.domain.keys import KEY_BYTES
from inchworm.domain.wording import counted, duration

_GB, _MB = 1 << 30, 1 << 20
LEAST_FREE, LITTLE_FREE = 256 * _MB, 2 * _GB
"""Room below which the spool soon refuses records, and below which that is near."""
LATE_S, VERY_LATE_S = 10.0, 600.0
"""Age of what waits in the spool from which on it is said, and from which on nobody drains."""
SILENT_S = 60.0
CLOCKS_S = 5.0
_SOON_S = 7 * 86_400.0
_SHOWN = 5
_SYSTEMS = {"Linux", "Darwin"}


def program(one: seen.Program) -> list[Finding]:
    """The program."""
    found = [ok("program", f"Inchworm {one.version} on Python {one.python}, {one.system}.")]
    if one.system not in _SYSTEMS:
        found = [
            warning("program", f"Inchworm {one.version} is not tested on {one.system}: use Linux or macOS.")
        ]
    if one.unfetched:
        said = f"Scripts of the pages are missing: {', '.join(one.unfetched)}."
        found.append(problem("program", said, "pip install --force-reinstall --no-deps 'inchworm[server]'"))
    return found


def declaration(one: seen.Declaration, *, data: bool) -> list[Finding]:
    """``inchworm.yaml``.

    Args:
        one: what is seen of it.
        data: whether there is a data directory.
    """
    if one.error is not None:
        return [problem("inchworm.yaml", _sentence(one.error), one.hint)]
    if one.there:
        return [ok("inchworm.yaml", f"{one.file} declares {one.app}.")]
    if data:
        said = f"There is no {one.file}: calls are recorded as they are, under {one.app}."
        return [note("inchworm.yaml", said, "inchworm init")]
    return [note("inchworm.yaml", f"There is no {one.file} here, and no data.", "inchworm serve")]


def folder(one: seen.Folder) -> list[Finding]:
    """The data directory."""
    if not one.there:
        return [note("data", f"There is no data directory yet; {one.path} is made when it is needed.")]
    found: list[Finding] = []
    if not one.writable:
        found.append(
            problem("data", f"{one.path} cannot be written by this user.", f'chown -R "$(id -u)" {one.path}')
        )
    if one.mode & 0o077:
        said = f"{one.path} is open to other users (mode {one.mode:04o})."
        found.append(warning("data", said, f"chmod 700 {one.path}"))
    if one.free < LITTLE_FREE:
        say = problem if one.free < LEAST_FREE else warning
        said = f"Its disk has {_size(one.free)} left; when it is full, nothing new is recorded."
        found.append(say("data", said, f"du -ah {one.path} | sort -h | tail"))
    sizes = ", ".join(f"{name} {_size(size)}" for name, size in one.sizes.items())
    return or_ok(found, "data", f"{one.path}: {sizes or 'empty'}; {_size(one.free)} free.")


def key(one: seen.Key) -> list[Finding]:
    """The installation's key."""
    if one.given is None:
        said = "INCHWORM_KEY is set and is no key of 64 hexadecimal digits: nothing starts."
        return [
            problem("key", said, "export INCHWORM_KEY=$(openssl rand -hex 32)" if not one.needed else None)
        ]
    if one.given:
        beside = f" {one.path} is there too, and is not used." if one.size is not None else ""
        return [(note if beside else ok)("key", f"The key is in INCHWORM_KEY.{beside}")]
    if one.size is None:
        if not one.needed:
            return []
        said = (
            f"{one.path} is missing, and there are data sealed with it: restore it from a backup, before a "
            "new one is made and units are taken for others."
        )
        return [problem("key", said)]
    if one.size != KEY_BYTES:
        return [
            problem("key", f"{one.path} is damaged: {one.size} bytes instead of {KEY_BYTES}. Restore it.")
        ]
    if one.mode & 0o077:
        said = f"{one.path} can be read by others (mode {one.mode:04o})."
        return [problem("key", said, f"chmod 600 {one.path}")]
    return [ok("key", f"{one.path} is there, for its owner alone. Keep a copy of it apart from the data.")]


def store(one: seen.Store) -> list[Finding]:
    """A database file."""
    if one.held:
        return [note("stores", f"{one.path} is in use by another command: what is in it is not looked at.")]
    if one.error is not None:
        return [problem("stores", f"{one.path} cannot be read: {_sentence(one.error)}")]
    if one.revision is None:
        return []
    if one.revision == one.known[-1]:
        return [ok("stores", f"{one.path} is in the present form ({one.revision}).")]
    if one.revision in one.known:
        said = f"{one.path} is in an older form ({one.revision}); it is migrated when it is opened next."
        return [note("stores", said, "inchworm status")]
    said = f"{one.path} was written by a newer version of Inchworm ({one.revision})."
    return [problem("stores", said, "pip install --upgrade 'inchworm[server]'")]


def server(one: seen.Server) -> list[Finding]:
    """The server of the data directory."""
    if not one.runs:
        left = (
            ""
            if one.url is None
            else " serve.json is what a killed one left behind; the next start replaces it."
        )
        return [note("server", f"No server runs here.{left}", "inchworm serve")]
    if not one.answers:
        said = f"Process {one.pid} holds the data directory, and {one.url} does not answer."
        return [problem("server", said, f"kill {one.pid}; inchworm serve")]
    found = [ok("server", f"It runs at {one.url} (process {one.pid}).")]
    if one.offset_s is not None and abs(one.offset_s) > CLOCKS_S:
        found.append(clocks("server", "The server's clock", one.offset_s, "this machine's"))
    return found


def health(sentences: Mapping[str, str]) -> list[Finding]:
    """What the server itself says of its parts. Quarantine and spool are looked at apart."""
    return [
        warning("server", f"{part}: {_sentence(said)} The server's log says more.")
        for part, said in sentences.items()
        if part not in {"quarantine", "spool"}
    ]


def gateways(every: Sequence[seen.Gateway], now: float) -> list[Finding]:
    """The gateways that a running server knows."""
    if not every:
        return [
            warning(
                "gateway", "No gateway has asked what to serve since the server started.", "inchworm serve"
            )
        ]
    return [finding for one in every for finding in _gateway(one, now)]


def _gateway(one: seen.Gateway, now: float) -> list[Finding]:
    name = f"{one.name} at {one.url}"
    if one.own and one.answers is False:
        return [problem("gateway", f"{name} does not answer, so no call gets through; see the log.")]
    if one.asked_at is None:
        return [problem("gateway", f"{name} answers, and has never asked what to serve; see the log.")]
    silent = now - one.asked_at
    if silent > SILENT_S:
        said = f"{name} has not asked what to serve for {duration(silent)} and serves what it knew then."
        return [(problem if one.own else warning)("gateway", said)]
    if not one.current:
        return [warning("gateway", f"{name} does not hold what is published yet.")]
    found = [ok("gateway", f"{name} holds what is published.")]
    if one.offset_s is not None and abs(one.offset_s) > CLOCKS_S:
        found.append(clocks("gateway", f"The clock of {name}", one.offset_s, "the server's"))
    return found


def clocks(part: str, whose: str, offset_s: float, other: str) -> Finding:
    """Two clocks that differ."""
    where = "ahead of" if offset_s > 0 else "behind"
    said = f"{whose} is {duration(abs(offset_s))} {where} {other}: stages and soaks are timed wrongly."
    return warning(part, said, "timedatectl set-ntp true")


def ports(every: Sequence[seen.Port]) -> list[Finding]:
    """The ports that a server would use, where none runs."""
    return [
        warning(
            "ports",
            f"Port {one.number} is taken by another program.",
            f"inchworm serve {one.option} {one.number + 10}",
        )
        for one in every
        if one.taken
    ]


def upstream(one: seen.Upstream) -> list[Finding]:
    """Where calls are forwarded to."""
    found: list[Finding] = []
    if one.error is not None:
        found.append(
            problem("provider", f"{one.url} cannot be reached: {_sentence(one.error)}", f"curl -v {one.url}")
        )
    if one.reference is not None and not one.given:
        file = one.reference.startswith("/")
        said = (
            f"infrastructure.api_key names {one.reference}, "
            f"{'from which no key can be read' if file else 'which is not set'}: benchmarks cannot ask, and "
            "calls without a key of their own fail."
        )
        found.append(
            problem("provider", said, f"ls -l {one.reference}" if file else f"export {one.reference}=…")
        )
    if one.shared:
        said = f"{one.reference}, which infrastructure.api_key names, can be read by others on this machine."
        found.append(warning("provider", said, f"chmod o= {one.reference}"))
    what = "can be reached; no key was sent." if one.tried else "was not tried (--offline)."
    return or_ok(found, "provider", f"{one.url} {what}")


def spool(one: seen.Spool, now: float, *, runs: bool) -> list[Finding]:
    """What waits to be drained, and what lies in quarantine.

    Args:
        one: what is seen of it.
        now: seconds since the epoch.
        runs: whether a server runs, which would drain it.
    """
    found: list[Finding] = []
    age = 0.0 if one.oldest_at is None else now - one.oldest_at
    if one.segments and not runs:
        said = f"Waiting for a server: {counted(one.segments, 'segment')} ({_size(one.bytes)})."
        found.append(note("spool", said, "inchworm serve"))
    elif one.segments and age > LATE_S:
        said = (
            f"Waiting: {counted(one.segments, 'segment')} ({_size(one.bytes)}), the oldest for "
            f"{duration(age)}: the drain is behind, or stands still; see the server's log."
        )
        found.append((problem if age > VERY_LATE_S else warning)("spool", said))
    if one.refused:
        records = sum(group.records for group in one.refused)
        since = duration(now - min(group.since for group in one.refused))
        said = f"Not taken in: {counted(records, 'record')}, sealed in {one.folder}, the first for {since}."
        found.append(warning("quarantine", said))
        found += [
            note("quarantine", f"{group.records:,} × {_sentence(group.reason)}")
            for group in one.refused[:_SHOWN]
        ]
        if len(one.refused) > _SHOWN:
            found.append(note("quarantine", f"And {counted(len(one.refused) - _SHOWN, 'other reason')}."))
    return or_ok(found, "spool", "Nothing waits, and nothing lies in quarantine.")


def api_keys(every: Sequence[seen.ApiKey], now: float) -> list[Finding]:
    """Keys to the API that were not revoked."""
    found: list[Finding] = []
    for one in every:
        if one.expires_at is None:
            continue
        if one.expires_at <= now:
            found.append(
                note("keys", f'Key {one.id} of "{one.name}" has expired.', f"inchworm keys revoke {one.id}")
            )
        elif one.expires_at - now < _SOON_S:
            said = f'Key {one.id} of "{one.name}" ends in {duration(one.expires_at - now)}.'
            found.append(note("keys", said, f'inchworm keys add "{one.name}"'))
    return found


def audit(one: seen.Audit) -> list[Finding]:
    """The audit trail."""
    found = [
        problem("audit", f"The audit trail is broken: {said}", "inchworm audit verify")
        for said in one.breaks[:_SHOWN]
    ]
    whole = f"All {one.entries:,} entries of the audit trail are as they were written."
    return or_ok(found, "audit", whole)


def notifications(one: seen.Notifications) -> list[Finding]:
    """Who is told of decisions."""
    found = [warning("notifications", f"Target {said}", "inchworm notify ls") for said in one.wrong]
    if one.failed:
        said = f"Given up after a day of attempts: {counted(one.failed, 'notification')}."
        found.append(warning("notifications", said, "inchworm notify ls"))
    if one.late:
        said = f"Not sent for more than an hour: {counted(one.late, 'notification')}. Does a server run?"
        found.append(warning("notifications", said, "inchworm notify ls"))
    if not one.targets:
        return found
    return or_ok(found, "notifications", f"{counted(one.targets, 'target')}, and nothing was given up.")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _size(size: int) -> str:
    """``3.4 GB``, ``12 MB``, ``7 kB``; powers of 1024, as file managers count."""
    if size >= _GB:
        return f"{size / _GB:.1f} GB"
    return f"{size / _MB:.0f} MB" if size >= 10 * _MB else f"{size / 1024:,.0f} kB"
