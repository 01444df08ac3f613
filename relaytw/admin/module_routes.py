"""The routes of the admin API that are about modules with bots."""

from __future__ import annotations

from relaytw.admin.modules import ModuleLoaded, ModulesView, ReloadModule
from relaytw.admin.problems import Problem
from relaytw.admin.routes import Route
from relaytw.admin.shapes import Listing


class ModulesApi:
    """Handlers over the modules of one relay."""

    def __init__(self, view: ModulesView) -> None:
        self._view = view

    def routes(self) -> list[Route]:
        """Everything that can be asked of them."""
        listing = Listing[ModuleLoaded]
        return [
            Route("GET", "/api/v1/bots/modules", self.modules, returns=listing),
            Route("POST", "/api/v1/bots/reload", self.reload, ReloadModule, listing, act=True),
        ]

    def modules(self) -> Listing[ModuleLoaded]:
        """Every module with bots, and why a newer version is not in force."""
        return Listing(list(self._view.modules()))

    def reload(self, wanted: ReloadModule, actor: str) -> Listing[ModuleLoaded]:
        """Load modules anew; one that cannot be stays as it was, and has a `problem`."""
        try:
            return Listing(list(self._view.reload(wanted.module, actor)))
        except KeyError as error:
            raise Problem(404, "unknown_module", f"no module {wanted.module} is loaded") from error
