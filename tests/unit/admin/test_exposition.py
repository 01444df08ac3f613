"""What a scrape shows."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from relaytw.messages import CloseReason, ErrorCode
from tests.unit.admin.fakes import SiteTestCase


class MetricsTests(SiteTestCase):
    def scrape(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Every sample by its name and labels."""
        answer = self.get("/metrics", token=None)
        self.assertEqual(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8")
        families = text_string_to_metric_families(answer.body.decode())
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    def test_counters(self) -> None:
        """Every count is shown, and each scrape shows it as it is then."""
        self.metrics.accepted = 5
        self.assertEqual(self.scrape()["relaytw_accepted_total", ()], 5)
        self.metrics.accepted += 1
        self.assertEqual(self.scrape()["relaytw_accepted_total", ()], 6)

    def test_everything_counted_is_shown(self) -> None:
        """No count of the relay is missing, and none is without its help text."""
        body = self.get("/metrics", token=None).body.decode()
        for name in self.metrics.__slots__:
            self.assertIn(f"# HELP relaytw_{name}", body)
        self.assertNotIn("Count of", body)

    def test_reasons(self) -> None:
        """Every reason and code has its line from the start, at zero."""
        self.metrics.closes[CloseReason.ZOMBIE] += 2
        self.metrics.errors["replay"] += 1
        self.metrics.replies_dropped['odd "reason"\n'] += 1
        samples = self.scrape()
        self.assertEqual(samples["relaytw_closes_total", (("reason", "zombie"),)], 2)
        for reason in CloseReason:
            self.assertIn(("relaytw_closes_total", (("reason", reason.value),)), samples)
        self.assertEqual(samples["relaytw_errors_total", (("code", "replay"),)], 1)
        self.assertEqual(samples["relaytw_errors_total", (("code", ErrorCode.STALE.value),)], 0)
        self.assertEqual(samples["relaytw_replies_dropped_total", (("reason", 'odd "reason"\n'),)], 1)

    def test_histograms(self) -> None:
        """Buckets are cumulative, and the last one holds everything."""
        for seconds in (0.0001, 0.3, 0.4, 1000.0):
            self.metrics.process.observe(seconds)
        samples = self.scrape()
        bucket = "relaytw_process_seconds_bucket"
        self.assertEqual(samples[bucket, (("le", "0.0001"),)], 1)
        self.assertEqual(samples[bucket, (("le", "0.5"),)], 3)
        self.assertEqual(samples[bucket, (("le", "300.0"),)], 3)
        self.assertEqual(samples[bucket, (("le", "+Inf"),)], 4)
        self.assertEqual(samples["relaytw_process_seconds_count", ()], 4)
        self.assertAlmostEqual(samples["relaytw_process_seconds_sum", ()], 1000.7001)

    def test_gauges(self) -> None:
        """The figures of the overview are gauges, its names are labels."""
        self.view.not_ready = "starting"
        samples = self.scrape()
        self.assertEqual(samples["relaytw_connections", ()], 3)
        self.assertEqual(samples["relaytw_memory_bytes", ()], 12000)
        self.assertEqual(samples["relaytw_start_time_seconds", ()], 1000.5)
        self.assertEqual(samples["relaytw_ready", ()], 0)
        about = (("mode", "queued"), ("name", "relay-01"), ("version", "0.1.0"))
        self.assertEqual(samples["relaytw_info", about], 1)
