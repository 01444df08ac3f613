"""The routes about secrets: what is told, what is refused, and that no secret is in any answer."""

from __future__ import annotations

from relaytw.admin.secrets import SecretRefused
from tests.unit.admin.fakes import ALICE, SiteTestCase


class SecretRouteTests(SiteTestCase):
    def test_status(self) -> None:
        """Each set of secrets is told of by count, and each client with an old one by name."""
        told = self.get("/api/v1/secrets").json
        self.assertEqual((told["required"], told["watched_since"], told["forgotten"]), (True, 800.0, 0))
        (common,) = told["sets"]
        user = {**ALICE._asdict(), "secret": 1, "last_seen": 1000.0, "connected": True}
        self.assertEqual(
            common,
            {
                "source": "relay-state/secret", "common": True, "bots": [], "valid": 2, "rotated_at": 900.5,
                "new": 3, "old": [user],
            },
        )  # fmt: skip

    def test_token(self) -> None:
        """Nobody asks or acts without the token."""
        self.assertEqual(self.get("/api/v1/secrets", token=None).status, 401)
        for act in ("rotate", "retire"):
            self.assertEqual(self.post(f"/api/v1/secrets/{act}", {"force": True}, token=None).status, 401)
        self.assertEqual(self.view.secrets.forced, [])

    def test_rotate(self) -> None:
        """A rotation needs no body, and answers where the secrets are."""
        answer = self.ask("POST", "/api/v1/secrets/rotate")
        self.assertEqual(
            (answer.status, answer.json),
            (200, {"path": "/state/secret", "old_path": "/state/secret.old", "rotated_at": 900.5}),
        )

    def test_retire(self) -> None:
        """A retirement answers who is locked out; it is forced only where that is asked for."""
        for body, forced in (({}, False), ({"force": False}, False), ({"force": True}, True)):
            answer = self.post("/api/v1/secrets/retire", body)
            (user,) = answer.json["locked_out"]
            self.assertEqual((answer.status, user["device"]), (200, ALICE.device))
            self.assertEqual(self.view.secrets.forced.pop(), forced)
        self.assertEqual(self.post("/api/v1/secrets/retire", {"yes": True}).status, 400)

    def test_refused(self) -> None:
        """What the relay refuses is a conflict, with its code and its sentence."""
        self.view.secrets.refusal = SecretRefused("secret_in_use", "phone-1 would be locked out")
        for answer in (self.ask("POST", "/api/v1/secrets/rotate"), self.post("/api/v1/secrets/retire", {})):
            self.assertEqual((answer.status, answer.code), (409, "secret_in_use"))
            self.assertEqual(answer.json["error"]["message"], "phone-1 would be locked out")
        self.assertEqual(self.post("/api/v1/secrets/retire", {"force": True}).status, 200)
