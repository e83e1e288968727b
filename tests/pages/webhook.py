"""A webhook on this machine: prints its address, and writes each body that it is sent into a file. webhook.py FILE."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Webhook(BaseHTTPRequestHandler):
    """Takes everything."""

    def do_POST(self) -> None:
        """Write the body into the file."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with Path(sys.argv[1]).open("ab") as file:
            file.write(body + b"\n")
        self.send_response(200)
        self.end_headers()


server = HTTPServer(("127.0.0.1", 0), Webhook)
print(f"http://127.0.0.1:{server.server_port}/services/T0", flush=True)
server.serve_forever()
