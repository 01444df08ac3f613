"""A relay of the tests that does by itself what the specification says, for as long as it lives."""

from __future__ import annotations

import threading
from typing import Any

from tests.e2e.scripted import Conversation, Relay, source


class ObedientRelay(Relay):
    """Answers every message once, keeps answers until they are acknowledged, and remembers it all.

    The answer to `N` is `answer N`; that to a number which ten divides is a picture.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.resent: set[str] = set()
        self.failures: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self._ids: set[str] = set()
        self._outbox: dict[str, dict[str, Any]] = {}
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                talk = self.accept(60.0)
            except OSError:
                return
            try:
                self._talk(talk)
            except (EOFError, OSError):
                pass
            except Exception as error:
                self.problems.append(repr(error))
            talk.close()

    def _talk(self, talk: Conversation) -> None:
        talk.greet()
        resume = talk.hello["resume"]
        if resume in self._outbox:
            for id_ in list(self._outbox):
                del self._outbox[id_]
                if id_ == resume:
                    break
        for id_, chat in self._outbox.items():
            self._answer(talk, id_, chat)
        while True:
            packet = talk.hear_any()
            data = packet["data"]
            if packet["event"] == "chat":
                self._take(talk, data)
            elif packet["event"] == "ack":
                for id_ in data["ids"]:
                    self._outbox.pop(id_, None)
            elif packet["event"] == "failed":
                self.failures.append(data)
                self._outbox.pop(data["id"], None)

    def _take(self, talk: Conversation, chat: dict[str, Any]) -> None:
        id_ = chat["id"]
        new = id_ not in self._ids
        if new:
            self._ids.add(id_)
            self.heard.append(chat["text"])
            self._outbox[f"{id_}/0"] = chat
        elif not chat["resent"]:
            self.problems.append(f"{id_} came again as if it were new")
        talk.ack(chat)
        if new:
            self._answer(talk, f"{id_}/0", chat)

    def _answer(self, talk: Conversation, id_: str, chat: dict[str, Any]) -> None:
        if int(chat["text"]) % 10:
            talk.reply(id_, f"answer {chat['text']}", chat["room"], chat["channel_id"])
            return
        described, chunks = source(chat["text"].encode() * 70_000)
        talk.media(id_, described)
        for index, chunk in enumerate(chunks):
            talk.chunk(id_, 0, index, chunk)
