"""What the pods of these tests run: a small HTTP server whose behaviour its environment says. Standard library only.

GET / answers {"version", "pod", "config", "environment"}; GET /ready 200, or 503 while the file READY_FILE is missing;
GET /live 200, or 500 once the file SICK_FILE is there.
"""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        env = os.environ
        code = 200
        if self.path == "/ready" and "READY_FILE" in env and not Path(env["READY_FILE"]).exists():
            code = 503
        if self.path == "/live" and "SICK_FILE" in env and Path(env["SICK_FILE"]).exists():
            code = 500
        config = Path(env["CONFIG"]).read_text() if "CONFIG" in env else ""
        value = {"version": env.get("VERSION"), "pod": env.get("POD"), "config": config, "environment": dict(env)}
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128


def main() -> None:
    if "FAIL" in os.environ:
        print("this is why:", os.environ["FAIL"], flush=True)
        sys.exit(7)
    if "CHILD_PID_FILE" in os.environ:
        # A child that leaves the session and that nothing ties to its parent, as a careless supervisor starts one.
        child = subprocess.Popen(["/bin/sleep", "300"], start_new_session=True)
        Path(os.environ["CHILD_PID_FILE"]).write_text(str(child.pid))
    server = Server((os.environ["TRIHULL_HOST"], int(os.environ["TRIHULL_PORT_HTTP"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    if "STUBBORN" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("serving", os.environ.get("VERSION"), flush=True)
    server.serve_forever(poll_interval=0.02)
    server.server_close()


if __name__ == "__main__":
    main()
