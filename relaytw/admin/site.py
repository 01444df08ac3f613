"""The admin API as a site that can be listened with."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web import http
from twisted.web.server import Site

from relaytw.admin.access import Guard
from relaytw.admin.resources import AdminApi
from relaytw.admin.routes import AdminRequest, RouteTable
from relaytw.admin.view import RelayView
from relaytw.metrics import Metrics

#: Seconds a caller may be silent, in the middle of a request too.
TIMEOUT = 60.0

_LOG = Logger(namespace="relaytw.admin")


class AdminSite(Site):
    """A site that keeps no access log: scrapes would drown everything else."""

    noisy = False
    displayTracebacks = False  # noqa: N815 (twisted.web's name)

    def log(self, request: http.Request) -> None:
        """Write nothing."""


def make_site(
    view: RelayView,
    metrics: Metrics,
    token: str,
    log: Logger = _LOG,
    *,
    reactor: IReactorTime | None = None,
    new_id: Callable[[], str] = lambda: uuid4().hex[:12],
) -> Site:
    """The admin API of one relay.  `new_id` names what went wrong; raises ValueError for an empty token.

    Without a `reactor` the site's time-outs are kept by the global one.
    """
    table = RouteTable(AdminApi(view, metrics).routes(), Guard(token, view.pushing.tokens.check), log, new_id)
    return AdminSite(table, AdminRequest, timeout=TIMEOUT, parsePOSTFormSubmission=False, reactor=reactor)
