"""Recall on a public synthetic set, where it is at hand (INCHWORM_SHARED_DATA)."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from inchworm.sanitize import Sanitizer

KINDS = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "PERSON": "NAME",
}
# Names are found in context only: most of this set's names have none.
LEAST_RECALL = {"EMAIL": 1.0, "PHONE": 0.95, "CARD": 1.0, "IBAN": 1.0, "IP": 1.0, "NAME": 0.15}
LEAST_PRECISION = {"EMAIL": 1.0, "PHONE": 0.85, "CARD": 1.0, "IBAN": 1.0, "IP": 1.0, "NAME": 0.95}


def test_recall_and_precision_by_kind() -> None:
    folder = os.environ.get("INCHWORM_SHARED_DATA")
    file = Path(folder or ".") / "presidio_synth" / "synth_dataset_v2.json"
    if folder is None or not file.exists():
        pytest.skip(
            "INCHWORM_SHARED_DATA does not point to a folder with presidio_synth/synth_dataset_v2.json"
        )
    there: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for record in json.loads(file.read_text(encoding="utf-8")):
        findings = Sanitizer().unit().text(record["full_text"]).findings
        spans = [
            (KINDS[span["entity_type"]], span["start_position"], span["end_position"])
            for span in record["spans"]
            if span["entity_type"] in KINDS
        ]
        for kind, start, end in spans:
            there[kind] += 1
            covered[kind] += any(f.start <= start and end <= f.end for f in findings)
        for finding in findings:
            found[finding.kind] += 1
            right[finding.kind] += any(
                kind == finding.kind and start < finding.end and finding.start < end
                for kind, start, end in spans
            )
    assert {
        kind: covered[kind] / there[kind]
        for kind in there
        if covered[kind] / there[kind] < LEAST_RECALL[kind]
    } == {}
    assert {
        kind: right[kind] / found[kind] for kind in there if right[kind] / found[kind] < LEAST_PRECISION[kind]
    } == {}
