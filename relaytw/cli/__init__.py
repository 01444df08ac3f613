"""relayctl: the operator's command line.  It talks to the admin API and to the phone port only."""
