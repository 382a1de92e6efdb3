"""A token service that lends keys to tests."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Sts:
    """A token service that lends keys for some seconds; it does not look at tokens, and remembers what it was asked."""

    def __init__(self, seconds: int = 3600) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.seconds, self.status = seconds, 200
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                service.asked.append(parse_qs(urlsplit(self.path).query or body))
                answer = service.answer().encode()
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_GET(self) -> None:
                """As a container or a machine of AWS asks."""
                service.asked.append({"Authorization": [self.headers.get("Authorization", "")]})
                login = self.path.startswith("/federation/credentials")
                answer = (service.of_login() if login else service.document()).encode()
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"

    def answer(self) -> str:
        ends = datetime.now(UTC) + timedelta(seconds=self.seconds)
        keys = f"<AccessKeyId>lent-{len(self.asked)}</AccessKeyId><SecretAccessKey>lent-secret</SecretAccessKey>"
        keys += f"<SessionToken>lent-token</SessionToken><Expiration>{ends:%Y-%m-%dT%H:%M:%SZ}</Expiration>"
        result = f"<AssumeRoleWithWebIdentityResult><Credentials>{keys}</Credentials></AssumeRoleWithWebIdentityResult>"
        return f'<A xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{result}</A>'

    def document(self) -> str:
        ends = datetime.now(UTC) + timedelta(seconds=self.seconds)
        keys = {"AccessKeyId": f"lent-{len(self.asked)}", "SecretAccessKey": "lent-secret", "Token": "lent-token"}
        return json.dumps({**keys, "Code": "Success", "Expiration": f"{ends:%Y-%m-%dT%H:%M:%SZ}"})

    def of_login(self) -> str:
        ends = int((datetime.now(UTC) + timedelta(seconds=self.seconds)).timestamp() * 1000)
        keys = {"accessKeyId": "of-a-login", "secretAccessKey": "lent-secret", "sessionToken": "lent-token"}
        return json.dumps({"roleCredentials": {**keys, "expiration": ends}})

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
