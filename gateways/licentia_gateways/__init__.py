"""The ways in over HTTP: REST, SOAP and, later, the portal. `app` wires them; each derives from `licentia.contract`."""
