"""What no JSON Schema can say of a request: where a valid case breaks only such a rule, what breaks it is left out."""

import re
import unicodedata
import uuid
from datetime import datetime

import schemathesis


def _is_empty_range(values, start, end):
    """Whether the end does not lie after the start."""
    try:
        return datetime.fromisoformat(values[start]) >= datetime.fromisoformat(values[end])
    except (KeyError, TypeError, ValueError):
        return False


def _has_controls(text):
    return isinstance(text, str) and any(unicodedata.category(character) == "Cc" for character in text)


def _as_filter(text):
    """A filter that searches for any text; None if there is none that short."""
    quoted = '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
    return None if _has_controls(text) or len(quoted) > 1000 else quoted


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # Keys that are used twice for different requests are refused, rightly: each case gets its own.
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch("[!-~]{1,200}", key):
        case.headers["Idempotency-Key"] = f"{key}-{uuid.uuid4()}"
    if case.query:
        case.query.pop("cursor", None)  # cursors come from the API
        if _has_controls(case.query.get("q")):
            del case.query["q"]
        if _is_empty_range(case.query, "created_after", "created_before"):
            del case.query["created_before"]
    if isinstance(case.body, dict):
        if _is_empty_range(case.body, "start_at", "end_at"):
            del case.body["end_at"]
        if isinstance(case.body.get("filter"), str):
            case.body["filter"] = _as_filter(case.body["filter"])
