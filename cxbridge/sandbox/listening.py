"""How the sandbox's servers listen and speak HTTP: sockets on loopback, uvicorn's protocol without its server. Serves nothing."""

import asyncio
import socket

from starlette.types import ASGIApp
from uvicorn.config import Config


def listening(host: str, port: int) -> socket.socket:
    """Open a socket that listens; 0 takes a free port.

    Raises:
        OSError: the port is taken.
    """
    # asyncio switches Nagle's delay off only where the protocol is named, and answers go out in two writes.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"port {port} on {host} cannot be used: {error.strerror}; choose another") from error
    return bound


def configured(app: ASGIApp, protocol: type[asyncio.Protocol]) -> Config:
    """How an app is served: quietly, and with nothing in the headers that the app did not say."""
    config = Config(
        app,
        http=protocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=120,
    )
    config.load()
    return config
