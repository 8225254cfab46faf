"""Python's ssl as the other end of an interoperability test.

It connects to a port of this machine, or listens on one and says so on standard error ("LISTEN port"). After the
handshake it says what was negotiated on standard error ("STATE" and JSON). Then it sends --count bytes of standard
input, and writes as many that the peer sends to standard output: half, and again half. It ends with the peer's
close_notify; with --echo it is the one that ends.
"""

import argparse
import json
import socket
import ssl
import sys


def configure(options):
    side = ssl.PROTOCOL_TLS_CLIENT if options.connect else ssl.PROTOCOL_TLS_SERVER
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(options.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(options.cert, options.key)
    if options.group:
        context.set_ecdh_curve(options.group)
    return context


def connect(options):
    """A socket to the peer, or from it."""
    if options.connect:
        return socket.create_connection(("127.0.0.1", options.connect))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print("LISTEN", listener.getsockname()[1], file=sys.stderr, flush=True)
        return listener.accept()[0]


def receive(stream, count):
    while count > 0:
        data = stream.recv(min(count, 65536))
        if not data:
            raise EOFError(f"{count} bytes are missing")
        sys.stdout.buffer.write(data)
        count -= len(data)
    sys.stdout.buffer.flush()


def exchange(stream, count, part):
    while count > 0:
        part = min(part, count)
        stream.sendall(sys.stdin.buffer.read(part))
        receive(stream, part)
        count -= part


def end(stream, first):
    """Closes, or waits for the peer to. A stream that ends without close_notify raises here."""
    if not first and stream.recv(1):
        raise ValueError("more than was expected")
    stream.unwrap()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connect", type=int, help="port to connect to; none listens")
    parser.add_argument("--ca", required=True)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--group", help="the only group, as OpenSSL calls it")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--echo", action="store_true", help="the peer echoes: in turns of 16 KiB")
    options = parser.parse_args()
    context = configure(options)
    name = "localhost" if options.connect else None
    with connect(options) as plain:
        plain.settimeout(20)
        with context.wrap_socket(
            plain,
            server_side=not options.connect,
            server_hostname=name,
            suppress_ragged_eofs=False,
        ) as stream:
            state = {"version": stream.version(), "suite": stream.cipher()[0]}
            print("STATE", json.dumps(state), file=sys.stderr, flush=True)
            exchange(stream, options.count, 1 << 14 if options.echo else options.count // 2)
            end(stream, first=options.echo)


main()
