"""Every route of the admin API."""

from __future__ import annotations

import json

from relaytw.errors import Unavailable
from relaytw.messages import ClientKey, Status
from tests.unit.admin.fakes import ALICE, BOB, SiteTestCase, phone

CLIENT = ALICE._asdict()


class HealthTests(SiteTestCase):
    def test_healthz(self) -> None:
        """A relay that answers is alive, ready or not."""
        self.view.not_ready = "the database is away"
        answer = self.get("/healthz", token=None)
        self.assertEqual((answer.status, answer.body), (200, b"ok\n"))
        self.assertEqual(answer.header("content-type"), "text/plain; charset=utf-8")

    def test_readyz(self) -> None:
        """Readiness turns to 503 with the reason."""
        self.assertEqual(self.get("/readyz", token=None).body, b"ready\n")
        self.view.not_ready = "the listener is closed"
        answer = self.get("/readyz", token=None)
        self.assertEqual((answer.status, answer.body), (503, b"the listener is closed\n"))

    def test_status(self) -> None:
        """The status shows every figure of the overview, and whether phones are served."""
        status = self.get("/api/v1/status").json
        expected = self.view.overview()._asdict()
        webhooks = [row._asdict() for row in self.view.overview().webhooks]
        rest = {"listening": ["tcp:1490"], "not_ready": None, "webhooks": webhooks}
        self.assertEqual(status, {**expected, **rest})

    def test_failure(self) -> None:
        """When the relay cannot be looked at, the caller gets a trace id and the log the failure."""
        self.view.failure = RuntimeError("inside")
        self.assertEqual(self.get("/api/v1/status").status, 500)
        self.assertEqual(self.get("/metrics").status, 500)
        self.assertEqual([event["trace"] for event in self.events], ["trace-1", "trace-1"])


class PhoneTests(SiteTestCase):
    def test_list(self) -> None:
        """Each phone is shown with all that is known of it."""
        (shown,) = self.get("/api/v1/phones").json["items"]
        self.assertEqual({key: shown[key] for key in CLIENT}, CLIENT)
        self.assertEqual((shown["dialect"], shown["status"], shown["round_trip_ms"]), ("3.3", "approved", 42))
        self.assertEqual(shown["monitoring"]["active_rooms"], 3)

    def test_silent_phone(self) -> None:
        """A phone that has not answered a ping yet has no figures."""
        self.view.connected = [phone(monitoring=None, round_trip_ms=None)]
        (shown,) = self.get("/api/v1/phones").json["items"]
        self.assertIsNone(shown["monitoring"])
        self.assertIsNone(shown["round_trip_ms"])

    def test_disconnect(self) -> None:
        """A phone is disconnected once; then it is not connected any more."""
        answer = self.post("/api/v1/phones/disconnect", CLIENT)
        self.assertEqual((answer.status, answer.json), (200, CLIENT))
        self.assertEqual(self.view.connected, [])
        again = self.post("/api/v1/phones/disconnect", CLIENT)
        self.assertEqual((again.status, again.code), (404, "not_connected"))


class DeviceTests(SiteTestCase):
    def test_list(self) -> None:
        """Each known device is shown, whatever its id consists of."""
        (shown,) = self.get("/api/v1/devices").json["items"]
        expected = {
            "status": "pending",
            "address": "192.0.2.7",
            "version": "3.3.3",
            "device_uuid": None,
            "created_at": 900.0,
            "updated_at": 950.0,
            "word": "pending",
            "reason": "",
            "saved": True,
            "code": "K7QXM",
        }
        self.assertEqual(shown, {**CLIENT, **expected})

    def test_every_status(self) -> None:
        """A device can be given every status."""
        for status in Status:
            answer = self.post("/api/v1/devices/status", {**CLIENT, "status": status})
            self.assertEqual((answer.status, answer.json["status"]), (200, status.value))
            self.assertIs(self.view.known[ALICE], status)

    def test_register(self) -> None:
        """A device that was never seen becomes known only when that is asked for."""
        wanted = {"bot": "bot", "device": "nobody", "status": "approved"}
        self.assertEqual(self.post("/api/v1/devices/status", wanted).status, 404)
        self.assertEqual(self.post("/api/v1/devices/status", {**wanted, "register": True}).status, 200)
        self.assertIs(self.view.known[ClientKey("bot", "nobody")], Status.APPROVED)

    def test_refused(self) -> None:
        """What does not exist, cannot be approved or is misspelt changes nothing."""
        wanted = {"bot": "bot", "device": "nobody", "status": "approved"}
        cases = [
            (wanted, 404, "unknown_device"),
            ({**BOB._asdict(), "status": "approved"}, 409, "not_approvable"),
            ({**CLIENT, "status": "fine"}, 400, "bad_request"),
            (CLIENT, 400, "bad_request"),
            ({**CLIENT, "status": "approved", "stauts": ""}, 400, "bad_request"),
            ({**CLIENT, "status": "approved", "device": 5}, 400, "bad_request"),
        ]
        for body, status, code in cases:
            answer = self.post("/api/v1/devices/status", body)
            self.assertEqual((answer.status, answer.code), (status, code), body)
        self.assertIs(self.view.known[ALICE], Status.PENDING)
        self.assertEqual(self.events, [])

    def test_page(self) -> None:
        """A list is asked for by status, code and page; where there is more the answer says how to go on."""
        self.view.next = "17"
        answer = self.get("/api/v1/devices?status=pending&after=5&limit=3")
        self.assertEqual(answer.json["next"], "17")
        self.get("/api/v1/rooms?code=K7QXM")
        self.get("/api/v1/audit?after=9")
        self.assertEqual(
            self.view.asked, [(Status.PENDING, None, "5", 3), (None, "K7QXM", None, 200), ("9", 200)]
        )
        self.view.next = None
        self.assertNotIn("next", self.get("/api/v1/devices").json)

    def test_bad_query(self) -> None:
        """A query that is misspelt or out of bounds is refused."""
        for query in ("status=fine", "stauts=pending", "limit=0", "limit=1001", "limit=x", "after=%ff"):
            answer = self.get(f"/api/v1/devices?{query}")
            self.assertEqual((answer.status, answer.code), (400, "bad_request"), query)
        self.view.failure = ValueError("no such page")
        self.assertEqual(self.get("/api/v1/devices?after=x").code, "bad_request")

    def test_database_away(self) -> None:
        """Without the database nothing is listed or changed, and that is said."""
        self.view.failure = Unavailable("nothing was changed: the database is away")
        for answer in (
            self.get("/api/v1/devices"),
            self.post("/api/v1/devices/status", {**CLIENT, "status": "approved"}),
        ):
            self.assertEqual((answer.status, answer.code), (503, "database_away"))

    def test_actor(self) -> None:
        """Whoever acts is known by the name that he gives, of which only what can be shown is kept."""
        wanted = {**CLIENT, "status": "blocked", "reason": "lost"}
        for name in ("ada", "%EA%B9%80", "a%0Ab", "x" * 100):
            self.post("/api/v1/devices/status", wanted, headers={"X-Relaytw-Actor": name})
        self.post("/api/v1/phones/disconnect", CLIENT)
        self.assertEqual(
            [actor for actor, _, _ in self.view.acts],
            ["admin:ada", "admin:김", "admin:ab", f"admin:{'x' * 64}", "admin"],
        )
        self.assertEqual(self.view.acts[0], ("admin:ada", ALICE, "lost"))

    def test_audit(self) -> None:
        """What was done is listed with who did it."""
        (act,) = self.get("/api/v1/audit").json["items"]
        self.assertEqual((act["at"], act["actor"], act["act"]), (950.0, "admin:ada", "device approved"))

    def test_described(self) -> None:
        """The description of the API names what may be asked for."""
        paths = self.get("/api/v1/openapi.json").json["paths"]
        parameters = {one["name"]: one for one in paths["/api/v1/devices"]["get"]["parameters"]}
        self.assertEqual(set(parameters), {"after", "limit", "status", "code"})
        self.assertEqual(parameters["limit"]["schema"]["maximum"], 1000)
        self.assertFalse(parameters["status"]["required"])


class RoomTests(SiteTestCase):
    def test_list(self) -> None:
        """Each known room is shown."""
        (shown,) = self.get("/api/v1/rooms").json["items"]
        self.assertEqual((shown["room_id"], shown["name"]), ("100", "가족 / family"))
        self.assertEqual((shown["bot"], shown["device"], shown["status"]), (*ALICE, "pending"))

    def test_status(self) -> None:
        """A room is approved by its id; a room nobody heard of is not there."""
        wanted = {**CLIENT, "room_id": "100", "status": "approved"}
        self.assertEqual(self.post("/api/v1/rooms/status", wanted).json, wanted)
        self.assertIs(self.view.known_rooms[ALICE, "100"], Status.APPROVED)
        answer = self.post("/api/v1/rooms/status", {**wanted, "room_id": "101"})
        self.assertEqual((answer.status, answer.code), (404, "unknown_room"))


class CloseAndPenaltyTests(SiteTestCase):
    def test_closes(self) -> None:
        """Closes are in order, newest last, and may have no client."""
        first, last = self.get("/api/v1/closes").json["items"]
        self.assertEqual((first["bot"], first["device"], first["reason"]), (None, None, "handshake_timeout"))
        self.assertEqual((last["bot"], last["detail"], last["seconds"]), (ALICE.bot, "3 strikes", 90.0))

    def test_penalties(self) -> None:
        """A penalty is shown, lifted, and then not there any more."""
        (shown,) = self.get("/api/v1/penalties").json["items"]
        self.assertEqual(shown, {**CLIENT, "until": 1300.0, "why": "flapping", "times": 2})
        self.assertEqual(self.post("/api/v1/penalties/lift", CLIENT).json, CLIENT)
        self.assertEqual(self.get("/api/v1/penalties").json, {"items": []})
        answer = self.post("/api/v1/penalties/lift", CLIENT)
        self.assertEqual((answer.status, answer.code), (404, "no_penalty"))


class JournalTests(SiteTestCase):
    def test_journal(self) -> None:
        """The journal is shown with its files, and what stands in its way."""
        shown = self.get("/api/v1/journal").json
        self.assertEqual(shown["segments"], [{"name": "00000001.log", "bytes": 2048, "unfinished": 3}])
        figures = {name: value for name, value in shown.items() if name != "segments"}
        expected = self.view.books._asdict()
        del expected["segments"]
        self.assertEqual(figures, expected)

    def test_dead_letters(self) -> None:
        """Each message that was given up is shown with its text and the reason."""
        (shown,) = self.get("/api/v1/dead-letters").json["items"]
        self.assertEqual((shown["id"], shown["reason"], shown["text"]), (7, "too_old", "안녕 <b>"))
        self.assertEqual({key: shown[key] for key in CLIENT}, CLIENT)

    def test_verbs(self) -> None:
        """A letter is taken up again, or forgotten, once; then there is none of that id."""
        letters = self.view.letters
        for verb in ("requeue", "drop"):
            self.view.letters = letters
            answer = self.post(f"/api/v1/dead-letters/{verb}", {"id": 7})
            self.assertEqual((answer.status, answer.json), (200, {"id": 7}))
            again = self.post(f"/api/v1/dead-letters/{verb}", {"id": 7})
            self.assertEqual((again.status, again.code), (404, "unknown_dead_letter"))

    def test_unavailable(self) -> None:
        """What cannot be done for want of a database or a journal is said so."""
        self.view.away = "the database is away"
        answers = [
            self.get("/api/v1/dead-letters"),
            self.post("/api/v1/dead-letters/requeue", {"id": 7}),
            self.post("/api/v1/dead-letters/drop", {"id": 7}),
        ]
        for answer in answers:
            self.assertEqual((answer.status, answer.code), (503, "unavailable"))
            self.assertEqual(answer.json["error"]["message"], "the database is away")


class OpenApiTests(SiteTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.document = self.get("/api/v1/openapi.json").json

    def test_every_route_is_described(self) -> None:
        """Each operation has a name of its own, a summary, an answer and the shape of its errors."""
        self.assertEqual(self.document["openapi"], "3.1.0")
        self.assertEqual(len(self.document["paths"]), 55)
        operations = [op for path in self.document["paths"].values() for op in path.values()]
        self.assertEqual(len({op["operationId"] for op in operations}), len(operations))
        for operation in operations:
            self.assertTrue(operation["summary"])
            error = operation["responses"]["default"]["content"]["application/json"]["schema"]
            self.assertEqual(error, {"$ref": "#/components/schemas/ErrorBody"})

    def test_references(self) -> None:
        """Every reference leads somewhere."""
        text = json.dumps(self.document)
        for part in text.split('"#/components/schemas/')[1:]:
            self.assertIn(part.partition('"')[0], self.document["components"]["schemas"])

    def test_bodies(self) -> None:
        """A POST says what it wants, down to the words allowed for a status."""
        operation = self.document["paths"]["/api/v1/devices/status"]["post"]
        self.assertEqual(
            operation["requestBody"]["content"]["application/json"]["schema"],
            {"$ref": "#/components/schemas/DeviceStatus"},
        )
        allowed = self.document["components"]["schemas"]["Status"]["enum"]
        self.assertEqual(sorted(allowed), sorted(Status))

    def test_security(self) -> None:
        """The token is the rule, and the open routes are the exception."""
        self.assertEqual(self.document["security"], [{"token": []}])
        free = [
            path
            for path, ways in self.document["paths"].items()
            if {} in ways["get" if "get" in ways else "post"].get("security", [])
        ]
        self.assertEqual(sorted(free), ["/healthz", "/metrics", "/readyz"])


class RoomSettingsTests(SiteTestCase):
    path = "/api/v1/rooms/settings"

    def wanted(self, **values: object) -> dict[str, object]:
        """A change of the room that is known."""
        return {"bot": ALICE.bot, "device": ALICE.device, "room_id": "100", **values}

    def test_change(self) -> None:
        """What is named changes, to null too, and whoever asked gets it back."""
        wanted = self.wanted(muted=True, per_room=None, chat_log="metadata")
        answer = self.post(self.path, wanted)
        self.assertEqual((answer.status, answer.json), (200, wanted))
        self.assertEqual(self.view.room_values, {"muted": True, "per_room": None, "chat_log": "metadata"})
        self.assertEqual(self.view.acts[-1][0], "admin")

    def test_unknown(self) -> None:
        """A room that nobody has heard of is refused, unless it shall be made known."""
        wanted = self.wanted(muted=True) | {"room_id": "nowhere"}
        answer = self.post(self.path, wanted)
        self.assertEqual((answer.status, answer.code), (404, "unknown_room"))
        self.assertEqual(self.post(self.path, wanted | {"register": True}).status, 200)

    def test_refused(self) -> None:
        """What is not allowed is refused with the reason; so is a change of nothing."""
        for values, code in (
            ({"per_room": 0}, "bad_setting"),
            ({"chat_log": "everything"}, "bad_request"),
            ({"colour": "red"}, "bad_request"),
            ({}, "nothing_to_change"),
        ):
            answer = self.post(self.path, self.wanted(**values))
            self.assertEqual((answer.status, answer.code), (400, code), values)

    def test_away(self) -> None:
        """While nothing can be written the caller is told so."""
        self.view.failure = Unavailable("nothing was changed: the database is away (unplugged)")
        answer = self.post(self.path, self.wanted(muted=True))
        self.assertEqual((answer.status, answer.code), (503, "database_away"))

    def test_list(self) -> None:
        """Each room is shown with its settings."""
        [room] = self.get("/api/v1/rooms").json["items"]
        self.assertEqual((room["muted"], room["ordered"], room["per_room"]), (False, False, None))


class BotTests(SiteTestCase):
    path = "/api/v1/bots/settings"

    def test_list(self) -> None:
        """Each bot is shown with every setting; what it has none of is null."""
        shown = {
            "bot": "Weather", "prefix": "#", "admins": ["a", "b"], "per_bot": 5, "per_room": None,
            "chat_log": None, "max_message_size": None, "image_width": 900, "paused": False,
        }  # fmt: skip
        self.assertEqual(self.get("/api/v1/bots").json, {"items": [shown]})

    def test_change(self) -> None:
        """What is named changes, to null too; the rest stays, and the answer is the whole."""
        wanted = {
            "bot": "Weather",
            "per_bot": None,
            "max_message_size": 4096,
            "admins": ["c"],
            "paused": True,
        }
        answer = self.post(self.path, wanted)
        self.assertEqual(answer.status, 200)
        self.assertEqual({key: answer.json[key] for key in wanted}, wanted)
        self.assertEqual(answer.json["image_width"], 900)
        self.assertEqual(self.get("/api/v1/bots").json["items"], [answer.json])
        answer = self.post(self.path, {"bot": "Weather", "chat_log": "none"})
        self.assertEqual((answer.json["chat_log"], answer.json["paused"]), ("none", True))

    def test_unknown(self) -> None:
        """A bot that was never seen is refused, unless it shall be made known."""
        wanted = {"bot": "News", "paused": True}
        answer = self.post(self.path, wanted)
        self.assertEqual((answer.status, answer.code), (404, "unknown_bot"))
        self.assertEqual(self.post(self.path, {**wanted, "register": True}).status, 200)

    def test_refused(self) -> None:
        """What is not allowed, not understood, or nothing at all, is refused and changes nothing."""
        for wanted, code in (
            ({"per_bot": 0}, "bad_setting"),
            ({"prefix": ""}, "bad_setting"),
            ({"per_bot": "many"}, "bad_request"),
            ({"paused": None}, "bad_request"),
            ({"chat_log": "all"}, "bad_request"),
            ({"pausd": True}, "bad_request"),
            ({}, "nothing_to_change"),
        ):
            answer = self.post(self.path, {"bot": "Weather", **wanted})
            self.assertEqual((answer.status, answer.code), (400, code), wanted)
        self.assertEqual(self.get("/api/v1/bots").json["items"][0]["per_bot"], 5)

    def test_away(self) -> None:
        """While nothing can be written the caller is told so, and may ask again."""
        self.view.failure = Unavailable("nothing was changed: the database is away (unplugged)")
        answer = self.post(self.path, {"bot": "Weather", "paused": True})
        self.assertEqual((answer.status, answer.code), (503, "database_away"))
        self.assertIn("nothing was changed", answer.json["error"]["message"])


class ForgetTests(SiteTestCase):
    def test_forget(self) -> None:
        """A person is forgotten, and how much that was is told; who asks again gets the rest."""
        answer = self.post("/api/v1/forget", {"user_hash": "talker"})
        self.assertEqual((answer.status, answer.json), (200, {"messages": 3, "answers": 2, "more": True}))
        self.assertFalse(self.post("/api/v1/forget", {"user_hash": "talker"}).json["more"])
        self.assertEqual(self.view.forgotten, ["talker", "talker"])

    def test_nobody(self) -> None:
        """An empty hash names nobody: without it everybody's answers would go."""
        self.assertEqual(self.post("/api/v1/forget", {"user_hash": " "}).status, 400)
        self.assertEqual(self.view.forgotten, [])

    def test_away(self) -> None:
        """While nothing can be deleted whoever asks is told why."""
        self.view.failure = Unavailable("the database is away")
        answer = self.post("/api/v1/forget", {"user_hash": "talker"})
        self.assertEqual((answer.status, answer.json["error"]["message"]), (503, "the database is away"))
