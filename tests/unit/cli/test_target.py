"""Which relay relayctl talks to."""

from __future__ import annotations

from pathlib import Path

import click

from relaytw.cli.client import admin_client, find_target, open_connection
from relaytw.cli.target import Options, Outside, admin_url
from tests.unit.cli.fakes import CliTestCase


class FindTargetTests(CliTestCase):
    def find(self, **given: object) -> tuple[str, str, str | None]:
        """State folder, URL and token found."""
        target = find_target(Options(outside=Outside(self.environ), **given))  # type: ignore[arg-type]
        return str(target.state_dir), target.admin_url, target.token

    def test_nothing_given(self) -> None:
        """Without any file the defaults of a relay started in this folder are meant."""
        self.assertEqual(self.find(), ("relay-state", "http://127.0.0.1:8490", "open-sesame"))

    def test_configuration(self) -> None:
        """./relay.toml is read, and --config instead of it, even with mistakes elsewhere."""
        self.write("s/admin-token", "of s")
        self.write("relay.toml", '[relay]\nstate_dir = "s"\nnonsense = 1\n[admin]\nlisten = "tcp:9000"\n')
        self.assertEqual(self.find(), ("s", "http://127.0.0.1:9000", "of s"))
        self.write("t.key", "of t")
        self.write("t.toml", '[admin]\nlisten = "unix:/run/t"\ntoken_file = "t.key"\n')
        self.assertEqual(self.find(config=Path("t.toml")), ("relay-state", "unix:/run/t", "of t"))

    def test_environment(self) -> None:
        """The environment wins over the file."""
        self.write("relay.toml", '[relay]\nstate_dir = "s"\n[admin]\nlisten = "tcp:9000"\n')
        self.write("e/admin-token", "of e")
        self.write("e.key", "of e.key")
        self.environ = {"RELAYTW_RELAY__STATE_DIR": "e", "RELAYTW_ADMIN__LISTEN": "tcp:9001"}
        self.assertEqual(self.find(), ("e", "http://127.0.0.1:9001", "of e"))
        self.environ["RELAYTW_ADMIN__TOKEN_FILE"] = "e.key"
        self.assertEqual(self.find()[2], "of e.key")

    def test_options(self) -> None:
        """Options win over everything."""
        self.environ = {"RELAYTW_RELAY__STATE_DIR": "e", "RELAYTW_ADMIN__LISTEN": "tcp:9001"}
        self.write("o/admin-token", "of o")
        found = self.find(state_dir=Path("o"), url="https://relay.example/")
        self.assertEqual(found, ("o", "https://relay.example", "of o"))
        self.write("o.key", "of o.key")
        self.assertEqual(self.find(token_file=Path("o.key"))[2], "of o.key")

    def test_no_token(self) -> None:
        """A token that is missing, empty or no text is none, and no error yet."""
        self.assertIsNone(self.find(state_dir=Path("nowhere"))[2])
        self.write("empty", "\n")
        self.assertIsNone(self.find(token_file=Path("empty"))[2])
        Path("bytes").write_bytes(b"\xff\xfe")
        self.assertIsNone(self.find(token_file=Path("bytes"))[2])

    def test_broken_file(self) -> None:
        """A file that is no TOML is named."""
        self.write("relay.toml", "[relay\n")
        with self.assertRaises(click.ClickException) as caught:
            self.find()
        self.assertIn("relay.toml", caught.exception.message)

    def test_strange_tables(self) -> None:
        """Values of the wrong kind are as good as absent."""
        self.write("relay.toml", 'relay = 3\n[admin]\nlisten = ["tcp:1"]\n')
        self.assertEqual(self.find()[:2], ("relay-state", "http://127.0.0.1:8490"))

    def test_client(self) -> None:
        """The client of some options asks the relay they mean, through the connection they bring."""
        self.relay.items("/api/v1/phones")
        client = admin_client(Options(outside=Outside({}, connect=self.relay.connect)))
        self.assertEqual(client.phones(), [])
        self.assertEqual(self.relay.urls, ["http://127.0.0.1:8490"])


class AdminUrlTests(CliTestCase):
    def test_endpoints(self) -> None:
        """Each endpoint a relay can listen on becomes the URL to ask from the same machine."""
        cases = {
            "tcp:8490": "http://127.0.0.1:8490",
            "tcp:port=8490:interface=127.0.0.2": "http://127.0.0.2:8490",
            "tcp:8490:interface=0.0.0.0": "http://127.0.0.1:8490",
            "tcp:8490:interface=\\:\\:1": "http://[::1]:8490",
            "tcp6:8490": "http://[::1]:8490",
            "tcp6:8490:interface=\\:\\:": "http://[::1]:8490",
            "ssl:8490:privateKey=k.pem": "https://127.0.0.1:8490",
            "unix:/run/relay.sock:mode=600": "unix:/run/relay.sock",
            "unix:address=/run/a\\:b": "unix:/run/a:b",
        }
        for endpoint, url in cases.items():
            self.assertEqual(admin_url(endpoint), url, endpoint)

    def test_unknowable(self) -> None:
        """Where it cannot be known, the operator is asked for --url."""
        for endpoint in ("systemd:domain=INET:index=0", "tcp:", "unix:", "nonsense"):
            with self.assertRaises(click.ClickException) as caught:
                admin_url(endpoint)
            self.assertIn("--url", caught.exception.message)

    def test_connections(self) -> None:
        """A URL of each kind makes a connection of that kind, and any other none."""
        connection = open_connection("https://[::1]:99")
        self.assertEqual((connection.host, connection.port), ("::1", 99))
        self.assertEqual(open_connection("http://relay.example").port, 80)
        self.assertEqual(open_connection("unix:/run/x").host, "localhost")
        for url in ("ftp://x", "127.0.0.1:8490", "http://", "http://x:port"):
            with self.assertRaises(ValueError):
                open_connection(url)
