"""`twistd -ny relay.tac`: the relay as `twistd relay` starts it, without options."""

from twisted.application.service import Application

from relaytw.tap import Options, makeService

options = Options()
options.parseOptions([])
application = Application("relay")
makeService(options).setServiceParent(application)
