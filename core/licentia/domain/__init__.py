"""Pure rules, without input or output: what a license, an order, a ticket, a lease and an event may do."""
