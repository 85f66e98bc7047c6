"""A simple import: the whole document in memory, then COPY or one INSERT for each message."""

import json
import sys

import psycopg

COLUMNS = """channel_id, message_id, author_id, author_name, content, "timestamp", attachments, embeds, raw"""

url, method, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    document = json.load(file)
channel = document["channel"]["id"]


def without_nul(text):
    """Postgres cannot store NUL."""
    return text.replace("\x00", "\ufffd") if text else text


def row(message):
    author = message["author"]
    as_json = [json.dumps(value).replace("\\u0000", "\\ufffd") for value in (message["attachments"], message["embeds"], message)]
    return (channel, message["id"], author["id"], without_nul(author["name"]), without_nul(message["content"]),
            message["timestamp"], *as_json)


with psycopg.connect(url) as connection, connection.cursor() as cursor:
    if method == "copy":
        with cursor.copy(f"COPY messages ({COLUMNS}) FROM STDIN") as copy:
            for message in document["messages"]:
                copy.write_row(row(message))
    else:
        insert = f"INSERT INTO messages ({COLUMNS}) VALUES ({', '.join(['%s'] * 9)}) ON CONFLICT DO NOTHING"
        for message in document["messages"]:
            cursor.execute(insert, row(message))
