"""The rules of a contact centre, pure, and one room that touches disk and broker: `core.eventlog`."""
