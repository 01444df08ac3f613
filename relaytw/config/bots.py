"""The configuration's tables about bots: `[bots]` and `[webhook]`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from relaytw.config.values import Count, CountOrNone, Seconds, Section


def _web_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if url and not (usable and url.isascii() and url.isprintable() and " " not in url):
        raise ValueError("must be an address such as https://bots.example.org/relay")
    return url


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class WebhookTarget(Section):
    """`[bots.webhooks."NAME"]`: where the messages of one bot go."""

    url: Annotated[str, AfterValidator(_web_address)] = ""
    secret: str = ""
    secret_file: str = ""


class BotsConfig(Section):
    """`[bots]`."""

    load: tuple[str, ...] = ("relaytw.bots.builtin",)
    entry_points: bool = True
    folder: str = ""
    reload_interval: Seconds = 2.0
    language: Literal["ko", "en"] = "ko"
    cooldowns: Count = 10_000
    conversations: Count = 1000
    webhook: Annotated[str, AfterValidator(_web_address)] = ""
    webhook_secret: str = ""
    webhook_secret_file: str = ""
    webhook_plain: bool = False
    webhooks: dict[Annotated[str, Field(min_length=1)], WebhookTarget] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _webhooks_are_safe(self) -> BotsConfig:
        usual = WebhookTarget(
            url=self.webhook, secret=self.webhook_secret, secret_file=self.webhook_secret_file
        )
        for name, hook in {"webhook": usual, **self.webhooks}.items():
            if hook is not usual and not hook.url:
                raise ValueError(f"webhooks.{name} needs a url")
            if hook.secret and hook.secret_file:
                raise ValueError(f"{name}: give the webhook's secret or its file, not both")
            own, shared = hook.secret or hook.secret_file, usual.secret or usual.secret_file
            if hook.url and not (own or shared):
                raise ValueError(f"{name}: a webhook needs a secret; its messages are signed with it")
            if hook.url and not (self.webhook_plain or hook.url.startswith("https:") or _is_here(hook.url)):
                raise ValueError(f"{name}: must be https, for anybody on the way reads http (webhook_plain)")
        return self


class WebhookConfig(Section):
    """`[webhook]`.  Times in seconds, sizes in bytes."""

    connect_timeout: Seconds = 3.0
    response_timeout: Seconds = 10.0
    patience: Seconds = 20.0
    response_bytes: Count = 2_097_152
    retries: CountOrNone = 2
    backoff: Seconds = 0.5
    concurrency: Count = 16
    failures: Count = 5
    pause: Seconds = 10.0
    pause_max: Seconds = 300.0
    notice: bool = True
