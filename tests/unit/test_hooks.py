"""Which webhook a message goes to, by the configuration."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.task import Clock

from relaytw.bots import Bot, Message
from relaytw.bots.router import Router
from relaytw.config import Config
from relaytw.errors import ConfigError
from relaytw.hooks import webhooks
from relaytw.metrics import Metrics
from relaytw.services.webhooks.service import EVERYBODY, Webhooks
from tests.unit.bots.messages import said
from tests.unit.folders import OwnFolder


def made(**bots: Any) -> Webhooks | None:
    """The webhooks of this configuration."""
    config = Config.model_validate({"bots": bots})
    return webhooks(config, Clock(), Metrics(), lambda: 0.0, Random(1))


class HookTests(OwnFolder):
    def test_none(self) -> None:
        """Without a webhook there is nothing."""
        self.assertIsNone(made())

    def test_who_is_asked(self) -> None:
        """Commands go before webhooks, a bot's own one before that of all, and both before listeners."""
        local = Bot()

        @local.command("# hi")
        def greet(message: Message) -> str:
            return "hi"

        @local.message
        def listen(message: Message) -> str:
            return "?"

        hooks = {"Weather": {"url": "https://weather.example.org/"}}
        service = made(webhook="https://example.org/", webhook_secret="s", webhooks=hooks)
        assert service is not None
        router = Router([*service.bots(), local])
        names = {}
        for bot, text in (("Weather", "# hi"), ("Weather", "rain?"), ("other", "rain?")):
            found = router.find(said(text, bot=bot))
            assert found is not None
            names[bot, text] = found.name
        self.assertIn("greet", names["Weather", "# hi"])
        self.assertIn("webhook", names["Weather", "rain?"])
        self.assertIn("webhook", names["other", "rain?"])
        self.assertEqual([row.name for row in service.rows()], ["Weather", EVERYBODY])
        found = router.find(said("rain?", bot="Weather"))
        assert found is not None
        self.assertEqual(found.blocking, False)

    def test_secret_file(self) -> None:
        """A secret may stand in a file; one that cannot be read, or is empty, stops the start."""
        folder = self.enter_folder()
        (folder / "secret").write_text("s3cret\n")
        (folder / "empty").touch()
        service = made(webhook="https://example.org/", webhook_secret_file="secret")
        assert service is not None
        self.assertEqual(service._hooks[EVERYBODY].secret, b"s3cret")
        for name in ("empty", "missing"):
            with self.assertRaisesRegex(ConfigError, name):
                made(webhook="https://example.org/", webhook_secret_file=name)

    def test_stop(self) -> None:
        """It stops when the connections it has kept are closed."""
        service = made(webhook="https://example.org/", webhook_secret="s")
        assert service is not None
        service.startService()
        stopped = service.stopService()
        assert stopped is not None
        self.successResultOf(stopped)
