"""What a program's token opens, and what it does not."""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger

from relaytw.admin.callers import Caller, Grant, Scope
from relaytw.admin.pushing import Push, PushBody, PushRefused
from relaytw.admin.resources import AdminApi
from relaytw.admin.site import make_site
from tests.unit.admin.fakes import TOKEN, SiteTestCase

SHOP = "rly_shop"


class Pushes:
    """Notes who asks, and refuses what a test wants refused."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []
        self.refusal: PushRefused | None = None

    async def push(self, body: PushBody, caller: Caller) -> Push:
        """Say that it is kept."""
        self.callers.append(caller)
        if self.refusal is not None:
            raise self.refusal
        return Push("p1", caller.actor, 1.0, 1.0, None, None, [])


class GrantTests(SiteTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.pushes = Pushes()
        self.view.pushing.pushes = self.pushes
        # The routes are bound to what answers them when a site is made.
        log = Logger("relaytw.admin", observer=self.events)
        self.site = make_site(self.view, self.metrics, TOKEN, log, reactor=MemoryReactorClock())

    def grant(self, *scopes: Scope, bots: frozenset[str] | None = None) -> None:
        """Let the shop's token be good for this."""
        self.view.pushing.grants[SHOP] = Grant("shop", frozenset(scopes), bots)

    def test_scopes(self) -> None:
        """A token opens the routes of its scopes and no other, whatever routes there are."""
        for scope in (None, *Scope):
            self.view.pushing.grants[SHOP] = Grant("shop", frozenset({scope} if scope else ()), None)
            for route in AdminApi(self.view, self.metrics).routes():
                if route.method == "GET" and (route.scope is None or route.scope != scope) and not route.open:
                    path = route.path.replace("{id}", "x")
                    answer = self.get(path, token=SHOP)
                    self.assertEqual((answer.status, answer.code), (403, "forbidden"), (route.path, scope))
        self.grant(*Scope)
        self.assertEqual(self.get("/api/v1/phones", token=SHOP).status, 200)
        for path in ("/api/v1/tokens", "/api/v1/secrets/rotate", "/api/v1/devices/status"):
            self.assertEqual(self.post(path, {}, token=SHOP).status, 403)

    def test_for_some_bots(self) -> None:
        """A token for some bots cannot ask what would tell it of others."""
        self.grant(*Scope, bots=frozenset({"bot"}))
        for path in ("/api/v1/phones", "/api/v1/rooms", "/api/v1/status"):
            self.assertEqual(self.get(path, token=SHOP).status, 403)
        self.post("/api/v1/messages", {"text": "x"}, token=SHOP)
        self.assertEqual(self.pushes.callers, [Caller("token:shop", frozenset({"bot"}))])

    def test_caller(self) -> None:
        """Who asks is told by his token, not by what he says of himself; his key goes along."""
        self.grant(Scope.PUSH)
        headers = {"X-Relaytw-Actor": "root", "Idempotency-Key": "k1"}
        answer = self.post("/api/v1/messages", {"text": "x"}, token=SHOP, headers=headers)
        self.assertEqual((answer.status, answer.json["id"]), (202, "p1"))
        self.post("/api/v1/messages", {"text": "x"}, headers=headers)
        self.assertEqual(
            self.pushes.callers, [Caller("token:shop", None, "k1"), Caller("admin:root", None, "k1")]
        )

    def test_refused(self) -> None:
        """What the relay refuses has its status and code."""
        self.pushes.refusal = PushRefused(409, "ambiguous_room", "which?")
        answer = self.post("/api/v1/messages", {"text": "x"})
        self.assertEqual((answer.status, answer.code), (409, "ambiguous_room"))

    def test_nobody_knows(self) -> None:
        """When nobody can say whether a token is good it is not, and the admin's still is."""
        self.view.pushing.away = "the database is away"
        self.assertEqual(self.get("/api/v1/phones", token=SHOP).status, 503)
        self.assertEqual(self.get("/api/v1/phones").status, 200)
        self.assertEqual(self.get("/api/v1/phones", token=None).status, 401)
