"""The routes of the admin API that are about secrets."""

from __future__ import annotations

from relaytw.admin.problems import Problem
from relaytw.admin.routes import Route
from relaytw.admin.secrets import (
    RetireSecret,
    SecretRefused,
    SecretRetired,
    SecretRotated,
    SecretsStatus,
    SecretsView,
)


class SecretsApi:
    """Handlers over the secrets of one relay."""

    def __init__(self, view: SecretsView) -> None:
        self._view = view

    def routes(self) -> list[Route]:
        """Everything that can be asked of secrets."""
        return [
            Route("GET", "/api/v1/secrets", self.secrets, returns=SecretsStatus),
            Route("POST", "/api/v1/secrets/rotate", self.rotate, returns=SecretRotated, act=True),
            Route("POST", "/api/v1/secrets/retire", self.retire, RetireSecret, SecretRetired, act=True),
        ]

    def secrets(self) -> SecretsStatus:
        """How many secrets are valid for which bots, and who signs with which."""
        return self._view.status()

    async def rotate(self, actor: str) -> SecretRotated:
        """Make a new secret that is valid together with the old one."""
        try:
            return await self._view.rotate(actor)
        except SecretRefused as error:
            raise Problem(409, error.code, str(error)) from error

    async def retire(self, wanted: RetireSecret, actor: str) -> SecretRetired:
        """End the old secret, whoever still signs with it if that is forced."""
        try:
            return await self._view.retire(actor, force=wanted.force)
        except SecretRefused as error:
            raise Problem(409, error.code, str(error)) from error
