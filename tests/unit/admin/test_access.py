"""Who is let in."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from relaytw.admin.access import Guard
from relaytw.admin.resources import AdminApi
from relaytw.admin.site import make_site
from tests.unit.admin.fakes import TOKEN, SiteTestCase, far_away

OPEN = ("/healthz", "/readyz", "/metrics")
LOOPBACK = (
    IPv4Address("TCP", "127.0.0.1", 1),
    IPv4Address("TCP", "127.9.9.9", 1),
    IPv6Address("TCP", "::1", 1),
    IPv6Address("TCP", "::ffff:127.0.0.1", 1),
    UNIXAddress(None),
)


class AccessTests(SiteTestCase):
    def status(self, path: str, peer: IAddress, *headers: str) -> int:
        """The status of one GET."""
        lines = "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.1", *headers, ""))
        return int(self.raw(lines.encode(), peer).split()[1])

    def test_every_api_route_needs_the_token(self) -> None:
        """Nothing under /api answers without a token, not even by saying what exists."""
        paths = [route.path for route in AdminApi(self.view, self.metrics).routes()]
        api = [path for path in paths if path.startswith("/api")]
        self.assertEqual(sorted(set(paths) - set(api)), sorted(OPEN))
        for path in [*api, "/api", "/api/", "/api/v1/nothing"]:
            for token in (None, "", "wrong", TOKEN + "x", TOKEN[:-1], "가"):
                given = {} if token is None else {"Authorization": f"Bearer {token}"}
                answer = self.get(path, token=None, headers=given)
                self.assertEqual((answer.status, answer.code), (401, "unauthorized"), (path, token))
                self.assertEqual(answer.header("www-authenticate"), 'Bearer realm="relaytw"')

    def test_token(self) -> None:
        """The right token lets in, from anywhere; the scheme's case does not matter."""
        self.assertEqual(self.get("/api/v1/phones").status, 200)
        header = f"Authorization: bEARER {TOKEN}"
        self.assertEqual(self.status("/api/v1/phones", far_away(), "Host: relay.example", header), 200)
        basic = f"Authorization: Basic {TOKEN}"
        self.assertEqual(self.status("/api/v1/phones", far_away(), "Host: relay.example", basic), 401)

    def test_open_on_loopback(self) -> None:
        """Health, readiness and metrics need no token from this machine itself."""
        for path in OPEN:
            for peer in LOOPBACK:
                for host in ("localhost:8490", "127.0.0.1", "[::1]:8490"):
                    self.assertEqual(self.status(path, peer, f"Host: {host}"), 200, (path, peer, host))

    def test_closed_to_others(self) -> None:
        """From another machine they need the token like everything else."""
        for path in OPEN:
            self.assertEqual(self.status(path, far_away(), "Host: 127.0.0.1"), 401)
            token = f"Authorization: Bearer {TOKEN}"
            self.assertEqual(self.status(path, far_away(), "Host: relay.example", token), 200)

    def test_rebound_name(self) -> None:
        """A web page whose name was pointed at this machine gets nothing."""
        self.assertEqual(self.status("/metrics", LOOPBACK[0], "Host: evil.example:8490"), 401)

    def test_behind_a_proxy(self) -> None:
        """A request passed on by a proxy on this machine does not count as from this machine."""
        for header in ("X-Forwarded-For: 198.51.100.4", "Forwarded: for=198.51.100.4"):
            self.assertEqual(self.status("/metrics", LOOPBACK[0], "Host: localhost", header), 401)

    def test_old_health_checks(self) -> None:
        """A health check that names no host is answered."""
        answer = self.raw(b"GET /healthz HTTP/1.0\r\n\r\n", LOOPBACK[0])
        self.assertIn(b" 200 ", answer.splitlines()[0])

    def test_empty_token(self) -> None:
        """A site that would let everybody in cannot be made."""
        with self.assertRaises(ValueError):
            Guard("")
        with self.assertRaises(ValueError):
            make_site(self.view, self.metrics, "")
