"""relaytw: a relay between KakaoTalk phones and bots, on Twisted."""

__version__ = "0.1.0"
