"""What the control plane publishes to gateways and clients: serving tables with what they name, signed.

One document for the whole installation. Whoever holds it can serve without the control plane; its canonical
form is pinned by golden vectors.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inchworm.domain.canonical import canonical
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import InputError
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.serving import ServingTable
from inchworm.domain.unitkind import UnitKind

FORMAT, BOUND = "published/1", "published/2"
"""The form, and its second version: some key stands for one app only."""
WITNESS = "inchworm-witness"
"""The header in which the server says that its answer is to this very question."""
_WITNESS = "witness/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedApp:
    """One app as gateways and clients know it.

    Attributes:
        app: the feature and where it runs.
        unit: what is randomised.
        infrastructure: the infrastructure layer that ``inchworm.yaml`` declares; says where an app that is
            only observed is forwarded to.
        table: what is served; ``None`` while the app is only observed.
        configurations: what the table names, by id: stable and, during a rollout, the candidate.
    """

    app: AppRef
    unit: UnitKind = UnitKind.SESSION
    infrastructure: Mapping[str, Any] = field(default_factory=dict)
    table: ServingTable | None = None
    configurations: Mapping[ConfigurationId, Configuration] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKey:
    """A key that may send, as gateways know it.

    Attributes:
        id: the part of the key that is no secret.
        digest: see :func:`inchworm.domain.access.key_digest`.
        app: the only app that it sends for; ``None`` if each request says which.
        expires_at: when it ends by itself, seconds since the epoch; ``None`` if never.
    """

    id: str
    digest: str
    app: AppRef | None = None
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Everything that is served, at one moment.

    Attributes:
        apps: in the order of their names; the first is the default of an installation with one app.
        keys: that may send; one that was revoked is missing.
    """

    apps: tuple[PublishedApp, ...] = ()
    keys: tuple[PublishedKey, ...] = ()

    def content(self) -> dict[str, Any]:
        """The JSON form: ``published/1``, or ``published/2`` if a key is bound to an app.

        A reader of ``published/1`` alone would count what comes under such a key as the first app's, so it
        must refuse the document. Keys that are bound to none have no meaning for it that it could get wrong.
        """
        bound = any(one.app is not None for one in self.keys)
        return {
            "format": BOUND if bound else FORMAT,
            "apps": [
                {
                    "app": str(one.app),
                    "unit": one.unit.value,
                    "infrastructure": dict(one.infrastructure),
                    "table": None if one.table is None else one.table.content(),
                    "configurations": {id_: value.content() for id_, value in one.configurations.items()},
                }
                for one in self.apps
            ],
            **({"keys": [_key_content(one) for one in self.keys]} if self.keys else {}),
        }

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Published:
        """The inverse of :meth:`content`.

        Raises:
            ValueError: for another format version, or a configuration that does not have the id it goes by.
        """
        if content.get("format") not in {FORMAT, BOUND}:
            said = content.get("format")
            msg = f"what is published has format {said!r}, this version reads {FORMAT} and {BOUND}"
            raise ValueError(msg)
        return cls(
            apps=tuple(_app(one) for one in content["apps"]),
            keys=tuple(_key(one) for one in content.get("keys", ())),
        )

    def sign(self, key: bytes) -> bytes:
        """The signed document: JSON with the content's canonical text and its HMAC-SHA-256 (RFC 2104)."""
        text = canonical(self.content())
        return json.dumps({"content": text, "mac": _mac(key, text)}, ensure_ascii=False).encode()

    @classmethod
    def read(cls, key: bytes, document: bytes) -> Published:
        """Verify and read a signed document.

        Raises:
            InputError: if it is malformed, of another version, or signed with another key.
        """
        try:
            outer = json.loads(document)
            text, mac = outer["content"], outer["mac"]
            genuine = hmac.compare_digest(mac, _mac(key, text))
            if genuine:
                return cls.from_content(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"what is published cannot be read: {error}"
            raise InputError(msg) from error
        msg = "what is published was not signed with this installation's key"
        raise InputError(msg, hint="give gateway and server the same INCHWORM_KEY or key file")


def version(document: bytes) -> str:
    """A short name of a signed document, the same for the same content under the same key; used as ETag."""
    return hashlib.sha256(document).hexdigest()[:16]


def witness(key: bytes, nonce: str, name: str) -> str:
    """That the version ``name`` is what is to be served, said to whoever asked with ``nonce``.

    A document is as genuine years later as on its day, so whoever stands between server and gateway could
    send an old one again. This cannot be sent again: it answers one question (docs/decisions/0013).
    """
    return hmac.digest(key, f"{_WITNESS}\n{nonce}\n{name}".encode(), hashlib.sha256).hex()


def _mac(key: bytes, text: str) -> str:
    return hmac.digest(key, f"{FORMAT}\n{text}".encode(), hashlib.sha256).hex()


def _app(row: Mapping[str, Any]) -> PublishedApp:
    configurations: dict[ConfigurationId, Configuration] = {}
    for id_, content in row["configurations"].items():
        configuration = Configuration.from_content(content)
        if configuration.id != id_:
            msg = f"the configuration {id_} has the content of {configuration.id}"
            raise ValueError(msg)
        configurations[configuration.id] = configuration
    table = row["table"]
    return PublishedApp(
        app=AppRef.parse(row["app"]),
        unit=UnitKind(row["unit"]),
        infrastructure=row["infrastructure"],
        table=None if table is None else ServingTable.from_content(table),
        configurations=configurations,
    )


def _key_content(one: PublishedKey) -> dict[str, Any]:
    return {
        "id": one.id,
        "digest": one.digest,
        **({} if one.app is None else {"app": str(one.app)}),
        **({} if one.expires_at is None else {"expires_at": one.expires_at}),
    }


def _key(row: Mapping[str, Any]) -> PublishedKey:
    app, expires_at = row.get("app"), row.get("expires_at")
    return PublishedKey(
        id=str(row["id"]),
        digest=str(row["digest"]),
        app=None if app is None else AppRef.parse(app),
        expires_at=None if expires_at is None else float(expires_at),
    )
