"""What no JSON Schema can say of a request: cases that break only such a rule are left out."""

import re
import unicodedata
import uuid
from datetime import datetime

import schemathesis


def _later(body):
    """Whether end_at lies after start_at."""
    try:
        start, end = (datetime.fromisoformat(body[name]) for name in ("start_at", "end_at"))
    except (KeyError, TypeError, ValueError):
        return True
    return start < end


def _is_filter(text):
    """Whether a text is a filter: see the description of the field."""
    if not isinstance(text, str):
        return True
    name = text[2:] if text.startswith("--") else text[1:] if text.startswith("-") else ""
    controls = any(unicodedata.category(character) == "Cc" for character in text)
    return bool(text.strip()) and not controls and not name[:1].isalpha()


@schemathesis.hook
def filter_body(context, body):
    return not isinstance(body, dict) or (_later(body) and _is_filter(body.get("filter")))


@schemathesis.hook
def filter_query(context, query):
    """Cursors come from the API, and no text to look for has control characters."""
    query = query or {}
    text = query.get("q")
    controls = isinstance(text, str) and any(unicodedata.category(character) == "Cc" for character in text)
    return "cursor" not in query and not controls


@schemathesis.hook
def before_call(context, case, kwargs):
    """Keys that are used twice for different requests are refused, rightly: each valid case gets its own."""
    key = (case.headers or {}).get("Idempotency-Key")
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    if is_valid and isinstance(key, str) and re.fullmatch("[!-~]{1,200}", key):
        case.headers["Idempotency-Key"] = f"{key}-{uuid.uuid4()}"
