#!/usr/bin/env python3
"""Exports a channel and reads it back. Needs only Python 3.10.

    API=http://localhost:8000 KEY=dce_... python3 export.py 900000000000001004 > messages.ndjson
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

API = os.environ.get("API", "http://localhost:8000")
ENDED = ("completed", "failed", "cancelled")


def call(path, body=None, **headers):
    """Returns the response, whatever its status; retries while the service is unavailable or asks to wait."""
    data = None if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items() if value}
    headers["Authorization"] = f"Bearer {os.environ.get('KEY', '')}"
    if data is not None:
        headers["Content-Type"] = "application/json"
    for attempt in range(10):
        try:
            return urllib.request.urlopen(urllib.request.Request(API + path, data, headers), timeout=60)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503):
                return error
            wait = int(error.headers.get("Retry-After", 1))
        except OSError:
            wait = min(2**attempt, 30)
        time.sleep(wait)
    sys.exit("the service did not answer")


def submit(channel_id):
    """Submits an export once: the key makes retries of the request safe."""
    answer = call("/exports", {"channel_id": channel_id}, Idempotency_Key=str(uuid.uuid4()))
    if answer.status != 202:
        sys.exit(f"refused: {json.load(answer)['detail']}")
    return answer.headers["Location"]


def wait(export):
    """Polls until the export has ended. While nothing changes, a poll costs a 304 without a body."""
    etag, state = None, {}
    while state.get("status") not in ENDED:
        answer = call(export, If_None_Match=etag)
        if answer.status == 200:
            etag, state = answer.headers["ETag"], json.load(answer)
            print(state["status"], state["message_count"], "messages", file=sys.stderr)
        if state.get("status") not in ENDED:
            time.sleep(int(answer.headers.get("Retry-After", 1)))
    return state


def main():
    export = submit(sys.argv[1])
    state = wait(export)
    if state["status"] != "completed":
        error = state["error"] or {"message": "cancelled", "action": ""}
        sys.exit(f"{state['status']}: {error['message']} {error['action']}")
    lines = call(f"{export}/messages?fields=raw", Accept="application/x-ndjson")
    for line in lines:  # one message at a time, so memory stays constant
        sys.stdout.buffer.write(line)


if __name__ == "__main__":
    main()
