"""Handlers that block: their threads, each bot's share of them, and what a thread costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaytw import texts
from relaytw.bots.answers import BadAnswer
from relaytw.daemons import DaemonThreads
from relaytw.services.threads import BlockingPool
from tests.unit.services.fakes import Bench, FakeThreads


class FakePool(DaemonThreads):
    """A thread pool that starts nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.acts: list[str] = []

    def start(self) -> None:
        self.acts.append("start")

    def stop(self) -> None:
        self.acts.append("stop")


class BlockingPoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.threads = FakeThreads()
        self.began: list[str] = []
        self.pool = BlockingPool(self.threads, threads=3, per_bot=2)

    def run_one(self, bot: str) -> Deferred[object]:
        return self.pool.run(bot, lambda: f"result for {bot}", lambda: self.began.append(bot))

    def test_result(self) -> None:
        """A function's result, or its failure, is the Deferred's."""
        done = self.run_one("a")
        self.assertEqual(self.pool.at_work, 1)
        self.threads.finish()
        self.assertEqual(self.successResultOf(done), "result for a")
        broken = self.pool.run("a", _breaks, lambda: None)
        self.threads.finish()
        self.failureResultOf(broken, KeyError)
        self.assertEqual(self.pool.at_work, 0)

    def test_share_of_a_bot(self) -> None:
        """No bot gets more than its share; the others do not wait for it."""
        for bot in "aaab":
            self.run_one(bot)
        self.assertEqual(self.began, ["a", "a", "b"])
        self.threads.finish()
        self.assertEqual(self.began, ["a", "a", "b", "a"])

    def test_limit_of_all(self) -> None:
        """There are never more functions at work than threads; the others start in their order."""
        for bot in "abcde":
            self.run_one(bot)
        self.assertEqual((self.began, self.pool.at_work), (["a", "b", "c"], 3))
        while self.threads.working:
            self.threads.finish(-1)
            self.assertLessEqual(self.pool.at_work, 3)
        self.assertEqual(self.began, ["a", "b", "c", "d", "e"])
        self.assertEqual(self.pool.at_work, 0)

    def test_a_bots_share_comes_back(self) -> None:
        """After a bot has been idle its share is as large as before, and no larger."""
        for _ in range(3):
            for _ in range(3):
                self.run_one("a")
            self.assertEqual(len(self.threads.working), 2)
            while self.threads.working:
                self.threads.finish()

    def test_service(self) -> None:
        """The pool starts and stops with the service; with a thread at work it is left alone."""
        pools = FakePool(), FakePool()
        idle, busy = (BlockingPool(self.threads, threads=1, per_bot=1, pool=pool) for pool in pools)
        for service in (idle, busy):
            service.startService()
        busy.run("a", lambda: None, lambda: None)
        for service in (idle, busy):
            service.stopService()
        self.assertEqual([pool.acts for pool in pools], [["start", "stop"], ["start"]])

    def test_threads_end_with_the_process(self) -> None:
        """A handler's thread that never returns does not keep the process alive."""
        self.assertTrue(DaemonThreads.threadFactory(target=time.sleep).daemon)


class BlockingHandlerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench(per_room=1, blocking_per_bot=2)
        self.bench.on("block", lambda message: "from a thread", blocking=True, tell_errors=True)
        self.bench.on("well", lambda message: "well")

    def test_answers_when_its_thread_returns(self) -> None:
        """A blocking handler runs in a thread, and its result is the answer."""
        self.bench.say("block")
        self.assertEqual(self.bench.said, [])
        self.bench.threads.finish()
        self.assertEqual(self.bench.said, ["room: from a thread"])
        self.assertEqual(self.bench.leftovers(), {})

    def test_raises(self) -> None:
        """A blocking handler that raises fails alone, logged and told."""
        self.bench.on("breaks", lambda message: _breaks(), blocking=True, tell_errors=True)
        self.bench.accept(self.bench.message("breaks"), self.bench.message("well"))
        self.bench.threads.finish()
        self.assertEqual(self.bench.said, [f"room: {texts.HANDLER_FAILED}", "room: well"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(self.bench.leftovers(), {})

    def test_share_of_a_bot(self) -> None:
        """One bot's blocking messages never have more than its share of threads; other bots get theirs."""
        for number in range(6):
            self.bench.say("block", bot="busy", room=str(number))
        self.assertEqual(len(self.bench.threads.working), 2)
        self.bench.say("block", bot="other")
        self.assertEqual(len(self.bench.threads.working), 3)
        while self.bench.threads.working:
            self.bench.threads.finish()
        self.assertEqual(len(self.bench.said), 7)
        self.assertEqual(self.bench.leftovers(), {})

    def test_waiting_for_a_thread_is_not_its_fault(self) -> None:
        """The time-out of a blocking handler counts from when its thread starts."""
        for number in range(3):
            self.bench.say("block", room=str(number))
        self.bench.clock.advance(200)
        self.bench.threads.finish()
        self.bench.clock.advance(99)
        self.assertEqual(self.bench.metrics.timed_out, 0)
        self.bench.clock.advance(1)
        self.assertEqual(self.bench.metrics.timed_out, 1)
        self.bench.clock.advance(199)
        self.assertEqual(self.bench.metrics.timed_out, 1)
        self.bench.clock.advance(1)
        self.assertEqual(self.bench.metrics.timed_out, 2)

    def test_keeps_its_permits_until_its_thread_returns(self) -> None:
        """A thread that exceeds the time-out has failed, and its room waits until it returns."""
        self.bench.accept(self.bench.message("block"), self.bench.message("well"))
        self.bench.clock.pump([300, 5])
        self.assertEqual(self.bench.said, [f"room: {texts.HANDLER_TIMED_OUT}"])
        self.bench.clock.advance(1000)
        self.assertEqual((self.bench.lanes.running, self.bench.pool.at_work), (1, 1))
        self.bench.threads.finish()
        self.assertEqual(self.bench.said[1:], ["room: well"])
        self.assertEqual((self.bench.metrics.failed, self.bench.metrics.finished), (1, 2))
        self.assertEqual(self.bench.leftovers(), {})

    def test_raises_after_it_was_given_up(self) -> None:
        """A thread that fails long after its time-out frees its permits and is counted once."""
        self.bench.on("block", lambda message: _breaks(), blocking=True)
        self.bench.say("block")
        self.bench.clock.pump([300, 5])
        self.bench.threads.finish()
        self.assertEqual(self.bench.metrics.failed, 1)
        self.assertEqual(self.bench.leftovers(), {})

    def test_answers_within_the_grace(self) -> None:
        """A thread cannot be cancelled: what it returns just after its time-out is still an answer."""
        self.bench.say("block")
        self.bench.clock.pump([300, 4])
        self.bench.threads.finish()
        self.assertEqual(self.bench.said, ["room: from a thread"])
        self.assertEqual(self.bench.leftovers(), {})

    def test_reply_from_the_thread(self) -> None:
        """What a blocking handler says by message.reply is sent by the reactor's thread, in order."""
        self.bench.on("talks", lambda message: message.reply("wait"), blocking=True)
        self.bench.say("talks")
        function, done = self.bench.threads.working.pop()
        _elsewhere(function)
        self.assertEqual(self.bench.said, [])
        self.bench.clock.handed_over.pop()()
        done.callback("done")
        self.assertEqual(self.bench.said, ["room: wait", "room: done"])

    def test_nonsense_from_the_thread(self) -> None:
        """Replying from a thread with what cannot be sent raises in that thread."""
        message = self.bench.say("block")
        raised: list[BaseException] = []

        def reply() -> None:
            try:
                message.reply(5)  # type: ignore[arg-type]
            except BadAnswer as error:
                raised.append(error)

        _elsewhere(reply)
        self.assertEqual(len(raised), 1)
        self.assertEqual(self.bench.clock.handed_over, [])


def _elsewhere(function: Callable[[], object]) -> None:
    thread = Thread(target=function)
    thread.start()
    thread.join()


def _breaks() -> object:
    raise KeyError
