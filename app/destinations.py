"""Where webhooks may go: to the public internet over TLS, and to the operator's own platforms that a setting names.

A webhook's address comes from a partner, and the service sits inside a network: without this check, anybody with a key
could have it send requests to what only that network can reach. The check is made when an address is given and again
at each delivery, and what is connected to is the very address that was checked, so that a name that points elsewhere a
moment later changes nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from app.errors import Unusable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Lookup = Callable[[str, int], list[str]]

LONGEST = 500
PORTS = {"https": 443, "http": 80}
NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
NOT_PUBLIC = (  # what the standard library takes for public
    ip_network("192.0.0.0/24"),  # RFC 6890: protocols; a cloud's metadata at .192
    ip_network("168.63.129.16/32"),  # a cloud's own services, which answer each of its machines
    ip_network("192.88.99.0/24"),  # RFC 7526: once the way into 6to4
    ip_network("3fff::/20"),  # RFC 9637: documentation
)


class Refused(ValueError):
    """An address that webhooks are not sent to, and why."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A checked URL, and the IP address to connect to for it."""

    url: httpx.URL
    address: str

    @property
    def pinned(self) -> httpx.URL:
        """The URL with the address in place of the host; Host header and SNI come from `url`."""
        return self.url.copy_with(host=self.address)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The operator's own platforms: hosts with their ports, and ranges of addresses."""

    hosts: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[Network, ...] = ()

    def has_host(self, host: str, port: int) -> bool:
        return (host, port) in self.hosts

    def has_address(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def read_allowed(text: str) -> Allowed:
    """`DUKOU_WEBHOOK_ALLOW`: `host:port` and ranges such as `10.20.0.0/16`, with commas between. Raises Unusable."""
    hosts, networks = set(), []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            if "/" in entry:
                networks.append(ip_network(entry))
            else:
                hosts.add(_host_and_port(entry))
        except (ValueError, httpx.InvalidURL) as error:
            raise Unusable(f"DUKOU_WEBHOOK_ALLOW: {entry!r:.100} is neither host:port nor a range ({error})") from error
    return Allowed(frozenset(hosts), tuple(networks))


def _host_and_port(entry: str) -> tuple[str, int]:
    host, _, port = entry.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()):
        raise ValueError("the port is missing")
    return httpx.URL(f"http://{host}/").host, int(port)


def look_up(host: str, port: int) -> list[str]:
    """All addresses of a name, as the system's resolver gives them. Raises Refused where there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Refused(f"the name {host!r:.100} has no address") from error
    return [str(one[4][0]) for one in found]


def check_destination(text: str, allowed: Allowed, lookup: Lookup = look_up) -> Destination:
    """A URL that webhooks may go to, with one of its addresses. Every address must be good. Raises Refused."""
    url = _read_url(text)
    port = url.port or PORTS[url.scheme]
    own = allowed.has_host(url.host, port)
    addresses = [ip_address(one.partition("%")[0]) for one in lookup(url.raw_host.decode(), port)]
    for address in addresses:
        if not (own or allowed.has_address(address)):
            _check_public(url, address)
    return Destination(url, str(addresses[0]))


def _read_url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise Refused(f"this is no address: {error}") from error
    if url.scheme not in PORTS or not url.host or len(text) > LONGEST:
        raise Refused(f"must be an https address of at most {LONGEST} characters")
    if url.userinfo or "@" in url.netloc.decode():
        raise Refused("must not hold a user name or password; deliveries are signed instead")
    if url.port is not None and not 0 < url.port < 65_536:
        raise Refused("the port must lie between 1 and 65535")
    if url.fragment:
        raise Refused("must not have a fragment (#…)")
    return url


def _check_public(url: httpx.URL, address: Address) -> None:
    """Raises Refused for an address inside a network, and for one without TLS."""
    if not is_public(address):
        raise Refused(f"{url.host!r:.100} leads to {address}, which is not on the public internet")
    if url.scheme != "https":
        raise Refused("must begin with https://")


def is_public(address: Address) -> bool:
    """Whether an address is one host on the public internet.

    IPv6 addresses that carry an IPv4 address are refused (mapped, compatible, 6to4, Teredo) or, where a network
    translates them (NAT64), judged by what they carry.
    """
    if isinstance(address, IPv6Address):
        if address in NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address.ipv4_mapped or address.sixtofour or address.teredo or address.is_site_local:
            return False
    if any(address in network for network in NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
