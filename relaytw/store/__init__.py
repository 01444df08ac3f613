"""Where the relay keeps what it must remember: tables, and their stand-ins in memory."""
