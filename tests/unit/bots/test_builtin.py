"""The commands every relay has, as a chat user meets them."""

from __future__ import annotations

from collections.abc import Coroutine
from io import BytesIO
from typing import Any, cast

from PIL import Image as Pillow
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Image, builtin
from relaytw.bots.drawing import latin
from relaytw.bots.router import Router
from relaytw.messages import Dialect, Monitoring, PhoneInfo, SettingChange, Status
from tests.unit.bots.messages import PHONE, Room, said

INFO = PhoneInfo(
    client=PHONE,
    dialect=Dialect.V33,
    version="3.3.1",
    address="10.0.0.2:40000",
    device_info="SM-G998N",
    status=Status.APPROVED,
    connected_at=1_767_225_600.0,
    last_heard=1_767_225_700.0,
    round_trip_ms=12,
    monitoring=Monitoring(4096.0, 1024.5, 25.01, 0, 3),
    messages=7,
    proven=True,
)


class BuiltinCase(SynchronousTestCase):
    def ask(self, text: str, **fields: Any) -> object:
        found = Router([builtin.bot]).find(said(text, **fields))
        return found.call(said(text, **fields)) if found is not None else None


class PictureTests(BuiltinCase):
    def test_words(self) -> None:
        """There is one picture of 100x100 for each word, different ones for different words."""
        made = self.ask("# IMGEXT 1 2 안녕 --media-wait-time=8000")
        assert isinstance(made, Image)
        self.assertEqual((len(set(made.sources)), made.wait_ms), (3, 8000))
        for source in made.sources:
            assert isinstance(source, bytes)
            picture = Pillow.open(BytesIO(source))
            self.assertEqual((picture.format, picture.size), ("PNG", (100, 100)))
            self.assertGreater(len(picture.getcolors() or []), 1)

    def test_wait(self) -> None:
        """Without the option the wait is left to be computed; one out of range is refused in words."""
        made = self.ask("# IMGEXT 1")
        assert isinstance(made, Image)
        self.assertIsNone(made.wait_ms)
        self.assertIn("300000", str(self.ask("# IMGEXT 1 --media-wait-time=300001")))

    def test_many(self) -> None:
        """Too many words, and none, are answered in words."""
        self.assertIn("20", str(self.ask("# IMGEXT " + "x " * 21)))
        self.assertIn("words", str(self.ask("# IMGEXT")))

    def test_korean(self) -> None:
        """Where no font knows Korean it is written in Latin letters."""
        self.assertEqual(latin("안녕하세요 값 🙂 ok"), "annyeonghaseyo gap ? ok")


class EchoTests(BuiltinCase):
    def test_verbatim(self) -> None:
        """What was said comes back to the letter, whatever it looks like."""
        for text in ("hi", " a  b ", '"q"', "{text} {0} {", "%s", "a\nb", "--x=1 hi", "# echo", "한글 🙂"):
            self.assertEqual(self.ask(f"# echo {text}"), f"에코: {text}")

    def test_every_bot(self) -> None:
        """It answers under every bot name."""
        self.assertEqual(self.ask("# echo hi", bot="whoever"), "에코: hi")

    def test_repeat(self) -> None:
        """It says it up to five times, numbered if more than once."""
        self.assertEqual(self.ask("# echo --repeat=1 hi"), "에코: hi")
        for times in range(2, 6):
            wanted = [f"[{number}/{times}] 에코: {{hi}}" for number in range(1, times + 1)]
            self.assertEqual(self.ask(f"# echo --repeat={times} {{hi}}"), wanted)
            self.assertEqual(self.ask(f"# echo {{hi}} --repeat={times}"), wanted)

    def test_out_of_range(self) -> None:
        """Any other number is refused in words, and nothing is echoed."""
        for times in ("0", "6", "-1", "1000000000"):
            answer = str(self.ask(f"# echo --repeat={times} hi"))
            self.assertTrue(answer.startswith("repeat: 1 이상 5 이하여야 합니다.\n사용법: # echo "), answer)
        self.assertIn("숫자가 아닙니다", str(self.ask("# echo --repeat=often hi")))

    def test_nothing(self) -> None:
        """Without a text it says how it is used."""
        for text in ("# echo", "# echo ", "# echo --repeat=2"):
            answer = str(self.ask(text))
            self.assertTrue(
                answer.startswith("text 값이 필요합니다.\n사용법: # echo {text} [--repeat=n]"), answer
            )

    def test_not_a_prefix_of_it(self) -> None:
        """Words that only begin like the command are nobody's."""
        self.assertIsNone(self.ask("# echoes hi"))


class ClientInfoTests(BuiltinCase):
    def test_connected(self) -> None:
        """It shows what is known of the phone, with times in Seoul."""
        answer = str(self.ask("# client_info", context=Room(INFO)))
        self.assertEqual(
            answer.splitlines(),
            [
                "봇: bot",
                "기기: phone",
                "스크립트: 3.3.1 (방언 3.3)",
                "주소: 10.0.0.2:40000",
                "상태: approved",
                "연결: 2026-01-01 09:00:00",
                "왕복 시간: 12 ms",
                "메모리: 1024.5 / 4096.0 MB (25.0 %)",
                "메시지: 7",
            ],
        )
        self.assertEqual(self.ask("# client_info summary", context=Room(INFO)), answer)

    def test_not_yet_known(self) -> None:
        """A phone that has not answered a ping has no round trip and no figures."""
        fresh = Room(
            PhoneInfo(
                client=PHONE,
                dialect=Dialect.V32,
                version="3.2.0",
                address="10.0.0.2:40000",
                device_info="",
                status=Status.PENDING,
                connected_at=0.0,
                last_heard=0.0,
                round_trip_ms=None,
                monitoring=None,
                messages=0,
                proven=False,
            )
        )
        answer = str(self.ask("# client_info", context=fresh))
        self.assertIn("왕복 시간: -\n메모리: -\n", answer)

    def test_gone(self) -> None:
        """Without a phone it says so."""
        self.assertEqual(self.ask("# client_info"), "지금은 기기가 연결되어 있지 않습니다.")

    def test_something_else(self) -> None:
        """Whatever else is asked for is answered with what there is."""
        answer = str(self.ask("# client_info everything", context=Room(INFO)))
        self.assertIn("'everything' 은(는) 쓸 수 없습니다. (summary)", answer)
        self.assertIn("사용법: # client_info [summary]", answer)


class ReloadTests(BuiltinCase):
    def reload(self, room: Room, *, is_admin: bool = True) -> str:
        """What is answered to the command."""
        message = said("# reload bots-config", context=room, is_admin=is_admin)
        found = Router([builtin.bot]).find(message)
        assert found is not None
        result = found.call(message)
        if isinstance(result, str):
            return result
        return self.successResultOf(Deferred.fromCoroutine(cast("Coroutine[Any, Any, str]", result)))

    def test_changes(self) -> None:
        """An admin is told what has changed."""
        room = Room()
        room.changes = [
            SettingChange("bot", "prefix", "#", "!"),
            SettingChange("b", "paused", "false", "true"),
        ]
        self.assertEqual(
            self.reload(room), "봇 설정을 다시 읽었습니다.\nbot: prefix # → !\nb: paused false → true"
        )

    def test_nothing(self) -> None:
        """Nothing changed, and the settings that cannot be read, are told as such."""
        room = Room()
        self.assertIn("바뀐 설정이 없습니다.", self.reload(room))
        room.changes = None
        self.assertIn("읽을 수 없습니다", self.reload(room))

    def test_many(self) -> None:
        """However many changes there are, the answer stays readable."""
        room = Room()
        room.changes = [SettingChange(str(n), "paused", "false", "true") for n in range(30)]
        self.assertEqual(self.reload(room).split("\n")[-2:], ["19: paused false → true", "… 외 10건"])

    def test_admins_only(self) -> None:
        """Anybody else is refused, and nothing is read."""
        room = Room()
        self.assertEqual(self.reload(room, is_admin=False), "관리자만 사용할 수 있는 명령입니다.")
        self.assertEqual(room.reloads, 0)
