"""The configuration: `Config` is what it may be, `load` reads and checks it, `shown` shows it."""

from relaytw.config.loading import load, load_with_origins
from relaytw.config.model import AuthConfig, Config
from relaytw.config.showing import shown

__all__ = ["AuthConfig", "Config", "load", "load_with_origins", "shown"]
