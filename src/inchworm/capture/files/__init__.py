"""Files of interactions in every form that is read: lines of JSON, CSV, Parquet, telemetry. Pure."""

from inchworm.capture.files.forms import FORMS, Form, Head, form_of
from inchworm.capture.files.reading import Entry, FileReading, lines_of

__all__ = ["FORMS", "Entry", "FileReading", "Form", "Head", "form_of", "lines_of"]
