"""The page and the API behind one's own login: whoever is not let in sees neither.

    pip install 'openmmb[serve]'
    PASSWORD=secret python examples/behind_a_login.py

The login here is HTTP's own, which every browser can ask for. In its place put whatever your site
has: a session, a token, a reverse proxy that signs people in.
"""

import base64
import hmac
import os

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

import openmmb
from openmmb.serve.app import create_app


class Login:
    """Lets in who knows the password."""

    def __init__(self, app: ASGIApp, password: str) -> None:
        self.app, self.password = app, password.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask for the password, or go on."""
        if scope["type"] != "http" or self.knows(dict(scope["headers"])):
            await self.app(scope, receive, send)
            return
        headers = [(b"www-authenticate", b'Basic realm="OpenMMB"'), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body"})

    def knows(self, headers: dict[bytes, bytes]) -> bool:
        """Say whether a request brings the password."""
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        try:
            _, _, password = base64.b64decode(given).partition(b":")
        except ValueError:
            return False
        return scheme.lower() == b"basic" and hmac.compare_digest(password, self.password)


def main() -> None:
    """Serve at http://127.0.0.1:8000."""
    app = Login(create_app(openmmb.load), os.environ["PASSWORD"])
    uvicorn.run(app, host="127.0.0.1", port=8000)


if __name__ == "__main__":
    main()
