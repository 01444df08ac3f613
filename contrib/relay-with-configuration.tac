"""`twistd -ny relay-with-configuration.tac`: a relay with a configuration file, beside it in this folder.

What `twistd relay` takes as flags is a list here, so that one file says all about a service.
"""

from pathlib import Path

from twisted.application.service import Application

from relaytw.tap import Options, makeService

options = Options()
options.parseOptions(["--config", str(Path(__file__).with_name("relay.toml")), "--name", "relay-01"])
application = Application("relay")
makeService(options).setServiceParent(application)
