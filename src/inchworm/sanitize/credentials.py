"""Detectors for secrets: keys by their issuer's form, and values that the sentence says are secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from inchworm.sanitize.findings import Finding, Kind
from inchworm.sanitize.name_words import words
from inchworm.sanitize.searching import found, holding, lowered, starting

# The look-behind holds every character that a key may hold, so that no search starts inside one.
_EDGE: Final = r"(?<![A-Za-z0-9_\-])"
_EDGE_WORD: Final = r"(?<![A-Za-z0-9_])"

KEY_FORMS: Final[tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...]] = tuple(
    (name, tuple(begins.split()), re.compile(expression))
    for name, begins, expression in (
        ("anthropic_key", "sk-ant-", rf"{_EDGE}sk-ant-[A-Za-z0-9_\-]{{10,}}"),
        ("openai_key", "sk-", rf"{_EDGE}sk-(?!ant-)[A-Za-z0-9_\-]{{16,}}"),
        ("stripe_key", "sk_ rk_ pk_", rf"{_EDGE_WORD}(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{{10,}}"),
        ("stripe_webhook_key", "whsec_", rf"{_EDGE_WORD}whsec_[A-Za-z0-9]{{16,}}"),
        (
            "aws_key_id",
            "AKIA ASIA AGPA AIDA AROA",
            rf"{_EDGE_WORD}(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{{16}}(?![A-Za-z0-9_])",
        ),
        (
            "github_token",
            "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
            rf"{_EDGE_WORD}(?:gh[pousr]_[A-Za-z0-9]{{20,}}|github_pat_[A-Za-z0-9_]{{20,}})",
        ),
        ("gitlab_token", "glpat-", rf"{_EDGE}glpat-[A-Za-z0-9_\-]{{16,}}"),
        ("slack_token", "xox xapp-", rf"{_EDGE}(?:xox[abceoprs]|xapp)-[A-Za-z0-9\-]{{10,}}"),
        ("slack_webhook", "hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9_/]{20,}"),
        ("google_key", "AIza", rf"{_EDGE}AIza[A-Za-z0-9_\-]{{35}}"),
        ("google_token", "ya29. GOCSPX-", rf"{_EDGE}(?:ya29\.|GOCSPX-)[A-Za-z0-9_\-]{{20,}}"),
        ("huggingface_token", "hf_", rf"{_EDGE_WORD}hf_[A-Za-z0-9]{{20,}}"),
        ("npm_token", "npm_", rf"{_EDGE_WORD}npm_[A-Za-z0-9]{{30,}}"),
        ("pypi_token", "pypi-", rf"{_EDGE}pypi-[A-Za-z0-9_\-]{{30,}}"),
        ("sendgrid_key", "SG.", rf"{_EDGE}SG\.[A-Za-z0-9_\-]{{16,}}\.[A-Za-z0-9_\-]{{16,}}"),
        ("jwt", "eyJ", rf"{_EDGE}eyJ[A-Za-z0-9_\-]{{8,}}\.eyJ[A-Za-z0-9_\-]{{4,}}(?:\.[A-Za-z0-9_\-]*)?"),
    )
)
"""Name, what it begins with, and the whole form."""
_SHORTEST_KEY: Final = 15

_PEM_HEAD: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_PEM_BODY: Final = re.compile(r"(?:[A-Za-z0-9+/=:,\-]|\s|\\[nrt])*")
_PEM_TAIL: Final = re.compile(r"-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----")

_SCHEME: Final = re.compile(
    r"\b(?:(?:bearer|token)\s{1,3}(?P<bearer>[A-Za-z0-9._~+/\-]{12,}={0,2})"
    r"|basic\s{1,3}(?P<basic>[A-Za-z0-9+/]{12,}={0,2}))",
    re.IGNORECASE,
)
_SCHEME_PLACES: Final = starting("bearer|token|basic")
_URL_LOGIN: Final = re.compile(
    r"://(?P<login>[^\s/?#@:\"'<>]{0,100}:[^\s/?#@\"'<>]{1,200}@[A-Za-z0-9.\-]{1,253})"
)

_NOUN: Final = (
    r"passwords?|passwd|passcode|passphrase|pass\s?phrase|pwd|passwort|kennwort|mot de passe|contrase\u00f1a|"
    r"wachtwoord|l\u00f6senord|senha|"
    r"(?:api|access|secret|private|auth|client|account|encryption|service)[ _\-]?(?:key|token|secret)|"
    r"(?:key|token|login|credentials?|secrets?)"
)
_SPOKEN: Final = re.compile(
    rf"(?:(?<![A-Za-z0-9])|(?<=_))(?P<noun>{_NOUN})(?![A-Za-z])(?:\\?[\"'`*]){{0,2}}"
    r"(?P<link>\s{0,3}(?:=>|:=|->|==|[:=]|(?:is|was|ist|lautet|war|est|es|\u00e9|"
    r":)(?=[\s:\"'`]):?)\s{0,3}|\s(?=[\"'`]))"
    r"(?:now\s|still\s|just\s|currently\s|set to\s)?"
    r"(?:\\?[\"'`*\u201c\u201e\u00ab]{0,2})(?P<value>[^\s\"'`<>\u201c\u201d\u00bb\\]{1,256})",
    re.IGNORECASE,
)
_PIN: Final = re.compile(
    r"\b(?:pin|tan|cvv|cvc|otp|security code|verification code)(?: (?:code|number))?"
    r"\s{0,2}(?::|=|is|was|ist|lautet)?\s{0,2}(?P<value>[0-9]{3,8})(?![A-Za-z0-9_])",
    re.IGNORECASE,
)
_NOUN_PLACES: Final = starting(
    "pass|pwd|kennwort|mot de passe|contrase|wachtwoord|l\u00f6senord|senha|api|access|"
    "secret|private|auth|client|account|encryption|service|key|token|login|credential"
)
_PIN_PLACES: Final = starting("pin|tan|cvv|cvc|otp|security code|verification code")
_NOUN_ENDS: Final = holding(
    "pass|pwd|kennwort|contrase|wachtwoord|senord|senha|key|token|secret|login|credential"
)
_WEAK_NOUNS: Final = frozenset({"key", "token", "login", "credential", "credentials", "secret", "secrets"})
_THREE_DIGITS: Final = re.compile("[0-9]{3}")
_TRAIL: Final = ".,;:!?)]}*"
_SHORTEST: Final = 4
_NOT_VALUES: Final = words(
    "not wrong incorrect required expired reset being invalid too very the a an my your our his her "
    "their now no still never always also correct right fine okay ok weak strong safe secure short long "
    "missing lost gone that this it what where when how why who which if then there here in on at by "
    "for from with without to of and or but so only just more less than longer shorter bad good great "
    "easy hard unknown empty null none true false yes undefined string optional hidden default "
    "different same new old case sensitive both all something anything nothing because blocked stolen "
    "known used needed nicht falsch richtig weg zu ungültig abgelaufen vergessen leer neu alt "
    "incorrecte incorrecta mauvais perdu object number boolean integer array value text field env vault "
    "about"
)
_ENV: Final = re.compile(r"(?:env:|\$\{?|vault:|os\.environ|process\.env|\{\{)")


def key(text: str) -> Iterator[Finding]:
    """Find keys and tokens by the form that their issuer gives them, and logins inside URLs."""
    for name, begins, form in KEY_FORMS if len(text) >= _SHORTEST_KEY else ():
        for literal in begins:
            if literal in text:
                for match in form.finditer(text):
                    yield Finding(kind=Kind.SECRET, start=match.start(), end=match.end(), detector=name)
                break
    for match in found(_SCHEME, text, lowered(text), _SCHEME_PLACES):
        group = "bearer" if match.group("bearer") else "basic"
        if any(char.isdigit() or char.isupper() for char in match.group(group)[1:]):
            yield Finding(
                kind=Kind.SECRET, start=match.start(group), end=match.end(group), detector="authorization"
            )
    for match in _URL_LOGIN.finditer(text):
        yield Finding(
            kind=Kind.SECRET, start=match.start("login"), end=match.end("login"), detector="url_login"
        )


def private_key(text: str) -> Iterator[Finding]:
    """Find PEM private keys (RFC 7468); one whose end is cut off reaches as far as its base64 does."""
    at = 0
    while (head := _PEM_HEAD.search(text, at)) is not None:
        body = _PEM_BODY.match(text, head.end())
        end = head.end() if body is None else body.end()
        tail = _PEM_TAIL.search(text, head.end(), end)
        at = end if tail is None else tail.end()
        if tail is None:
            at -= len(text[head.start() : at]) - len(text[head.start() : at].rstrip())
        yield Finding(kind=Kind.SECRET, start=head.start(), end=at, detector="private_key")


def spoken_secret(text: str) -> Iterator[Finding]:
    """Find values that the text itself calls a secret: ``password is …``, ``api_key=…``, ``PIN 1234``."""
    lower = lowered(text)
    if lower is None or _NOUN_ENDS(lower) is None:
        yield from _spoken(text, lower)
    for match in found(_PIN, text, lower, _PIN_PLACES) if _THREE_DIGITS.search(text) is not None else ():
        yield Finding(
            kind=Kind.SECRET, start=match.start("value"), end=match.end("value"), detector="spoken_pin"
        )


def _spoken(text: str, lower: str | None) -> Iterator[Finding]:
    for match in found(_SPOKEN, text, lower, _NOUN_PLACES):
        value = match.group("value").rstrip(_TRAIL)
        quoted = text[match.start("value") - 1] in "\"'`\u201c\u201e\u00ab"
        if _is_secret_value(match, value, quoted=quoted):
            start = match.start("value")
            yield Finding(kind=Kind.SECRET, start=start, end=start + len(value), detector="spoken_secret")


def _is_secret_value(match: re.Match[str], value: str, *, quoted: bool) -> bool:
    if value.casefold() in _NOT_VALUES or len(value) < _SHORTEST or _ENV.match(value):
        return False
    odd = sum(not char.isalpha() and char not in "'\u2019-" for char in value)
    mixed = any(char.isupper() for char in value[1:]) and any(char.islower() for char in value)
    if match.group("noun").casefold() in _WEAK_NOUNS:
        return len(value) >= 2 * _SHORTEST and any(char.isdigit() for char in value) and (odd + mixed) > 1
    if odd > 0 or mixed or quoted:
        return True
    if match.group("link").strip() in {"=", ":", "==", ":=", "->", "=>"}:
        return True
    # A bare word after "is": a password if it is somebody's own, unless it reads as a participle.
    owner = match.string[max(0, match.start() - 12) : match.start()].casefold()
    return owner.rstrip().endswith(("my", "mein", "mon", "mi", "meu", "mijn")) and not value.endswith(
        ("ed", "ing", "en", "ert")
    )


_SECRET_KEY: Final = re.compile(
    r"(?:.*[_\-.])?(?:password|passwd|passphrase|pwd|passwort|secret|credentials?|authorization|cookie|"
    r"(?:api|access|secret|private|auth|client|x-api)[_\-]?key|"
    r"(?:access|refresh|auth|id|session|bearer|api)[_\-]?token|client[_\-]?secret)",
    re.IGNORECASE,
)
_KEY_MAX: Final = 80
_SECRET_ENDS: Final = (
    *("password", "passwd", "passphrase", "pwd", "passwort", "secret", "credential", "credentials"),
    *("authorization", "cookie", "key", "token"),
)


def names_secret(field: str) -> bool:
    """Tell whether a field of that name holds a secret (``password``, ``api_key``, ``Authorization``)."""
    if len(field) > _KEY_MAX or (field.isascii() and not field.lower().endswith(_SECRET_ENDS)):
        return False
    return _SECRET_KEY.fullmatch(field) is not None


def is_reference(value: str) -> bool:
    """Tell whether a value only refers to a secret: ``env:OPENAI_API_KEY``, ``file:/run/secrets/openai``."""
    return re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]{0,100}|file:/[\w./-]{1,200}", value) is not None
