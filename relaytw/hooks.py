"""Builds the bots that live elsewhere from their part of the configuration."""

from __future__ import annotations

from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from random import Random
from typing import Any

from treq.client import HTTPClient
from treq.cookies import IndexableCookieJar
from twisted.web.client import Agent, HTTPConnectionPool

from relaytw.config import Config
from relaytw.config.bots import BotsConfig, WebhookTarget
from relaytw.errors import ConfigError
from relaytw.metrics import Metrics
from relaytw.services.webhooks.backend import Backend, BackendSettings
from relaytw.services.webhooks.breaker import BreakerSettings
from relaytw.services.webhooks.exchange import Exchange, PlainAgent
from relaytw.services.webhooks.service import EVERYBODY, Hook, Webhooks


def webhooks(
    config: Config, reactor: Any, metrics: Metrics, now: Callable[[], float], random: Random
) -> Webhooks | None:
    """The bots that live elsewhere, None if there are none.  Raises ConfigError."""
    targets = _hooks(config.bots)
    if not targets:
        return None
    keys = config.webhook
    pool = HTTPConnectionPool(reactor, persistent=True)
    pool.maxPersistentPerHost = keys.concurrency
    agent = Agent(reactor, connectTimeout=keys.connect_timeout, pool=pool)
    no_cookies = IndexableCookieJar(DefaultCookiePolicy(allowed_domains=[]))
    client = HTTPClient(PlainAgent(agent), cookiejar=no_cookies)
    settings = BackendSettings(
        keys.patience, keys.retries, keys.backoff, keys.concurrency, keys.notice,
        BreakerSettings(keys.failures, keys.pause, keys.pause_max),
    )  # fmt: skip

    def backend(name: str, url: str) -> Backend:
        exchange = Exchange(client, reactor, url, seconds=keys.response_timeout, most=keys.response_bytes)
        return Backend(name, exchange, reactor, now, random, metrics, settings)

    return Webhooks(targets, backend, pool)


def _hooks(config: BotsConfig) -> dict[str, Hook]:
    """Where the messages of each bot name go."""
    usual = WebhookTarget(
        url=config.webhook, secret=config.webhook_secret, secret_file=config.webhook_secret_file
    )
    shared = _secret(usual, "bots.webhook_secret_file")
    found = {
        name: Hook(target.url, _secret(target, f"bots.webhooks.{name}.secret_file") or shared)
        for name, target in config.webhooks.items()
    }
    if usual.url:
        found[EVERYBODY] = Hook(usual.url, shared)
    return found


def _secret(target: WebhookTarget, key: str) -> bytes:
    if not target.secret_file:
        return target.secret.encode()
    try:
        secret = Path(target.secret_file).read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"{key}: {target.secret_file} cannot be read: {error}") from error
    if not secret:
        raise ConfigError(f"{key}: {target.secret_file} is empty; put the secret into it")
    return secret
