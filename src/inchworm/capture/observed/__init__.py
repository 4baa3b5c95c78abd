"""Configurations inferred from traffic: what answered, told by model, parameters, tools and prompt skeleton.

Pure: sanitized interactions in, fingerprints, configurations and changes out; time and order are the data's.
"""

from __future__ import annotations

from inchworm.capture.observed.fingerprint import Fingerprint
from inchworm.capture.observed.lifted import Lifted
from inchworm.capture.observed.noticing import Noticed, Noticer
from inchworm.capture.observed.observer import FORMAT, Announcement, Observer
from inchworm.capture.observed.watch import Happened

__all__ = ["FORMAT", "Announcement", "Fingerprint", "Happened", "Lifted", "Noticed", "Noticer", "Observer"]
