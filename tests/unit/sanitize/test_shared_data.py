"""Recall on a public synthetic set, where it is at hand: beside the clone, or in INCHWORM_SHARED_DATA."""

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
BESIDE = Path(__file__).resolve().parents[4] / "shared" / "data"
# Names are found in context only: most of this set's names have none.
LEAST_RECALL = {"EMAIL": 1.0, "PHONE": 0.95, "CARD": 1.0, "IBAN": 1.0, "IP": 1.0, "NAME": 0.15}
LEAST_PRECISION = {"EMAIL": 1.0, "PHONE": 0.85, "CARD": 1.0, "IBAN": 1.0, "IP": 1.0, "NAME": 0.95}


def test_recall_and_precision_by_kind() -> None:
    folder = Path(os.environ.get("INCHWORM_SHARED_DATA") or BESIDE)
    file = folder / "presidio_synth" / "synth_dataset_v2.json"
    if not file.exists():
        pytest.skip(
            "presidio_synth/synth_dataset_v2.json is neither beside this clone (../shared/data) nor in the "
            "folder that INCHWORM_SHARED_DATA names"
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
