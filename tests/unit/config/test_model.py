"""What the configuration may be, and what it is when nothing is said."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from twisted.trial.unittest import SynchronousTestCase

from relaytw.config.model import Config


def mistakes(**sections: Any) -> list[str]:
    """The keys that are refused."""
    try:
        Config.model_validate(sections)
    except ValidationError as error:
        return [".".join(map(str, detail["loc"])) for detail in error.errors()]
    return []


class DefaultTests(SynchronousTestCase):
    def test_limits(self) -> None:
        """The limits that everything is built around are what they are known to be."""
        config = Config()
        limits = config.limits
        self.assertEqual(
            (limits.connections, limits.per_bot, limits.per_room, limits.consumers), (100, 30, 3, 31)
        )
        self.assertEqual((limits.read_timeout, limits.read_strikes, limits.line_bytes), (30, 3, 1 << 20))
        self.assertEqual((config.ping.interval, limits.processing_timeout), (30, 300))

    def test_safe(self) -> None:
        """Without a configuration nobody is let in unasked, and the admin API is on this machine only."""
        config = Config()
        self.assertTrue(config.auth.required)
        self.assertFalse(config.auth.approve_new_devices or config.auth.approve_new_rooms)
        self.assertEqual(config.auth.admins, ())
        self.assertEqual(config.admin.listen, "tcp:8490:interface=127.0.0.1")

    def test_frozen(self) -> None:
        """Nobody can change the configuration of a running relay."""
        config = Config()
        with self.assertRaises(ValidationError):
            config.limits.per_room = 5
        with self.assertRaises(ValidationError):
            config.limits = config.limits


class NumberTests(SynchronousTestCase):
    def test_limits_of_limits(self) -> None:
        """A count is at least one, a time more than nothing, and what may be nothing may be nothing."""
        bad = {
            "connections": 0,
            "handshake_timeout": 0,
            "overflow": -1,
            "text_spacing": -0.1,
            "line_bytes": 1023,
        }
        self.assertEqual(sorted(mistakes(limits=bad)), sorted(f"limits.{key}" for key in bad))
        good = {
            "connections": 1,
            "handshake_timeout": 0.01,
            "overflow": 0,
            "text_spacing": 0,
            "line_bytes": 1024,
        }
        self.assertEqual(mistakes(limits=good), [])

    def test_no_number(self) -> None:
        """Booleans, fractions of a count and times without end are no numbers."""
        for bad in (True, 1.5, "many", float("inf")):
            self.assertEqual(mistakes(limits={"consumers": bad}), ["limits.consumers"], repr(bad))
        for bad in (True, float("inf"), float("nan"), "long"):
            self.assertEqual(mistakes(limits={"read_timeout": bad}), ["limits.read_timeout"], repr(bad))
            self.assertEqual(mistakes(ping={"jitter": bad}), ["ping.jitter"], repr(bad))

    def test_text_of_a_number(self) -> None:
        """The environment knows only text."""
        config = Config.model_validate(
            {"limits": {"consumers": "7", "consumers_max": "9"}, "auth": {"required": "false"}}
        )
        self.assertEqual((config.limits.consumers, config.limits.consumers_max), (7, 9))
        self.assertFalse(config.auth.required)

    def test_consumers_max(self) -> None:
        """Consumers cannot grow to fewer than there are."""
        self.assertEqual(mistakes(limits={"consumers": 40}), ["limits"])
        self.assertEqual(mistakes(limits={"consumers": 40, "consumers_max": 40}), [])

    def test_memory(self) -> None:
        """The warning comes before the alarm, and neither beyond all memory."""
        self.assertEqual(mistakes(monitor={"memory_warn": 90}), ["monitor"])
        self.assertEqual(mistakes(monitor={"memory_critical": 100.1}), ["monitor.memory_critical"])
        self.assertEqual(mistakes(monitor={"memory_warn": 90, "memory_critical": 91}), [])


class TextTests(SynchronousTestCase):
    def test_endpoints(self) -> None:
        """An endpoint has a kind that is known, and tcp a port."""
        for bad in ("", "1490", "tcp", "tcp:", "tcp:http", "ftp:21", "tcp:interface=::1"):
            self.assertEqual(mistakes(relay={"listen": [bad]}), ["relay.listen.0"], bad)
            self.assertEqual(mistakes(admin={"listen": bad}), ["admin.listen"], bad)
        for good in (
            "tcp:1490",
            "tcp:port=1490:interface=127.0.0.1",
            "unix:/run/relay",
            "tcp6:1490",
            "systemd:domain=INET:index=0",
        ):
            self.assertEqual(mistakes(relay={"listen": [good]}, admin={"listen": good}), [], good)
        self.assertEqual(mistakes(relay={"listen": []}), ["relay.listen"])

    def test_names(self) -> None:
        """A relay has a name, a folder, a mode and a time zone that exist."""
        bad = {"name": "", "state_dir": "", "mode": "slow", "timezone": "Asia/Atlantis"}
        self.assertEqual(sorted(mistakes(relay=bad)), sorted(f"relay.{key}" for key in bad))
        self.assertEqual(mistakes(relay={"name": "x" * 101}), ["relay.name"])
        self.assertEqual(mistakes(relay={"name": "x" * 100, "mode": "direct", "timezone": "UTC"}), [])

    def test_database(self) -> None:
        """A database is SQLite or MySQL."""
        for good in ("", "sqlite:relay.db", "mysql://u:p@host:3306/name"):
            self.assertEqual(mistakes(database={"url": good}), [])
        self.assertEqual(mistakes(database={"url": "postgres://host/name"}), ["database.url"])

    def test_log(self) -> None:
        """Levels are those that the log knows, of categories too."""
        bad = {"level": "loud", "format": "xml", "categories": {"ping": "quiet"}}
        self.assertEqual(sorted(mistakes(log=bad)), ["log.categories.ping", "log.format", "log.level"])


class SecretTests(SynchronousTestCase):
    def test_one_way(self) -> None:
        """A secret is given in one way, for all bots and for each."""
        for good in ({}, {"secret": "a"}, {"secret_file": "a"}, {"secrets": ["a", "b"]}):
            self.assertEqual(mistakes(auth=good), [])
            self.assertEqual(mistakes(auth={"bots": {"x": good}}), [])
        both = {"secret": "a", "secret_file": "b"}
        self.assertEqual(mistakes(auth=both), ["auth"])
        self.assertEqual(mistakes(auth={"secret": "a", "bots": {"x": both}}), ["auth.bots.x"])

    def test_empty(self) -> None:
        """A secret that is given and empty is a mistake, never a relay without one."""
        empties: list[dict[str, Any]] = [
            {"secret": ""},
            {"secret_file": ""},
            {"secrets": []},
            {"secrets": ["a", ""]},
        ]
        for bad in empties:
            self.assertEqual(mistakes(auth=bad), ["auth"], repr(bad))

    def test_unknown(self) -> None:
        """A key that nobody knows is a mistake at every depth."""
        found = mistakes(limit={}, relay={"prot": 1}, auth={"bots": {"x": {"secre": "a"}}})
        self.assertEqual(sorted(found), ["auth.bots.x.secre", "limit", "relay.prot"])


class WebhookTests(SynchronousTestCase):
    def assert_refused(self, why: str, **keys: Any) -> None:
        with self.assertRaisesRegex(ValidationError, why):
            Config.model_validate({"bots": keys})

    def test_addresses(self) -> None:
        """Chat goes over https, or does not leave this machine, unless that is asked for."""
        for url in ("https://example.org/a", "http://127.0.0.1:80", "http://[::1]:80/", "http://localhost/"):
            Config.model_validate({"bots": {"webhook": url, "webhook_secret": "s"}})
        plain = {"webhook": "http://example.org/", "webhook_secret": "s"}
        self.assert_refused("https", **plain)
        Config.model_validate({"bots": {**plain, "webhook_plain": True}})
        for url in ("example.org", "ftp://a.b/", "https://", "https://a b/", "http://a:x/", "https://[/"):
            self.assert_refused("must be an address", webhook=url, webhook_secret="s")

    def test_secrets(self) -> None:
        """Each webhook has a secret, its own or that of all."""
        hooks = {"Weather": {"url": "https://example.org/"}}
        self.assert_refused("needs a secret", webhook="https://example.org/")
        self.assert_refused("needs a secret", webhooks=hooks)
        self.assert_refused("needs a url", webhooks={"Weather": {"secret": "s"}})
        self.assert_refused("not both", webhook_secret="s", webhook_secret_file="f")
        Config.model_validate({"bots": {"webhooks": hooks, "webhook_secret": "s"}})
