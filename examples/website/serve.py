"""Serves the example website on its own origin: python serve.py [--service http://127.0.0.1:8000] [--port 9000]

Puts the service's address into the pages, and the listing that was published last.
"""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

HERE = Path(__file__).parent
WRITTEN = "http://127.0.0.1:8000"  # what stands in the pages
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css"}


def website(service: str, listing: str) -> type[BaseHTTPRequestHandler]:
    """What answers requests for the pages of this folder."""

    class Website(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = HERE / (urlsplit(self.path).path.strip("/") or "index.html")
            if path.parent != HERE or path.suffix not in TYPES or not path.is_file():
                self.send_error(404)
                return
            body = path.read_text("utf-8").replace(WRITTEN, service).replace("LISTING", listing).encode()
            self.send_response(200)
            self.send_header("Content-Type", TYPES[path.suffix])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: this is an example."""

    return Website


def latest(service: str) -> str:
    """The id of the listing that was published last."""
    with urlopen(f"{service}/feeds/listings.json?limit=1", timeout=10) as answer:
        items = json.load(answer)["items"]
    return items[0]["id"].removeprefix("urn:uuid:") if items else ""


def main() -> None:
    """Serve until somebody stops it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", default=WRITTEN, help="address of Dukou")
    parser.add_argument("--port", type=int, default=9000)
    given = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", given.port), website(given.service, latest(given.service)))
    print(f"http://127.0.0.1:{given.port}")
    server.serve_forever()


if __name__ == "__main__":
    main()
