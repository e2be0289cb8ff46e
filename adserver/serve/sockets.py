"""Sockets that several workers bind to one port, each with an accept queue of its own."""

import errno
import socket

from adserver.domain.errors import InvalidInput, Problem


def bind_shared(host: str, port: int) -> socket.socket:
    """Return a bound socket; every worker may bind the same port, and none listens yet."""
    bound = _open(host, port)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(_address(host, port)[1])
    return bound


def reserve(host: str, port: int) -> socket.socket:
    """Return a shared socket that holds the port while no worker does; 0 takes a free one.

    A shared bind succeeds beside another server's, which would then answer some of our requests;
    so the port is first asked for alone.

    Raises
    ------
    InvalidInput
        The address is another's, or not one of this machine's.
    """
    try:
        with _open(host, port) as alone:
            alone.bind(_address(host, port)[1])
            port = alone.getsockname()[1]
        return bind_shared(host, port)
    except OSError as error:
        busy = error.errno == errno.EADDRINUSE
        why = "the port is in use; choose another with --port" if busy else str(error)
        raise InvalidInput("cannot listen", [Problem(f"{host}:{port}", why)]) from error


def free_port(host: str, port: int) -> int:
    """Return the port, once it is known to be free; for 0 one that is.

    Raises
    ------
    InvalidInput
        The address is another's, or not one of this machine's.
    """
    with reserve(host, port) as held:
        return int(held.getsockname()[1])


def _open(host: str, port: int) -> socket.socket:
    opened = socket.socket(_address(host, port)[0], socket.SOCK_STREAM)
    # Connections of a former start that linger do not keep the port.
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return opened


def _address(host: str, port: int) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return family, address
