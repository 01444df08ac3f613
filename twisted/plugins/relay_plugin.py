"""Names the relay for `twistd relay`; everything else is in `relaytw.tap`."""

from twisted.application.service import ServiceMaker

relay = ServiceMaker("relaytw", "relaytw.tap", "Relay KakaoTalk phones to bots.", "relay")
