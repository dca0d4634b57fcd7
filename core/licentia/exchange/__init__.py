"""Request, update, receipt: how a container that lives away from the server and the server speak to each other.

The device sends a *request*, the server answers with an *update* that only this device can open, valid
for the state the request came from and no other; a *receipt* says that it took effect. docs/formats.md
tells the octets, docs/exchange.md the rules and why they hold.
"""
